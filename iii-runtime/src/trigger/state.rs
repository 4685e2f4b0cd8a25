//! The kind `state`: a change of state invokes the function ([protocol 5.6](crate::protocol#s5-6)).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, FunctionRef, TriggerKind, condition_id};

/// Configuration of a `state` trigger.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Limits the trigger to one scope. Default: all.
    pub scope: Option<&'static str>,
    /// Limits the trigger to one key. Default: all.
    pub key: Option<&'static str>,
    /// Evaluated first; `false` skips the change.
    pub condition: Option<FunctionRef>,
}

impl From<State> for Binding {
    fn from(state: State) -> Self {
        #[derive(Serialize)]
        struct Config<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            scope: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            key: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            condition_function_id: Option<&'a str>,
        }
        let config = Config {
            scope: state.scope,
            key: state.key,
            condition_function_id: condition_id(&state.condition),
        };
        let summary = format!("{}/{}", state.scope.unwrap_or("*"), state.key.unwrap_or("*"));
        Binding::new(TriggerKind::State, &config, summary).with_condition(state.condition)
    }
}

/// The event of a `state` trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateEvent<T> {
    /// The kind of change.
    pub event_type: StateChange,
    /// The scope.
    pub scope: String,
    /// The key.
    pub key: String,
    /// The previous value; `None` if there was none.
    pub old_value: Option<T>,
    /// The new value; `None` if it was deleted.
    pub new_value: Option<T>,
}

impl<T> StateEvent<T> {
    /// The event of a created value, for unit tests and direct calls.
    pub fn created(scope: impl Into<String>, key: impl Into<String>, value: T) -> Self {
        Self::new(StateChange::Created, scope, key, None, Some(value))
    }

    /// The event of an updated value, for unit tests and direct calls.
    pub fn updated(scope: impl Into<String>, key: impl Into<String>, old: T, new: T) -> Self {
        Self::new(StateChange::Updated, scope, key, Some(old), Some(new))
    }

    /// The event of a deleted value, for unit tests and direct calls.
    pub fn deleted(scope: impl Into<String>, key: impl Into<String>, value: T) -> Self {
        Self::new(StateChange::Deleted, scope, key, Some(value), None)
    }

    fn new(
        event_type: StateChange,
        scope: impl Into<String>,
        key: impl Into<String>,
        old_value: Option<T>,
        new_value: Option<T>,
    ) -> Self {
        Self { event_type, scope: scope.into(), key: key.into(), old_value, new_value }
    }
}

/// The kind of change of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StateChange {
    /// There was no value before.
    #[serde(rename = "state:created")]
    Created,
    /// The value was replaced, possibly with an equal one.
    #[serde(rename = "state:updated")]
    Updated,
    /// The value was deleted.
    #[serde(rename = "state:deleted")]
    Deleted,
}
