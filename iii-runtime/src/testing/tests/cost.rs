//! What a test costs, and what it leaves behind: nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::worker::{announce, create, daily, double, on_state};
use crate::prelude::*;
use crate::testing::Test;

fn one_test() -> Vec<std::sync::Weak<crate::testing::harness::Inner>> {
    let mut left = Vec::new();
    let kept = &mut left;
    Test::new("t")
        .only::<create>()
        .only::<announce>()
        .only::<daily>()
        .only::<on_state>()
        .only::<double>()
        .run(|iii| async move {
            iii.provide(super::worker::Stock::default());
            assert_eq!(iii.call::<double>(2).await.unwrap(), 4);
            kept.push(Arc::downgrade(&iii.inner));
        });
    left
}

#[test]
fn a_thousand_tests_leave_nothing_behind() {
    let open = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    one_test();
    let (files, tasks) = (open(), threads());
    for _ in 0..1000 {
        for inner in one_test() {
            // Whatever a task had held would still be there.
            assert!(inner.upgrade().is_none(), "something of the test is still there");
        }
    }
    // Other tests of this process open some of their own.
    assert!(open() < files + 200, "{} files, {files} before", open());
    assert!(threads() < tasks + 200, "{} threads, {tasks} before", threads());
}

#[iii::test(only(double))]
async fn all_tasks_end_with_the_test(iii: Harness) {
    iii.call::<double>(2).await.unwrap();
    let metrics = tokio::runtime::Handle::current().metrics();
    assert!(metrics.num_alive_tasks() > 0);
    iii.stop().await;
    iii.inner.idle.wait().await;
    assert_eq!(metrics.num_alive_tasks(), 0);
}

/// For how long this thread has had a processor. Unlike the time that passes, it does not count what other programs do.
fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

/// `cargo test -p iii-runtime --features testing a_test_costs -- --ignored --nocapture`
#[test]
#[ignore = "measures"]
#[allow(clippy::print_stdout)]
fn a_test_costs_less_than_two_milliseconds() {
    one_test();
    const TESTS: u32 = 500;
    let (begun, before) = (Instant::now(), busy());
    for _ in 0..TESTS {
        one_test();
    }
    let (elapsed, work) = (begun.elapsed() / TESTS, (busy() - before) / TESTS);
    println!("a test with five functions and one call: {work:?} of work, done after {elapsed:?}");
    assert!(work < Duration::from_millis(2), "{work:?}");
}
