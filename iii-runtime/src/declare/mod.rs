//! Declarations as data: what the macros submit, and the catalogue that is made of it.
//!
//! A declaration does nothing by itself. [`Catalogue::assemble`] gathers and checks all of them without a connection.

mod catalogue;
mod descriptor;
mod signature;

pub use catalogue::{Catalogue, Entry, Problem, Problems};
pub use descriptor::{
    Declaration, Function, FunctionDescriptor, HandlerFuture, Location, TriggerDescriptor,
};
#[cfg(feature = "engine")]
pub(crate) use signature::made_once;
pub use signature::{Requirement, Shape, Signature};

pub(crate) use catalogue::{check_declared, declared};
