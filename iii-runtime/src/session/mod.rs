//! The connection to an engine that a worker and its clients share, and what is pending on it: calls, listeners, readiness.

mod bindings;
mod inbox;
mod pending;
mod readiness;
#[expect(clippy::module_inception, reason = "the type that the module is named after")]
mod session;

pub(crate) use inbox::{ListenerEvent, ListenerInbox};
pub(crate) use pending::PendingCalls;
pub(crate) use readiness::Readiness;
pub(crate) use session::{ActiveConnection, CallRequest, Session};

pub use session::ConnectionState;
