//! State triggers: who hears of a change, in the order in which changes happen (protocol section 5.6).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use tokio::sync::mpsc;

use crate::engine::broker::{Broker, lock};
use crate::engine::fire::Condition;
use crate::engine::provider::{Binding, schema};
use crate::engine::store::Change;
use crate::error::code;
use crate::protocol::{ErrorBody, Payload, TriggerId};

/// Changes whose events wait for slow listeners; one more change is refused then.
pub(super) const WAITING: usize = 65_536;

/// The config of a `state` binding. What is absent matches everything.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(crate) struct StateConfig {
    /// The scope, exactly.
    scope: Option<String>,
    /// The key, exactly.
    key: Option<String>,
    /// A function that is asked first; `false` skips the event.
    condition_function_id: Option<String>,
}

/// What a function gets, for the list of trigger types.
#[derive(schemars::JsonSchema)]
#[allow(dead_code)]
struct StateCall {
    /// Always `state`.
    r#type: String,
    /// `state:created`, `state:updated` or `state:deleted`.
    event_type: String,
    /// The scope.
    scope: String,
    /// The key.
    key: String,
    /// The value before, or null.
    old_value: Payload,
    /// The value after, or null.
    new_value: Payload,
}

/// The schemas of config and payload.
pub(crate) fn schemas() -> (Option<Payload>, Option<Payload>) {
    (schema::<StateConfig>(), schema::<StateCall>())
}

#[derive(Clone)]
struct Listener {
    binding: Arc<Binding>,
    config: StateConfig,
}

impl Listener {
    fn hears(&self, scope: &str, key: &str) -> bool {
        let matches = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        matches(&self.config.scope, scope) && matches(&self.config.key, key)
    }
}

/// A change that listeners are to hear of.
struct Event {
    listeners: Vec<Listener>,
    data: Payload,
    _counted: Counted,
}

/// One of the events that wait, as long as it is there.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(waiting: &Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of a value.
type Place = (String, String);

/// The bindings, and a queue for each key at which something is going on.
///
/// Events of one key wait for each other, so that a listener hears them in their order; those of different keys do
/// not.
pub(crate) struct Events {
    broker: Broker,
    bindings: Mutex<HashMap<TriggerId, Listener>>,
    queues: Arc<Mutex<HashMap<Place, mpsc::UnboundedSender<Event>>>>,
    /// How many events wait in all queues together.
    waiting: Arc<AtomicUsize>,
}

impl Events {
    /// Without listeners.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, bindings: Mutex::default(), queues: Arc::default(), waiting: Arc::default() }
    }

    /// Whether one more change can be told.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if too many wait already.
    pub(crate) fn check_room(&self) -> Result<(), ErrorBody> {
        if self.waiting.load(Ordering::Relaxed) < WAITING {
            return Ok(());
        }
        let message = format!("{WAITING} changes wait for the functions that hear of them");
        Err(ErrorBody { retryable: Some(true), ..ErrorBody::new(code::OVERLOADED, message) })
    }

    /// Adds a listener, or replaces the one of the same id.
    ///
    /// # Errors
    ///
    /// If the config cannot be read.
    pub(crate) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: StateConfig = binding.config()?;
        let listener = Listener { binding: binding.clone(), config };
        lock(&self.bindings).insert(binding.id.clone(), listener);
        Ok(())
    }

    /// Removes a listener.
    pub(crate) fn unbind(&self, id: &TriggerId) {
        lock(&self.bindings).remove(id);
    }

    /// Ends all queues; what is being handled goes on.
    pub(crate) fn stop(&self) {
        lock(&self.queues).clear();
    }

    /// Queues the event of a change. Called in the order in which the changes happen; never waits.
    pub(crate) fn changed(&self, scope: &str, key: &str, change: &Change) {
        let event_type = match (&change.old, &change.new) {
            (None, None) => return,
            (None, Some(_)) => "state:created",
            (Some(_), Some(_)) => "state:updated",
            (Some(_), None) => "state:deleted",
        };
        let mut listeners: Vec<_> =
            lock(&self.bindings).values().filter(|one| one.hears(scope, key)).cloned().collect();
        if listeners.is_empty() {
            return;
        }
        listeners.sort_by(|a, b| a.binding.id.cmp(&b.binding.id));
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let value = |value: &'_ Option<Payload>| {
            value.as_ref().map_or_else(|| "null".to_owned(), |value| value.as_str().to_owned())
        };
        let data = Payload::from_built(format!(
            r#"{{"type":"state","event_type":"{event_type}","scope":{},"key":{},"old_value":{},"new_value":{}}}"#,
            quoted(scope),
            quoted(key),
            value(&change.old),
            value(&change.new)
        ));
        let event = Event { listeners, data, _counted: Counted::new(&self.waiting) };
        self.queue((scope.to_owned(), key.to_owned()), event);
    }

    fn queue(&self, place: Place, event: Event) {
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
}

/// Handles the events of one key, one listener after the other, until none is waiting.
async fn dispatch(
    broker: Broker,
    queues: Arc<Mutex<HashMap<Place, mpsc::UnboundedSender<Event>>>>,
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
        for listener in event.listeners {
            let condition_function_id =
                listener.config.condition_function_id.as_deref().map(Into::into);
            Condition { condition_function_id }
                .fire_and_wait(&broker, &listener.binding, event.data.clone())
                .await;
        }
    }
}
