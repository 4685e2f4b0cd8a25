//! The outbound message queue of one connection, with a soft and a hard limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};

use crate::protocol::Message;
use crate::protocol::Payload;

/// Reserve for the fields of a message beside its payload, in bytes.
const ENVELOPE_BYTES: usize = 4 << 10;

/// OutboxLimits of an [`Outbox`], in bytes of payload plus a small constant per message.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Above this size, [`Outbox::ready`] waits. Default 1 MiB.
    pub soft: usize,
    /// Above this size, [`Outbox::send`] fails. Default 128 MiB.
    pub hard: usize,
    /// Maximum size of one message; [`Outbox::send`] rejects a larger one, for which the peer would close the
    /// connection. Default 64 MiB.
    pub message: usize,
}

impl Default for OutboxLimits {
    #[inline]
    fn default() -> Self {
        Self { soft: 1 << 20, hard: 128 << 20, message: 64 << 20 }
    }
}

/// Why a message could not be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The connection is closed.
    Closed,
    /// The hard limit is reached: the peer reads too slowly.
    Full,
    /// The message exceeds the maximum size.
    TooLarge,
}

/// An entry of the queue.
#[derive(Debug)]
enum OutboxItem {
    Message(Message),
    Close(Option<u16>),
}

#[derive(Debug)]
struct OutboxState {
    limits: OutboxLimits,
    queued: AtomicUsize,
    drained: Notify,
}

/// The sending half of the queue. Sending never blocks, so it is allowed under a lock; [`Outbox::ready`] applies
/// backpressure.
#[derive(Debug, Clone)]
pub struct Outbox {
    queue: mpsc::UnboundedSender<OutboxItem>,
    shared: Arc<OutboxState>,
}

/// The receiving half of the queue, drained by the transport.
#[derive(Debug)]
pub struct OutboxReader {
    queue: mpsc::UnboundedReceiver<OutboxItem>,
    shared: Arc<OutboxState>,
    closing: Option<Option<u16>>,
}

impl Outbox {
    /// Creates a queue.
    pub fn new(limits: OutboxLimits) -> (Self, OutboxReader) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let shared =
            Arc::new(OutboxState { limits, queued: AtomicUsize::new(0), drained: Notify::new() });
        (
            Self { queue: sender, shared: shared.clone() },
            OutboxReader { queue: receiver, shared, closing: None },
        )
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// If the connection is closed, the hard limit is reached, or the message is too large.
    pub fn send(&self, message: Message) -> Result<(), SendError> {
        let weight = message.weight();
        if weight > self.shared.limits.message {
            return Err(SendError::TooLarge);
        }
        if self.shared.queued.load(Ordering::Relaxed) > self.shared.limits.hard {
            return Err(if self.queue.is_closed() { SendError::Closed } else { SendError::Full });
        }
        self.shared.queued.fetch_add(weight, Ordering::Relaxed);
        self.queue.send(OutboxItem::Message(message)).map_err(|_| {
            self.shared.queued.fetch_sub(weight, Ordering::Relaxed);
            SendError::Closed
        })
    }

    /// Returns whether a payload fits into a message.
    #[inline]
    pub fn fits(&self, payload: &Payload) -> bool {
        payload.as_str().len() + ENVELOPE_BYTES <= self.shared.limits.message
    }

    /// Waits until the queue is below the soft limit or the connection is closed.
    pub async fn ready(&self) {
        loop {
            if self.shared.queued.load(Ordering::Acquire) <= self.shared.limits.soft {
                return;
            }
            let drained = self.shared.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            let queued = self.shared.queued.load(Ordering::Acquire);
            if queued <= self.shared.limits.soft || self.queue.is_closed() {
                return;
            }
            drained.await;
        }
    }

    /// Closes the connection after the queued messages are sent, with a WebSocket close code if one is given (RFC 6455,
    /// section 7.4).
    #[inline]
    pub fn close(&self, code: Option<u16>) {
        let _ = self.queue.send(OutboxItem::Close(code));
    }

    /// Returns whether the connection is closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl OutboxReader {
    /// Receives the next message; `None` once the connection is to be closed.
    pub async fn recv(&mut self) -> Option<Message> {
        if self.closing.is_some() {
            return None;
        }
        let item = self.queue.recv().await;
        self.dequeue(item)
    }

    /// Returns the next message if one is queued.
    #[inline]
    pub fn try_recv(&mut self) -> Option<Message> {
        if self.closing.is_some() {
            return None;
        }
        let item = self.queue.try_recv().ok()?;
        self.dequeue(Some(item))
    }

    /// The close code to send, after [`OutboxReader::recv`] returned `None`.
    #[inline]
    pub fn close_code(&self) -> Option<u16> {
        self.closing.flatten()
    }

    fn dequeue(&mut self, item: Option<OutboxItem>) -> Option<Message> {
        match item {
            Some(OutboxItem::Message(message)) => {
                let weight = message.weight();
                let before = self.shared.queued.fetch_sub(weight, Ordering::AcqRel);
                let soft = self.shared.limits.soft;
                if before > soft && before - weight <= soft {
                    self.shared.drained.notify_waiters();
                }
                Some(message)
            }
            Some(OutboxItem::Close(code)) => {
                self.closing = Some(code);
                None
            }
            None => {
                self.closing = Some(None);
                None
            }
        }
    }
}

impl Drop for OutboxReader {
    #[inline]
    fn drop(&mut self) {
        self.queue.close();
        self.shared.drained.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{InvocationId, InvocationResult, Payload};

    const SMALL: OutboxLimits = OutboxLimits { soft: 256, hard: 512, message: 1024 };

    #[tokio::test]
    async fn messages_are_received_in_order_before_the_close() {
        let (outbox, mut reader) = Outbox::new(OutboxLimits::default());
        outbox.send(Message::Ping).unwrap();
        outbox.send(Message::Pong).unwrap();
        outbox.close(Some(1012));
        assert_eq!(reader.recv().await, Some(Message::Ping));
        assert_eq!(reader.try_recv(), Some(Message::Pong));
        assert_eq!(reader.recv().await, None);
        assert_eq!(reader.close_code(), Some(1012));
    }

    #[tokio::test]
    async fn ready_waits_at_the_soft_limit_and_send_fails_at_the_hard_limit() {
        let (outbox, mut reader) = Outbox::new(SMALL);
        for _ in 0..3 {
            outbox.send(Message::Ping).unwrap();
        }
        assert_eq!(outbox.send(Message::Ping), Err(SendError::Full));
        let large = Message::InvocationResult(Box::new(InvocationResult {
            invocation_id: InvocationId::random(),
            function_id: "f".into(),
            result: Ok(Some(Payload::new(&"x".repeat(1024)).unwrap())),
            traceparent: None,
            baggage: None,
        }));
        assert_eq!(outbox.send(large), Err(SendError::TooLarge));

        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.ready().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        reader.recv().await;
        reader.recv().await;
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn dropping_the_reader_releases_all_waiters() {
        let (outbox, reader) = Outbox::new(SMALL);
        for _ in 0..3 {
            outbox.send(Message::Ping).unwrap();
        }
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.ready().await }
        });
        tokio::task::yield_now().await;
        drop(reader);
        waiting.await.unwrap();
        assert_eq!(outbox.send(Message::Ping), Err(SendError::Closed));
        assert!(outbox.is_closed());
    }
}
