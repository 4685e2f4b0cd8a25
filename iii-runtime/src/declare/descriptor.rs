//! The static descriptors that the macros write, one for each declared function.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{EndpointDescriptor, Signature};
use crate::error::Result;
use crate::extract::Invocation;
use crate::intercept::AnyInterceptor;
use crate::output::Reply;
use crate::protocol::Payload;
use crate::trigger::Binding;

/// The place of a declaration in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The file, as the compiler was given it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What a handler gives back, in the end.
pub type HandlerFuture = BoxFuture<'static, Result<Reply>>;

/// A declared function.
#[derive(Debug)]
pub struct FunctionDescriptor {
    /// The id on the wire.
    pub id: &'static str,
    /// What the function does: its doc comment.
    pub description: Option<&'static str>,
    /// What the worker tells the engine beside the schemas.
    pub metadata: Option<fn() -> Payload>,
    /// The module it is declared in; its first segment is the crate.
    pub module: &'static str,
    /// Where it is declared.
    pub location: Location,
    /// Runs it: takes its arguments out of the invocation.
    pub handler: fn(Invocation) -> HandlerFuture,
    /// What it takes and gives.
    pub signature: fn() -> Signature,
    /// How long one run may take. Default: that of the app.
    pub timeout: Option<Duration>,
    /// How many runs may go on at the same time; more wait. Default: that of the app.
    pub concurrency: Option<usize>,
    /// What runs around it, the outermost first. Made once for each catalogue, that is when the app starts.
    pub intercept: fn() -> Vec<AnyInterceptor>,
    /// What invokes it.
    pub triggers: &'static [TriggerDescriptor],
    /// The HTTP endpoint that serves it in place of the handler.
    pub endpoint: Option<&'static EndpointDescriptor>,
}

impl FunctionDescriptor {
    /// The crate that declares it.
    pub fn crate_name(&self) -> &'static str {
        self.module.split("::").next().unwrap_or(self.module)
    }
}

/// A declared trigger.
#[derive(Debug)]
pub struct TriggerDescriptor {
    /// Where it is declared.
    pub location: Location,
    /// What is sent to the engine.
    pub binding: fn() -> Binding,
}

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
    /// How long a caller waits. `None`: as long as the function itself may take, else as long as the app says.
    const TIMEOUT: Option<Duration> = None;
    /// What it takes.
    type Input;
    /// What it gives.
    type Output;
    /// Its declaration; `None` for a function that another worker serves.
    fn descriptor() -> Option<&'static FunctionDescriptor>;
}

/// What the macros put into the inventory.
#[derive(Debug, Clone, Copy)]
pub struct Declaration(pub &'static FunctionDescriptor);

inventory::collect!(Declaration);
