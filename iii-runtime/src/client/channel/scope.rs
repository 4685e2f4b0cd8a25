//! Which worker reads a payload: the ends of channels in it are opened through that worker's connection.

use std::cell::RefCell;
use std::sync::Arc;

use crate::extract::Resources;
use crate::worker::Session;

/// Who leads to the connection.
#[derive(Debug, Clone)]
pub(crate) enum Reading {
    /// A caller, which reads a result.
    Session(Arc<Session>),
    /// A handler, whose worker has the connection among its values.
    Resources(Arc<Resources>),
}

thread_local! {
    static READING: RefCell<Option<Reading>> = const { RefCell::new(None) };
}

/// Runs `read`, which deserialises something that `reading` has received.
///
/// Deserialising knows nothing of where the text comes from, and ends of channels need to know.
pub(crate) fn within<T>(reading: Reading, read: impl FnOnce() -> T) -> T {
    struct Restore(Option<Reading>);
    impl Drop for Restore {
        fn drop(&mut self) {
            READING.set(self.0.take());
        }
    }
    let _restore = Restore(READING.replace(Some(reading)));
    read()
}

/// Whether something is deserialised now.
pub(super) fn is_read() -> bool {
    READING.try_with(|reading| reading.borrow().is_some()).unwrap_or(false)
}

/// The connection of who reads now; `None` outside of any worker.
pub(super) fn session() -> Option<Arc<Session>> {
    READING.with_borrow(|reading| match reading {
        Some(Reading::Session(session)) => Some(session.clone()),
        Some(Reading::Resources(resources)) => resources.get::<Session>(),
        None => None,
    })
}
