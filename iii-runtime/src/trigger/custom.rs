//! A trigger of a type that a worker provides, named by its id.

use serde::Serialize;

use super::{Binding, TriggerKind};

/// Configuration of a trigger of a custom type.
#[derive(Debug, Clone, Copy)]
pub struct Custom<C> {
    /// The id of the trigger type.
    pub trigger_type: &'static str,
    /// The configuration that the type expects.
    pub config: C,
}

impl<C: Serialize> From<Custom<C>> for Binding {
    fn from(custom: Custom<C>) -> Self {
        let kind = TriggerKind::from(custom.trigger_type);
        Binding::new(kind, &custom.config, String::new())
    }
}
