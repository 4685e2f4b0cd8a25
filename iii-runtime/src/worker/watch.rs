//! The door through which the test harness sees invocations, and stands in for handlers.

// Without the harness nobody comes through it.
#![cfg_attr(not(feature = "testing"), allow(dead_code))]

use std::fmt;

use futures_util::future::BoxFuture;

use crate::extract::{Context, Invocation};
use crate::function::RequestParts;
use crate::output::HandlerFuture;
use crate::output::Reply;
use iii_wire::Result;
use iii_wire::protocol::{FunctionId, Payload};

/// Sees the invocations of a worker, and may run something else.
pub(crate) trait Watch: fmt::Debug + Send + Sync {
    /// Whether it stands in for a function that the worker does not declare.
    fn serves(&self, function_id: &FunctionId) -> bool;

    /// An invocation begins.
    fn begin(&self, begun: Begun<'_>) -> Watched;
}

/// An invocation that begins.
#[derive(Debug)]
pub(crate) struct Begun<'a> {
    pub context: &'a Context,
    pub data: &'a Payload,
    pub metadata: Option<&'a Payload>,
    pub request_parts: RequestParts,
}

/// How an invocation ended, before anybody decided how its result travels.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub result: &'a Result<Reply>,
    /// What the panic said, if it was one.
    pub panic: Option<&'a str>,
}

/// What a watch wants of one invocation.
pub(crate) struct Watched {
    /// Says how it runs. Asked when the handler would run, so not at all if an interceptor ends the invocation before.
    pub plan: Box<dyn FnOnce(&Invocation) -> Plan + Send>,
    /// Hears of the end. It is dropped unheard if the invocation is.
    pub ended: Box<dyn FnOnce(Ended<'_>) + Send>,
}

/// How one invocation runs.
#[derive(Default)]
pub(crate) struct Plan {
    /// Comes first, and may fail in place of the handler.
    pub before: Option<BoxFuture<'static, Result<()>>>,
    /// Runs instead of the handler.
    pub instead: Option<Box<dyn FnOnce(Invocation) -> HandlerFuture + Send>>,
}

impl Plan {
    pub(super) async fn run(
        self,
        handler: fn(Invocation) -> HandlerFuture,
        invocation: Invocation,
    ) -> Result<Reply> {
        if let Some(before) = self.before {
            before.await?;
        }
        match self.instead {
            Some(instead) => instead(invocation).await,
            None => handler(invocation).await,
        }
    }
}
