//! The extractor of state that the app provides.

use std::any::type_name;
use std::ops::Deref;
use std::sync::Arc;

use super::{Extract, Invocation};
use crate::function::Signature;
use iii_wire::{Error, Result, code};

/// State that the app provides with [`App::state`](crate::App::state), shared by all handlers.
///
/// A worker whose functions take a `State<T>` that the app does not provide fails to start, with the locations of those
/// functions.
///
/// ```
/// # use std::sync::Arc;
/// use iii::State;
///
/// struct Stock { tea: u32 }
///
/// async fn left(stock: State<Stock>) -> u32 { stock.tea }
///
/// // In a unit test:
/// let stock = State::new(Stock { tea: 3 });
/// # let _ = left(stock);
/// ```
#[derive(Debug)]
pub struct State<T>(pub Arc<T>);

impl<T> State<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + Sync + 'static> Extract for State<T> {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        call.resources().get().map(Self).ok_or_else(|| {
            let name = type_name::<T>();
            Error::new(
                code::INTERNAL,
                format!("the state `{name}` is not provided: call `app.state(…)`"),
            )
        })
    }

    fn describe(signature: &mut Signature) {
        signature.require::<T>();
    }
}
