//! What a worker provides beside functions: trigger types of its own.

mod descriptor;
mod emitter;
mod trigger_type;

pub(crate) use descriptor::{Begin, Running, declared_types};
pub use descriptor::{TriggerTypeDeclaration, TriggerTypeDescriptor};
pub use emitter::Emitter;
pub use trigger_type::TriggerType;
