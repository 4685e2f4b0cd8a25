//! The trace context of the running handler, which its calls propagate.

use std::sync::OnceLock;

use iii_wire::TraceContext;

/// Finds the context of the active span. Its argument returns the context that the invocation arrived with.
type ActiveSpanSource = fn(&dyn Fn() -> TraceContext) -> Option<TraceContext>;

tokio::task_local! {
    static INCOMING: TraceContext;
}

/// Set by telemetry, if it is enabled.
static ACTIVE_SPAN: OnceLock<ActiveSpanSource> = OnceLock::new();

/// Registers the source of the active span, which takes precedence over the context that the invocation arrived with.
#[cfg(feature = "otel")]
pub(crate) fn set_active_span(source: ActiveSpanSource) {
    let _ = ACTIVE_SPAN.set(source);
}

/// The trace context that outgoing calls propagate: that of the active span, else the one that the invocation arrived with.
pub(crate) fn current() -> TraceContext {
    let active = ACTIVE_SPAN.get().and_then(|source| source(&incoming));
    active.unwrap_or_else(incoming)
}

/// The trace context that the running invocation arrived with; empty outside of handlers.
pub(crate) fn incoming() -> TraceContext {
    INCOMING.try_with(Clone::clone).unwrap_or_default()
}

/// Runs a future within a trace context.
pub(crate) fn scope<T>(
    trace: TraceContext,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    INCOMING.scope(trace, future)
}

/// Runs a function within a trace context.
pub(crate) fn sync_scope<T>(trace: TraceContext, function: impl FnOnce() -> T) -> T {
    INCOMING.sync_scope(trace, function)
}
