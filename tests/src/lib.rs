//! What the tests share: a scripted engine, a raw worker, a raw HTTP client, and programs that are started and watched.

pub mod declared;
mod engine;
pub mod golden;
mod http;
mod local;
mod peer;
mod program;
mod seed;

pub use engine::{FakeEngine, Script, confirm};
pub use http::{Answer, request, try_request};
pub use local::{engine, engine_with, worker, worker_url};
pub use peer::{Ended, Peer};
pub use program::Program;
pub use seed::Seed;

use std::time::Duration;

/// How long a test waits for what must happen. Long, so that a slow machine fails no test; nothing ever takes so long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for something that must happen, and says what if it does not.
///
/// # Panics
///
/// After [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} for {what}"),
    }
}

/// Waits until a condition holds.
///
/// # Panics
///
/// After [`DEADLINE`].
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
