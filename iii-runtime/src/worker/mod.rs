//! The worker: it connects, registers what the catalogue says, serves invocations, and comes back when the link is lost.

mod confirm;
mod conflict;
mod dispatch;
mod in_flight;
mod invoke;
mod leaving;
mod provider;
mod registration;
mod reply_to;
mod run;
mod serving;
mod watch;

pub(crate) use dispatch::{DispatchLimits, Dispatcher};
pub(crate) use invoke::Environment;
pub(crate) use provider::Provider;
pub(crate) use registration::{Identity, Refusal, Registrations, TriggerIds};
pub(crate) use run::{Started, Worker, WorkerHandle};
pub(crate) use watch::Watch;
#[cfg(feature = "testing")]
pub(crate) use watch::{Begun, Ended, Plan, Watched};

pub use conflict::Conflict;
