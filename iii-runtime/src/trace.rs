//! The trace context of the running handler: what calls that it makes continue.

use std::sync::OnceLock;

use iii_wire::TraceContext;

/// Finds the trace context to continue. It gets the context that the invocation arrived with.
type Source = fn(&dyn Fn() -> TraceContext) -> Option<TraceContext>;

tokio::task_local! {
    static ARRIVED: TraceContext;
}

/// The active span, where telemetry knows one.
static ACTIVE_SPAN: OnceLock<Source> = OnceLock::new();

/// Lets telemetry name the span that is active, in place of the one that the invocation arrived with.
#[cfg(feature = "otel")]
pub(crate) fn set_active_span(source: Source) {
    let _ = ACTIVE_SPAN.set(source);
}

/// The trace context that calls made now continue: the active span, else what the invocation arrived with.
pub(crate) fn current() -> TraceContext {
    let active = ACTIVE_SPAN.get().and_then(|source| source(&arrived));
    active.unwrap_or_else(arrived)
}

/// The trace context that the running invocation arrived with; empty outside of handlers.
pub(crate) fn arrived() -> TraceContext {
    ARRIVED.try_with(Clone::clone).unwrap_or_default()
}

/// Runs a future as part of a trace.
pub(crate) fn scope<T>(
    trace: TraceContext,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    ARRIVED.scope(trace, future)
}

/// Runs a function as part of a trace.
pub(crate) fn sync_scope<T>(trace: TraceContext, function: impl FnOnce() -> T) -> T {
    ARRIVED.sync_scope(trace, function)
}
