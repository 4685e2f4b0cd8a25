//! Fan-out of stream messages to subscribers, with a bounded send queue for each client ([protocol 8.3](iii_wire::protocol#s8-3), [8.6](iii_wire::protocol#s8-6)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};

use super::group::StreamGroup;
use super::message::StreamMessage;
use crate::limits::StreamLimits;
use iii_wire::sync::lock;

/// A queued message for one subscription.
pub(super) struct OutgoingMessage {
    message: Arc<StreamMessage>,
    subscription: Arc<str>,
}

impl OutgoingMessage {
    /// Returns the JSON to send.
    pub(super) fn json(&self) -> String {
        self.message.json_for(&self.subscription)
    }
}

/// The send queue of one client. A client whose queue overflows is disconnected as a slow consumer.
pub(super) struct ClientQueue {
    sender: mpsc::Sender<OutgoingMessage>,
    max_bytes: usize,
    bytes: AtomicUsize,
    overflow: Notify,
}

impl ClientQueue {
    /// A queue and its receiver.
    pub(super) fn new(limits: &StreamLimits) -> (Arc<Self>, mpsc::Receiver<OutgoingMessage>) {
        let (sender, receiver) = mpsc::channel(limits.queue_messages);
        let queue = Self {
            sender,
            max_bytes: limits.queue_bytes,
            bytes: AtomicUsize::new(0),
            overflow: Notify::new(),
        };
        (Arc::new(queue), receiver)
    }

    /// Queues a message. Never waits: if the queue is full, the message is dropped and the overflow is signalled.
    pub(super) fn push(&self, message: Arc<StreamMessage>, subscription: Arc<str>) {
        let length = message.len();
        if self.bytes.fetch_add(length, Ordering::Relaxed) > self.max_bytes
            || self.sender.try_send(OutgoingMessage { message, subscription }).is_err()
        {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            self.overflow.notify_one();
        }
    }

    /// Releases the bytes of a received message.
    pub(super) fn release(&self, outgoing: &OutgoingMessage) {
        self.bytes.fetch_sub(outgoing.message.len(), Ordering::Relaxed);
    }

    /// Waits for an overflow.
    pub(super) async fn overflowed(&self) {
        self.overflow.notified().await;
    }
}

enum SubscriptionPhase {
    /// The snapshot is not sent yet. Messages are buffered.
    Buffering(Vec<Arc<StreamMessage>>),
    Live,
    Ended,
}

/// A subscription of one client.
pub(super) struct StreamSubscription {
    /// The id that the client chose.
    pub(super) id: Arc<str>,
    /// The group.
    pub(super) group: StreamGroup,
    /// The item; `None`: all items of the group.
    pub(super) item: Option<String>,
    queue: Arc<ClientQueue>,
    phase: Mutex<SubscriptionPhase>,
}

impl StreamSubscription {
    fn deliver(&self, message: &Arc<StreamMessage>) {
        match &mut *lock(&self.phase) {
            SubscriptionPhase::Buffering(buffer)
                if buffer.len() < self.queue.sender.max_capacity() =>
            {
                buffer.push(message.clone());
            }
            SubscriptionPhase::Buffering(_) => self.queue.overflow.notify_one(),
            SubscriptionPhase::Live => self.queue.push(message.clone(), self.id.clone()),
            SubscriptionPhase::Ended => {}
        }
    }

    /// Discards the buffered changes: a snapshot that is taken afterwards contains them.
    pub(super) fn discard_buffered_changes(&self) {
        if let SubscriptionPhase::Buffering(buffer) = &mut *lock(&self.phase) {
            buffer.retain(|message| !message.is_change);
        }
    }

    /// Sends the snapshot and the buffered messages, and goes live. Returns whether it did.
    ///
    /// Unless `force` is set, returns `false` and sends nothing if a change is buffered, as the snapshot may or may not
    /// contain it. With `force`, the change may be reported twice. That is harmless: a change carries the whole item.
    pub(super) fn go_live(&self, snapshot: StreamMessage, force: bool) -> bool {
        let mut phase = lock(&self.phase);
        let SubscriptionPhase::Buffering(buffer) = &mut *phase else { return true };
        if !force && buffer.iter().any(|message| message.is_change) {
            return false;
        }
        self.queue.push(Arc::new(snapshot), self.id.clone());
        for message in std::mem::take(buffer) {
            self.queue.push(message, self.id.clone());
        }
        *phase = SubscriptionPhase::Live;
        true
    }
}

/// The subscriptions of all clients.
#[derive(Default)]
pub(super) struct Hub {
    subscriptions: Mutex<HashMap<StreamGroup, Vec<Arc<StreamSubscription>>>>,
}

impl Hub {
    /// Adds a subscription. Its messages are buffered until [`StreamSubscription::go_live`].
    pub(super) fn subscribe(
        &self,
        id: &str,
        group: StreamGroup,
        item: Option<String>,
        queue: &Arc<ClientQueue>,
    ) -> Arc<StreamSubscription> {
        let subscription = Arc::new(StreamSubscription {
            id: id.into(),
            group: group.clone(),
            item,
            queue: queue.clone(),
            phase: Mutex::new(SubscriptionPhase::Buffering(Vec::new())),
        });
        lock(&self.subscriptions).entry(group).or_default().push(subscription.clone());
        subscription
    }

    /// Removes a subscription. No message is queued for it afterwards.
    pub(super) fn unsubscribe(&self, subscription: &Arc<StreamSubscription>) {
        {
            let mut subscriptions = lock(&self.subscriptions);
            if let Some(of_group) = subscriptions.get_mut(&subscription.group) {
                of_group.retain(|other| !Arc::ptr_eq(other, subscription));
                if of_group.is_empty() {
                    subscriptions.remove(&subscription.group);
                }
            }
        }
        *lock(&subscription.phase) = SubscriptionPhase::Ended;
    }

    /// Returns whether a group, or an item of it, has subscribers.
    pub(super) fn has_group_subscribers(&self, group: &StreamGroup) -> bool {
        lock(&self.subscriptions).contains_key(group)
    }

    /// Returns whether any group of a stream has subscribers.
    pub(super) fn has_stream_subscribers(&self, stream: &str) -> bool {
        lock(&self.subscriptions).keys().any(|group| group.stream == stream)
    }

    /// Queues a message for all subscribers of the group, and of the item if there is one. Never waits.
    pub(super) fn publish(
        &self,
        group: &StreamGroup,
        item: Option<&str>,
        message: &Arc<StreamMessage>,
    ) {
        let subscriptions = lock(&self.subscriptions);
        for subscription in subscriptions.get(group).into_iter().flatten() {
            let filter = subscription.item.as_deref();
            if filter.is_none_or(|filter| Some(filter) == item) {
                subscription.deliver(message);
            }
        }
    }

    /// Returns the number of subscriptions.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.subscriptions).values().map(Vec::len).sum()
    }
}
