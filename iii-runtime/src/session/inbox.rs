//! The inbox of a listener: a bounded, ordered queue of events that records where events were dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::sync::lock;

/// The maximum total size of the events in one inbox.
const MAX_INBOX_BYTES: usize = 16 << 20;

/// An item of a listener's inbox.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ListenerEvent {
    /// The trigger fired with this payload.
    Fired(Payload),
    /// Events may be missing at this position.
    Missed {
        /// The number of events that were dropped because the inbox was full.
        events: u64,
        /// Whether the connection was lost and reestablished.
        reconnected: bool,
    },
    /// The engine refused the trigger. No further events follow.
    Refused(ErrorBody),
}

/// The events that one listener has not read yet, in order. Bounded in number and in bytes.
#[derive(Debug)]
pub(crate) struct ListenerInbox {
    state: Mutex<InboxState>,
    waker: AtomicWaker,
    capacity: usize,
}

#[derive(Debug, Default)]
struct InboxState {
    events: VecDeque<ListenerEvent>,
    bytes: usize,
    closed: bool,
}

impl ListenerInbox {
    /// An inbox for `capacity` events, at least one.
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let waker = AtomicWaker::new();
        Arc::new(Self { state: Mutex::default(), waker, capacity: capacity.max(1) })
    }

    /// Appends an event. Returns `false` if the inbox is full; the event is then counted as missed.
    pub(crate) fn push(&self, event: ListenerEvent) -> bool {
        let accepted = lock(&self.state).push(event, self.capacity);
        self.waker.wake();
        accepted
    }

    /// Marks the end of the events.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.waker.wake();
    }

    /// The next event; `None` when the inbox is closed and empty.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<ListenerEvent>> {
        // Registers the waker before it looks, so that an event in between is not missed.
        self.waker.register(context.waker());
        let mut state = lock(&self.state);
        match state.pop() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Removes and returns the refusal of the engine, wherever it is in the queue.
    pub(crate) fn take_refusal(&self) -> Option<ErrorBody> {
        let mut state = lock(&self.state);
        let is_refusal = |event: &ListenerEvent| matches!(event, ListenerEvent::Refused(_));
        let position = state.events.iter().position(is_refusal)?;
        match state.events.remove(position) {
            Some(ListenerEvent::Refused(error)) => Some(error),
            _ => None,
        }
    }
}

impl InboxState {
    fn push(&mut self, event: ListenerEvent, capacity: usize) -> bool {
        let event = match event {
            ListenerEvent::Fired(data)
                if self.events.len() >= capacity
                    || self.bytes + data.as_str().len() > MAX_INBOX_BYTES =>
            {
                ListenerEvent::Missed { events: 1, reconnected: false }
            }
            event => event,
        };
        match (event, self.events.back_mut()) {
            // Merges adjacent gaps.
            (
                ListenerEvent::Missed { events, reconnected },
                Some(ListenerEvent::Missed { events: total, reconnected: any_reconnect }),
            ) => {
                *total += events;
                *any_reconnect |= reconnected;
                reconnected
            }
            (event, _) => {
                let accepted = !matches!(event, ListenerEvent::Missed { reconnected: false, .. });
                if let ListenerEvent::Fired(data) = &event {
                    self.bytes += data.as_str().len();
                }
                self.events.push_back(event);
                accepted
            }
        }
    }

    fn pop(&mut self) -> Option<ListenerEvent> {
        let event = self.events.pop_front()?;
        if let ListenerEvent::Fired(data) = &event {
            self.bytes -= data.as_str().len();
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(n: usize) -> ListenerEvent {
        ListenerEvent::Fired(Payload::from_built(n.to_string()))
    }

    fn pop(inbox: &ListenerInbox) -> Option<ListenerEvent> {
        lock(&inbox.state).pop()
    }

    fn pop_all(inbox: &ListenerInbox) -> Vec<ListenerEvent> {
        std::iter::from_fn(|| pop(inbox)).collect()
    }

    #[test]
    fn a_full_inbox_records_the_position_and_number_of_missed_events() {
        let inbox = ListenerInbox::new(2);
        assert!(inbox.push(fired(1)) && inbox.push(fired(2)));
        assert!(!inbox.push(fired(3)) && !inbox.push(fired(4)));
        assert_eq!(pop(&inbox), Some(fired(1)));
        assert_eq!(pop(&inbox), Some(fired(2)));
        assert!(inbox.push(fired(5)));
        let gap = ListenerEvent::Missed { events: 2, reconnected: false };
        assert_eq!(pop_all(&inbox), [gap, fired(5)]);

        let large = ListenerEvent::Fired(Payload::new(&"x".repeat(MAX_INBOX_BYTES)).unwrap());
        assert!(!inbox.push(large));
        assert!(inbox.push(ListenerEvent::Missed { events: 0, reconnected: true }));
        assert_eq!(pop_all(&inbox), [ListenerEvent::Missed { events: 1, reconnected: true }]);
        assert_eq!(lock(&inbox.state).bytes, 0);
    }

    #[test]
    fn a_refusal_is_taken_from_behind_other_events() {
        let inbox = ListenerInbox::new(1);
        inbox.push(fired(1));
        inbox.push(ListenerEvent::Refused(ErrorBody::new("a/b", "no")));
        inbox.close();
        assert_eq!(inbox.take_refusal().unwrap().code, "a/b");
        assert_eq!(inbox.take_refusal(), None);
        assert_eq!(pop_all(&inbox), [fired(1)]);
    }
}
