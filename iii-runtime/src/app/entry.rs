//! What `#[iii::main]` turns into: a runtime, an app, and an exit code.

use std::io::Write as _;
use std::process::ExitCode;

use futures_util::future::BoxFuture;

use super::{App, exit};
use iii_wire::BoxError;

/// What the macro knows of the worker.
#[derive(Debug, Clone, Copy)]
pub struct MainOptions {
    /// The name of the package.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// How many threads run handlers. Default: one for each core.
    pub worker_threads: Option<usize>,
}

/// What the user's main may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned from main",
    label = "not a result of main",
    note = "return `()`, or `Result<(), E>` with an error that can be printed, such as `iii::Result<()>`"
)]
pub trait MainResult {
    /// The result with any error.
    fn into_result(self) -> Result<(), BoxError>;
}

impl MainResult for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> MainResult for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// Runs a worker: `setup` is the user's main.
pub fn run_main<F>(options: MainOptions, setup: F) -> ExitCode
where
    F: for<'a> FnOnce(&'a mut App) -> BoxFuture<'a, Result<(), BoxError>>,
{
    #[cfg(any(feature = "logs", feature = "otel"))]
    crate::telemetry::show_logs();

    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all();
    if let Some(threads) = options.worker_threads {
        builder.worker_threads(threads.max(1));
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(exit::UNAVAILABLE, &error),
    };
    let outcome = runtime.block_on(async {
        let mut app = App::declared();
        app.named(options.name, options.version);
        // Whatever main fails with is its own, also if it has a code of this crate.
        setup(&mut app).await.map_err(|error| (exit::FAILED, error))?;
        app.run().await.map_err(|error| (exit::of(&error), BoxError::from(error)))
    });
    // A handler that blocks for ever must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => failed(code, &*error),
    }
}

/// Prints an error with its causes.
fn failed(code: u8, error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!("\n  cause: {next}"));
        cause = next.source();
    }
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}
