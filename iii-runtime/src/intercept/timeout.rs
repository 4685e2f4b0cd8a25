//! A limit of time around what is further in.

use std::time::Duration;

use super::{Interceptor, Next};
use crate::extract::Invocation;
use crate::output::Reply;
use iii_wire::{Error, Result, code};

/// Ends what is further in after some time, with the code [`timeout`](code::TIMEOUT).
///
/// It moves the deadline of the invocation nearer, so the function sees it in [`Context::deadline`](crate::Context::deadline),
/// and each interceptor further in gets the error. The option `timeout` of a function, and
/// [`App::handler_timeout`](crate::App::handler_timeout), do the same from the outside; of several, the nearest holds.
///
/// ```
/// use iii::intercept::Timeout;
/// use iii::prelude::*;
/// use std::time::Duration;
///
/// #[iii::function(id = "doc::slow", intercept = [Timeout::after(Duration::from_secs(2))])]
/// async fn slow(context: Context) {
///     assert_eq!(context.time_left(), Some(Duration::from_secs(2)));
///     std::future::pending::<()>().await;
/// }
///
/// # #[cfg(feature = "testing")]
/// # iii::testing::Test::new("doc").only::<slow>().run(|iii| async move {
/// let error = iii.call::<slow>(()).await.unwrap_err();
/// assert_eq!(error.code(), iii::code::TIMEOUT);
/// # });
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Timeout {
    after: Duration,
}

impl Timeout {
    /// Ends what takes longer.
    pub fn after(after: Duration) -> Self {
        Self { after }
    }
}

impl Interceptor for Timeout {
    async fn around(&self, mut call: Invocation, next: Next) -> Result<Reply> {
        call.limit_time(self.after);
        next.run(call).await
    }

    fn check(&self) -> Result<()> {
        if self.after.is_zero() {
            let text = "`Timeout::after` must be longer than zero: nothing could ever run";
            return Err(Error::new(code::INVALID_CONFIGURATION, text));
        }
        Ok(())
    }
}
