//! State triggers: matches changes of state against triggers and dispatches them in order ([protocol 5.6](iii_wire::protocol#s5-6)).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use crate::broker::Broker;
use crate::condition::ConditionalBinding;
use crate::ordered_dispatcher::OrderedDispatcher;
use crate::provider::{Binding, schema};
use crate::store::{Change, json_or_null, json_string};
use iii_wire::protocol::{ErrorBody, FunctionId, Payload, TriggerId};
use iii_wire::sync::lock;

/// Configuration of a `state` trigger. An absent filter matches everything.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(crate) struct StateConfig {
    /// The scope. Matched exactly.
    scope: Option<String>,
    /// The key. Matched exactly.
    key: Option<String>,
    /// A function that is called first; `false` skips the event.
    #[schemars(with = "Option<String>")]
    condition_function_id: Option<FunctionId>,
}

/// The payload of a `state` trigger.
#[derive(schemars::JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct StateCall {
    /// Always `state`.
    r#type: String,
    /// `state:created`, `state:updated` or `state:deleted`.
    event_type: String,
    /// The scope.
    scope: String,
    /// The key.
    key: String,
    /// The previous value, or null.
    old_value: Payload,
    /// The new value, or null.
    new_value: Payload,
}

/// Returns the schemas of the config and of the payload.
pub(crate) fn schemas() -> (Option<Payload>, Option<Payload>) {
    (schema::<StateConfig>(), schema::<StateCall>())
}

/// A bound trigger with its filters.
struct StateTrigger {
    scope: Option<String>,
    key: Option<String>,
    binding: ConditionalBinding,
}

impl StateTrigger {
    fn matches(&self, scope: &str, key: &str) -> bool {
        self.scope.as_deref().is_none_or(|filter| filter == scope)
            && self.key.as_deref().is_none_or(|filter| filter == key)
    }
}

/// The bound triggers, and the dispatcher of their events.
pub(crate) struct StateTriggers {
    triggers: Mutex<HashMap<TriggerId, StateTrigger>>,
    dispatcher: OrderedDispatcher,
}

impl StateTriggers {
    /// No triggers.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { triggers: Mutex::default(), dispatcher: OrderedDispatcher::new(broker) }
    }

    /// Checks that the event of one more change can be queued.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if too many events are pending.
    pub(crate) fn check_capacity(&self) -> Result<(), ErrorBody> {
        self.dispatcher.check_capacity()
    }

    /// Adds a trigger, replacing the one with the same id.
    ///
    /// # Errors
    ///
    /// If the config is invalid.
    pub(crate) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let StateConfig { scope, key, condition_function_id } = binding.config()?;
        let conditional = ConditionalBinding::new(binding, condition_function_id);
        let trigger = StateTrigger { scope, key, binding: conditional };
        lock(&self.triggers).insert(binding.id.clone(), trigger);
        Ok(())
    }

    /// Removes a trigger.
    pub(crate) fn unbind(&self, id: &TriggerId) {
        lock(&self.triggers).remove(id);
    }

    /// Discards queued events. Functions that already run are not cancelled.
    pub(crate) fn stop(&self) {
        self.dispatcher.stop();
    }

    /// Queues the event of a change. Must be called in the order of the changes; never waits.
    pub(crate) fn dispatch(&self, scope: &str, key: &str, change: &Change) {
        let event_type = match (&change.old, &change.new) {
            (None, None) => return,
            (None, Some(_)) => "state:created",
            (Some(_), Some(_)) => "state:updated",
            (Some(_), None) => "state:deleted",
        };
        let bindings: Vec<_> = lock(&self.triggers)
            .values()
            .filter(|trigger| trigger.matches(scope, key))
            .map(|trigger| trigger.binding.clone())
            .collect();
        if bindings.is_empty() {
            return;
        }
        let data = Payload::from_built(format!(
            r#"{{"type":"state","event_type":"{event_type}","scope":{},"key":{},"old_value":{},"new_value":{}}}"#,
            json_string(scope),
            json_string(key),
            json_or_null(change.old.as_ref()),
            json_or_null(change.new.as_ref())
        ));
        self.dispatcher.dispatch((scope.to_owned(), key.to_owned()), bindings, data);
    }
}
