//! Making a call again when it fails in a way that may pass.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::session::{CallRequest, Session};
use crate::time::{Backoff, deadline_after};
use iii_wire::protocol::Payload;
use iii_wire::{Error, Result, code};

/// When a call is made again, and after what pause. See [`Call::retry`](crate::Call::retry).
///
/// **The function must be idempotent**: to run it twice must do no more than to run it once. A call whose answer was lost
/// has run, and runs again. A function that is not can be made so by
/// [`Deduplicate`](crate::intercept::Deduplicate).
///
/// Made again is a call whose error is [retryable](struct@crate::Error#method.retryable): what the function itself says by
/// `retryable`, `rate_limited`, `overloaded`. So is `connection_lost`, and `invocation_stopped` of the engine, where the
/// answer was lost on the way. No other error is, unless [`Retry::on`] says so.
///
/// A pause is as long as the [`Backoff`] says, and never shorter than the error asks for by
/// [`retry_after`](struct@crate::Error#method.retry_after). All attempts and pauses together take no longer than the timeout
/// of the call: when the next pause does not fit into it any more, the last error is the result, at once.
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
/// let pauses = Backoff { initial: Duration::from_millis(50), ..Retry::BACKOFF };
/// let result = iii.call::<rate>("EUR".into()).retry(Retry::times(3).backoff(pauses)).await;
/// assert_eq!(result.unwrap_err().code(), "rates/busy");
/// assert_eq!(iii.calls::<rate>().await.len(), 4);
/// # });
/// ```
#[derive(Clone)]
#[must_use = "it is given to a call: `call.retry(…)`"]
pub struct Retry {
    times: u32,
    backoff: Backoff,
    attempt_timeout: Option<Duration>,
    on: Option<Worth>,
}

/// Says whether an error is worth another attempt.
type Worth = Arc<dyn Fn(&Error) -> bool + Send + Sync>;

impl Retry {
    /// The pauses unless somebody says otherwise: 100 ms, twice as long each time, at most 10 s, and 30 per cent of chance.
    pub const BACKOFF: Backoff = Backoff {
        initial: Duration::from_millis(100),
        max: Duration::from_secs(10),
        factor: 2.0,
        jitter: 0.3,
    };

    /// Makes the call again up to `times` times, so `times + 1` calls at most.
    pub fn times(times: u32) -> Self {
        Self { times, backoff: Self::BACKOFF, attempt_timeout: None, on: None }
    }

    /// Sets the pauses. Default: [`Retry::BACKOFF`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long one attempt may take; then the next is made, also after the code `timeout`. Default: all that is left
    /// of the timeout of the call.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Says which errors are worth another attempt, in place of those that are retryable.
    pub fn on(mut self, worth: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.on = Some(Arc::new(worth));
        self
    }

    /// Makes a call until it is done, or cannot be done.
    pub(super) async fn run(&self, session: &Session, request: CallRequest) -> Result<Option<Payload>> {
        let deadline = deadline_after(request.timeout.unwrap_or(session.call_timeout()));
        let left = || deadline.saturating_duration_since(Instant::now());
        // No chance in a test: it runs the same way each time.
        let jitter = if session.is_deterministic() { 0.0 } else { self.backoff.jitter };
        let backoff = Backoff { jitter, ..self.backoff };
        let mut again = 0;
        loop {
            let left_now = left();
            let timeout = self.attempt_timeout.map_or(left_now, |each| each.min(left_now));
            let attempt = CallRequest { timeout: Some(timeout), ..request.clone() };
            let error = match session.call(attempt).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let pause = backoff.pause(again).max(error.retry_after().unwrap_or_default());
            if again >= self.times || !self.is_worth(&error) || pause >= left() {
                return Err(error);
            }
            tracing::debug!(
                function = %request.function_id,
                code = error.code(),
                "the call failed, and is made again in {pause:?}"
            );
            tokio::time::sleep(pause).await;
            again += 1;
        }
    }

    fn is_worth(&self, error: &Error) -> bool {
        if let Some(on) = &self.on {
            return on(error);
        }
        let passing = match error.code() {
            code::OVERLOADED | code::CONNECTION_LOST | "invocation_stopped" => true,
            code::TIMEOUT => self.attempt_timeout.is_some(),
            _ => false,
        };
        error.retryable().unwrap_or(passing)
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
