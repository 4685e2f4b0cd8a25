//! An interceptor of any type, as the catalogue keeps it.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Interceptor, Next};
use crate::extract::Invocation;
use crate::function::Location;
use crate::output::Reply;
use iii_wire::Result;

/// An interceptor of any type, and the place where it was given. Cheap to clone; clones share what it counts.
#[derive(Clone)]
pub struct AnyInterceptor {
    inner: Arc<dyn Erased>,
    place: Location,
}

/// [`Interceptor`] without its own type of future.
trait Erased: Send + Sync {
    // A box, as the call is moved through each layer.
    fn around(&self, call: Box<Invocation>, next: Next) -> BoxFuture<'_, Result<Reply>>;
    fn check(&self) -> Result<()>;
    fn name(&self) -> &'static str;
}

impl<I: Interceptor> Erased for I {
    fn around(&self, call: Box<Invocation>, next: Next) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(Interceptor::around(self, *call, next))
    }

    fn check(&self) -> Result<()> {
        Interceptor::check(self)
    }

    fn name(&self) -> &'static str {
        type_name::<I>()
    }
}

impl AnyInterceptor {
    /// Wraps an interceptor.
    #[track_caller]
    pub fn new(interceptor: impl Interceptor) -> Self {
        let place = std::panic::Location::caller();
        let place = Location { file: place.file(), line: place.line(), column: place.column() };
        Self { inner: Arc::new(interceptor), place }
    }

    /// Where it was given.
    pub fn place(&self) -> Location {
        self.place
    }

    /// The name of its type, for people.
    pub fn name(&self) -> &'static str {
        self.inner.name()
    }

    pub(super) fn call(&self, call: Box<Invocation>, next: Next) -> BoxFuture<'_, Result<Reply>> {
        self.inner.around(call, next)
    }
}

impl Interceptor for AnyInterceptor {
    fn around(&self, call: Invocation, next: Next) -> impl Future<Output = Result<Reply>> + Send {
        self.call(Box::new(call), next)
    }

    fn check(&self) -> Result<()> {
        self.inner.check()
    }
}

impl fmt::Debug for AnyInterceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name(), self.place)
    }
}
