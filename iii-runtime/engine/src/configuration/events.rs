//! Configuration triggers: who hears of which configuration (protocol section 5.10).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::Entry;
use crate::broker::Broker;
use crate::condition::{Condition, ConditionalBinding};
use crate::ordered_dispatcher::OrderedDispatcher;
use crate::provider::{Binding, schema, to_payload};
use iii_wire::protocol::{ErrorBody, FunctionId, Payload, TriggerId};
use iii_wire::sync::lock;

/// What happened to a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) enum EventType {
    /// It was registered for the first time.
    #[serde(rename = "configuration:registered")]
    Registered,
    /// It was registered again, or its value was set.
    #[serde(rename = "configuration:updated")]
    Updated,
    /// It was removed. This engine removes none.
    #[serde(rename = "configuration:deleted")]
    Deleted,
}

/// The config of a `configuration` binding. What is absent matches everything.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
struct Config {
    /// The configuration, exactly.
    configuration_id: Option<String>,
    /// What may have happened to it.
    event_types: Option<Vec<EventType>>,
    /// A function that is asked first; `false` skips the event.
    #[schemars(with = "Option<String>")]
    condition_function_id: Option<FunctionId>,
}

/// What a function gets.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ConfigurationCall<'a> {
    /// Always `configuration`.
    r#type: &'static str,
    /// What happened.
    event_type: EventType,
    /// The configuration.
    id: &'a str,
    /// Its name, for people.
    name: &'a str,
    /// What it is for.
    description: &'a str,
    /// Its schema.
    schema: &'a Payload,
    /// The value before, or null.
    old_value: Option<Payload>,
    /// The value after, or null.
    new_value: Option<Payload>,
    /// Whatever was registered with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Payload>,
}

/// The schemas of config and payload.
pub(super) fn schemas() -> (Option<Payload>, Option<Payload>) {
    (schema::<Config>(), schema::<ConfigurationCall<'_>>())
}

/// The bindings, and the events on their way to them.
pub(super) struct Events {
    bindings: Mutex<HashMap<TriggerId, (Config, ConditionalBinding)>>,
    dispatcher: OrderedDispatcher,
}

impl Events {
    /// Without listeners.
    pub(super) fn new(broker: Broker) -> Self {
        Self { bindings: Mutex::default(), dispatcher: OrderedDispatcher::new(broker) }
    }

    /// Whether one more change can be told; see [`OrderedDispatcher::check_capacity`].
    pub(super) fn check_capacity(&self) -> Result<(), ErrorBody> {
        self.dispatcher.check_capacity()
    }

    /// Adds a listener, or replaces the one of the same id.
    ///
    /// # Errors
    ///
    /// If the config cannot be read.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: Config = binding.config()?;
        let condition = Condition { condition_function_id: config.condition_function_id.clone() };
        let listener = ConditionalBinding { binding: binding.clone(), condition };
        lock(&self.bindings).insert(binding.id.clone(), (config, listener));
        Ok(())
    }

    /// Removes a listener.
    pub(super) fn unbind(&self, id: &TriggerId) {
        lock(&self.bindings).remove(id);
    }

    /// Ends all queues; what is being handled goes on.
    pub(super) fn stop(&self) {
        self.dispatcher.stop();
    }

    /// Queues the event of a change. Called in the order in which the changes happen; never waits. `expanded` prepares a
    /// value for those who hear of it.
    pub(super) fn changed(
        &self,
        event_type: EventType,
        old: Option<&Entry>,
        new: &Entry,
        expanded: &dyn Fn(&Payload) -> Payload,
    ) {
        let hears = |config: &Config| {
            config.configuration_id.as_ref().is_none_or(|id| *id == new.id)
                && config.event_types.as_ref().is_none_or(|types| types.contains(&event_type))
        };
        let listeners: Vec<_> = lock(&self.bindings)
            .values()
            .filter(|(config, _)| hears(config))
            .map(|(_, listener)| listener.clone())
            .collect();
        if listeners.is_empty() {
            return;
        }
        let call = ConfigurationCall {
            r#type: "configuration",
            event_type,
            id: &new.id,
            name: &new.name,
            description: &new.description,
            schema: &new.schema,
            old_value: old.map(|old| expanded(&old.value)),
            new_value: Some(expanded(&new.value)),
            metadata: new.metadata.as_ref(),
        };
        match to_payload(&call) {
            Ok(data) => self.dispatcher.dispatch((String::new(), new.id.clone()), listeners, data),
            Err(error) => tracing::warn!("a `configuration` event cannot be told: {error}"),
        }
    }
}
