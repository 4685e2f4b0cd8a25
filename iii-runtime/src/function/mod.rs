//! Functions as callers and the catalogue see them: id, types, signature, source location.

mod location;
mod signature;

use std::time::Duration;

pub use location::Location;
pub(crate) use signature::ConfigRequirement;
pub use signature::{RequestParts, Requirement, Signature};

/// A function that is called by its type: the struct with the name of the function that
/// [`macro@crate::function`] generates.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a declared function",
    label = "not a function of a worker",
    note = "apply `#[iii::function(id = \"…\")]` to it, and name it without parentheses: `client.call::<create>(input)`"
)]
pub trait Function: 'static {
    /// The id on the wire.
    const ID: &'static str;
    /// The namespace. `None`: that of the calling worker.
    const NAMESPACE: Option<&'static str> = None;
    /// The timeout of calls. `None`: one second more than its [`FunctionInfo::timeout`], else the default of the app.
    const TIMEOUT: Option<Duration> = None;
    /// The type of its input.
    type Input;
    /// The type of its output.
    type Output;

    /// Its declaration in this program. `None` if another worker declares it.
    fn info() -> Option<FunctionInfo> {
        None
    }
}

/// The part of a declaration that callers and triggers need.
#[derive(Debug, Clone, Copy)]
pub struct FunctionInfo {
    /// Where it is declared.
    pub location: Location,
    /// Describes its arguments and its result.
    pub signature: fn() -> Signature,
    /// The timeout of an invocation. `None`: the default of the app.
    pub timeout: Option<Duration>,
}
