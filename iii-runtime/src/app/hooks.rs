//! What the app does beside serving: at the start, when all is registered, and at the end, when all is answered.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::client::Client;
use iii_wire::{Error, Result, code};

/// One of them.
type Hook = Box<dyn FnOnce(Client) -> BoxFuture<'static, Result<()>> + Send>;

/// The hooks of an app. The locks make it `Sync`, which futures are not.
#[derive(Default)]
pub(crate) struct Hooks {
    start: Mutex<Vec<Hook>>,
    stop: Mutex<Vec<Hook>>,
}

impl Hooks {
    pub(super) fn on_start<F, Fut>(&mut self, hook: F)
    where
        F: FnOnce(Client) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.start.get_mut().unwrap_or_else(PoisonError::into_inner).push(boxed(hook));
    }

    pub(super) fn on_stop<F, Fut>(&mut self, hook: F)
    where
        F: FnOnce(Client) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.stop.get_mut().unwrap_or_else(PoisonError::into_inner).push(boxed(hook));
    }

    /// Runs what belongs to the start, in order. The first error ends it.
    ///
    /// # Errors
    ///
    /// That of a hook; `panic` if one panics.
    pub(crate) async fn start(&self, client: &Client) -> Result<()> {
        for hook in take(&self.start) {
            guarded(hook, client.clone()).await?;
        }
        Ok(())
    }

    /// Runs what belongs to the end, the last one first, when it is awaited. Each has its chance, whatever becomes of
    /// the others.
    pub(crate) fn stop(&self, client: Client) -> Option<BoxFuture<'static, ()>> {
        let hooks = take(&self.stop);
        if hooks.is_empty() {
            return None;
        }
        let all = async move {
            for hook in hooks.into_iter().rev() {
                if let Err(error) = guarded(hook, client.clone()).await {
                    tracing::error!("what the app does when it stops has failed: {error}");
                }
            }
        };
        Some(Box::pin(all))
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

fn boxed<F, Fut>(hook: F) -> Hook
where
    F: FnOnce(Client) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    Box::new(move |client| Box::pin(hook(client)))
}

fn take(hooks: &Mutex<Vec<Hook>>) -> Vec<Hook> {
    std::mem::take(&mut *hooks.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A panic is an error like any other. The code of the user is entered inside the future, so that all of it is guarded.
async fn guarded(hook: Hook, client: Client) -> Result<()> {
    AssertUnwindSafe(async move { hook(client).await })
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Error::new(code::PANIC, "a hook of the app panicked")))
}
