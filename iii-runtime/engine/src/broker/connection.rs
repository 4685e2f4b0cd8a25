//! A worker connection, and the task that reads its messages.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::Notify;
use uuid::Uuid;

use super::calls::PendingCalls;
use super::functions::reject;
use super::policy::{ConnectionPolicy, PolicyState};
use super::{Broker, limits};
use crate::limits::Limits;
use crate::provider::overloaded;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, InvocationResult, Message, Namespace, WorkerId};
use iii_wire::sync::lock;
use iii_wire::transport::{Outbox, SendError};

/// An open connection.
pub(crate) struct WorkerConnection {
    /// Its id, a new one for each connection.
    pub(crate) id: WorkerId,
    /// The secret with which a later connection can replace it.
    pub(crate) token: Uuid,
    /// The address of the peer, for connections over sockets.
    pub(crate) peer: Option<IpAddr>,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub(crate) connected_at_ms: u64,
    /// Its sequence number among the connections of the engine, from 0, since several may open in one millisecond.
    pub(crate) arrival: u64,
    /// The calls that it serves.
    pub(crate) pending: PendingCalls,
    /// The number of its calls that await a result.
    pub(crate) calls: AtomicUsize,
    /// The limits of the engine.
    pub(crate) limits: Arc<Limits>,
    /// The policy that restricts it, if any.
    pub(crate) policy: Option<PolicyState>,
    outbox: Outbox,
    namespace: OnceLock<Namespace>,
    // Registrations received before the namespace was known (protocol.md#s3-3), and their weight.
    buffered: Mutex<(Vec<Message>, usize)>,
    // Its registrations were removed.
    gone: AtomicBool,
    ended: AtomicBool,
    ending: Notify,
}

impl WorkerConnection {
    /// Creates a connection.
    pub(crate) fn new(
        outbox: Outbox,
        peer: Option<IpAddr>,
        policy: Option<Arc<dyn ConnectionPolicy>>,
        (arrival, connected_at_ms): (u64, u64),
        limits: Arc<Limits>,
    ) -> Self {
        Self {
            id: WorkerId::random(),
            token: Uuid::new_v4(),
            peer,
            connected_at_ms,
            arrival,
            pending: PendingCalls::default(),
            calls: AtomicUsize::new(0),
            limits,
            policy: policy.map(PolicyState::new),
            outbox,
            namespace: OnceLock::new(),
            buffered: Mutex::default(),
            gone: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            ending: Notify::new(),
        }
    }

    /// Returns the namespace of its registrations; `None` until it is known.
    pub(crate) fn namespace(&self) -> Option<&Namespace> {
        self.namespace.get()
    }

    /// Sets the namespace, once, and returns the buffered registrations.
    pub(crate) fn set_namespace(&self, namespace: Namespace) -> Vec<Message> {
        let _ = self.namespace.set(namespace);
        std::mem::take(&mut *lock(&self.buffered)).0
    }

    /// Buffers a registration while the namespace is unknown. Otherwise returns it, to be applied.
    pub(crate) fn buffer_registration(&self, message: Message) -> Option<Message> {
        if self.namespace.get().is_some() {
            return Some(message);
        }
        let mut buffered = lock(&self.buffered);
        let (limits, weight) = (&self.limits.workers, message.weight());
        if buffered.0.len() < limits.max_buffered_registrations()
            && buffered.1.saturating_add(weight) <= limits.registration_bytes
        {
            buffered.1 += weight;
            buffered.0.push(message);
            return None;
        }
        drop(buffered);
        self.reject_overflow(&message);
        None
    }

    /// Rejects a registration because too many are buffered.
    pub(crate) fn reject_overflow(&self, message: &Message) {
        let id = match message {
            Message::RegisterFunction(m) => m.id.as_str(),
            Message::RegisterTriggerType(m) => m.id.as_str(),
            Message::RegisterTrigger(m) => m.id.as_str(),
            Message::RegisterService(m) => m.id.as_str(),
            _ => "",
        };
        let error = overloaded("this connection has too many buffered registrations");
        reject(self, Namespace::default(), id.into(), String::new(), Some(error));
    }

    /// Queues a message. A worker that reads too slowly is disconnected.
    pub(crate) fn send(&self, message: Message) {
        match self.outbox.send(message) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(SendError::Full) => {
                tracing::warn!(worker = %self.id, "disconnecting a worker that does not read its messages");
                self.end();
            }
            Err(SendError::TooLarge) => {
                tracing::error!(worker = %self.id, "a message was dropped: it exceeds the maximum size");
            }
        }
    }

    /// Queues the result of a call. A result that is too large is replaced by an error.
    pub(crate) fn answer(&self, mut answer: InvocationResult) {
        if let Ok(Some(result)) = &answer.result
            && !self.outbox.fits(result)
        {
            let size = result.as_str().len();
            answer.result = Err(too_large("the result", size, &self.limits));
        }
        self.send(Message::InvocationResult(Box::new(answer)));
    }

    /// Queues a call, which may fail.
    pub(crate) fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.outbox.send(message)
    }

    /// Returns the outbox to wait on if it is above its soft limit.
    pub(crate) fn backpressure(&self) -> Option<Outbox> {
        use futures_util::FutureExt;
        self.outbox.ready().now_or_never().is_none().then(|| self.outbox.clone())
    }

    /// Returns whether its registrations were removed.
    pub(crate) fn is_removed(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Marks the connection as removed. Returns whether it was not before.
    pub(crate) fn mark_removed(&self) -> bool {
        !self.gone.swap(true, Ordering::AcqRel)
    }

    /// Ends the reading task, and with it the connection, without sending queued messages.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.ending.notify_one();
    }

    /// Closes the connection after the queued messages are sent, with a WebSocket close code if one is given.
    pub(crate) fn close(&self, code: Option<u16>) {
        self.outbox.close(code);
    }
}

impl Broker {
    /// Reads the messages of a connection until it ends, then removes its registrations.
    pub(super) async fn serve(
        &self,
        connection: Arc<WorkerConnection>,
        mut inbox: BoxStream<'static, Message>,
    ) {
        // Cleans up however this task ends.
        let cleanup = Cleanup { broker: self, connection: &connection };
        let grace = tokio::time::sleep(self.inner.grace);
        tokio::pin!(grace);
        let mut late = false;
        while !connection.ended.load(Ordering::Acquire) {
            let message = tokio::select! {
                biased;
                // Before messages, which must not delay the end of the grace period.
                () = &mut grace, if !late && connection.namespace().is_none() => {
                    late = true;
                    catch_panic(&connection, None, || self.open_in_default(&connection));
                    continue;
                }
                message = inbox.next() => message,
                () = connection.ending.notified() => break,
            };
            let Some(message) = message else { break };
            let call = match &message {
                Message::InvokeFunction(m) => m.invocation_id.map(|id| (id, m.function_id.clone())),
                _ => None,
            };
            let failed = |error: ErrorBody| {
                if let Some((invocation_id, function_id)) = call.clone() {
                    connection.answer(InvocationResult {
                        invocation_id,
                        function_id,
                        result: Err(error),
                        traceparent: None,
                        baggage: None,
                    });
                }
            };
            let brake =
                catch_panic(&connection, Some(&failed), || self.handle(&connection, message))
                    .flatten();
            if let Some(outbox) = brake {
                // Callers of a slow callee are delayed a little; a longer delay would block their other messages.
                let _ = tokio::time::timeout(limits::BACKPRESSURE_TIMEOUT, outbox.ready()).await;
            }
            if connection.is_removed() {
                break;
            }
        }
        drop(cleanup);
        if connection.ended.load(Ordering::Acquire) {
            return;
        }
        // Queued messages are still sent; received messages are ignored.
        connection.close(None);
        let _ = tokio::time::timeout(limits::CLOSE_TIMEOUT, async {
            while inbox.next().await.is_some() {}
        })
        .await;
    }
}

/// The error for a payload that exceeds the maximum size of a message.
pub(super) fn too_large(what: &str, bytes: usize, limits: &Limits) -> ErrorBody {
    let most = limits.workers.message_bytes;
    let text = format!(
        "{what} has {bytes} bytes, the maximum is {most}: send smaller payloads, or use a channel"
    );
    ErrorBody { retryable: Some(false), ..ErrorBody::new(code::PAYLOAD_TOO_LARGE, text) }
}

/// Handles one message. A panic fails that message, not the connection.
fn catch_panic<T>(
    connection: &WorkerConnection,
    failed: Option<&dyn Fn(ErrorBody)>,
    work: impl FnOnce() -> T,
) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(_) => {
            tracing::error!(worker = %connection.id, "panicked while handling a message");
            if let Some(failed) = failed {
                failed(ErrorBody::new(
                    code::PANIC,
                    "the engine panicked while handling this message",
                ));
            }
            None
        }
    }
}

struct Cleanup<'a> {
    broker: &'a Broker,
    connection: &'a Arc<WorkerConnection>,
}

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        self.broker.detach(self.connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn panic_fails_only_one_message() {
        let (outbox, _reader) = Outbox::new(iii_wire::transport::OutboxLimits::default());
        let connection = WorkerConnection::new(outbox, None, None, (0, 0), Arc::default());
        let told = Cell::new(false);
        let failed = |error: ErrorBody| told.set(error.code == code::PANIC);
        let value: Option<()> = catch_panic(&connection, Some(&failed), || panic!("a bug"));
        assert!(value.is_none() && told.get());
        assert_eq!(catch_panic(&connection, None, || 1), Some(1));
    }
}
