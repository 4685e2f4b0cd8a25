//! Tests of a worker in memory, under virtual time: no engine to start, no port, no sleep.
#![doc = include_str!("../docs/testing.md")]

mod calls;
mod config;
mod faults;
mod harness;
mod http;
mod idle;
mod mock;
mod panics;
mod record;
mod report;
mod rules;
mod run;
mod start;
mod subscriber;
#[cfg(test)]
mod tests;
mod time;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use calls::{AnyFunction, DeadMessage, Published, QueueState, Recorded};
pub use harness::Harness;
pub use http::{Http, HttpAnswer, HttpCall, StreamedAnswer};
pub(crate) use idle::blocking;
pub use mock::Expectation;
pub use rules::Times;
#[doc(hidden)]
pub use run::set_up_result;
pub use run::{Test, TestResult};
pub use subscriber::{StreamMessage, Subscriber};
pub use time::PointInTime;

/// Locks. A panic of another holder is that of a test, which is reported elsewhere.
fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
