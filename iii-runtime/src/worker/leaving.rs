//! How a worker leaves, step by step: no more work, all of it answered, the last words of the app.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::time::deadline_after;

/// How long the engine may take to say that no more invocations come.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long what the app does at the end may take at least, also if handlers have used up the grace period.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How far a worker is with leaving.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    grace: Option<Instant>,
    barrier: Option<Instant>,
    /// When the app must be done with what it does at the end, once it has begun.
    last: Option<Instant>,
    aborted: bool,
    at_once: bool,
    /// How many invocations were not done when the grace period was over.
    pub(super) cut: usize,
}

impl Leaving {
    pub(super) fn begin(&mut self, grace: Duration) {
        self.grace = Some(deadline_after(grace));
        self.barrier = Some(deadline_after(BARRIER_TIMEOUT));
    }

    pub(super) fn now(&mut self) {
        self.grace = Some(Instant::now());
        self.barrier = None;
        self.aborted = true;
        self.at_once = true;
    }

    pub(super) fn begun(&self) -> bool {
        self.grace.is_some()
    }

    /// The engine sends no more invocations.
    pub(super) fn no_more_come(&mut self) {
        self.barrier = None;
    }

    /// Only what runs is left.
    pub(super) fn finishing(&self) -> bool {
        self.begun() && self.barrier.is_none() && !self.ending()
    }

    /// Everything is answered: the app has its last words.
    pub(super) fn end(&mut self) {
        self.last = Some(self.grace.unwrap_or_else(Instant::now).max(Instant::now() + LAST_WORDS));
    }

    pub(super) fn ending(&self) -> bool {
        self.last.is_some()
    }

    /// Nothing is waited for.
    pub(super) fn at_once(&self) -> bool {
        self.at_once
    }

    pub(super) fn aborted(&mut self, left: usize) {
        self.aborted = true;
        self.barrier = None;
        self.cut = left;
    }

    pub(super) async fn barrier_over(&self) {
        wait_for(self.barrier).await;
    }

    pub(super) async fn grace_over(&self) {
        wait_for(self.grace.filter(|_| !self.aborted && !self.ending())).await;
    }

    pub(super) async fn last_over(&self) {
        wait_for(self.last).await;
    }
}

/// Waits until the app has done what it does at the end.
pub(super) async fn done(stopping: &mut Option<BoxFuture<'static, ()>>) {
    if let Some(running) = stopping {
        running.await;
        *stopping = None;
    }
}

/// The app did not come to its end.
pub(super) fn warn_of_last_words() {
    tracing::warn!("what the app does when it stops is not done, and the grace period is over");
}

async fn wait_for(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
