//! What a test holds: the way into the engine of the test, and its calls.

use std::fmt;
use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;

use super::faults::Gate;
use super::idle::Idle;
use super::record::Recorder;
use super::start::{Plan, World};
use super::{Http, locked};
use crate::app::Prepared;
use crate::client::{Call, ChannelBuilder, Client, Receipt, StateClient, StreamClient};
use crate::function::Function;
use iii_engine::{HttpFunctionSettings, NamedQueue};
use iii_wire::Result;
use iii_wire::clock::Clock;
use iii_wire::protocol::{FunctionId, Payload};

/// How far virtual time may move by itself after the last step of the test.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The same for a test in real time.
const REAL_PATIENCE: Duration = Duration::from_secs(60);

/// The worker of a test and the engine that it runs on. Clones are the same.
///
/// The worker starts with the first step that needs it, so that [`Harness::provide`] and mocks come first. What is
/// wrong with its declarations ends the test then, with one report.
///
/// The test is a worker of its own beside the one under test: its calls come from outside, as those of any other worker.
#[derive(Clone)]
pub struct Harness {
    pub(super) inner: Arc<Inner>,
}

/// What a test runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// An engine in this process, under virtual time.
    Virtual,
    /// An engine in this process, in real time.
    Real,
    /// An engine elsewhere: its URL, and that of its HTTP triggers.
    Remote { url: String, http: String },
}

/// How far the worker of a test is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    Started,
    Failed(String),
}

/// What the test does, and until when something must happen.
#[derive(Debug)]
pub(super) struct Steps {
    /// When the test is given up; `None` while it moves time.
    pub(super) deadline: watch::Sender<Option<Instant>>,
    pub(super) last: Mutex<Option<(&'static str, &'static Location<'static>)>>,
    pub(super) patience: Duration,
}

pub(super) struct Inner {
    pub(super) mode: Mode,
    pub(super) clock: Clock,
    pub(super) idle: Arc<Idle>,
    pub(super) recorder: Arc<Recorder>,
    /// The test as a worker: it calls, and serves what is mocked.
    pub(super) outside: Prepared,
    pub(super) plan: Mutex<Option<Plan>>,
    pub(super) stage: watch::Sender<Stage>,
    pub(super) world: OnceLock<World>,
    /// The links of the worker and of the test.
    pub(super) worker_gate: Arc<Gate>,
    pub(super) outside_gate: Arc<Gate>,
    pub(super) steps: Steps,
    pub(super) published: Mutex<Vec<super::Published>>,
}

/// How a test ends that cannot run here.
pub(super) struct Skipped(pub(super) &'static str);

impl Harness {
    /// Provides a value that functions take by `State<T>`, in place of one of its type that the set-up provides. The same
    /// value, to look into later.
    ///
    /// # Panics
    ///
    /// If the worker runs already.
    #[track_caller]
    pub fn provide<T: Send + Sync + 'static>(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let shared = value.clone();
        self.before_start("provide", |plan| {
            plan.provided.push(Box::new(move |app| app.share(shared)));
        });
        value
    }

    /// Sets up a named queue of the engine, in place of an earlier one of its name. There is always one named `default`.
    ///
    /// On a real engine nothing is set up: it has its own queues.
    ///
    /// # Panics
    ///
    /// If the worker runs already.
    #[track_caller]
    pub fn named_queue(&self, name: impl Into<String>, settings: NamedQueue) {
        let name = name.into();
        self.before_start("named_queue", |plan| plan.queues.push((name, settings)));
    }

    /// Which endpoints the engine may call for functions of [`http_function`](macro@crate::http_function), in a test with
    /// `real_time`. Default: what the set-up says, else public addresses over https.
    ///
    /// Under virtual time there are no sockets: such functions are mocked, or fail with `function_not_invokable`. On a
    /// real engine nothing is set up: it has its own rules.
    ///
    /// # Panics
    ///
    /// If the worker runs already.
    #[track_caller]
    pub fn http_functions(&self, settings: HttpFunctionSettings) {
        self.before_start("http_functions", |plan| plan.http_functions = Some(settings));
    }

    #[track_caller]
    pub(super) fn before_start(&self, what: &str, change: impl FnOnce(&mut Plan)) {
        match &mut *locked(&self.inner.plan) {
            Some(plan) => change(plan),
            None => panic!("the worker runs already: `{what}` comes before the first call"),
        }
    }

    /// A client outside of the worker under test. All calls of the harness go through it.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.step("client");
        Client::new(self.inner.outside.session.clone())
    }

    /// Calls a function and waits for its result, like [`Client::call`].
    ///
    /// A handler that waits is no reason to wait: virtual time moves while the test awaits the call.
    #[track_caller]
    pub fn call<F: Function>(&self, input: F::Input) -> Call<F::Output>
    where
        F::Input: Serialize,
        F::Output: DeserializeOwned,
    {
        self.step("call");
        self.outside().call::<F>(input)
    }

    /// Calls a function by its id, with any value for its input and any type for its result, like [`Client::call_raw`].
    #[track_caller]
    pub fn call_raw<T: DeserializeOwned>(
        &self,
        function_id: impl Into<FunctionId>,
        input: &(impl Serialize + ?Sized),
    ) -> Call<T> {
        self.step("call_raw");
        self.outside().call_raw(function_id, input)
    }

    /// Calls a function and does not wait for it, like [`Client::send`].
    #[track_caller]
    pub fn send<F: Function>(&self, input: F::Input) -> Call<()>
    where
        F::Input: Serialize,
    {
        self.step("send");
        self.outside().send::<F>(input)
    }

    /// Puts a call into a named queue, like [`Client::enqueue`]. It runs when the test settles, or moves time.
    #[track_caller]
    pub fn enqueue<F: Function>(&self, queue: impl Into<String>, input: F::Input) -> Call<Receipt>
    where
        F::Input: Serialize,
    {
        self.step("enqueue");
        self.outside().enqueue::<F>(queue, input)
    }

    /// Sends a message to all subscribers of a pub/sub topic, like [`Client::publish`].
    #[track_caller]
    pub fn publish(&self, topic: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        self.step("publish");
        self.outside().publish(topic, data)
    }

    /// Puts a message into a durable topic, for functions with a `queue` trigger, like [`Client::publish_durable`].
    #[track_caller]
    pub fn publish_durable(&self, topic: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        self.step("publish_durable");
        self.outside().publish_durable(topic, data)
    }

    /// The state of a scope, like [`Client::state`].
    #[track_caller]
    pub fn state<T>(&self, scope: impl Into<String>) -> StateClient<T> {
        self.step("state");
        self.outside().state(scope)
    }

    /// A stream, like [`Client::stream`].
    #[track_caller]
    pub fn stream<T>(&self, name: impl Into<String>) -> StreamClient<T> {
        self.step("stream");
        self.outside().stream(name)
    }

    /// A new channel, like [`Client::channel`]: put one end into the input of a call, and keep the other.
    #[track_caller]
    pub fn channel(&self) -> ChannelBuilder {
        self.step("channel");
        self.outside().channel()
    }

    /// Requests to `http` triggers: the router, the middleware and the mapping are those of the engine; there is no
    /// socket.
    pub fn http(&self) -> Http {
        Http::new(self.clone())
    }

    /// Fires a trigger, whatever its type, and waits for the answer of the function; `None` if it gives none.
    ///
    /// In a test the triggers of a function are named after it: `orders::on_hook#1` is the first one of
    /// `orders::on_hook`, in the order in which they are declared.
    ///
    /// # Errors
    ///
    /// `invalid_argument` if there is no such trigger; else whatever the function fails with.
    #[track_caller]
    pub fn fire<T: Serialize + ?Sized>(
        &self,
        trigger_id: &str,
        payload: &T,
    ) -> impl Future<Output = Result<Option<Payload>>> + use<T> {
        self.step("fire");
        self.only_here("fire");
        let payload = Payload::new(payload).expect("the payload can be written as JSON");
        let (harness, id) = (self.clone(), trigger_id.to_owned());
        async move {
            let world = harness.started().await;
            let engine = world.engine.as_ref().expect("there is one in this process");
            engine.fire(&id, payload).await
        }
    }

    pub(super) fn outside(&self) -> Client {
        Client::new(self.inner.outside.session.clone())
    }

    /// Notes what the test does, and starts the worker if it does not run.
    #[track_caller]
    pub(super) fn step(&self, what: &'static str) {
        *locked(&self.inner.steps.last) = Some((what, Location::caller()));
        self.inner.steps.deadline.send_modify(|deadline| {
            if let Some(deadline) = deadline {
                *deadline = Instant::now() + self.inner.steps.patience;
            }
        });
        self.start();
    }

    /// The running worker. One that cannot start ends the test elsewhere.
    pub(super) async fn started(&self) -> &World {
        self.start();
        let mut stage = self.inner.stage.subscribe();
        if stage.wait_for(|stage| *stage == Stage::Started).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.inner.world.get().expect("it was set before")
    }

    /// Ends the test as skipped on an engine elsewhere, whose time and inside are not ours.
    pub(super) fn only_here(&self, what: &'static str) {
        if matches!(self.inner.mode, Mode::Remote { .. }) {
            resume_unwind(Box::new(Skipped(what)));
        }
    }

    /// As [`Harness::only_here`], for what needs virtual time.
    #[track_caller]
    pub(super) fn only_virtual(&self, what: &'static str) {
        self.only_here(what);
        assert!(
            self.inner.mode == Mode::Virtual,
            "`{what}` needs virtual time: leave `real_time` out"
        );
    }
}

impl Steps {
    pub(super) fn new(mode: &Mode) -> Self {
        let patience = if *mode == Mode::Virtual { PATIENCE } else { REAL_PATIENCE };
        Self {
            deadline: watch::Sender::new(Some(Instant::now() + patience)),
            last: Mutex::default(),
            patience,
        }
    }

    /// Waits until nothing has happened for too long.
    pub(super) async fn given_up(&self) {
        let mut deadline = self.deadline.subscribe();
        loop {
            let now = *deadline.borrow_and_update();
            let over = async {
                match now {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = deadline.changed() => {}
                () = over => return,
            }
        }
    }

    /// Time is moved by the test itself, for as long as what is given back lives.
    pub(super) fn moving(&self) -> Moving<'_> {
        self.deadline.send_replace(None);
        Moving(self)
    }
}

/// The test moves time.
pub(super) struct Moving<'a>(&'a Steps);

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.deadline.send_replace(Some(Instant::now() + self.0.patience));
    }
}

// A test may catch the panic of a step: nothing of the harness is half done then.
impl std::panic::UnwindSafe for Harness {}
impl std::panic::RefUnwindSafe for Harness {}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("mode", &self.inner.mode)
            .field("stage", &*self.inner.stage.borrow())
            .finish_non_exhaustive()
    }
}
