//! The worker: it connects, registers what the catalogue says, serves invocations, and comes back when the link is lost.

mod backoff;
mod bindings;
mod confirm;
mod conflict;
mod dispatch;
mod inbox;
mod leaving;
mod pending;
mod provider;
mod readiness;
mod registration;
mod run;
mod serving;
mod session;
mod watch;

pub(crate) use dispatch::{DispatchLimits, Dispatcher};
pub(crate) use inbox::{Heard, Inbox};
pub(crate) use provider::Provider;
pub(crate) use readiness::Readiness;
pub(crate) use registration::{Identity, Refusal, Registrations, TriggerIds};
pub(crate) use run::{Started, Worker, WorkerHandle};
pub(crate) use session::{Request, Session, after};
pub(crate) use watch::Watch;
#[cfg(feature = "testing")]
pub(crate) use watch::{Begun, Ended, Plan, Watched};

pub use backoff::Backoff;
pub use conflict::Conflict;
pub use session::ConnectionState;
