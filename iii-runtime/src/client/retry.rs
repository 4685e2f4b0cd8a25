//! Retries of calls, with backoff.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::session::{CallRequest, Session};
use crate::time::{Backoff, deadline_after};
use iii_wire::protocol::Payload;
use iii_wire::{Error, Result, code};

/// Retries a call after transient errors, with backoff. See [`Call::retry`](crate::Call::retry).
///
/// **The function must be idempotent**: a call whose result was lost has run, and runs again.
/// [`Deduplicate`](crate::intercept::Deduplicate) makes a function idempotent.
///
/// Retries errors that are [retryable](struct@crate::Error#method.retryable): those that the function marks with `retryable`,
/// `rate_limited`, `overloaded`, and `connection_lost` and the engine's `invocation_stopped`, where the result was lost.
/// [`Retry::on`] replaces this condition.
///
/// The delay is that of the [`Backoff`], at least the [`retry_after`](struct@crate::Error#method.retry_after) of the error.
/// The timeout of the call covers all attempts and delays: if the next delay would exceed it, the last error is returned
/// immediately.
///
/// ```
/// use iii::prelude::*;
/// use iii::{lifecycle::Backoff, Retry};
/// use std::time::Duration;
///
/// #[iii::function(id = "doc::rate")]
/// async fn rate(currency: String) -> iii::Result<f64> {
///     Err(iii::Error::new("rates/busy", currency).with_retryable(true))
/// }
///
/// # #[cfg(feature = "testing")]
/// # iii::testing::Test::new("doc").only::<rate>().run(|iii| async move {
/// let backoff = Backoff { initial: Duration::from_millis(50), ..Retry::BACKOFF };
/// let result = iii.call::<rate>("EUR".into()).retry(Retry::times(3).backoff(backoff)).await;
/// assert_eq!(result.unwrap_err().code(), "rates/busy");
/// assert_eq!(iii.calls::<rate>().await.len(), 4);
/// # });
/// ```
#[derive(Clone)]
#[must_use = "pass it to a call: `call.retry(…)`"]
pub struct Retry {
    times: u32,
    backoff: Backoff,
    attempt_timeout: Option<Duration>,
    on: Option<RetryPredicate>,
}

/// Returns whether an error is retried.
type RetryPredicate = Arc<dyn Fn(&Error) -> bool + Send + Sync>;

impl Retry {
    /// The default backoff: 100 ms, doubled for each retry, at most 10 s, with a jitter of 0.3.
    pub const BACKOFF: Backoff = Backoff {
        initial: Duration::from_millis(100),
        max: Duration::from_secs(10),
        factor: 2.0,
        jitter: 0.3,
    };

    /// Retries up to `times` times, so makes at most `times + 1` attempts.
    pub fn times(times: u32) -> Self {
        Self { times, backoff: Self::BACKOFF, attempt_timeout: None, on: None }
    }

    /// Sets the backoff. Default: [`Retry::BACKOFF`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the timeout of one attempt, after which the call is retried, also on the code `timeout`. Default: the remaining
    /// time of the call.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Sets which errors are retried, in place of those that are retryable.
    pub fn on(mut self, predicate: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.on = Some(Arc::new(predicate));
        self
    }

    /// Makes the call, and retries it.
    pub(super) async fn run(
        &self,
        session: &Session,
        request: CallRequest,
    ) -> Result<Option<Payload>> {
        let deadline = deadline_after(request.timeout.unwrap_or(session.call_timeout()));
        let time_left = || deadline.saturating_duration_since(Instant::now());
        // Tests run without jitter, which makes them deterministic.
        let jitter = if session.is_deterministic() { 0.0 } else { self.backoff.jitter };
        let backoff = Backoff { jitter, ..self.backoff };
        let mut retries = 0;
        loop {
            let left = time_left();
            let timeout = self.attempt_timeout.map_or(left, |limit| limit.min(left));
            let attempt = CallRequest { timeout: Some(timeout), ..request.clone() };
            let error = match session.call(attempt).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let delay = backoff.pause(retries).max(error.retry_after().unwrap_or_default());
            if retries >= self.times || !self.should_retry(&error) || delay >= time_left() {
                return Err(error);
            }
            tracing::debug!(
                function = %request.function_id,
                code = error.code(),
                "the call failed, and is retried in {delay:?}"
            );
            tokio::time::sleep(delay).await;
            retries += 1;
        }
    }

    fn should_retry(&self, error: &Error) -> bool {
        if let Some(on) = &self.on {
            return on(error);
        }
        let transient = match error.code() {
            code::OVERLOADED | code::CONNECTION_LOST | code::INVOCATION_STOPPED => true,
            code::TIMEOUT => self.attempt_timeout.is_some(),
            _ => false,
        };
        error.retryable().unwrap_or(transient)
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("times", &self.times)
            .field("backoff", &self.backoff)
            .field("attempt_timeout", &self.attempt_timeout)
            .finish_non_exhaustive()
    }
}
