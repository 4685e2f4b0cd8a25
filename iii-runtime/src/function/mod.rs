//! What a function is to those who call it and to those who describe it: id, types, signature, source location.

mod location;
mod signature;

use std::time::Duration;

pub use location::Location;
pub(crate) use signature::ConfigRequirement;
pub use signature::{Requirement, RequestParts, Signature};

/// A function that can be called by its type: the struct of the function's name that
/// [`macro@crate::function`] makes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a declared function",
    label = "not a function of a worker",
    note = "put `#[iii::function(id = \"…\")]` on it, and name it without parentheses: `client.call::<create>(input)`"
)]
pub trait Function: 'static {
    /// The id on the wire.
    const ID: &'static str;
    /// Where it is. `None`: in the namespace of the worker that calls.
    const NAMESPACE: Option<&'static str> = None;
    /// How long a caller waits. `None`: a second longer than its
    /// [`FunctionInfo::timeout`], else the default of the app.
    const TIMEOUT: Option<Duration> = None;
    /// What it takes.
    type Input;
    /// What it returns.
    type Output;

    /// What its declaration in this program says. `None`: another worker declares it.
    fn info() -> Option<FunctionInfo> {
        None
    }
}

/// What the declaration of a function says to those who call it or name it in a trigger.
#[derive(Debug, Clone, Copy)]
pub struct FunctionInfo {
    /// Where it is declared.
    pub location: Location,
    /// What it takes and returns.
    pub signature: fn() -> Signature,
    /// How long one run may take. `None`: as long as the app allows.
    pub timeout: Option<Duration>,
}
