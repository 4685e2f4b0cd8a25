//! Events in their order: those of one place wait for each other, those of different places do not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::broker::Broker;
use super::condition::ConditionalBinding;
use crate::provider::overloaded;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::sync::lock;

/// The place of a value: its scope and its key.
pub(crate) type Place = (String, String);

/// A queue for each place at which something is going on.
pub(crate) struct OrderedDispatcher {
    broker: Broker,
    queues: Queues,
    waiting: Arc<Waiting>,
}

/// What waits in all queues together, the events that are being handled included.
#[derive(Default)]
struct Waiting {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

type Queues = Arc<Mutex<HashMap<Place, mpsc::UnboundedSender<Event>>>>;

struct Event {
    listeners: Vec<ConditionalBinding>,
    data: Payload,
    _counted: Counted,
}

/// One of the events that wait, as long as it is there.
struct Counted(Arc<Waiting>, usize);

impl Counted {
    fn new(waiting: &Arc<Waiting>, bytes: usize) -> Self {
        waiting.events.fetch_add(1, Ordering::Relaxed);
        waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
        Self(waiting.clone(), bytes)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.events.fetch_sub(1, Ordering::Relaxed);
        self.0.bytes.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl OrderedDispatcher {
    /// Without queues.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, queues: Arc::default(), waiting: Arc::default() }
    }

    /// Whether one more event can be told. Asked before the change that it tells of.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if too many wait already.
    pub(crate) fn check_capacity(&self) -> Result<(), ErrorBody> {
        let limits = &self.broker.limits().events;
        let events = self.waiting.events.load(Ordering::Relaxed);
        let bytes = self.waiting.bytes.load(Ordering::Relaxed);
        if events < limits.waiting && bytes < limits.bytes {
            return Ok(());
        }
        let text = "changes wait for the functions that hear of them";
        Err(overloaded(format!("{events} {text}, with {bytes} bytes")))
    }

    /// Queues an event. Its listeners hear of it one after the other, in the order of their ids. Never waits.
    pub(crate) fn dispatch(&self, place: Place, mut listeners: Vec<ConditionalBinding>, data: Payload) {
        listeners.sort_by(|a, b| a.binding.id.cmp(&b.binding.id));
        let counted = Counted::new(&self.waiting, data.as_str().len());
        let event = Event { listeners, data, _counted: counted };
        let mut queues = lock(&self.queues);
        let event = match queues.get(&place) {
            Some(queue) => match queue.send(event) {
                Ok(()) => return,
                Err(refused) => refused.0,
            },
            None => event,
        };
        let (queue, events) = mpsc::unbounded_channel();
        let _ = queue.send(event);
        queues.insert(place.clone(), queue);
        tokio::spawn(dispatch(self.broker.clone(), self.queues.clone(), place, events));
    }

    /// Ends all queues; what is being handled goes on.
    pub(crate) fn stop(&self) {
        lock(&self.queues).clear();
    }
}

/// Handles the events of one place, one listener after the other, until none is waiting.
async fn dispatch(
    broker: Broker,
    queues: Queues,
    place: Place,
    mut events: mpsc::UnboundedReceiver<Event>,
) {
    loop {
        let event = match events.try_recv() {
            Ok(event) => event,
            Err(_) => {
                // Under the lock nobody adds an event, so none is lost between the look and the end.
                let mut queues = lock(&queues);
                match events.try_recv() {
                    Ok(event) => event,
                    Err(_) => {
                        queues.remove(&place);
                        return;
                    }
                }
            }
        };
        for ConditionalBinding { binding, condition } in &event.listeners {
            condition.fire_and_wait(&broker, binding, event.data.clone()).await;
        }
    }
}
