//! Declarations as data: what the macros submit, and the catalogue that is made of it.
//!
//! A declaration does nothing by itself. [`Catalogue::assemble`] gathers and checks all of them without a connection.

mod catalogue;
mod checks;
mod descriptor;
mod endpoint;
mod problem;
mod service;
mod signature;
pub(crate) mod texts;

pub use catalogue::{Catalogue, Declarations, Entry};
pub use descriptor::{
    Declaration, Function, FunctionDescriptor, HandlerFuture, Location, TriggerDescriptor,
};
pub(crate) use endpoint::Endpoints;
pub use endpoint::{Endpoint, EndpointAuth, EndpointDescriptor, EndpointUrl};
pub use problem::{Problem, Problems};
pub use service::{ServiceDeclaration, ServiceDescriptor};
pub use signature::{Requirement, Shape, Signature};
pub(crate) use signature::{document, made_once};

pub(crate) use catalogue::check_declared;
#[cfg(feature = "testing")]
pub(crate) use catalogue::declared;
