//! Triggers of a declared trigger type, configured with its Rust type.

use iii_wire::TriggerKind;
use iii_wire::protocol::Payload;
use serde_json::Value;

use super::TriggerType;
use crate::trigger::{Binding, FunctionRef};

/// Configuration of a trigger whose type is declared with [`macro@crate::trigger_type`].
#[derive(Debug, Clone, Copy)]
pub struct TypedTrigger<T> {
    /// The configuration.
    pub config: T,
    /// Evaluated before each event; `false` skips it.
    pub condition: Option<FunctionRef>,
}

impl<T: TriggerType> From<TypedTrigger<T>> for Binding {
    fn from(typed: TypedTrigger<T>) -> Self {
        let mut binding = Binding::new(TriggerKind::from(T::ID), &typed.config, String::new());
        if let Some(condition) = &typed.condition
            && let Ok(Value::Object(mut config)) = binding.config.parse()
        {
            // The provider of the type evaluates it.
            config.insert("condition_function_id".to_owned(), condition.id.into());
            binding.config = Payload::from(Value::Object(config));
        }
        binding.with_condition(typed.condition)
    }
}
