//! What a test costs, and what it leaves behind: nothing.

use std::sync::Arc;
use std::time::Duration;

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
    const TESTS: u32 = 100;
    // Whatever else the machine does only adds to it: the least of some batches is the cost.
    let batches = (0..10).map(|_| {
        let before = busy();
        (0..TESTS).for_each(|_| drop(one_test()));
        (busy() - before) / TESTS
    });
    let mut batches: Vec<_> = batches.collect();
    batches.sort();
    let (least, most) = (batches[0], batches[9]);
    println!(
        "a test with five functions and one call: {least:?} of work; up to {most:?} in other batches"
    );
    assert!(least < Duration::from_millis(2), "{least:?}");
}
