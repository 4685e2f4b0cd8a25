//! One connection of a worker, and the task that reads its messages.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::Notify;
use uuid::Uuid;

use super::calls::Pending;
use super::functions::reject;
use super::gate::{Gate, Gated};
use super::{Broker, limits};
use crate::limits::Limits;
use crate::provider::overloaded;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, InvocationResult, Message, Namespace, WorkerId};
use iii_wire::sync::lock;
use iii_wire::transport::{Outbox, SendError};

/// An open connection.
pub(crate) struct Connection {
    /// Its id, a new one for each connection.
    pub(crate) id: WorkerId,
    /// The secret that lets a later connection take its place.
    pub(crate) token: Uuid,
    /// The address of the other side, if it came over a socket.
    pub(crate) peer: Option<IpAddr>,
    /// When it was opened, in milliseconds since 1970.
    pub(crate) connected_at_ms: u64,
    /// Its number among the connections of the engine, from 0: several may come in one millisecond.
    pub(crate) arrival: u64,
    /// The calls that it is serving.
    pub(crate) pending: Pending,
    /// How many of its own calls wait for an answer.
    pub(crate) calls: AtomicUsize,
    /// What it may use up.
    pub(crate) limits: Arc<Limits>,
    /// What decides over what it does; `None`: it may do everything.
    pub(crate) gated: Option<Gated>,
    outbox: Outbox,
    namespace: OnceLock<Namespace>,
    // Registrations that came before the namespace was known (protocol section 3.3), and what they weigh.
    buffered: Mutex<(Vec<Message>, usize)>,
    // Everything it had was removed.
    gone: AtomicBool,
    ended: AtomicBool,
    ending: Notify,
}

impl Connection {
    /// A connection that has just been opened.
    pub(crate) fn new(
        outbox: Outbox,
        peer: Option<IpAddr>,
        gate: Option<Arc<dyn Gate>>,
        (arrival, connected_at_ms): (u64, u64),
        limits: Arc<Limits>,
    ) -> Self {
        Self {
            id: WorkerId::random(),
            token: Uuid::new_v4(),
            peer,
            connected_at_ms,
            arrival,
            pending: Pending::default(),
            calls: AtomicUsize::new(0),
            limits,
            gated: gate.map(Gated::new),
            outbox,
            namespace: OnceLock::new(),
            buffered: Mutex::default(),
            gone: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            ending: Notify::new(),
        }
    }

    /// The namespace of what it registers; `None` until it is known.
    pub(crate) fn namespace(&self) -> Option<&Namespace> {
        self.namespace.get()
    }

    /// Fixes the namespace, the first time; gives back what waited for it.
    pub(crate) fn open(&self, namespace: Namespace) -> Vec<Message> {
        let _ = self.namespace.set(namespace);
        std::mem::take(&mut *lock(&self.buffered)).0
    }

    /// Keeps a registration while the namespace is unknown. Gives it back if it is to be applied now.
    pub(crate) fn hold_back(&self, message: Message) -> Option<Message> {
        if self.namespace.get().is_some() {
            return Some(message);
        }
        let mut buffered = lock(&self.buffered);
        let (limits, weight) = (&self.limits.workers, message.weight());
        if buffered.0.len() < limits.buffered()
            && buffered.1.saturating_add(weight) <= limits.registration_bytes
        {
            buffered.1 += weight;
            buffered.0.push(message);
            return None;
        }
        drop(buffered);
        self.too_many(&message);
        None
    }

    /// Refuses a registration, because too many wait already.
    pub(crate) fn too_many(&self, message: &Message) {
        let id = match message {
            Message::RegisterFunction(m) => m.id.as_str(),
            Message::RegisterTriggerType(m) => m.id.as_str(),
            Message::RegisterTrigger(m) => m.id.as_str(),
            Message::RegisterService(m) => m.id.as_str(),
            _ => "",
        };
        let error = overloaded("too many registrations of this connection wait");
        reject(self, Namespace::default(), id.into(), String::new(), Some(error));
    }

    /// Queues a message. A worker that reads so slowly that it does not fit is ended.
    pub(crate) fn send(&self, message: Message) {
        match self.outbox.send(message) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(SendError::Full) => {
                tracing::warn!(worker = %self.id, "the worker does not read what it is sent: it is disconnected");
                self.end();
            }
            Err(SendError::TooLarge) => {
                tracing::error!(worker = %self.id, "a message was not sent: it is larger than any worker takes");
            }
        }
    }

    /// Queues the answer of a call. One that is larger than a worker takes becomes an error.
    pub(crate) fn answer(&self, mut answer: InvocationResult) {
        if let Ok(Some(result)) = &answer.result
            && !self.outbox.fits(result)
        {
            let size = result.as_str().len();
            answer.result = Err(too_large("the result", size, &self.limits));
        }
        self.send(Message::InvocationResult(Box::new(answer)));
    }

    /// Queues a call, which may be refused.
    pub(crate) fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.outbox.send(message)
    }

    /// The queue to wait for, if more is in it than a polite sender adds to.
    pub(crate) fn brake(&self) -> Option<Outbox> {
        use futures_util::FutureExt;
        self.outbox.ready().now_or_never().is_none().then(|| self.outbox.clone())
    }

    /// Whether everything it had was removed.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Notes that everything it had is being removed; `false` if that was noted before.
    pub(crate) fn mark_gone(&self) -> bool {
        !self.gone.swap(true, Ordering::AcqRel)
    }

    /// Lets the reading task end, and with it the link, without sending what is queued.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.ending.notify_one();
    }

    /// Sends what is queued and then closes, with a WebSocket close code if one is given.
    pub(crate) fn close(&self, code: Option<u16>) {
        self.outbox.close(code);
    }
}

impl Broker {
    /// Reads the messages of a connection until it ends, and then removes all that it had.
    pub(super) async fn read(
        &self,
        connection: Arc<Connection>,
        mut inbox: BoxStream<'static, Message>,
    ) {
        // However this task ends, the worker's things are removed.
        let cleanup = Cleanup { broker: self, connection: &connection };
        let grace = tokio::time::sleep(self.inner.grace);
        tokio::pin!(grace);
        let mut late = false;
        while !connection.ended.load(Ordering::Acquire) {
            let message = tokio::select! {
                biased;
                // Before the messages: they must not hold the end of the grace up.
                () = &mut grace, if !late && connection.namespace().is_none() => {
                    late = true;
                    barrier(&connection, None, || self.open_late(&connection));
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
                barrier(&connection, Some(&failed), || self.handle(&connection, message)).flatten();
            if let Some(outbox) = brake {
                // Whoever calls a slow callee waits a little; longer would hold up its other messages.
                let _ = tokio::time::timeout(limits::BRAKE, outbox.ready()).await;
            }
            if connection.is_gone() {
                break;
            }
        }
        drop(cleanup);
        if connection.ended.load(Ordering::Acquire) {
            return;
        }
        // What is queued still goes out; what comes in no longer counts.
        connection.close(None);
        let _ =
            tokio::time::timeout(limits::LINGER, async { while inbox.next().await.is_some() {} })
                .await;
    }
}

/// The error of something that no message can carry.
pub(super) fn too_large(what: &str, bytes: usize, limits: &Limits) -> ErrorBody {
    let most = limits.workers.message_bytes;
    let text = format!(
        "{what} has {bytes} bytes, and a message may have {most}: send less at a time, or use a channel"
    );
    ErrorBody { retryable: Some(false), ..ErrorBody::new(code::PAYLOAD_TOO_LARGE, text) }
}

/// Runs the handling of one message. A bug in it costs that message, never the connection.
fn barrier<T>(
    connection: &Connection,
    failed: Option<&dyn Fn(ErrorBody)>,
    work: impl FnOnce() -> T,
) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(_) => {
            tracing::error!(worker = %connection.id, "the engine panicked over a message; it goes on");
            if let Some(failed) = failed {
                failed(ErrorBody::new(code::PANIC, "the engine panicked over this message"));
            }
            None
        }
    }
}

struct Cleanup<'a> {
    broker: &'a Broker,
    connection: &'a Arc<Connection>,
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
    fn a_panic_costs_one_message() {
        let (outbox, _reader) = Outbox::new(iii_wire::transport::OutboxLimits::default());
        let connection = Connection::new(outbox, None, None, (0, 0), Arc::default());
        let told = Cell::new(false);
        let failed = |error: ErrorBody| told.set(error.code == code::PANIC);
        let value: Option<()> = barrier(&connection, Some(&failed), || panic!("a bug"));
        assert!(value.is_none() && told.get());
        assert_eq!(barrier(&connection, None, || 1), Some(1));
    }
}
