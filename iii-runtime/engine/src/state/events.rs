//! State triggers: who hears of a change, in the order in which changes happen (protocol section 5.6).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Deserialize;

use crate::broker::Broker;
use crate::condition::{Condition, ConditionalBinding};
use crate::ordered_dispatcher::OrderedDispatcher;
use crate::provider::{Binding, schema};
use crate::store::Change;
use iii_wire::protocol::{ErrorBody, FunctionId, Payload, TriggerId};
use iii_wire::sync::lock;

/// The config of a `state` binding. What is absent matches everything.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(crate) struct StateConfig {
    /// The scope, exactly.
    scope: Option<String>,
    /// The key, exactly.
    key: Option<String>,
    /// A function that is asked first; `false` skips the event.
    #[schemars(with = "Option<String>")]
    condition_function_id: Option<FunctionId>,
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

/// A binding with what it wants to hear of.
struct Bound {
    scope: Option<String>,
    key: Option<String>,
    listener: ConditionalBinding,
}

impl Bound {
    fn hears(&self, scope: &str, key: &str) -> bool {
        let matches = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        matches(&self.scope, scope) && matches(&self.key, key)
    }
}

/// The bindings, and the events on their way to them.
pub(crate) struct Events {
    bindings: Mutex<HashMap<TriggerId, Bound>>,
    dispatcher: OrderedDispatcher,
}

impl Events {
    /// Without listeners.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { bindings: Mutex::default(), dispatcher: OrderedDispatcher::new(broker) }
    }

    /// Whether one more change can be told.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if too many wait already.
    pub(crate) fn check_capacity(&self) -> Result<(), ErrorBody> {
        self.dispatcher.check_capacity()
    }

    /// Adds a listener, or replaces the one of the same id.
    ///
    /// # Errors
    ///
    /// If the config cannot be read.
    pub(crate) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let StateConfig { scope, key, condition_function_id } = binding.config()?;
        let condition = Condition { condition_function_id };
        let bound =
            Bound { scope, key, listener: ConditionalBinding { binding: binding.clone(), condition } };
        lock(&self.bindings).insert(binding.id.clone(), bound);
        Ok(())
    }

    /// Removes a listener.
    pub(crate) fn unbind(&self, id: &TriggerId) {
        lock(&self.bindings).remove(id);
    }

    /// Ends all queues; what is being handled goes on.
    pub(crate) fn stop(&self) {
        self.dispatcher.stop();
    }

    /// Queues the event of a change. Called in the order in which the changes happen; never waits.
    pub(crate) fn changed(&self, scope: &str, key: &str, change: &Change) {
        let event_type = match (&change.old, &change.new) {
            (None, None) => return,
            (None, Some(_)) => "state:created",
            (Some(_), Some(_)) => "state:updated",
            (Some(_), None) => "state:deleted",
        };
        let listeners: Vec<_> = lock(&self.bindings)
            .values()
            .filter(|bound| bound.hears(scope, key))
            .map(|bound| bound.listener.clone())
            .collect();
        if listeners.is_empty() {
            return;
        }
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
        self.dispatcher.dispatch((scope.to_owned(), key.to_owned()), listeners, data);
    }
}
