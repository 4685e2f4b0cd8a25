//! State: values by scope and key, and triggers that fire when they change (protocol sections 5.6 and 6.2).

mod events;
pub(crate) mod update;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::broker::Broker;
use super::provider::{Binding, BuiltIn, Outcome, Provider, TriggerTypeInfo, to_payload};
use super::store::{Change, Decide, Store, StoreError};
use crate::protocol::{ErrorBody, Payload};

use events::Events;
use update::{UpdateError, UpdateOp};

/// The place of a value.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Place {
    /// The scope.
    scope: String,
    /// The key.
    key: String,
}

/// The input of `state::set`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Set {
    /// The scope.
    scope: String,
    /// The key.
    key: String,
    /// The value.
    #[serde(alias = "data")]
    value: Payload,
}

/// The input of `state::update`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Update {
    /// The scope.
    scope: String,
    /// The key.
    key: String,
    /// What to do, in order.
    ops: Vec<UpdateOp>,
}

/// The input of `state::list`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct List {
    /// The scope.
    scope: String,
}

/// The input of functions that need none.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// What a change made of a value; see [`changed`].
#[derive(Debug, schemars::JsonSchema)]
#[allow(dead_code)]
struct Changed {
    /// The value before; null if there was none.
    old_value: Option<Payload>,
    /// The value after.
    new_value: Payload,
    /// The operations that failed, if any. The others were done.
    #[serde(default)]
    errors: Vec<UpdateError>,
}

/// All scopes.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Groups {
    /// Their names, in order.
    groups: Vec<String>,
}

/// The provider of `state::*` and of the trigger type `state`.
pub(crate) struct State {
    store: Arc<dyn Store>,
    events: Events,
}

impl State {
    /// State that is kept in `store`.
    pub(crate) fn new(broker: Broker, store: Arc<dyn Store>) -> Self {
        Self { store, events: Events::new(broker) }
    }

    fn change(
        &self,
        scope: &str,
        key: &str,
        code: &str,
        decide: &mut Decide<'_>,
    ) -> Result<Change, ErrorBody> {
        // The event is queued inside the step, so that events come in the order of the changes.
        let mut seen = |change: &Change| self.events.changed(scope, key, change);
        self.store.change(scope, key, decide, &mut seen).map_err(|error| error.to_body(code))
    }

    fn set(&self, input: &Set) -> Outcome {
        let Set { scope, key, value } = input;
        let change = self.change(scope, key, "SET_ERROR", &mut |_| Ok(Some(value.clone())))?;
        changed(&change, &[])
    }

    fn get(&self, input: &Place) -> Outcome {
        self.store.get(&input.scope, &input.key).map_err(|error| error.to_body("GET_ERROR"))
    }

    fn delete(&self, input: &Place) -> Outcome {
        Ok(self.change(&input.scope, &input.key, "DELETE_ERROR", &mut |_| Ok(None))?.old)
    }

    fn update(&self, input: &Update) -> Outcome {
        let mut errors = Vec::new();
        let change = self.change(&input.scope, &input.key, "UPDATE_ERROR", &mut |old| {
            let (new, failed) = update::apply(old, &input.ops)
                .map_err(|error| StoreError(format!("the value cannot be worked on: {error}")))?;
            errors = failed;
            Ok(Some(new))
        })?;
        changed(&change, &errors)
    }

    fn list(&self, input: &List) -> Result<Option<Vec<Payload>>, ErrorBody> {
        let values = self.store.list(&input.scope).map_err(|error| error.to_body("LIST_ERROR"))?;
        Ok(Some(values.into_iter().map(|(_, value)| value).collect()))
    }

    fn list_groups(&self) -> Result<Option<Groups>, ErrorBody> {
        let groups = self.store.scopes().map_err(|error| error.to_body("LIST_GROUPS_ERROR"))?;
        Ok(Some(Groups { groups }))
    }
}

/// A [`Changed`] as text around the values, which are not read for it.
fn changed(change: &Change, errors: &[UpdateError]) -> Outcome {
    let value = |value: &'_ Option<Payload>| -> String {
        value.as_ref().map_or("null", Payload::as_str).to_owned()
    };
    let mut text =
        format!(r#"{{"old_value":{},"new_value":{}"#, value(&change.old), value(&change.new));
    if !errors.is_empty() {
        text.push_str(",\"errors\":");
        text.push_str(to_payload(errors)?.as_str());
    }
    text.push('}');
    Ok(Some(Payload::from_built(text)))
}

impl Provider for State {
    fn name(&self) -> &'static str {
        "iii-state"
    }

    fn description(&self) -> &'static str {
        "Keep values by scope and key, and react to their changes."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        let (config_schema, request_schema) = events::schemas();
        vec![TriggerTypeInfo {
            id: "state",
            description: "Fires when a value is created, updated or deleted.",
            config_schema,
            request_schema,
        }]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        let this = || self.clone();
        let (set, get, delete, update, list, groups) =
            (this(), this(), this(), this(), this(), this());
        vec![
            BuiltIn::raw::<_, Changed, _>("state::set", "Sets a value.", move |input: Set| {
                set.set(&input)
            }),
            BuiltIn::raw::<_, Payload, _>("state::get", "Reads a value.", move |input: Place| {
                get.get(&input)
            }),
            BuiltIn::raw::<_, Payload, _>(
                "state::delete",
                "Removes a value.",
                move |input: Place| delete.delete(&input),
            ),
            BuiltIn::raw::<_, Changed, _>(
                "state::update",
                "Changes parts of a value.",
                move |input: Update| update.update(&input),
            ),
            BuiltIn::sync("state::list", "Lists the values of a scope.", move |input: List, _| {
                list.list(&input)
            }),
            BuiltIn::sync("state::list_groups", "Lists the scopes.", move |_: Nothing, _| {
                groups.list_groups()
            }),
        ]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.events.bind(binding)
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        self.events.unbind(&binding.id);
    }

    fn stop(&self) {
        self.events.stop();
    }
}
