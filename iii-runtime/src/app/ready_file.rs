//! The readiness file: it is there while the worker is ready, for probes that look into a file system.

use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use iii_wire::{Error, Result, code};

/// Keeps the file as it should be. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct ReadyFile {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl ReadyFile {
    /// Removes what an earlier run has left, and keeps the file from now on.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` if there cannot be such a file.
    pub(super) fn keep(path: PathBuf, ready: watch::Receiver<bool>) -> Result<Self> {
        // To write it once is the only way to know that it can be written.
        write(&path).and_then(|()| remove(&path)).map_err(|error| {
            let text = format!(
                "the readiness file `{}` cannot be written: {error}; name a file in a directory that is there, by \
                 III_READY_FILE or `app.ready_file(…)`",
                path.display()
            );
            Error::new(code::INVALID_CONFIGURATION, text)
        })?;
        let task = tokio::spawn(follow(path.clone(), ready));
        Ok(Self { path, task })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        self.task.abort();
        let _ = remove(&self.path);
    }
}

async fn follow(path: PathBuf, mut ready: watch::Receiver<bool>) {
    loop {
        let now = *ready.borrow_and_update();
        let done = if now { write(&path) } else { remove(&path) };
        if let Err(error) = done {
            tracing::error!("the readiness file `{}` cannot be kept: {error}", path.display());
        }
        if ready.changed().await.is_err() {
            let _ = remove(&path);
            return;
        }
    }
}

/// One small write: no probe ever sees a part of it.
fn write(path: &Path) -> io::Result<()> {
    std::fs::write(path, format!("{}\n", std::process::id()))
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
