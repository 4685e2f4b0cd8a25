//! Any other kind: a trigger type of a worker, named by its id, or by the type of its config.

use serde::Serialize;
use serde_json::Value;

use super::{Binding, TriggerKind, Use};
use crate::provide::TriggerType;
use iii_wire::protocol::Payload;

/// What a trigger of another type is told.
#[derive(Debug, Clone, Copy)]
pub struct Custom<C> {
    /// The id of the trigger type.
    pub trigger_type: &'static str,
    /// What the type wants to know.
    pub config: C,
}

impl<C: Serialize> From<Custom<C>> for Binding {
    fn from(custom: Custom<C>) -> Self {
        let kind = TriggerKind::from(custom.trigger_type);
        Binding::new(kind, &custom.config, String::new())
    }
}

/// What a trigger of a type is told whose config is a type of Rust.
#[derive(Debug, Clone, Copy)]
pub struct Typed<T> {
    /// What the type wants to know.
    pub config: T,
    /// Asked first; `false` skips the event.
    pub condition: Option<Use>,
}

impl<T: TriggerType> From<Typed<T>> for Binding {
    fn from(typed: Typed<T>) -> Self {
        let mut binding = Binding::new(TriggerKind::from(T::ID), &typed.config, String::new());
        if let Some(condition) = &typed.condition
            && let Ok(Value::Object(mut config)) = binding.config.parse()
        {
            // The provider asks it, before it fires.
            config.insert("condition_function_id".to_owned(), condition.id.into());
            binding.config = Payload::from(Value::Object(config));
        }
        binding.with_condition(typed.condition)
    }
}
