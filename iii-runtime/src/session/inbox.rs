//! What waits for one listener: events in their order, and where some are missing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use iii_wire::protocol::{ErrorBody, Payload};

/// The bytes that may wait for one listener.
const MOST_BYTES: usize = 16 << 20;

/// What comes to a listener.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ListenerEvent {
    /// The trigger fired with this.
    Fired(Payload),
    /// Something may be missing here.
    Missed {
        /// So many events did not fit.
        events: u64,
        /// The link was lost, and is back.
        link: bool,
    },
    /// The engine does not take the trigger: nothing will come.
    Refused(ErrorBody),
}

/// What waits for one listener, in order. It holds a bounded number of events.
#[derive(Debug)]
pub(crate) struct ListenerInbox {
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
    most: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    heard: VecDeque<ListenerEvent>,
    bytes: usize,
    ended: bool,
}

impl ListenerInbox {
    /// For so many events.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let waker = AtomicWaker::new();
        Arc::new(Self { waiting: Mutex::default(), waker, most: most.max(1) })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something; `false` if there was no room for it, which is noted in its place.
    pub(crate) fn push(&self, heard: ListenerEvent) -> bool {
        let taken = self.lock().push(heard, self.most);
        self.waker.wake();
        taken
    }

    /// Nothing more comes.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.waker.wake();
    }

    /// The next thing; `None` after the end.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<ListenerEvent>> {
        // Listened for before it is looked at: something may come in between.
        self.waker.register(context.waker());
        let mut waiting = self.lock();
        match waiting.pop() {
            Some(heard) => Poll::Ready(Some(heard)),
            None if waiting.ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Takes the refusal of the engine, if there is one.
    pub(crate) fn refusal(&self) -> Option<ErrorBody> {
        let mut waiting = self.lock();
        let at = waiting.heard.iter().position(|one| matches!(one, ListenerEvent::Refused(_)))?;
        match waiting.heard.remove(at) {
            Some(ListenerEvent::Refused(error)) => Some(error),
            _ => None,
        }
    }
}

impl Waiting {
    fn push(&mut self, heard: ListenerEvent, most: usize) -> bool {
        let heard = match heard {
            ListenerEvent::Fired(data)
                if self.heard.len() >= most || self.bytes + data.as_str().len() > MOST_BYTES =>
            {
                ListenerEvent::Missed { events: 1, link: false }
            }
            heard => heard,
        };
        match (heard, self.heard.back_mut()) {
            // Holes next to each other are one.
            (ListenerEvent::Missed { events, link }, Some(ListenerEvent::Missed { events: all, link: lost })) => {
                *all += events;
                *lost |= link;
                link
            }
            (heard, _) => {
                let taken = !matches!(heard, ListenerEvent::Missed { link: false, .. });
                if let ListenerEvent::Fired(data) = &heard {
                    self.bytes += data.as_str().len();
                }
                self.heard.push_back(heard);
                taken
            }
        }
    }

    fn pop(&mut self) -> Option<ListenerEvent> {
        let heard = self.heard.pop_front()?;
        if let ListenerEvent::Fired(data) = &heard {
            self.bytes -= data.as_str().len();
        }
        Some(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(n: usize) -> ListenerEvent {
        ListenerEvent::Fired(Payload::from_built(n.to_string()))
    }

    fn all(inbox: &ListenerInbox) -> Vec<ListenerEvent> {
        std::iter::from_fn(|| inbox.lock().pop()).collect()
    }

    #[test]
    fn an_inbox_that_is_full_says_what_is_missing_and_where() {
        let inbox = ListenerInbox::new(2);
        assert!(inbox.push(fired(1)) && inbox.push(fired(2)));
        assert!(!inbox.push(fired(3)) && !inbox.push(fired(4)));
        assert_eq!(inbox.lock().pop(), Some(fired(1)));
        assert_eq!(inbox.lock().pop(), Some(fired(2)));
        assert!(inbox.push(fired(5)));
        let hole = ListenerEvent::Missed { events: 2, link: false };
        assert_eq!(all(&inbox), [hole, fired(5)]);

        let large = ListenerEvent::Fired(Payload::new(&"x".repeat(MOST_BYTES)).unwrap());
        assert!(!inbox.push(large));
        assert!(inbox.push(ListenerEvent::Missed { events: 0, link: true }));
        assert_eq!(all(&inbox), [ListenerEvent::Missed { events: 1, link: true }]);
        assert_eq!(inbox.lock().bytes, 0);
    }

    #[test]
    fn a_refusal_is_found_behind_other_things() {
        let inbox = ListenerInbox::new(1);
        inbox.push(fired(1));
        inbox.push(ListenerEvent::Refused(ErrorBody::new("a/b", "no")));
        inbox.end();
        assert_eq!(inbox.refusal().unwrap().code, "a/b");
        assert_eq!(inbox.refusal(), None);
        assert_eq!(all(&inbox), [fired(1)]);
    }
}
