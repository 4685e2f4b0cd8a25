//! What the worker shows of itself: the trace of an invocation and of the calls that it makes, log output, and, with the
//! feature `otel`, all that is sent to the engine and to a collector.
#![doc = ""]
#![doc = include_str!("../docs/telemetry.md")]

mod invocation;
#[cfg(feature = "otel")]
mod otel;
#[cfg(feature = "otel")]
mod settings;

pub use iii_wire::TraceContext;

use crate::trace;

pub(crate) use invocation::{Begun, Outcome, Telemetry};
#[cfg(feature = "otel")]
pub(crate) use otel::Identity;
#[cfg(feature = "otel")]
pub use otel::layer;
#[cfg(feature = "otel")]
pub(crate) use settings::TelemetrySettings;

/// The trace to hand on to what is called now: calls of a [`Client`](crate::Client) do so by themselves, requests to others
/// need it in their headers.
///
/// With the feature `otel` its `traceparent` names the span that is active: that of the handler, or one that the handler has
/// opened by `tracing`. Without, it is the trace as it came. Outside of handlers there is none.
///
/// ```
/// # fn example() -> Option<(&'static str, String)> {
/// let trace = iii::telemetry::current_trace();
/// let header = ("traceparent", trace.traceparent?);
/// # Some(header) }
/// ```
pub fn current_trace() -> TraceContext {
    trace::current()
}

/// Keeps a future in the trace and the log span of the invocation that runs now, for a task of its own.
///
/// What a handler spawns is a task for itself: without this, its calls begin traces of their own, and its logs name none.
///
/// ```
/// use iii::prelude::*;
///
/// #[iii::function(id = "orders::sync")]
/// async fn sync(client: Client) -> iii::Result<()> {
///     let work = async move { client.call_raw::<Payload>("stock::sync", &()).await };
///     tokio::spawn(iii::telemetry::in_current_trace(work));
///     Ok(())
/// }
/// ```
pub fn in_current_trace<F: Future>(future: F) -> impl Future<Output = F::Output> {
    use tracing::Instrument;

    let future = trace::scope(trace::incoming(), future).in_current_span();
    #[cfg(feature = "otel")]
    let future = otel::in_current_context(future);
    future
}

/// As [`in_current_trace`], for a plain function that runs on another thread.
pub(crate) fn carried<T>(function: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let span = tracing::Span::current();
    let arrived = trace::incoming();
    #[cfg(feature = "otel")]
    let context = otel::current_context();
    move || {
        #[cfg(feature = "otel")]
        let _attached = context.attach();
        span.in_scope(|| trace::sync_scope(arrived, function))
    }
}

/// Shows `tracing` events on standard error, unless the program has a subscriber already; with the feature `otel`, they and
/// the spans that handlers open are sent as well.
///
/// `RUST_LOG` says which: `info` (the default), `debug`, `my_crate=trace,iii=warn`.
#[cfg(any(feature = "logs", feature = "otel"))]
pub fn show_logs() {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::prelude::*;

    let said = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = || {
        let said = said.parse::<Targets>().ok().filter(|_| !said.trim().is_empty());
        said.unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO))
    };
    let subscriber = tracing_subscriber::registry();
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(layer().with_filter(filter()));
    #[cfg(feature = "logs")]
    let subscriber = {
        let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let output = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
        subscriber.with(output.with_filter(filter()))
    };
    // An error means that the program has its own subscriber: that one stays.
    let _ = subscriber.try_init();
}
