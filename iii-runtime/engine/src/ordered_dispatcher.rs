//! Ordered dispatch of change events: events of one key run one after the other, events of different keys concurrently.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::broker::Broker;
use super::condition::ConditionalBinding;
use crate::provider::overloaded;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::sync::lock;

/// The scope and the key of the value that an event is about.
pub(crate) type ValueKey = (String, String);

/// Fires triggers for change events, with a FIFO queue for each key that has pending events.
pub(crate) struct OrderedDispatcher {
    broker: Broker,
    queues: EventQueues,
    pending: Arc<PendingEvents>,
}

/// Events that are queued or being handled, over all keys.
#[derive(Default)]
struct PendingEvents {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

type EventQueues = Arc<Mutex<HashMap<ValueKey, mpsc::UnboundedSender<QueuedEvent>>>>;

struct QueuedEvent {
    bindings: Vec<ConditionalBinding>,
    data: Payload,
    _pending: PendingGuard,
}

/// Counts one event as pending until it is dropped.
struct PendingGuard {
    pending: Arc<PendingEvents>,
    bytes: usize,
}

impl PendingGuard {
    fn new(pending: &Arc<PendingEvents>, bytes: usize) -> Self {
        pending.events.fetch_add(1, Ordering::Relaxed);
        pending.bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { pending: pending.clone(), bytes }
    }
}

impl Drop for PendingGuard {
    fn drop(&mut self) {
        self.pending.events.fetch_sub(1, Ordering::Relaxed);
        self.pending.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl OrderedDispatcher {
    /// A dispatcher without pending events.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, queues: Arc::default(), pending: Arc::default() }
    }

    /// Checks that one more event can be queued. Call it before the change that the event reports.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if too many events are pending.
    pub(crate) fn check_capacity(&self) -> Result<(), ErrorBody> {
        let limits = &self.broker.limits().events;
        let events = self.pending.events.load(Ordering::Relaxed);
        let bytes = self.pending.bytes.load(Ordering::Relaxed);
        if events < limits.waiting && bytes < limits.bytes {
            return Ok(());
        }
        Err(overloaded(format!(
            "{events} change events ({bytes} bytes) are pending for trigger functions"
        )))
    }

    /// Queues an event. Its triggers fire one after the other, in the order of their ids. Never waits.
    pub(crate) fn dispatch(
        &self,
        key: ValueKey,
        mut bindings: Vec<ConditionalBinding>,
        data: Payload,
    ) {
        bindings.sort_by(|a, b| a.binding.id.cmp(&b.binding.id));
        let pending = PendingGuard::new(&self.pending, data.as_str().len());
        let event = QueuedEvent { bindings, data, _pending: pending };
        let mut queues = lock(&self.queues);
        let event = match queues.get(&key) {
            Some(queue) => match queue.send(event) {
                Ok(()) => return,
                Err(unsent) => unsent.0,
            },
            None => event,
        };
        let (queue, events) = mpsc::unbounded_channel();
        let _ = queue.send(event);
        queues.insert(key.clone(), queue);
        tokio::spawn(drain(self.broker.clone(), self.queues.clone(), key, events));
    }

    /// Closes all queues. Functions that already run are not cancelled.
    pub(crate) fn stop(&self) {
        lock(&self.queues).clear();
    }
}

/// Handles the events of one key, one trigger after the other, until its queue is empty.
async fn drain(
    broker: Broker,
    queues: EventQueues,
    key: ValueKey,
    mut events: mpsc::UnboundedReceiver<QueuedEvent>,
) {
    loop {
        let event = match events.try_recv() {
            Ok(event) => event,
            Err(_) => {
                // Senders hold this lock, so no event can arrive between the check and the removal of the queue.
                let mut queues = lock(&queues);
                match events.try_recv() {
                    Ok(event) => event,
                    Err(_) => {
                        queues.remove(&key);
                        return;
                    }
                }
            }
        };
        for binding in &event.bindings {
            binding.fire_and_wait(&broker, event.data.clone()).await;
        }
    }
}
