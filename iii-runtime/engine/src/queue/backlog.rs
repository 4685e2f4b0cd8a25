//! The backlog of a delivery queue: messages that await delivery, ordered by priority and age or by message group.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

/// A message group; `None`: the one group of a topic's messages.
pub(super) type GroupId = Option<Arc<str>>;

/// The part of a message that delivery order depends on. The stored record has the rest.
#[derive(Debug, Clone)]
pub(super) struct QueuedMessage {
    /// The id of the message and the key of its record.
    pub(super) id: Uuid,
    /// The sequence number among all messages.
    pub(super) seq: u64,
    /// The number of failed attempts.
    pub(super) attempts: u32,
    /// The priority. Higher priorities are delivered first.
    pub(super) priority: u8,
    /// The size that counts against the limits, in bytes.
    pub(super) bytes: usize,
    /// The earliest delivery; `None`: immediately.
    pub(super) not_before: Option<Instant>,
    /// The message group whose order is kept.
    pub(super) group: GroupId,
    /// Whether the message was recovered from the store when the engine started.
    pub(super) restored: bool,
}

/// The delivery order: by priority, then by age.
type DeliveryOrder = (Reverse<u8>, u64);

impl QueuedMessage {
    fn order(&self) -> DeliveryOrder {
        (Reverse(self.priority), self.seq)
    }
}

/// The next message of a backlog.
#[derive(Debug)]
pub(super) enum NextMessage {
    /// A message that can be delivered.
    Ready(QueuedMessage),
    /// The earliest time at which a message becomes ready.
    DelayedUntil(Instant),
    /// No message becomes ready before one is pushed or a group is released.
    Unavailable,
}

/// The messages that await delivery. `push`, `next` and `release` take logarithmic time.
#[derive(Debug)]
pub(super) enum Backlog {
    /// Messages are independent of each other.
    Standard(StandardBacklog),
    /// Messages of a group are delivered one at a time.
    Fifo(FifoBacklog),
}

impl Backlog {
    /// An empty backlog. `in_flight` messages without a group are being delivered.
    pub(super) fn new(fifo: bool, in_flight: usize) -> Self {
        if !fifo {
            return Self::Standard(StandardBacklog::default());
        }
        let mut backlog = FifoBacklog::default();
        if in_flight > 0 {
            backlog.groups.insert(None, MessageGroup { in_flight, ..MessageGroup::default() });
        }
        Self::Fifo(backlog)
    }

    /// Switches between the two orderings. `in_flight` messages without a group are being delivered.
    pub(super) fn set_fifo(&mut self, fifo: bool, in_flight: usize) {
        if fifo == matches!(self, Self::Fifo(_)) {
            return;
        }
        let previous = std::mem::replace(self, Self::new(fifo, in_flight));
        let messages: Vec<QueuedMessage> = match previous {
            Self::Standard(backlog) => {
                backlog.ready.into_values().chain(backlog.delayed.into_values()).collect()
            }
            Self::Fifo(backlog) => {
                let groups = backlog.groups.into_values();
                groups.flat_map(|group| group.messages.into_values()).collect()
            }
        };
        for message in messages {
            self.push(message);
        }
    }

    /// Inserts a message at its place in the delivery order.
    pub(super) fn push(&mut self, message: QueuedMessage) {
        match self {
            Self::Standard(backlog) => backlog.push(message),
            Self::Fifo(backlog) => backlog.push(message),
        }
    }

    /// Takes the next message that is ready at `now`. Its group is blocked until [`Backlog::release`].
    pub(super) fn next(&mut self, now: Instant) -> NextMessage {
        match self {
            Self::Standard(backlog) => backlog.next(now),
            Self::Fifo(backlog) => backlog.next(now),
        }
    }

    /// Ends the delivery of a message of this group. A message for redelivery must have been pushed before.
    pub(super) fn release(&mut self, group: &GroupId) {
        if let Self::Fifo(backlog) = self {
            backlog.release(group);
        }
    }

    /// Returns the number of messages.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Standard(backlog) => backlog.ready.len() + backlog.delayed.len(),
            Self::Fifo(backlog) => backlog.len,
        }
    }
}

/// See [`Backlog::Standard`].
#[derive(Debug, Default)]
pub(super) struct StandardBacklog {
    ready: BTreeMap<DeliveryOrder, QueuedMessage>,
    delayed: BTreeMap<(Instant, u64), QueuedMessage>,
}

impl StandardBacklog {
    fn push(&mut self, message: QueuedMessage) {
        match message.not_before {
            Some(time) => self.delayed.insert((time, message.seq), message),
            None => self.ready.insert(message.order(), message),
        };
    }

    fn next(&mut self, now: Instant) -> NextMessage {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let message = entry.remove();
            self.ready.insert(message.order(), QueuedMessage { not_before: None, ..message });
        }
        match (self.ready.pop_first(), self.delayed.first_key_value()) {
            (Some((_, message)), _) => NextMessage::Ready(message),
            (None, Some(((time, _), _))) => NextMessage::DelayedUntil(*time),
            (None, None) => NextMessage::Unavailable,
        }
    }
}

/// See [`Backlog::Fifo`].
///
/// A group that has messages and none in flight is in exactly one of `ready` and `delayed`, keyed by its first message.
#[derive(Debug, Default)]
pub(super) struct FifoBacklog {
    groups: HashMap<GroupId, MessageGroup>,
    ready: BTreeMap<DeliveryOrder, GroupId>,
    delayed: BTreeMap<(Instant, u64), GroupId>,
    len: usize,
}

/// The messages of one group by age, and the number of them that are in flight.
#[derive(Debug, Default)]
struct MessageGroup {
    messages: BTreeMap<u64, QueuedMessage>,
    in_flight: usize,
}

impl MessageGroup {
    /// Returns the first message, unless the group is blocked.
    fn head(&self) -> Option<&QueuedMessage> {
        self.messages.first_key_value().map(|(_, message)| message).filter(|_| self.in_flight == 0)
    }
}

impl FifoBacklog {
    fn push(&mut self, message: QueuedMessage) {
        let key = message.group.clone();
        let group = self.groups.entry(key.clone()).or_default();
        let previous_head = group.head().map(|head| (head.order(), head.not_before));
        group.messages.insert(message.seq, message);
        self.len += 1;
        match previous_head {
            Some((order, None)) => drop(self.ready.remove(&order)),
            Some((order, Some(time))) => drop(self.delayed.remove(&(time, order.1))),
            None => {}
        }
        self.index_head(&key);
    }

    /// Indexes a group by its first message, unless the group is blocked.
    fn index_head(&mut self, key: &GroupId) {
        let Some(head) = self.groups.get(key).and_then(MessageGroup::head) else { return };
        match head.not_before {
            Some(time) => self.delayed.insert((time, head.seq), key.clone()),
            None => self.ready.insert(head.order(), key.clone()),
        };
    }

    fn next(&mut self, now: Instant) -> NextMessage {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            let head = self.groups.get_mut(&key).and_then(|group| group.messages.first_entry());
            if let Some(mut head) = head {
                head.get_mut().not_before = None;
            }
            self.index_head(&key);
        }
        if let Some((_, key)) = self.ready.pop_first()
            && let Some(group) = self.groups.get_mut(&key)
            && let Some((_, message)) = group.messages.pop_first()
        {
            group.in_flight += 1;
            self.len -= 1;
            return NextMessage::Ready(message);
        }
        match self.delayed.first_key_value() {
            Some(((time, _), _)) => NextMessage::DelayedUntil(*time),
            None => NextMessage::Unavailable,
        }
    }

    fn release(&mut self, key: &GroupId) {
        let Some(group) = self.groups.get_mut(key) else { return };
        group.in_flight = group.in_flight.saturating_sub(1);
        if group.in_flight == 0 && group.messages.is_empty() {
            self.groups.remove(key);
        } else {
            self.index_head(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(seq: u64, group: &str) -> QueuedMessage {
        QueuedMessage {
            id: Uuid::nil(),
            seq,
            attempts: 0,
            priority: 0,
            bytes: 0,
            not_before: None,
            group: Some(group.into()),
            restored: false,
        }
    }

    fn take(backlog: &mut Backlog, now: Instant) -> Option<u64> {
        match backlog.next(now) {
            NextMessage::Ready(message) => Some(message.seq),
            _ => None,
        }
    }

    #[test]
    fn standard_backlog_orders_by_priority_age_and_delay() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut backlog = Backlog::new(false, 0);
        backlog.push(QueuedMessage { not_before: Some(later), ..message(1, "") });
        backlog.push(message(3, ""));
        backlog.push(message(2, ""));
        backlog.push(QueuedMessage { priority: 9, ..message(4, "") });
        assert_eq!(backlog.len(), 4);
        let taken: Vec<_> = std::iter::from_fn(|| take(&mut backlog, now)).collect();
        assert_eq!(taken, [4, 2, 3]);
        assert!(matches!(backlog.next(now), NextMessage::DelayedUntil(time) if time == later));
        assert_eq!(take(&mut backlog, later), Some(1));
        assert!(matches!(backlog.next(later), NextMessage::Unavailable));
    }

    #[test]
    fn message_in_flight_blocks_only_its_own_group() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut backlog = Backlog::new(true, 0);
        for (seq, group) in [(1, "a"), (2, "a"), (3, "b")] {
            backlog.push(message(seq, group));
        }
        assert_eq!((take(&mut backlog, now), take(&mut backlog, now)), (Some(1), Some(3)));
        assert!(matches!(backlog.next(now), NextMessage::Unavailable));
        // Message 1 is redelivered later, which holds back message 2.
        backlog.push(QueuedMessage { not_before: Some(later), ..message(1, "a") });
        backlog.release(&Some("a".into()));
        assert!(matches!(backlog.next(now), NextMessage::DelayedUntil(time) if time == later));
        assert_eq!(take(&mut backlog, later), Some(1));
        backlog.release(&Some("a".into()));
        backlog.release(&Some("b".into()));
        assert_eq!(take(&mut backlog, later), Some(2));
        backlog.release(&Some("a".into()));
        assert_eq!(backlog.len(), 0);
        assert!(matches!(&backlog, Backlog::Fifo(backlog) if backlog.groups.is_empty()));
    }

    #[test]
    fn older_message_becomes_the_head_of_its_group() {
        let now = Instant::now();
        let mut backlog = Backlog::new(true, 0);
        let delayed = Some(now + Duration::from_secs(9));
        backlog.push(QueuedMessage { not_before: delayed, ..message(5, "a") });
        backlog.push(message(2, "a"));
        assert_eq!(take(&mut backlog, now), Some(2));
        backlog.push(message(1, "a"));
        backlog.release(&Some("a".into()));
        assert_eq!(take(&mut backlog, now), Some(1));
    }

    #[test]
    fn ordering_can_change_while_messages_are_in_flight() {
        let now = Instant::now();
        let ungrouped = |seq| QueuedMessage { group: None, ..message(seq, "") };
        let mut backlog = Backlog::new(false, 0);
        for seq in 1..=3 {
            backlog.push(ungrouped(seq));
        }
        assert_eq!(take(&mut backlog, now), Some(1));
        backlog.set_fifo(true, 1);
        assert_eq!(take(&mut backlog, now), None);
        backlog.release(&None);
        assert_eq!(take(&mut backlog, now), Some(2));
        assert_eq!(take(&mut backlog, now), None);
        backlog.set_fifo(false, 1);
        assert_eq!((take(&mut backlog, now), backlog.len()), (Some(3), 0));
    }
}
