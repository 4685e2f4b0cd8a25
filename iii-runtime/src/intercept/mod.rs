//! Interceptors: code that runs around the invocations of a worker, and those that come with the crate.

mod any;
mod concurrency;
mod deduplicate;
mod function;
mod key;
mod next;
mod rate;
mod room;
#[cfg(all(test, feature = "testing"))]
mod tests;
mod timeout;
mod traced;
mod when;

use crate::extract::Invocation;
use crate::function::Function;
use crate::output::Reply;
use iii_wire::Result;

pub use any::AnyInterceptor;
pub use concurrency::ConcurrencyLimit;
pub use deduplicate::Deduplicate;
pub use function::{FromFn, from_fn};
pub use key::Key;
pub(crate) use next::Handler;
pub use next::Next;
pub use rate::RateLimit;
pub(crate) use room::Room;
pub use timeout::Timeout;
pub use traced::Traced;
pub use when::When;

#[doc = include_str!("../docs/intercept.md")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an interceptor",
    label = "not an interceptor",
    note = "implement `iii::Interceptor` for it, or use one of `iii::intercept`: `Traced`, `Timeout`, `ConcurrencyLimit`, `RateLimit`, `Deduplicate`, `from_fn`",
    note = "an interceptor is a value: a function that makes one is called, `intercept = [audit()]`"
)]
pub trait Interceptor: Send + Sync + 'static {
    /// Runs around one invocation. [`Next::run`] goes on to the next interceptor, and in the end to the function; without
    /// it, the function does not run.
    ///
    /// # Errors
    ///
    /// What it returns is what the interceptor further out sees, and in the end the caller.
    fn around(&self, call: Invocation, next: Next) -> impl Future<Output = Result<Reply>> + Send;

    /// Says whether it was set up rightly. Asked once, before the app connects. Default: it was.
    ///
    /// # Errors
    ///
    /// What is wrong. The app does not start, and its report has the message and the place.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The same interceptor, around those invocations only for which `applies` holds.
    ///
    /// ```
    /// use iii::Interceptor as _;
    /// use iii::intercept::RateLimit;
    /// use iii::trigger::TriggerKind;
    ///
    /// let over_http = RateLimit::per_second(100).when(|call| {
    ///     call.context().trigger().is_some_and(|trigger| trigger.kind == TriggerKind::Http)
    /// });
    /// # let _ = over_http;
    /// ```
    fn when(self, applies: impl Fn(&Invocation) -> bool + Send + Sync + 'static) -> When<Self>
    where
        Self: Sized,
    {
        When::new(self, applies)
    }

    /// The same interceptor, around all functions but `F`.
    ///
    /// ```
    /// use iii::Interceptor as _;
    /// use iii::intercept::RateLimit;
    ///
    /// #[iii::function(id = "shop::health")]
    /// async fn health() {}
    ///
    /// # let mut app = iii::App::new();
    /// app.intercept(RateLimit::per_second(100).except::<health>());
    /// ```
    fn except<F: Function>(self) -> When<Self>
    where
        Self: Sized,
    {
        When::new(self, |call| call.context().function_id() != F::ID)
    }
}

impl<I: Interceptor + ?Sized> Interceptor for std::sync::Arc<I> {
    fn around(&self, call: Invocation, next: Next) -> impl Future<Output = Result<Reply>> + Send {
        (**self).around(call, next)
    }

    fn check(&self) -> Result<()> {
        (**self).check()
    }
}

impl<I: Interceptor + ?Sized> Interceptor for &'static I {
    fn around(&self, call: Invocation, next: Next) -> impl Future<Output = Result<Reply>> + Send {
        (**self).around(call, next)
    }

    fn check(&self) -> Result<()> {
        (**self).check()
    }
}
