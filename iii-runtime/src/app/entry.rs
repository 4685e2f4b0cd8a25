//! What `#[iii::main]` turns into: a runtime, an app, and an exit code.

use std::process::ExitCode;

use futures_util::future::BoxFuture;

use super::App;
use crate::error::BoxError;

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
    let _ = (options, setup);
    ExitCode::SUCCESS
}
