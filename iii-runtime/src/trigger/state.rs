//! The kind `state`: a change of a state invokes the function (protocol section 5.6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind, FunctionRef, id_of};

/// What a `state` trigger is told.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Only this scope. Default: any.
    pub scope: Option<&'static str>,
    /// Only this key. Default: any.
    pub key: Option<&'static str>,
    /// Asked first; `false` skips the change.
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
            condition_function_id: id_of(&state.condition),
        };
        let summary = format!("{}/{}", state.scope.unwrap_or("*"), state.key.unwrap_or("*"));
        Binding::new(TriggerKind::State, &config, summary).with_condition(state.condition)
    }
}

/// The event of a `state` trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateEvent<T> {
    /// What happened.
    pub event_type: StateChange,
    /// The scope.
    pub scope: String,
    /// The key.
    pub key: String,
    /// The value before; `None` if there was none.
    pub old_value: Option<T>,
    /// The value after; `None` if there is none.
    pub new_value: Option<T>,
}

impl<T> StateEvent<T> {
    /// The event of a value that is new, for unit tests and direct calls.
    pub fn created(scope: impl Into<String>, key: impl Into<String>, value: T) -> Self {
        Self::new(StateChange::Created, scope, key, None, Some(value))
    }

    /// The event of a value that was replaced.
    pub fn updated(scope: impl Into<String>, key: impl Into<String>, old: T, new: T) -> Self {
        Self::new(StateChange::Updated, scope, key, Some(old), Some(new))
    }

    /// The event of a value that was removed.
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

/// What happened to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StateChange {
    /// There was no value before.
    #[serde(rename = "state:created")]
    Created,
    /// The value was replaced, possibly by an equal one.
    #[serde(rename = "state:updated")]
    Updated,
    /// The value was removed.
    #[serde(rename = "state:deleted")]
    Deleted,
}
