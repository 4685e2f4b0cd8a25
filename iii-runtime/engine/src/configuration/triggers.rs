//! Configuration triggers: matches changes of configurations against triggers and dispatches them in order ([protocol 5.10](iii_wire::protocol#s5-10)).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::ConfigurationEntry;
use crate::broker::Broker;
use crate::condition::ConditionalBinding;
use crate::ordered_dispatcher::OrderedDispatcher;
use crate::provider::{Binding, schema, to_payload};
use iii_wire::protocol::{ErrorBody, FunctionId, Payload, TriggerId};
use iii_wire::sync::lock;

/// A change of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) enum ConfigurationEventType {
    /// The first registration.
    #[serde(rename = "configuration:registered")]
    Registered,
    /// A further registration, or a new value.
    #[serde(rename = "configuration:updated")]
    Updated,
    /// The removal. This engine does not remove configurations.
    #[serde(rename = "configuration:deleted")]
    Deleted,
}

/// Configuration of a `configuration` trigger. An absent filter matches everything.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
struct ConfigurationTriggerConfig {
    /// The configuration id. Matched exactly.
    configuration_id: Option<String>,
    /// The types of events.
    event_types: Option<Vec<ConfigurationEventType>>,
    /// A function that is called first; `false` skips the event.
    #[schemars(with = "Option<String>")]
    condition_function_id: Option<FunctionId>,
}

/// Payload of a `configuration` trigger.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ConfigurationTriggerPayload<'a> {
    /// Always `configuration`.
    r#type: &'static str,
    /// The type of the event.
    event_type: ConfigurationEventType,
    /// The configuration id.
    id: &'a str,
    /// The display name.
    name: &'a str,
    /// The description.
    description: &'a str,
    /// JSON Schema of the value.
    schema: &'a Payload,
    /// The previous value, or null.
    old_value: Option<Payload>,
    /// The new value, or null.
    new_value: Option<Payload>,
    /// Metadata of the registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Payload>,
}

/// Returns the schemas of the config and of the payload.
pub(super) fn schemas() -> (Option<Payload>, Option<Payload>) {
    (schema::<ConfigurationTriggerConfig>(), schema::<ConfigurationTriggerPayload<'_>>())
}

/// A bound trigger with its filters.
struct ConfigurationTrigger {
    configuration_id: Option<String>,
    event_types: Option<Vec<ConfigurationEventType>>,
    binding: ConditionalBinding,
}

impl ConfigurationTrigger {
    fn matches(&self, id: &str, event_type: ConfigurationEventType) -> bool {
        self.configuration_id.as_deref().is_none_or(|filter| filter == id)
            && self.event_types.as_ref().is_none_or(|filter| filter.contains(&event_type))
    }
}

/// The bound triggers, and the dispatcher of their events.
pub(super) struct ConfigurationTriggers {
    triggers: Mutex<HashMap<TriggerId, ConfigurationTrigger>>,
    dispatcher: OrderedDispatcher,
}

impl ConfigurationTriggers {
    /// No triggers.
    pub(super) fn new(broker: Broker) -> Self {
        Self { triggers: Mutex::default(), dispatcher: OrderedDispatcher::new(broker) }
    }

    /// Checks that the event of one more change can be queued.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if too many events are pending.
    pub(super) fn check_capacity(&self) -> Result<(), ErrorBody> {
        self.dispatcher.check_capacity()
    }

    /// Adds a trigger, replacing the one with the same id.
    ///
    /// # Errors
    ///
    /// If the config is invalid.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: ConfigurationTriggerConfig = binding.config()?;
        let ConfigurationTriggerConfig { configuration_id, event_types, condition_function_id } =
            config;
        let conditional = ConditionalBinding::new(binding, condition_function_id);
        let trigger = ConfigurationTrigger { configuration_id, event_types, binding: conditional };
        lock(&self.triggers).insert(binding.id.clone(), trigger);
        Ok(())
    }

    /// Removes a trigger.
    pub(super) fn unbind(&self, id: &TriggerId) {
        lock(&self.triggers).remove(id);
    }

    /// Discards queued events. Functions that already run are not cancelled.
    pub(super) fn stop(&self) {
        self.dispatcher.stop();
    }

    /// Queues the event of a change. Must be called in the order of the changes; never waits. `expand` substitutes the
    /// variables of a value.
    pub(super) fn dispatch(
        &self,
        event_type: ConfigurationEventType,
        old: Option<&ConfigurationEntry>,
        new: &ConfigurationEntry,
        expand: &dyn Fn(&Payload) -> Payload,
    ) {
        let bindings: Vec<_> = lock(&self.triggers)
            .values()
            .filter(|trigger| trigger.matches(&new.id, event_type))
            .map(|trigger| trigger.binding.clone())
            .collect();
        if bindings.is_empty() {
            return;
        }
        let payload = ConfigurationTriggerPayload {
            r#type: "configuration",
            event_type,
            id: &new.id,
            name: &new.name,
            description: &new.description,
            schema: &new.schema,
            old_value: old.map(|old| expand(&old.value)),
            new_value: Some(expand(&new.value)),
            metadata: new.metadata.as_ref(),
        };
        match to_payload(&payload) {
            Ok(data) => self.dispatcher.dispatch((String::new(), new.id.clone()), bindings, data),
            Err(error) => tracing::warn!("failed to serialize a `configuration` event: {error}"),
        }
    }
}
