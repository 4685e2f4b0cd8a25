//! The static descriptors that the macros emit and submit to the inventory, which the catalogue collects and checks.

mod descriptor;
mod endpoint;
mod service;

pub use descriptor::{Declared, FunctionDeclaration, FunctionDescriptor, TriggerDescriptor};
pub use endpoint::{EndpointAuth, EndpointDescriptor, EndpointUrl};
pub use service::{ServiceDeclaration, ServiceDescriptor};
