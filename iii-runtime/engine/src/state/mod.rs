//! State: values by scope and key, and triggers that fire when they change ([protocol 5.6](iii_wire::protocol#s5-6), [6.2](iii_wire::protocol#s6-2)).

mod triggers;
pub(crate) mod update;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::broker::Broker;
use super::provider::{Binding, BuiltIn, Provider, TriggerTypeInfo};
use super::store::{Change, PendingWrite, StoreError, Table, UpdateFn, write_function};
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};

use triggers::StateTriggers;
use update::{ChangeOutput, UpdateOp};

/// The input of `state::get` and `state::delete`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct StateKeyInput {
    /// The scope.
    scope: String,
    /// The key.
    key: String,
}

/// The input of `state::set`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct StateSetInput {
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
struct StateUpdateInput {
    /// The scope.
    scope: String,
    /// The key.
    key: String,
    /// The operations, applied in order.
    ops: Vec<UpdateOp>,
}

/// The input of `state::list`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct StateListInput {
    /// The scope.
    scope: String,
}

/// The input of `state::list_groups`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct StateListGroupsInput {}

/// The output of `state::list_groups`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct StateListGroupsOutput {
    /// The names of all scopes, sorted.
    groups: Vec<String>,
}

/// The settings of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateSettings {
    /// The maximum size of a value that `state::set` and `state::update` may store, in bytes of JSON. Default: only limited
    /// by the store.
    pub(crate) max_value_bytes: Option<usize>,
    /// Whether changes fire triggers. Default `true`.
    pub(crate) triggers_enabled: bool,
}

impl Default for StateSettings {
    fn default() -> Self {
        Self { max_value_bytes: None, triggers_enabled: true }
    }
}

/// The output of a function that changes a value, and the pending write of the change.
type WriteResult = Result<(Option<Payload>, PendingWrite), ErrorBody>;

/// The provider of the functions `state::*` and of the trigger type `state`.
pub(crate) struct StateProvider {
    table: Table,
    triggers: StateTriggers,
    settings: StateSettings,
}

impl StateProvider {
    /// State that is stored in `table`.
    pub(crate) fn new(broker: Broker, table: Table, settings: StateSettings) -> Self {
        Self { table, triggers: StateTriggers::new(broker), settings }
    }

    fn change(
        &self,
        scope: &str,
        key: &str,
        code: &str,
        update: &mut UpdateFn<'_>,
    ) -> Result<(Change, PendingWrite), ErrorBody> {
        if self.settings.triggers_enabled {
            self.triggers.check_capacity()?;
        }
        let limit = self.settings.max_value_bytes.unwrap_or(usize::MAX);
        let mut rejected_size = None;
        let mut checked_update = |old: Option<&Payload>| {
            let new = update(old)?;
            match new.as_ref().map(|new| new.as_str().len()) {
                Some(bytes) if bytes > limit => {
                    rejected_size = Some(bytes);
                    Err(StoreError("the value is too large".to_owned()))
                }
                _ => Ok(new),
            }
        };
        // The hook runs under the write lock of the table, so that events are queued in the order of the changes.
        let mut hook = |change: &Change| {
            if self.settings.triggers_enabled {
                self.triggers.dispatch(scope, key, change);
            }
        };
        let changed = self.table.change(scope, key, &mut checked_update, &mut hook);
        changed.map_err(|error| match rejected_size {
            Some(bytes) => ErrorBody::new(
                code::VALUE_TOO_LARGE,
                format!("the value has {bytes} bytes; the limit is {limit}"),
            ),
            None => error.to_body(code),
        })
    }

    fn set(&self, input: &StateSetInput) -> WriteResult {
        let StateSetInput { scope, key, value } = input;
        let (change, pending) =
            self.change(scope, key, code::SET_ERROR, &mut |_| Ok(Some(value.clone())))?;
        Ok((update::change_output(&change, &[])?, pending))
    }

    fn delete(&self, input: &StateKeyInput) -> WriteResult {
        let (change, pending) =
            self.change(&input.scope, &input.key, code::DELETE_ERROR, &mut |_| Ok(None))?;
        Ok((change.old, pending))
    }

    fn update(&self, input: &StateUpdateInput) -> WriteResult {
        let mut errors = Vec::new();
        let (change, pending) =
            self.change(&input.scope, &input.key, code::UPDATE_ERROR, &mut |old| {
                let (new, failed) = update::apply(old, &input.ops)
                    .map_err(|error| StoreError(format!("the value cannot be updated: {error}")))?;
                errors = failed;
                Ok(Some(new))
            })?;
        Ok((update::change_output(&change, &errors)?, pending))
    }
}

impl Provider for StateProvider {
    fn name(&self) -> &'static str {
        "iii-state"
    }

    fn description(&self) -> &'static str {
        "Stores values by scope and key, and fires triggers when they change."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        let (config_schema, request_schema) = triggers::schemas();
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
            write_function::<_, ChangeOutput, _>(
                "state::set",
                "Sets a value.",
                code::SET_ERROR,
                move |input: StateSetInput| set.set(&input),
            ),
            BuiltIn::raw::<_, Payload, _>(
                "state::get",
                "Reads a value.",
                move |input: StateKeyInput| Ok(get.table.get(&input.scope, &input.key)),
            ),
            write_function::<_, Payload, _>(
                "state::delete",
                "Removes a value.",
                code::DELETE_ERROR,
                move |input: StateKeyInput| delete.delete(&input),
            ),
            write_function::<_, ChangeOutput, _>(
                "state::update",
                "Applies operations to a value.",
                code::UPDATE_ERROR,
                move |input: StateUpdateInput| update.update(&input),
            ),
            BuiltIn::raw::<_, Vec<Payload>, _>(
                "state::list",
                "Lists the values of a scope.",
                move |input: StateListInput| {
                    Ok(Some(Payload::from_built(list.table.json_array(&input.scope))))
                },
            ),
            BuiltIn::sync(
                "state::list_groups",
                "Lists the scopes.",
                move |_: StateListGroupsInput, _| {
                    Ok(Some(StateListGroupsOutput { groups: groups.table.scopes() }))
                },
            ),
        ]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.triggers.bind(binding)
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        self.triggers.unbind(&binding.id);
    }

    fn stop(&self) {
        self.triggers.stop();
    }
}
