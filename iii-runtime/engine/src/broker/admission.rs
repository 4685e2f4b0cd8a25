//! Registrations that go through a gate: decided one after the other, while everything else of the connection goes on.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::Broker;
use super::connection::Connection;
use super::functions::reject;
use super::gate::{Gated, Step};
use super::triggers::tell;
use iii_wire::protocol::{
    ErrorBody, FunctionId, Message, Namespace, RegistrationRejected, WorkerId,
};
use iii_wire::sync::lock;

impl Broker {
    /// Applies a registration of a connection whose namespace is known, or lets its gate decide over it first.
    ///
    /// Only the task that reads the connection calls this, so that registrations come in their order.
    pub(super) fn apply(&self, connection: &Arc<Connection>, message: Message) {
        let Some(gated) = &connection.gated else { return self.enter(connection, message) };
        if let Some(waiting) = lock(&gated.waiting).as_mut() {
            let (limits, weight) = (&connection.limits.workers, message.weight());
            let bytes = gated.bytes.load(Ordering::Relaxed).saturating_add(weight);
            if waiting.len() < limits.buffered() && bytes <= limits.registration_bytes {
                gated.bytes.store(bytes, Ordering::Relaxed);
                waiting.push_back(Step::Register(message));
            } else {
                connection.too_many(&message);
            }
            return;
        }
        let (broker, connection) = (self.clone(), connection.clone());
        let mut deciding = self.clone().decide(connection.clone(), message).boxed();
        // Most gates know at once. Then this is handled before the next message, as without a gate.
        if (&mut deciding).now_or_never().is_some() {
            return;
        }
        *lock(&gated.waiting) = Some(VecDeque::new());
        tokio::spawn(async move {
            settle(&connection, deciding).await;
            broker.work_off(&connection).await;
        });
    }

    /// Decides over what waits, until nothing does.
    async fn work_off(&self, connection: &Arc<Connection>) {
        let Some(gated) = &connection.gated else { return };
        while let Some(step) = next(gated, connection.is_gone()) {
            match step {
                Step::Register(message) => {
                    settle(connection, self.clone().decide(connection.clone(), message)).await;
                }
                Step::Reached(waiter) => drop(waiter.send(())),
            }
        }
    }

    /// Asks the gate about a registration, and then applies it or says why not.
    async fn decide(self, connection: Arc<Connection>, message: Message) {
        let Some(gated) = &connection.gated else { return };
        let gate = gated.gate.clone();
        let home = connection.namespace().cloned().unwrap_or_default();
        match message {
            Message::RegisterFunction(m) => {
                let own = m.id.clone();
                match gate.function(*m, home.clone()).await {
                    Ok(m) => self.register_function(&connection, m, Some(own)),
                    Err(error) => reject(&connection, home, own, String::new(), Some(error)),
                }
            }
            Message::RegisterTrigger(m) => {
                let (own, kind, function) =
                    (m.id.clone(), m.trigger_type.clone(), m.function_id.clone());
                match gate.binding(*m).await {
                    Ok(m) => self.register_trigger(&connection, m, Some(own)),
                    Err(error) => tell(&connection, own, kind, function, error),
                }
            }
            Message::RegisterTriggerType(m) => {
                let own = m.id.clone();
                let namespace = m.namespace.clone().unwrap_or(home);
                match gate.trigger_type(*m).await {
                    Ok(m) => self.register_type(&connection, m, Some(own)),
                    // There is no message for this; workers show the refusal of a function id as a warning.
                    Err(error) => {
                        let id = FunctionId::from(own.as_str());
                        reject(&connection, namespace, id, String::new(), Some(error));
                    }
                }
            }
            other => self.enter(&connection, other),
        }
    }

    /// Waits until everything that a connection has registered before is decided.
    pub(crate) async fn settled(&self, worker: Option<WorkerId>) {
        let reached = {
            let registry = self.registry();
            let entry = worker.and_then(|worker| registry.connections.get(&worker));
            let connection = entry.map(|entry| &entry.connection);
            let gated = connection.and_then(|one| Some((one.gated.as_ref()?, &one.limits)));
            let Some((gated, limits)) = gated else { return };
            let most = limits.workers.buffered();
            let mut waiting = lock(&gated.waiting);
            let Some(waiting) = waiting.as_mut().filter(|all| all.len() < most) else { return };
            let (waiter, reached) = oneshot::channel();
            waiting.push_back(Step::Reached(waiter));
            reached
        };
        let _ = reached.await;
    }

    /// Whether a connection may be in a namespace. A worker that waits for no answer is told with a message that stops
    /// it: nothing that it registers would ever be there (protocol section 3.8).
    pub(super) fn check_entry(
        &self,
        connection: &Connection,
        namespace: &Namespace,
        name: Option<&str>,
        answered: bool,
    ) -> Result<(), ErrorBody> {
        let Some(gated) = &connection.gated else { return Ok(()) };
        gated.gate.enters(namespace).inspect_err(|error| {
            tracing::warn!(worker = %connection.id, %namespace, "a worker was not let into its namespace: {error}");
            if !answered {
                connection.send(Message::RegistrationRejected(Box::new(RegistrationRejected {
                    code: error.code.clone(),
                    namespace: namespace.clone(),
                    function_id: None,
                    worker_name: Some(name.unwrap_or_default().to_owned()),
                    owner_worker_id: String::new(),
                    error: Some(error.clone()),
                })));
            }
        })
    }
}

/// The next step; `None` when there is none, or nobody to take it for.
fn next(gated: &Gated, gone: bool) -> Option<Step> {
    let mut waiting = lock(&gated.waiting);
    let step = waiting.as_mut().filter(|_| !gone).and_then(VecDeque::pop_front);
    match &step {
        Some(Step::Register(message)) => {
            gated.bytes.fetch_sub(message.weight(), Ordering::Relaxed);
        }
        Some(Step::Reached(_)) => {}
        None => {
            *waiting = None;
            gated.bytes.store(0, Ordering::Relaxed);
        }
    }
    step
}

/// Waits for a decision. A bug in it costs one registration, never those after it.
async fn settle(connection: &Connection, deciding: impl Future<Output = ()>) {
    if AssertUnwindSafe(deciding).catch_unwind().await.is_err() {
        tracing::error!(worker = %connection.id, "the engine panicked over a registration; it goes on");
    }
}
