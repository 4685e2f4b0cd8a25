//! Registrations that are subject to a policy: authorized in order, one at a time, without blocking calls.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::Broker;
use super::connection::WorkerConnection;
use super::functions::reject;
use super::policy::{PendingRegistration, PolicyState};
use super::triggers::send_trigger_rejection;
use iii_wire::protocol::{
    ErrorBody, FunctionId, Message, Namespace, RegistrationRejected, WorkerId,
};
use iii_wire::sync::lock;

impl Broker {
    /// Applies a registration of a connection whose namespace is known, after its policy authorized it.
    ///
    /// Only the reading task of the connection calls this, which keeps registrations in order.
    pub(super) fn apply(&self, connection: &Arc<WorkerConnection>, message: Message) {
        let Some(state) = &connection.policy else {
            return self.apply_unchecked(connection, message);
        };
        if let Some(pending) = lock(&state.pending).as_mut() {
            let (limits, weight) = (&connection.limits.workers, message.weight());
            let bytes = state.pending_bytes.load(Ordering::Relaxed).saturating_add(weight);
            if pending.len() < limits.max_buffered_registrations()
                && bytes <= limits.registration_bytes
            {
                state.pending_bytes.store(bytes, Ordering::Relaxed);
                pending.push_back(PendingRegistration::Apply(message));
            } else {
                connection.reject_overflow(&message);
            }
            return;
        }
        let (broker, connection) = (self.clone(), connection.clone());
        let mut deciding = self.clone().authorize_and_apply(connection.clone(), message).boxed();
        // Most policies decide synchronously. The registration is then applied before the next message is handled.
        if (&mut deciding).now_or_never().is_some() {
            return;
        }
        *lock(&state.pending) = Some(VecDeque::new());
        tokio::spawn(async move {
            await_decision(&connection, deciding).await;
            broker.process_pending(&connection).await;
        });
    }

    /// Processes queued registrations until none is left.
    async fn process_pending(&self, connection: &Arc<WorkerConnection>) {
        let Some(state) = &connection.policy else { return };
        while let Some(next) = pop_pending(state, connection.is_removed()) {
            match next {
                PendingRegistration::Apply(message) => {
                    await_decision(
                        connection,
                        self.clone().authorize_and_apply(connection.clone(), message),
                    )
                    .await;
                }
                PendingRegistration::Barrier(waiter) => drop(waiter.send(())),
            }
        }
    }

    /// Authorizes a registration, then applies or rejects it.
    async fn authorize_and_apply(self, connection: Arc<WorkerConnection>, message: Message) {
        let Some(state) = &connection.policy else { return };
        let policy = state.policy.clone();
        let home = connection.namespace().cloned().unwrap_or_default();
        match message {
            Message::RegisterFunction(m) => {
                let local_id = m.id.clone();
                match policy.check_function(*m, home.clone()).await {
                    Ok(m) => self.register_function(&connection, m, Some(local_id)),
                    Err(error) => reject(&connection, home, local_id, String::new(), Some(error)),
                }
            }
            Message::RegisterTrigger(m) => {
                let (local_id, kind, function) =
                    (m.id.clone(), m.trigger_type.clone(), m.function_id.clone());
                match policy.check_trigger(*m).await {
                    Ok(m) => self.register_trigger(&connection, m, Some(local_id)),
                    Err(error) => {
                        send_trigger_rejection(&connection, local_id, kind, function, error);
                    }
                }
            }
            Message::RegisterTriggerType(m) => {
                let local_id = m.id.clone();
                let namespace = m.namespace.clone().unwrap_or(home);
                match policy.check_trigger_type(*m).await {
                    Ok(m) => self.register_type(&connection, m, Some(local_id)),
                    // The protocol has no message for this; workers log a rejected function id as a warning.
                    Err(error) => {
                        let id = FunctionId::from(local_id.as_str());
                        reject(&connection, namespace, id, String::new(), Some(error));
                    }
                }
            }
            other => self.apply_unchecked(&connection, other),
        }
    }

    /// Waits until all earlier registrations of a connection are applied or rejected.
    pub(crate) async fn settled(&self, worker: Option<WorkerId>) {
        let reached = {
            let registry = self.registry();
            let entry = worker.and_then(|worker| registry.connections.get(&worker));
            let connection = entry.map(|entry| &entry.connection);
            let state = connection.and_then(|one| Some((one.policy.as_ref()?, &one.limits)));
            let Some((state, limits)) = state else { return };
            let most = limits.workers.max_buffered_registrations();
            let mut pending = lock(&state.pending);
            let Some(pending) = pending.as_mut().filter(|all| all.len() < most) else { return };
            let (waiter, reached) = oneshot::channel();
            pending.push_back(PendingRegistration::Barrier(waiter));
            reached
        };
        let _ = reached.await;
    }

    /// Checks that a connection may use a namespace. A worker that awaits no response gets a message that stops it:
    /// none of its registrations could ever succeed ([protocol 3.8](iii_wire::protocol#s3-8)).
    pub(super) fn check_namespace(
        &self,
        connection: &WorkerConnection,
        namespace: &Namespace,
        name: Option<&str>,
        wants_answer: bool,
    ) -> Result<(), ErrorBody> {
        let Some(state) = &connection.policy else { return Ok(()) };
        state.policy.check_namespace(namespace).inspect_err(|error| {
            tracing::warn!(worker = %connection.id, %namespace, "the namespace is not allowed: {error}");
            if !wants_answer {
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

/// Dequeues the next registration. Ends the queue if there is none or the connection ended.
fn pop_pending(state: &PolicyState, gone: bool) -> Option<PendingRegistration> {
    let mut pending = lock(&state.pending);
    let next = pending.as_mut().filter(|_| !gone).and_then(VecDeque::pop_front);
    match &next {
        Some(PendingRegistration::Apply(message)) => {
            state.pending_bytes.fetch_sub(message.weight(), Ordering::Relaxed);
        }
        Some(PendingRegistration::Barrier(_)) => {}
        None => {
            *pending = None;
            state.pending_bytes.store(0, Ordering::Relaxed);
        }
    }
    next
}

/// Awaits a decision. A panic fails one registration, not the following ones.
async fn await_decision(connection: &WorkerConnection, deciding: impl Future<Output = ()>) {
    if AssertUnwindSafe(deciding).catch_unwind().await.is_err() {
        tracing::error!(worker = %connection.id, "panicked while handling a registration");
    }
}
