//! The worker: it connects, registers what the catalogue says, serves invocations, and comes back when the link is lost.

mod backoff;
mod dispatch;
mod pending;
mod provider;
mod registration;
mod run;
mod session;

pub(crate) use dispatch::{DispatchLimits, Dispatcher};
pub(crate) use provider::Provider;
pub(crate) use registration::{Identity, Refusal, Registrations};
pub(crate) use run::{Worker, WorkerHandle};
pub(crate) use session::{Request, Session};

pub use backoff::Backoff;
pub use session::ConnectionState;
