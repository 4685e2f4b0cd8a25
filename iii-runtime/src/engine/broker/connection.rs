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
use super::{Broker, limits, lock};
use crate::error::code;
use crate::protocol::{
    ErrorBody, InvocationResult, Message, Namespace, RegistrationRejected, WorkerId,
};
use crate::transport::{Outbox, SendError};

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
    /// The calls that it is serving.
    pub(crate) pending: Pending,
    /// How many of its own calls wait for an answer.
    pub(crate) calls: AtomicUsize,
    outbox: Outbox,
    namespace: OnceLock<Namespace>,
    // Registrations that came before the namespace was known (protocol section 3.3).
    buffered: Mutex<Vec<Message>>,
    // Everything it had was removed.
    gone: AtomicBool,
    ended: AtomicBool,
    ending: Notify,
}

impl Connection {
    /// A connection that has just been opened.
    pub(crate) fn new(outbox: Outbox, peer: Option<IpAddr>, connected_at_ms: u64) -> Self {
        Self {
            id: WorkerId::random(),
            token: Uuid::new_v4(),
            peer,
            connected_at_ms,
            pending: Pending::default(),
            calls: AtomicUsize::new(0),
            outbox,
            namespace: OnceLock::new(),
            buffered: Mutex::new(Vec::new()),
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
        std::mem::take(&mut *lock(&self.buffered))
    }

    /// Keeps a registration while the namespace is unknown. Gives it back if it is to be applied now.
    pub(crate) fn hold_back(&self, message: Message) -> Option<Message> {
        if self.namespace.get().is_some() {
            return Some(message);
        }
        let mut buffered = lock(&self.buffered);
        if buffered.len() < limits::BUFFERED {
            buffered.push(message);
            return None;
        }
        drop(buffered);
        tracing::warn!(worker = %self.id, "too many registrations before `engine::workers::register`");
        self.send(Message::RegistrationRejected(Box::new(RegistrationRejected {
            code: code::OVERLOADED.to_owned(),
            namespace: Namespace::default(),
            function_id: match message {
                Message::RegisterFunction(m) => Some(m.id.clone()),
                _ => None,
            },
            worker_name: None,
            owner_worker_id: String::new(),
        })));
        None
    }

    /// Queues a message. A worker that reads so slowly that it does not fit is ended.
    pub(crate) fn send(&self, message: Message) {
        if self.outbox.send(message) == Err(SendError::Full) {
            tracing::warn!(worker = %self.id, "the worker does not read what it is sent: it is disconnected");
            self.end();
        }
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
        while !connection.ended.load(Ordering::Acquire) {
            let message = tokio::select! {
                biased;
                // Before the messages: they must not hold the end of the grace up.
                () = &mut grace, if connection.namespace().is_none() => {
                    barrier(&connection, None, || self.open(&connection, Namespace::default()));
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
                    connection.send(Message::InvocationResult(Box::new(InvocationResult {
                        invocation_id,
                        function_id,
                        result: Err(error),
                        traceparent: None,
                        baggage: None,
                    })));
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
    use crate::transport::Limits;
    use std::cell::Cell;

    #[test]
    fn a_panic_costs_one_message() {
        let (outbox, _reader) = Outbox::new(Limits::default());
        let connection = Connection::new(outbox, None, 0);
        let told = Cell::new(false);
        let failed = |error: ErrorBody| told.set(error.code == code::PANIC);
        let value: Option<()> = barrier(&connection, Some(&failed), || panic!("a bug"));
        assert!(value.is_none() && told.get());
        assert_eq!(barrier(&connection, None, || 1), Some(1));
    }
}
