//! Which worker reads a payload: the ends of channels in it open through that worker's connection.

use std::cell::RefCell;
use std::sync::Arc;

use crate::session::Session;

/// A payload that is deserialised now.
struct Scope {
    /// The connection of the worker that reads it; `None` outside of a running worker.
    session: Option<Arc<Session>>,
}

thread_local! {
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// Runs `read`, which deserialises something that the worker of `session` has received.
///
/// `Deserialize` has no place for a connection, and ends of channels need one.
pub(crate) fn deserialize_with_session<T>(session: Option<Arc<Session>>, read: impl FnOnce() -> T) -> T {
    struct Restore(Option<Scope>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCOPE.set(self.0.take());
        }
    }
    let _restore = Restore(SCOPE.replace(Some(Scope { session })));
    read()
}

/// Whether a payload is deserialised now.
pub(super) fn is_active() -> bool {
    SCOPE.try_with(|scope| scope.borrow().is_some()).unwrap_or(false)
}

/// The connection of the worker that reads now; `None` outside of any worker.
pub(super) fn session() -> Option<Arc<Session>> {
    SCOPE.with_borrow(|scope| scope.as_ref().and_then(|scope| scope.session.clone()))
}
