//! What the harness promises, by tests that use it as users do.

mod calls;
mod config;
mod cost;
mod failures;
mod faults;
mod http;
mod http_functions;
mod lifecycle;
mod listeners;
mod mocks;
mod order;
mod retries;
mod services;
mod stores;
mod texts;
mod time;
mod trace;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use super::PointInTime;

/// When the tests begin.
fn start() -> SystemTime {
    "2026-01-05T00:00:00Z".to_time()
}

/// What a test that must fail says.
fn failed(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("the test fails");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
