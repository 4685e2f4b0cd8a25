//! Registrations that are subject to a policy: authorized in order, one at a time, without blocking calls.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::Broker;
use super::connection::Connection;
use super::functions::reject;
use super::policy::{Gated, Step};
use super::triggers::tell;
use iii_wire::protocol::{
    ErrorBody, FunctionId, Message, Namespace, RegistrationRejected, WorkerId,
};
use iii_wire::sync::lock;

impl Broker {
    /// Applies a registration of a connection whose namespace is known, after its policy authorized it.
    ///
    /// Only the reading task of the connection calls this, which keeps registrations in order.
    pub(super) fn apply(&self, connection: &Arc<Connection>, message: Message) {
        let Some(gated) = &connection.gated else { return self.enter(connection, message) };
        if let Some(waiting) = lock(&gated.waiting).as_mut() {
            let (limits, weight) = (&connection.limits.workers, message.weight());
            let bytes = gated.bytes.load(Ordering::Relaxed).saturating_add(weight);
            if waiting.len() < limits.max_buffered_registrations()
                && bytes <= limits.registration_bytes
            {
                gated.bytes.store(bytes, Ordering::Relaxed);
                waiting.push_back(Step::Register(message));
            } else {
                connection.too_many(&message);
            }
            return;
        }
        let (broker, connection) = (self.clone(), connection.clone());
        let mut deciding = self.clone().decide(connection.clone(), message).boxed();
        // Most policies decide synchronously. The registration is then applied before the next message is handled.
        if (&mut deciding).now_or_never().is_some() {
            return;
        }
        *lock(&gated.waiting) = Some(VecDeque::new());
        tokio::spawn(async move {
            settle(&connection, deciding).await;
            broker.work_off(&connection).await;
        });
    }

    /// Processes queued registrations until none is left.
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

    /// Authorizes a registration, then applies or rejects it.
    async fn decide(self, connection: Arc<Connection>, message: Message) {
        let Some(gated) = &connection.gated else { return };
        let policy = gated.policy.clone();
        let home = connection.namespace().cloned().unwrap_or_default();
        match message {
            Message::RegisterFunction(m) => {
                let own = m.id.clone();
                match policy.check_function(*m, home.clone()).await {
                    Ok(m) => self.register_function(&connection, m, Some(own)),
                    Err(error) => reject(&connection, home, own, String::new(), Some(error)),
                }
            }
            Message::RegisterTrigger(m) => {
                let (own, kind, function) =
                    (m.id.clone(), m.trigger_type.clone(), m.function_id.clone());
                match policy.check_trigger(*m).await {
                    Ok(m) => self.register_trigger(&connection, m, Some(own)),
                    Err(error) => tell(&connection, own, kind, function, error),
                }
            }
            Message::RegisterTriggerType(m) => {
                let own = m.id.clone();
                let namespace = m.namespace.clone().unwrap_or(home);
                match policy.check_trigger_type(*m).await {
                    Ok(m) => self.register_type(&connection, m, Some(own)),
                    // The protocol has no message for this; workers log a rejected function id as a warning.
                    Err(error) => {
                        let id = FunctionId::from(own.as_str());
                        reject(&connection, namespace, id, String::new(), Some(error));
                    }
                }
            }
            other => self.enter(&connection, other),
        }
    }

    /// Waits until all earlier registrations of a connection are applied or rejected.
    pub(crate) async fn settled(&self, worker: Option<WorkerId>) {
        let reached = {
            let registry = self.registry();
            let entry = worker.and_then(|worker| registry.connections.get(&worker));
            let connection = entry.map(|entry| &entry.connection);
            let gated = connection.and_then(|one| Some((one.gated.as_ref()?, &one.limits)));
            let Some((gated, limits)) = gated else { return };
            let most = limits.workers.max_buffered_registrations();
            let mut waiting = lock(&gated.waiting);
            let Some(waiting) = waiting.as_mut().filter(|all| all.len() < most) else { return };
            let (waiter, reached) = oneshot::channel();
            waiting.push_back(Step::Reached(waiter));
            reached
        };
        let _ = reached.await;
    }

    /// Checks that a connection may use a namespace. A worker that awaits no response gets a message that stops it:
    /// none of its registrations could ever succeed (protocol section 3.8).
    pub(super) fn check_entry(
        &self,
        connection: &Connection,
        namespace: &Namespace,
        name: Option<&str>,
        answered: bool,
    ) -> Result<(), ErrorBody> {
        let Some(gated) = &connection.gated else { return Ok(()) };
        gated.policy.check_namespace(namespace).inspect_err(|error| {
            tracing::warn!(worker = %connection.id, %namespace, "the namespace is not allowed: {error}");
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

/// Dequeues the next step. Ends the queue if there is none or the connection ended.
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

/// Awaits a decision. A panic fails one registration, not the following ones.
async fn settle(connection: &Connection, deciding: impl Future<Output = ()>) {
    if AssertUnwindSafe(deciding).catch_unwind().await.is_err() {
        tracing::error!(worker = %connection.id, "panicked while handling a registration");
    }
}
