//! The storage door: values by scope and key, each change one step.

mod memory;

use std::fmt;

use crate::protocol::{ErrorBody, Payload};

pub(crate) use memory::MemoryStore;

/// Why a store could not do what it was asked to.
#[derive(Debug)]
pub(crate) struct StoreError(pub(crate) String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// The error as it travels, under the code of the function that failed.
    pub(crate) fn to_body(&self, code: &str) -> ErrorBody {
        ErrorBody::new(code, self.0.clone())
    }
}

/// What a change made of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The value before; `None`: there was none.
    pub(crate) old: Option<Payload>,
    /// The value after; `None`: there is none.
    pub(crate) new: Option<Payload>,
}

/// Decides the new value from the old one; `None` removes it, an error leaves it.
pub(crate) type Decide<'a> =
    dyn FnMut(Option<&Payload>) -> Result<Option<Payload>, StoreError> + 'a;
/// Sees a change while no other change of the same store can happen.
pub(crate) type Seen<'a> = dyn FnMut(&Change) + 'a;

/// Values by scope and key. Calls do not wait.
pub(crate) trait Store: Send + Sync + 'static {
    /// Reads a value.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn get(&self, scope: &str, key: &str) -> Result<Option<Payload>, StoreError>;

    /// Changes a value in one step. `seen` is called in the order in which changes happen, before this returns.
    ///
    /// # Errors
    ///
    /// If `decide` says so, or the store cannot be written. Nothing changed then, and `seen` was not called.
    fn change(
        &self,
        scope: &str,
        key: &str,
        decide: &mut Decide<'_>,
        seen: &mut Seen<'_>,
    ) -> Result<Change, StoreError>;

    /// The values of a scope in the order in which their keys came.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn list(&self, scope: &str) -> Result<Vec<(String, Payload)>, StoreError>;

    /// The names of the scopes that hold something, in order.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn scopes(&self) -> Result<Vec<String>, StoreError>;
}
