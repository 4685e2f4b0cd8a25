//! Who is subscribed to what, and the queues in which messages wait for subscribers (protocol sections 8.3 to 8.6).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};

use super::message::Message;
use super::place::Place;
use crate::limits::StreamLimits;
use iii_wire::sync::lock;

/// A message for one subscription.
pub(super) struct Outgoing {
    message: Arc<Message>,
    subscription: Arc<str>,
}

impl Outgoing {
    /// The text to send.
    pub(super) fn text(&self) -> String {
        self.message.text_for(&self.subscription)
    }
}

/// The queue of one client. A client that has more waiting than fits is too slow, and is disconnected.
pub(super) struct Queue {
    sender: mpsc::Sender<Outgoing>,
    most_bytes: usize,
    bytes: AtomicUsize,
    too_slow: Notify,
}

impl Queue {
    /// A queue, and the end from which it is emptied.
    pub(super) fn new(limits: &StreamLimits) -> (Arc<Self>, mpsc::Receiver<Outgoing>) {
        let (sender, receiver) = mpsc::channel(limits.queue_messages);
        let most_bytes = limits.queue_bytes;
        let queue =
            Self { sender, most_bytes, bytes: AtomicUsize::new(0), too_slow: Notify::new() };
        (Arc::new(queue), receiver)
    }

    /// Adds a message. Never waits: a client that is too far behind loses its connection instead.
    pub(super) fn push(&self, message: Arc<Message>, subscription: Arc<str>) {
        let length = message.len();
        if self.bytes.fetch_add(length, Ordering::Relaxed) > self.most_bytes
            || self.sender.try_send(Outgoing { message, subscription }).is_err()
        {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
            self.too_slow.notify_one();
        }
    }

    /// Notes that a message was taken out.
    pub(super) fn took(&self, outgoing: &Outgoing) {
        self.bytes.fetch_sub(outgoing.message.len(), Ordering::Relaxed);
    }

    /// Waits until a message did not fit.
    pub(super) async fn too_slow(&self) {
        self.too_slow.notified().await;
    }
}

/// How far a subscription is.
enum Phase {
    /// The client has not got the first picture yet: what comes waits here.
    Joining(Vec<Arc<Message>>),
    Live,
    Over,
}

/// A subscription of one client.
pub(super) struct Subscription {
    /// The name that the client gave it.
    pub(super) id: Arc<str>,
    /// The group.
    pub(super) place: Place,
    /// The item; `None`: all of the group.
    pub(super) item: Option<String>,
    queue: Arc<Queue>,
    phase: Mutex<Phase>,
}

impl Subscription {
    fn deliver(&self, message: &Arc<Message>) {
        match &mut *lock(&self.phase) {
            Phase::Joining(waiting) if waiting.len() < self.queue.sender.max_capacity() => {
                waiting.push(message.clone());
            }
            Phase::Joining(_) => self.queue.too_slow.notify_one(),
            Phase::Live => self.queue.push(message.clone(), self.id.clone()),
            Phase::Over => {}
        }
    }

    /// Forgets the changes that wait: a picture that is taken from now on contains them.
    pub(super) fn forget_changes(&self) {
        if let Phase::Joining(waiting) = &mut *lock(&self.phase) {
            waiting.retain(|message| !message.is_change);
        }
    }

    /// Sends the first picture, then what came meanwhile, then everything as it comes.
    ///
    /// `false`, and nothing is sent: a change came meanwhile, and the picture may contain it or not. With `anyway`, it
    /// is sent all the same: changes carry the whole item, so that hearing of one twice does no harm.
    pub(super) fn begin(&self, sync: Message, anyway: bool) -> bool {
        let mut phase = lock(&self.phase);
        let Phase::Joining(waiting) = &mut *phase else { return true };
        if !anyway && waiting.iter().any(|message| message.is_change) {
            return false;
        }
        self.queue.push(Arc::new(sync), self.id.clone());
        for message in std::mem::take(waiting) {
            self.queue.push(message, self.id.clone());
        }
        *phase = Phase::Live;
        true
    }
}

/// The subscriptions of all clients.
#[derive(Default)]
pub(super) struct Hub {
    places: Mutex<HashMap<Place, Vec<Arc<Subscription>>>>,
}

impl Hub {
    /// Adds a subscription. Messages wait in it until [`Subscription::begin`].
    pub(super) fn subscribe(
        &self,
        id: &str,
        place: Place,
        item: Option<String>,
        queue: &Arc<Queue>,
    ) -> Arc<Subscription> {
        let subscription = Arc::new(Subscription {
            id: id.into(),
            place: place.clone(),
            item,
            queue: queue.clone(),
            phase: Mutex::new(Phase::Joining(Vec::new())),
        });
        lock(&self.places).entry(place).or_default().push(subscription.clone());
        subscription
    }

    /// Removes a subscription: nothing more is queued for it.
    pub(super) fn unsubscribe(&self, subscription: &Arc<Subscription>) {
        {
            let mut places = lock(&self.places);
            if let Some(all) = places.get_mut(&subscription.place) {
                all.retain(|one| !Arc::ptr_eq(one, subscription));
                if all.is_empty() {
                    places.remove(&subscription.place);
                }
            }
        }
        *lock(&subscription.phase) = Phase::Over;
    }

    /// Whether anybody is subscribed to something in a group.
    pub(super) fn hears(&self, place: &Place) -> bool {
        lock(&self.places).contains_key(place)
    }

    /// Whether anybody is subscribed to something in a stream.
    pub(super) fn hears_stream(&self, stream: &str) -> bool {
        lock(&self.places).keys().any(|place| place.stream == stream)
    }

    /// Queues a message for all whom it concerns. Never waits.
    pub(super) fn publish(&self, place: &Place, item: Option<&str>, message: &Arc<Message>) {
        let places = lock(&self.places);
        for subscription in places.get(place).into_iter().flatten() {
            let wanted = subscription.item.as_deref();
            if wanted.is_none_or(|wanted| Some(wanted) == item) {
                subscription.deliver(message);
            }
        }
    }

    /// How many subscriptions there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.places).values().map(Vec::len).sum()
    }
}
