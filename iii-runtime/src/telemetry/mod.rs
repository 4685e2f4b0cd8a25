//! What can be seen of a worker: the trace of an invocation, handed on to the calls it makes, and log output.

use crate::extract::Trace;

tokio::task_local! {
    static TRACE: Trace;
}

/// The trace of the invocation that runs now; none outside of handlers.
pub(crate) fn current_trace() -> Trace {
    TRACE.try_with(Clone::clone).unwrap_or_default()
}

/// Runs a handler as part of a trace.
pub(crate) fn in_trace<T>(
    trace: Trace,
    handler: impl Future<Output = T>,
) -> impl Future<Output = T> {
    TRACE.scope(trace, handler)
}

/// Shows `tracing` events on standard error, unless the program has a subscriber already.
///
/// `RUST_LOG` says which: `info` (the default), `debug`, `my_crate=trace,iii=warn`.
#[cfg(feature = "logs")]
pub fn show_logs() {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::prelude::*;

    let said = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = said
        .parse::<Targets>()
        .ok()
        .filter(|_| !said.trim().is_empty())
        .unwrap_or_else(|| Targets::new().with_default(tracing::Level::INFO));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let output = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi);
    // An error means that the program has its own subscriber: that one stays.
    let _ = tracing_subscriber::registry().with(output.with_filter(filter)).try_init();
}
