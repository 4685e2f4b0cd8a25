//! The static descriptors that the macros write, one for each declared function.

use std::time::Duration;

use super::EndpointDescriptor;
use crate::extract::Invocation;
use crate::function::{Function, FunctionInfo, Location, Signature};
use crate::intercept::AnyInterceptor;
use crate::output::HandlerFuture;
use crate::trigger::Binding;
use iii_wire::protocol::Payload;

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
    /// What callers and triggers need to know of it.
    pub fn info(&self) -> FunctionInfo {
        FunctionInfo { location: self.location, signature: self.signature, timeout: self.timeout }
    }

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

/// A function that a worker of this framework declares, as opposed to one that is only called by its type
/// ([`macro@crate::remote`], [`macro@crate::import`]).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function that this worker can serve",
    label = "declared elsewhere",
    note = "only functions with `#[iii::function]` or `#[iii::http_function]` can be served; those of `#[iii::remote]` and `iii::import!` are called"
)]
pub trait Declared: Function {
    /// Its declaration.
    fn descriptor() -> &'static FunctionDescriptor;
}

/// What the macros put into the inventory.
#[derive(Debug, Clone, Copy)]
pub struct FunctionDeclaration(pub &'static FunctionDescriptor);

inventory::collect!(FunctionDeclaration);
