//! Closures as interceptors.

use std::fmt;

use super::{Interceptor, Next};
use crate::extract::Invocation;
use crate::output::Reply;
use iii_wire::Result;

/// An interceptor that is a closure. Made by [`from_fn`].
#[derive(Clone, Copy)]
pub struct FromFn<F>(F);

/// Makes an interceptor of a closure or of an async function.
///
/// ```
/// use iii::intercept::from_fn;
/// use iii::{Error, Invocation, Next, output::Reply};
///
/// /// Only the attempts of queues that are the first three.
/// async fn few_attempts(call: Invocation, next: Next) -> iii::Result<Reply> {
///     if call.context().attempt().is_some_and(|attempt| attempt > 3) {
///         return Err(Error::new("shop/given-up", "this is the fourth attempt"));
///     }
///     next.run(call).await
/// }
///
/// # let mut app = iii::App::new();
/// app.intercept(from_fn(few_attempts));
/// app.intercept(from_fn(|mut call, next| async move {
///     call.insert("anything");
///     next.run(call).await
/// }));
/// ```
pub fn from_fn<F, R>(function: F) -> FromFn<F>
where
    F: Fn(Invocation, Next) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply>> + Send,
{
    FromFn(function)
}

impl<F, R> Interceptor for FromFn<F>
where
    F: Fn(Invocation, Next) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Reply>> + Send,
{
    // The closure is called when the future runs, so that its panic is caught like any other.
    async fn around(&self, call: Invocation, next: Next) -> Result<Reply> {
        (self.0)(call, next).await
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}
