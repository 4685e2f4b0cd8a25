//! The layer for `tracing`: what users put into a subscriber of their own.

use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::events::Events;
use super::tracer::RoutingTracer;

/// What is not sent: the engine, which tells of itself in other ways, and the libraries that carry telemetry, which would
/// tell of their own telling for ever.
const QUIET: [&str; 12] = [
    "h2",
    "hyper",
    "hyper_util",
    "iii_engine",
    "iii::log",
    "iii::telemetry",
    "iii_wire",
    "opentelemetry",
    "opentelemetry-otlp",
    "rustls",
    "tokio_tungstenite",
    "tungstenite",
];

/// A layer that sends the spans and events of `tracing` with the telemetry of the worker that they happen in.
///
/// [`#[iii::main]`](macro@crate::main) installs it by itself. A program with a subscriber of its own adds it:
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry()
///     .with(iii::telemetry::layer())
///     .with(tracing_subscriber::fmt::layer())
///     .init();
/// ```
///
/// What happens in a handler goes to its worker, with the trace and the span of the handler; what happens elsewhere goes to
/// the worker that was started last. Before the first worker is started, nothing is sent. Spans of this crate are left out:
/// handlers have spans of their own in any case.
pub fn layer<S>() -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let spans: fn(&Metadata<'_>) -> bool =
        |metadata| metadata.is_span() && !is_part_of(metadata.target(), "iii") && is_told(metadata);
    let events: fn(&Metadata<'_>) -> bool = |metadata| metadata.is_event() && is_told(metadata);
    // Threads and times of waiting say little of tasks, which move and wait all the time.
    let opened = tracing_opentelemetry::layer()
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_tracer(RoutingTracer);
    Events.with_filter(filter_fn(events)).and_then(opened.with_filter(filter_fn(spans)))
}

fn is_told(metadata: &Metadata<'_>) -> bool {
    !QUIET.iter().any(|quiet| is_part_of(metadata.target(), quiet))
}

/// Whether a target is that of a module, or of one inside it.
fn is_part_of(target: &str, module: &str) -> bool {
    target.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_apart_from_names_that_begin_alike() {
        assert!(is_part_of("iii", "iii") && is_part_of("iii::worker::run", "iii"));
        assert!(!is_part_of("iii_shop", "iii") && !is_part_of("hyperspace", "hyper"));
    }
}
