//! Faults: links that break, functions that fail or take their time, messages that come twice.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Harness, locked};
use crate::function::Function;
use crate::output::IntoError;
use crate::session::ConnectionState;
use iii_wire::protocol::ChannelRef;
use iii_wire::transport::{ChannelError, ChannelSocket, ConnectError, Connection, Transport};

/// What can be done to the links of one worker.
#[derive(Debug)]
pub(super) struct Gate {
    cut: watch::Sender<()>,
    down_until: Mutex<Option<Instant>>,
}

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { cut: watch::Sender::new(()), down_until: Mutex::default() })
    }

    fn cut(&self) {
        self.cut.send_replace(());
    }
}

/// A transport whose links go through a gate.
pub(super) struct Gated {
    inner: Arc<dyn Transport>,
    gate: Arc<Gate>,
}

impl Gated {
    pub(super) fn new(inner: Arc<dyn Transport>, gate: &Arc<Gate>) -> Arc<Self> {
        Arc::new(Self { inner, gate: gate.clone() })
    }
}

impl Transport for Gated {
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>> {
        Box::pin(async {
            if locked(&self.gate.down_until).is_some_and(|until| Instant::now() < until) {
                return Err(ConnectError::unreachable("the test keeps the engine down"));
            }
            let Connection { outbox, inbox } = self.inner.connect().await?;
            let mut cut = self.gate.cut.subscribe();
            let other_side = outbox.clone();
            let ended = async move {
                let _ = cut.changed().await;
                // The other side sees the end as well, whoever still holds this one.
                other_side.close(None);
            };
            Ok(Connection { outbox, inbox: inbox.take_until(Box::pin(ended)).fuse().boxed() })
        })
    }

    fn open_channel(&self, at: &ChannelRef) -> BoxFuture<'_, Result<ChannelSocket, ChannelError>> {
        self.inner.open_channel(at)
    }
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Harness {
    /// Cuts the link between the worker under test and the engine, and settles.
    ///
    /// Callers of its functions get `invocation_stopped` at once; handlers run on, and their answers are lost. Calls that
    /// handlers wait for fail with `connection_lost`. The worker comes back after a second, by its usual back-off; until
    /// then its functions are not there (`function_not_found`). [`Harness::connected`] waits for that.
    #[track_caller]
    pub fn drop_connection(&self) -> impl Future<Output = ()> + use<> {
        self.step("drop_connection");
        let harness = self.clone();
        async move {
            harness.settled().await;
            harness.inner.worker_gate.cut();
            harness.settled().await;
        }
    }

    /// Makes the engine unreachable for a while, for the worker under test and for the test itself, and settles.
    ///
    /// Calls in flight fail with `connection_lost`. New ones wait for the link, and fail with `not_connected` if it does
    /// not come back before their timeout. The engine itself goes on: what fires meanwhile finds no function. Both come
    /// back by their back-off: they try after 1 s, and then after pauses of 2 s, 4 s and so on, up to 30 s.
    #[track_caller]
    pub fn engine_down(&self, during: Duration) -> impl Future<Output = ()> + use<> {
        self.step("engine_down");
        let harness = self.clone();
        async move {
            harness.settled().await;
            let until = Instant::now() + during;
            for gate in [&harness.inner.worker_gate, &harness.inner.outside_gate] {
                *locked(&gate.down_until) = Some(until);
                gate.cut();
            }
            harness.settled().await;
        }
    }

    /// Waits until the worker under test and the test itself are connected, and everything is registered. Time moves by
    /// itself meanwhile.
    #[track_caller]
    pub fn connected(&self) -> impl Future<Output = ()> + use<> {
        self.step("connected");
        let harness = self.clone();
        async move {
            let worker = harness.started().await.worker.session.state();
            for mut state in [worker, harness.inner.outside.session.state()] {
                let _ = state.wait_for(|state| *state == ConnectionState::Connected).await;
            }
            harness.settled().await;
        }
    }

    /// Stops the worker under test as SIGTERM does, and waits until it has left: it takes no more work, finishes what runs,
    /// and does what [`App::on_stop`](crate::App::on_stop) was given. The test itself and the engine go on.
    ///
    /// Virtual time moves by itself meanwhile, up to the end of the grace period.
    #[track_caller]
    pub fn drain(&self) -> impl Future<Output = ()> + use<> {
        self.step("drain");
        let harness = self.clone();
        async move {
            harness.settled().await;
            let world = harness.started().await;
            world.drain();
            let mut state = world.worker.session.state();
            let _ = state.wait_for(|state| *state == ConnectionState::Disconnected).await;
            harness.settled().await;
        }
    }

    /// Lets the next invocation of a function fail, in place of its handler. Called twice, the next two fail.
    pub fn fail_next<F: Function>(&self, error: impl IntoError) {
        locked(&self.inner.recorder.rules).fail_next(&F::ID.into(), error.into_error());
    }

    /// Lets each invocation of a function wait before its handler runs; it counts for the function's own timeout.
    /// [`Duration::ZERO`] takes it back.
    pub fn delay<F: Function>(&self, delay: Duration) {
        locked(&self.inner.recorder.rules).delay(&F::ID.into(), delay);
    }

    /// Whether each message of a durable topic or a named queue is delivered once more after it was worked on, as if its
    /// answer had been lost. Delivery is at least once: a function must get the same message twice and do its work once.
    #[track_caller]
    pub fn duplicate_deliveries(&self, duplicate: bool) -> impl Future<Output = ()> + use<> {
        self.step("duplicate_deliveries");
        self.only_here("duplicate_deliveries");
        let harness = self.clone();
        async move {
            if let Some(engine) = &harness.started().await.engine {
                engine.set_deliver_twice(duplicate);
            }
        }
    }
}
