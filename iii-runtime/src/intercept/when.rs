//! Interceptors around some invocations only.

use std::fmt;

use super::{Interceptor, Next};
use crate::extract::Invocation;
use crate::output::Reply;
use iii_wire::Result;

/// An interceptor around some invocations only. Made by [`Interceptor::when`] and [`Interceptor::except`].
pub struct When<I> {
    inner: I,
    applies: Box<dyn Fn(&Invocation) -> bool + Send + Sync>,
}

impl<I> When<I> {
    pub(super) fn new(
        inner: I,
        applies: impl Fn(&Invocation) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { inner, applies: Box::new(applies) }
    }
}

impl<I: Interceptor> Interceptor for When<I> {
    async fn around(&self, call: Invocation, next: Next) -> Result<Reply> {
        if (self.applies)(&call) {
            self.inner.around(call, next).await
        } else {
            next.run(call).await
        }
    }

    fn check(&self) -> Result<()> {
        self.inner.check()
    }
}

impl<I: fmt::Debug> fmt::Debug for When<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When").field("inner", &self.inner).finish_non_exhaustive()
    }
}
