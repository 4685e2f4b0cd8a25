//! One invocation: takes its permits, runs interceptors and handler, writes a streamed body, and reports to telemetry.

use std::sync::Arc;

use iii_wire::clock::Clock;
use iii_wire::protocol::{InvocationId, InvokeFunction, Payload};
use iii_wire::{Error, Result, TraceContext, code};
use tokio::sync::Semaphore;

use super::dispatch::ServedFunction;
use super::watch::{Begun, Ended, Watch, Watched};
use crate::extract::{Caller, Context, Invocation, InvocationParts, Resources, TriggerEnvelope};
use crate::intercept::{Handler, Next, Room};
use crate::output::{self, HandlerFuture, Reply, error_into_http};
use crate::session::Session;
use crate::telemetry::{Begun as InvocationSpan, Outcome, Telemetry};
use crate::time::deadline_after;

/// What the invocations of a worker run with.
#[derive(Debug)]
pub(crate) struct Environment {
    /// The values that the app provides to functions.
    pub(crate) resources: Arc<Resources>,
    pub(crate) session: Arc<Session>,
    pub(crate) clock: Clock,
    /// The test harness, which records invocations and replaces handlers.
    pub(crate) watch: Option<Arc<dyn Watch>>,
    pub(crate) telemetry: Telemetry,
}

/// Runs an invocation of `served` when a permit of `running` is free. Returns what is sent to the caller.
pub(super) async fn run(
    // In a box, as a task is moved several times before it runs.
    message: Box<InvokeFunction>,
    served: Arc<ServedFunction>,
    environment: Arc<Environment>,
    running: Arc<Semaphore>,
) -> Result<Option<Payload>> {
    let permits = match served.unlimited {
        true => None,
        false => Some(Room::enter(served.running.clone(), running).await?),
    };
    let received = receive(*message, &served, &environment);
    let invocation_id = received.context.invocation_id;
    let data = received.data.clone();
    let span = environment.telemetry.begin(&received.context, &data);
    let (handler, on_end) = handler_of(&received, &served, &environment);
    // In a box as well: each future around the handler has room for what the handler takes.
    let mut invocation = Box::new(Invocation::new(received));
    invocation.set_time_limit(served.timeout);
    let over_http = invocation.is_http_trigger();

    // The permits are held until the result is written, also by a stream.
    let (next, flow) = Next::new(served.interceptors.clone(), handler, permits);
    let result = span.run(next.go(invocation)).await;
    if let Some(on_end) = on_end {
        on_end(Ended { result: &result, panic: flow.take_panic().as_deref() });
    }
    // A stream may take longer than the handler is allowed to.
    let result = match result {
        Ok(reply) => span.run(output::write_stream_body(reply, &data, &environment.session)).await,
        Err(error) => Err(error),
    };
    let result = result.map_err(|error| hide_cause(error, invocation_id, &span));
    match &result {
        Ok(reply) => span.end(Outcome::Ok(reply)),
        Err(error) => span.end(Outcome::Failed(error)),
    }
    if over_http {
        return Ok(result.map_or_else(|error| Some(error_into_http(&error)), Reply::into_http));
    }
    Ok(result?.result())
}

/// Reads the envelope: takes the mark of the trigger off the metadata, and starts the deadline.
fn receive(
    message: InvokeFunction,
    served: &ServedFunction,
    environment: &Environment,
) -> InvocationParts {
    let unmarked = TriggerEnvelope::decode(message.metadata);
    let context = Context {
        function_id: message.function_id,
        invocation_id: message.invocation_id.unwrap_or_else(InvocationId::random),
        trigger: unmarked.trigger,
        caller: message.caller.map(|worker_id| Caller { worker_id }),
        attempt: unmarked.attempt,
        deadline: served.timeout.map(deadline_after),
        trace: TraceContext { traceparent: message.traceparent, baggage: message.baggage },
        clock: environment.clock.clone(),
    };
    InvocationParts {
        context,
        data: message.data,
        metadata: unmarked.value,
        request_parts: served.request_parts,
        resources: environment.resources.clone(),
        session: Some(environment.session.clone()),
    }
}

type OnEnd = Box<dyn FnOnce(Ended<'_>) + Send>;

/// The handler, or what the test harness puts in its place, and who is notified of the end.
fn handler_of(
    received: &InvocationParts,
    served: &ServedFunction,
    environment: &Environment,
) -> (Handler, Option<OnEnd>) {
    let handler = served.handler;
    let Some(watch) = &environment.watch else { return (Handler::Declared(handler), None) };
    let Watched { plan, ended } = watch.begin(Begun {
        context: &received.context,
        data: &received.data,
        metadata: received.metadata.as_ref(),
        request_parts: received.request_parts,
    });
    let planned = move |call: Invocation| -> HandlerFuture {
        Box::pin(async move { plan(&call).run(handler, call).await })
    };
    (Handler::other(planned), Some(ended))
}

/// Logs the cause of an unexpected error once, and gives callers the id to look for.
fn hide_cause(error: Error, id: InvocationId, span: &InvocationSpan) -> Error {
    if error.code() != code::INTERNAL {
        return error;
    }
    let mut causes = String::new();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        causes.push_str(": ");
        causes.push_str(&next.to_string());
        cause = next.source();
    }
    span.log(|| tracing::error!("{}{causes}", error.message()));
    let text = format!("{}; the log of the worker has more under {id}", error.message());
    error.to_internal(text)
}
