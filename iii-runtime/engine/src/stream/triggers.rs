//! Stream triggers: dispatches the events of each item to each trigger in order ([protocol 5.7](iii_wire::protocol#s5-7)).

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::group::StreamGroup;
use super::message::StreamMessage;
use crate::broker::Broker;
use crate::condition::ConditionalBinding;
use crate::provider::{Binding, refused, schema};
use crate::trigger_index::TriggerIndex;
use iii_wire::protocol::{ErrorBody, Payload, TriggerId};
use iii_wire::sync::lock;

/// Configuration of a `stream` trigger.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct StreamConfig {
    /// The stream. Matched exactly.
    #[schemars(required)]
    stream_name: Option<String>,
    /// The group. Matched exactly; absent or empty: any group.
    group_id: Option<String>,
    /// The item. Matched exactly; absent or empty: any item.
    item_id: Option<String>,
    /// A function that is called first; `false` skips the event.
    condition_function_id: Option<String>,
}

/// Returns the schema of the config.
pub(super) fn config_schema() -> Option<Payload> {
    schema::<StreamConfig>()
}

/// A bound trigger with its filters.
struct StreamTrigger {
    trigger: ConditionalBinding,
    group: Option<String>,
    item: Option<String>,
    /// The number of events that are queued or being handled.
    pending: AtomicUsize,
}

impl StreamTrigger {
    fn matches(&self, group: &str, item: Option<&str>) -> bool {
        self.group.as_deref().is_none_or(|filter| filter == group)
            && self.item.as_deref().is_none_or(|filter| Some(filter) == item)
    }
}

/// Events with the same key run one after the other: the trigger, the group and the item.
type EventKey = (TriggerId, StreamGroup, Option<String>);
/// The queued events of each key that has an event being handled.
type TriggerQueues = Mutex<HashMap<EventKey, VecDeque<Payload>>>;

/// The bound triggers of the type `stream`.
pub(super) struct StreamTriggers {
    broker: Broker,
    triggers: Mutex<TriggerIndex<Arc<StreamTrigger>>>,
    queues: Arc<TriggerQueues>,
}

impl StreamTriggers {
    /// No triggers.
    pub(super) fn new(broker: Broker) -> Self {
        Self { broker, triggers: Mutex::default(), queues: Arc::default() }
    }

    /// Adds a trigger, replacing the one with the same id.
    ///
    /// # Errors
    ///
    /// If the config is invalid, or has no stream.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: StreamConfig = binding.config()?;
        let non_empty = |name: Option<String>| name.filter(|name| !name.is_empty());
        let stream = non_empty(config.stream_name)
            .ok_or_else(|| refused("a `stream` trigger requires `stream_name`"))?;
        let trigger = StreamTrigger {
            trigger: ConditionalBinding::new(binding, config.condition_function_id),
            group: non_empty(config.group_id),
            item: non_empty(config.item_id),
            pending: AtomicUsize::new(0),
        };
        lock(&self.triggers).insert(stream, binding.id.clone(), Arc::new(trigger));
        Ok(())
    }

    /// Removes a trigger.
    pub(super) fn unbind(&self, id: &TriggerId) {
        lock(&self.triggers).remove(id);
    }

    /// Removes all triggers and discards queued events. Functions that already run are not cancelled.
    pub(super) fn stop(&self) {
        lock(&self.triggers).clear();
        lock(&self.queues).values_mut().for_each(VecDeque::clear);
    }

    /// Returns whether a stream has triggers.
    pub(super) fn has_triggers(&self, stream: &str) -> bool {
        lock(&self.triggers).contains(stream)
    }

    /// Queues a message for all matching triggers. Never waits.
    pub(super) fn dispatch(
        &self,
        group: &StreamGroup,
        item: Option<&str>,
        message: &StreamMessage,
    ) {
        let matching: Vec<_> = lock(&self.triggers)
            .get(&group.stream)
            .filter(|trigger| trigger.matches(&group.group, item))
            .cloned()
            .collect();
        if matching.is_empty() {
            return;
        }
        let data = message.payload();
        let max_pending = self.broker.limits().streams.trigger_events;
        for trigger in matching {
            let binding = &trigger.trigger.binding;
            // Dropped rather than delayed: a function that hangs must not block writers.
            if trigger.pending.fetch_add(1, Ordering::Relaxed) >= max_pending {
                trigger.pending.fetch_sub(1, Ordering::Relaxed);
                tracing::warn!(
                    trigger = %binding.id,
                    function = %binding.function_id,
                    "an event was dropped: {max_pending} events are pending for this trigger"
                );
                continue;
            }
            let key = (binding.id.clone(), group.clone(), item.map(str::to_owned));
            self.queue(key, trigger, data.clone());
        }
    }

    fn queue(&self, key: EventKey, trigger: Arc<StreamTrigger>, data: Payload) {
        let mut queues = lock(&self.queues);
        if let Some(queue) = queues.get_mut(&key) {
            queue.push_back(data);
            return;
        }
        queues.insert(key.clone(), VecDeque::new());
        tokio::spawn(drain(self.broker.clone(), self.queues.clone(), key, trigger, data));
    }
}

/// Handles the events of one key, one after the other, until its queue is empty.
async fn drain(
    broker: Broker,
    queues: Arc<TriggerQueues>,
    key: EventKey,
    trigger: Arc<StreamTrigger>,
    mut data: Payload,
) {
    loop {
        trigger.trigger.fire_and_wait(&broker, data).await;
        trigger.pending.fetch_sub(1, Ordering::Relaxed);
        let mut queues = lock(&queues);
        match queues.get_mut(&key).and_then(VecDeque::pop_front) {
            Some(next) => data = next,
            None => {
                queues.remove(&key);
                return;
            }
        }
    }
}
