//! State: values by scope and key, and triggers that fire when they change (protocol sections 5.6 and 6.2).

mod events;
pub(crate) mod update;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::broker::Broker;
use super::provider::{Binding, BuiltIn, Provider, TriggerTypeInfo};
use super::store::{Change, PendingWrite, Decide, StoreError, Table, write_function};
use iii_wire::protocol::{ErrorBody, Payload};

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

/// The settings of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateSettings {
    /// The longest value, in bytes of JSON, that `state::set` and `state::update` may leave. Default: no limit but that of
    /// the store.
    pub(crate) max_value_bytes: Option<usize>,
    /// Whether changes fire triggers. Default: yes.
    pub(crate) triggers_enabled: bool,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self { max_value_bytes: None, triggers_enabled: true }
    }
}

/// What a function that changes something ends in: its output, and when it is certain.
type Storing = Result<(Option<Payload>, PendingWrite), ErrorBody>;

/// The provider of `state::*` and of the trigger type `state`.
pub(crate) struct StateProvider {
    table: Table,
    events: Events,
    settings: StateSettings,
}

impl StateProvider {
    /// State that is kept in `table`.
    pub(crate) fn new(broker: Broker, table: Table, settings: StateSettings) -> Self {
        Self { table, events: Events::new(broker), settings }
    }

    fn change(
        &self,
        scope: &str,
        key: &str,
        code: &str,
        decide: &mut Decide<'_>,
    ) -> Result<(Change, PendingWrite), ErrorBody> {
        if self.settings.triggers_enabled {
            self.events.check_capacity()?;
        }
        let limit = self.settings.max_value_bytes.unwrap_or(usize::MAX);
        let mut too_large = None;
        let mut decide = |old: Option<&Payload>| {
            let new = decide(old)?;
            match new.as_ref().map(|new| new.as_str().len()) {
                Some(bytes) if bytes > limit => {
                    too_large = Some(bytes);
                    Err(StoreError("the value is too large".to_owned()))
                }
                _ => Ok(new),
            }
        };
        // The event is queued inside the step, so that events come in the order of the changes.
        let mut seen = |change: &Change| {
            if self.settings.triggers_enabled {
                self.events.changed(scope, key, change);
            }
        };
        let changed = self.table.change(scope, key, &mut decide, &mut seen);
        changed.map_err(|error| match too_large {
            Some(bytes) => ErrorBody::new(
                "VALUE_TOO_LARGE",
                format!("the value has {bytes} bytes, and may have {limit}"),
            ),
            None => error.to_body(code),
        })
    }

    fn set(&self, input: &Set) -> Storing {
        let Set { scope, key, value } = input;
        let (change, committed) =
            self.change(scope, key, "SET_ERROR", &mut |_| Ok(Some(value.clone())))?;
        Ok((update::changed(&change, &[])?, committed))
    }

    fn delete(&self, input: &Place) -> Storing {
        let (change, committed) =
            self.change(&input.scope, &input.key, "DELETE_ERROR", &mut |_| Ok(None))?;
        Ok((change.old, committed))
    }

    fn update(&self, input: &Update) -> Storing {
        let mut errors = Vec::new();
        let (change, committed) =
            self.change(&input.scope, &input.key, "UPDATE_ERROR", &mut |old| {
                let (new, failed) = update::apply(old, &input.ops).map_err(|error| {
                    StoreError(format!("the value cannot be worked on: {error}"))
                })?;
                errors = failed;
                Ok(Some(new))
            })?;
        Ok((update::changed(&change, &errors)?, committed))
    }
}

/// The values as the text of a list.
fn list_of(values: &[(String, Payload)]) -> Payload {
    let values: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
    Payload::from_built(format!("[{}]", values.join(",")))
}

impl Provider for StateProvider {
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
            write_function::<_, Changed, _>(
                "state::set",
                "Sets a value.",
                "SET_ERROR",
                move |input: Set| set.set(&input),
            ),
            BuiltIn::raw::<_, Payload, _>("state::get", "Reads a value.", move |input: Place| {
                Ok(get.table.get(&input.scope, &input.key))
            }),
            write_function::<_, Payload, _>(
                "state::delete",
                "Removes a value.",
                "DELETE_ERROR",
                move |input: Place| delete.delete(&input),
            ),
            write_function::<_, Changed, _>(
                "state::update",
                "Changes parts of a value.",
                "UPDATE_ERROR",
                move |input: Update| update.update(&input),
            ),
            BuiltIn::raw::<_, Vec<Payload>, _>(
                "state::list",
                "Lists the values of a scope.",
                move |input: List| Ok(Some(list_of(&list.table.list(&input.scope)))),
            ),
            BuiltIn::sync("state::list_groups", "Lists the scopes.", move |_: Nothing, _| {
                Ok(Some(Groups { groups: groups.table.scopes() }))
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
