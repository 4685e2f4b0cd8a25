//! Changes of a configuration, for those who keep something made of it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Config, ConfigCell, Configurable, not_part, use_of};
use crate::extract::{Extract, Invocation};
use crate::function::Signature;
use iii_wire::Result;

/// Hears of changes of a configuration. Made by [`App::watch_config`](crate::App::watch_config) and
/// [`Running::watch_config`](crate::Running::watch_config); functions take it as an argument.
///
/// ```no_run
/// # use iii::prelude::*;
/// # #[derive(iii::Config)] struct Settings { #[config(default = 100)] most_items: u32 }
/// # fn resize(_: u32) {}
/// # fn example(app: &mut App) {
/// let mut settings = app.watch_config::<Settings>();
/// tokio::spawn(async move {
///     while let Some(settings) = settings.changed().await {
///         resize(settings.most_items);
///     }
/// });
/// # }
/// ```
pub struct ConfigWatch<T> {
    receiver: watch::Receiver<Option<Arc<T>>>,
}

impl<T> ConfigWatch<T> {
    pub(super) fn new(receiver: watch::Receiver<Option<Arc<T>>>) -> Self {
        Self { receiver }
    }

    /// The value of now; `None` before the worker has read it.
    pub fn current(&self) -> Option<Config<T>> {
        self.receiver.borrow().clone().map(Config)
    }

    /// Waits for the next value: the first one, too. If several come while nobody waits, the newest. `None`: the worker
    /// is gone.
    pub async fn changed(&mut self) -> Option<Config<T>> {
        loop {
            self.receiver.changed().await.ok()?;
            if let Some(value) = self.receiver.borrow_and_update().clone() {
                return Some(Config(value));
            }
        }
    }
}

impl<T> Clone for ConfigWatch<T> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone() }
    }
}

impl<T> fmt::Debug for ConfigWatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigWatch").finish_non_exhaustive()
    }
}

impl<T: Configurable> Extract for ConfigWatch<T> {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        let cell = call.resources().get::<ConfigCell<T>>().ok_or_else(not_part::<T>)?;
        cell.ready().await?;
        let mut receiver = cell.watch();
        // The value of now is no change.
        receiver.borrow_and_update();
        Ok(Self { receiver })
    }

    fn describe(signature: &mut Signature) {
        signature.require_config(use_of::<T>());
    }
}
