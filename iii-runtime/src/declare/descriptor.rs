//! The static descriptor of a declared function, and of its triggers.

use std::time::Duration;

use super::EndpointDescriptor;
use crate::extract::Invocation;
use crate::function::{Function, FunctionInfo, Location, Signature};
use crate::intercept::AnyInterceptor;
use crate::output::HandlerFuture;
use crate::trigger::Binding;
use iii_wire::protocol::Payload;

/// The declaration of a function.
#[derive(Debug)]
pub struct FunctionDescriptor {
    /// The id on the wire.
    pub id: &'static str,
    /// The description: the doc comment.
    pub description: Option<&'static str>,
    /// The metadata with which it is registered.
    pub metadata: Option<fn() -> Payload>,
    /// The module of the declaration; its first segment is the crate.
    pub module: &'static str,
    /// The location of the declaration.
    pub location: Location,
    /// Extracts the arguments, and runs the function.
    pub handler: fn(Invocation) -> HandlerFuture,
    /// Describes its arguments and its result.
    pub signature: fn() -> Signature,
    /// The timeout of an invocation. Default: that of the app.
    pub timeout: Option<Duration>,
    /// The maximum number of concurrent invocations; further ones wait. Default: that of the app.
    pub concurrency: Option<usize>,
    /// The interceptors, the outermost first. Created once for each catalogue, when the app starts.
    pub intercept: fn() -> Vec<AnyInterceptor>,
    /// The triggers.
    pub triggers: &'static [TriggerDescriptor],
    /// The HTTP endpoint that serves it in place of the handler.
    pub endpoint: Option<&'static EndpointDescriptor>,
}

impl FunctionDescriptor {
    /// The part of the declaration that callers and triggers need.
    pub fn info(&self) -> FunctionInfo {
        FunctionInfo { location: self.location, signature: self.signature, timeout: self.timeout }
    }

    /// The crate of the declaration.
    pub fn crate_name(&self) -> &'static str {
        self.module.split("::").next().unwrap_or(self.module)
    }
}

/// The declaration of a trigger.
#[derive(Debug)]
pub struct TriggerDescriptor {
    /// The location of the declaration.
    pub location: Location,
    /// Creates the trigger as it is registered.
    pub binding: fn() -> Binding,
}

/// A function with a declaration that this worker can serve. Functions of [`macro@crate::remote`] and
/// [`macro@crate::import`] have none: they can only be called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function that this worker can serve",
    label = "declared elsewhere",
    note = "only functions with `#[iii::function]` or `#[iii::http_function]` can be served; those of `#[iii::remote]` and `iii::import!` are called"
)]
pub trait Declared: Function {
    /// Its declaration.
    fn descriptor() -> &'static FunctionDescriptor;
}

/// A declaration in the inventory, which collects those of all linked crates.
#[derive(Debug, Clone, Copy)]
pub struct FunctionDeclaration(pub &'static FunctionDescriptor);

inventory::collect!(FunctionDeclaration);
