//! What a worker provides beside functions: trigger types and stream stores of its own.

mod descriptor;
mod emitter;
pub mod stream;
mod trigger_type;

pub(crate) use descriptor::{Begin, Running, declared_types};
pub use descriptor::{TriggerTypeDeclaration, TriggerTypeDescriptor};
pub use emitter::Emitter;
pub use stream::{StreamStore, StreamStoreDeclaration, StreamStoreDescriptor};
pub(crate) use stream::{WriteTurns, declared_stores};
pub use trigger_type::TriggerType;
