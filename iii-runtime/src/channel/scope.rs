//! The session that deserialises a payload on this thread: channel ends in the payload open through its connection.

use std::cell::RefCell;
use std::sync::Arc;

use crate::session::Session;

/// A deserialisation in progress.
struct DeserializeScope {
    /// The session of the worker that received the payload; `None` outside of a running worker.
    session: Option<Arc<Session>>,
}

thread_local! {
    static SCOPE: RefCell<Option<DeserializeScope>> = const { RefCell::new(None) };
}

/// Runs `deserialize`, and passes the session to the channel ends that it creates.
///
/// A thread-local, since `Deserialize` has no parameter for it.
pub(crate) fn deserialize_with_session<T>(
    session: Option<Arc<Session>>,
    deserialize: impl FnOnce() -> T,
) -> T {
    struct Restore(Option<DeserializeScope>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCOPE.set(self.0.take());
        }
    }
    let _restore = Restore(SCOPE.replace(Some(DeserializeScope { session })));
    deserialize()
}

/// Whether a deserialisation is in progress on this thread.
pub(super) fn is_active() -> bool {
    SCOPE.try_with(|scope| scope.borrow().is_some()).unwrap_or(false)
}

/// The session of the deserialisation in progress; `None` outside of a running worker.
pub(super) fn session() -> Option<Arc<Session>> {
    SCOPE.with_borrow(|scope| scope.as_ref().and_then(|scope| scope.session.clone()))
}
