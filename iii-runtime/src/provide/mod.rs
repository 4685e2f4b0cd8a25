//! Providers of a worker: custom trigger types and stream stores.

mod descriptor;
mod emitter;
pub(crate) mod stream;
mod trigger_type;
mod typed;

pub(crate) use descriptor::{BindingContext, BindingTask, declared_trigger_types};
pub use descriptor::{TriggerTypeDeclaration, TriggerTypeDescriptor};
pub use emitter::Emitter;
pub(crate) use stream::{ItemLocks, declared_stream_stores};
pub use stream::{StreamStore, StreamStoreDeclaration, StreamStoreDescriptor};
pub use trigger_type::TriggerType;
pub(crate) use typed::TypedTrigger;
