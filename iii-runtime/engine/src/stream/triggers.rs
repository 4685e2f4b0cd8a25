//! Stream triggers: who hears of an event, for each item in the order of its events (protocol section 5.7).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::message::Message;
use super::place::Place;
use crate::broker::Broker;
use crate::condition::Condition;
use crate::provider::{Binding, refused, schema};
use iii_wire::protocol::{ErrorBody, FunctionId, Payload, TriggerId};
use iii_wire::sync::lock;

/// The config of a `stream` binding.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct StreamConfig {
    /// The stream, exactly.
    #[schemars(required)]
    stream_name: Option<String>,
    /// The group, exactly; absent or empty: any.
    group_id: Option<String>,
    /// The item, exactly; absent or empty: any.
    item_id: Option<String>,
    /// A function that is asked first; `false` skips the event.
    condition_function_id: Option<String>,
}

/// The schema of the config.
pub(super) fn config_schema() -> Option<Payload> {
    schema::<StreamConfig>()
}

struct Listener {
    binding: Arc<Binding>,
    condition: Condition,
    group: Option<String>,
    item: Option<String>,
    waiting: AtomicUsize,
}

impl Listener {
    fn hears(&self, group: &str, item: Option<&str>) -> bool {
        self.group.as_deref().is_none_or(|wanted| wanted == group)
            && self.item.as_deref().is_none_or(|wanted| Some(wanted) == item)
    }
}

/// The listeners of each stream, and the stream of each listener.
#[derive(Default)]
struct Listeners {
    by_stream: HashMap<String, Vec<Arc<Listener>>>,
    stream_of: HashMap<TriggerId, String>,
}

impl Listeners {
    fn remove(&mut self, id: &TriggerId) {
        let Some(stream) = self.stream_of.remove(id) else { return };
        if let Some(listeners) = self.by_stream.get_mut(&stream) {
            listeners.retain(|one| one.binding.id != *id);
            if listeners.is_empty() {
                self.by_stream.remove(&stream);
            }
        }
    }
}

/// What waits for what: the events of one item for one listener.
type Lane = (TriggerId, Place, Option<String>);
/// The lanes in which something is going on, and what waits in them.
type Lanes = Mutex<HashMap<Lane, VecDeque<Payload>>>;

/// The bindings of the type `stream`.
pub(super) struct Triggers {
    broker: Broker,
    listeners: Mutex<Listeners>,
    lanes: Arc<Lanes>,
}

impl Triggers {
    /// Without listeners.
    pub(super) fn new(broker: Broker) -> Self {
        Self { broker, listeners: Mutex::default(), lanes: Arc::default() }
    }

    /// Adds a listener, or replaces the one of the same id.
    ///
    /// # Errors
    ///
    /// If the config cannot be read, or names no stream.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: StreamConfig = binding.config()?;
        let named = |text: Option<String>| text.filter(|text| !text.is_empty());
        let stream = named(config.stream_name)
            .ok_or_else(|| refused("a stream trigger needs `stream_name`"))?;
        let listener = Arc::new(Listener {
            binding: binding.clone(),
            condition: Condition {
                condition_function_id: config.condition_function_id.map(FunctionId::from),
            },
            group: named(config.group_id),
            item: named(config.item_id),
            waiting: AtomicUsize::new(0),
        });
        let mut listeners = lock(&self.listeners);
        listeners.remove(&binding.id);
        listeners.stream_of.insert(binding.id.clone(), stream.clone());
        listeners.by_stream.entry(stream).or_default().push(listener);
        Ok(())
    }

    /// Removes a listener.
    pub(super) fn unbind(&self, id: &TriggerId) {
        lock(&self.listeners).remove(id);
    }

    /// Lets go of what waits; what is being handled goes on.
    pub(super) fn stop(&self) {
        *lock(&self.listeners) = Listeners::default();
        lock(&self.lanes).values_mut().for_each(VecDeque::clear);
    }

    /// Whether anybody hears of a stream.
    pub(super) fn hears(&self, stream: &str) -> bool {
        lock(&self.listeners).by_stream.contains_key(stream)
    }

    /// Tells everybody who hears of it. Never waits.
    pub(super) fn tell(&self, place: &Place, item: Option<&str>, message: &Message) {
        let hearing: Vec<_> = {
            let listeners = lock(&self.listeners);
            let all = listeners.by_stream.get(&place.stream).into_iter().flatten();
            all.filter(|one| one.hears(&place.group, item)).cloned().collect()
        };
        if hearing.is_empty() {
            return;
        }
        let data = message.payload();
        let most = self.broker.limits().streams.trigger_events;
        for listener in hearing {
            // One more is lost: a function that hangs must not hold up those who write.
            if listener.waiting.fetch_add(1, Ordering::Relaxed) >= most {
                listener.waiting.fetch_sub(1, Ordering::Relaxed);
                tracing::warn!(
                    trigger = %listener.binding.id,
                    function = %listener.binding.function_id,
                    "an event was lost: {most} others wait for this function"
                );
                continue;
            }
            let lane = (listener.binding.id.clone(), place.clone(), item.map(str::to_owned));
            self.queue(lane, listener, data.clone());
        }
    }

    fn queue(&self, lane: Lane, listener: Arc<Listener>, data: Payload) {
        let mut lanes = lock(&self.lanes);
        if let Some(waiting) = lanes.get_mut(&lane) {
            waiting.push_back(data);
            return;
        }
        lanes.insert(lane.clone(), VecDeque::new());
        tokio::spawn(handle(self.broker.clone(), self.lanes.clone(), lane, listener, data));
    }
}

/// Handles the events of one lane, one after the other, until none waits.
async fn handle(
    broker: Broker,
    lanes: Arc<Lanes>,
    lane: Lane,
    listener: Arc<Listener>,
    mut data: Payload,
) {
    loop {
        listener.condition.fire_and_wait(&broker, &listener.binding, data).await;
        listener.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut lanes = lock(&lanes);
        match lanes.get_mut(&lane).and_then(VecDeque::pop_front) {
            Some(next) => data = next,
            None => {
                lanes.remove(&lane);
                return;
            }
        }
    }
}
