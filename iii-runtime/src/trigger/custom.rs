//! Any other kind: a trigger type of a worker, named by its id.

use serde::Serialize;

use super::{Binding, TriggerKind};

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
