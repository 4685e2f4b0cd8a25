//! Declarations as data: the static descriptors that the macros emit and submit to the inventory.
//!
//! A descriptor does nothing by itself. The catalogue gathers and checks all of them without a connection.

mod descriptor;
mod endpoint;
mod service;

pub use descriptor::{FunctionDeclaration, Declared, FunctionDescriptor, TriggerDescriptor};
pub use endpoint::{EndpointAuth, EndpointDescriptor, EndpointUrl};
pub use service::{ServiceDeclaration, ServiceDescriptor};
