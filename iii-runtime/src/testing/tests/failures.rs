//! What a test prints when it fails.

use std::time::Duration;

use super::failed;
use super::worker::*;
use crate::prelude::*;
use crate::testing::Test;

#[test]
fn a_worker_that_cannot_start_is_reported_once() {
    let text = failed(|| {
        Test::new("t").only::<create>().only::<work>().run(|iii| async move {
            iii.settle().await;
        });
    });
    assert!(text.contains("have 2 problems"), "{text}");
    assert!(text.contains("worker::Stock`") && text.contains("iii.provide(value)"), "{text}");
    let text = failed(|| {
        async fn broken(_: &mut App) -> Result<(), iii::BoxError> {
            Err("no database".into())
        }
        Test::new("t")
            .only::<double>()
            .setup(|app| Box::pin(broken(app)))
            .run(|iii| async move { iii.settle().await });
    });
    assert!(text.contains("the set-up failed") && text.contains("no database"), "{text}");
}

#[test]
fn a_wait_without_end_ends_with_what_is_in_flight() {
    let text = failed(|| {
        Test::new("t").only::<nap>().only::<hourly>().run(|iii| async move {
            iii.advance(Duration::from_secs(1800)).await;
            iii.send::<nap>(90_000).await.unwrap();
            std::future::pending::<()>().await;
        });
    });
    assert!(text.contains("the test waits for something that does not come: 3600 s of"), "{text}");
    assert!(
        text.contains("its last step was `send` at") && text.contains("failures.rs:"),
        "{text}"
    );
    assert!(
        text.contains("in flight:\n   1. 2026-01-05T00:30:00Z t::nap, took 90000, still runs"),
        "{text}"
    );
    assert!(text.contains("2026-01-05T01:00:00Z t::hourly by cron, took"), "{text}");
}

#[test]
fn to_look_again_and_again_is_no_step() {
    let text = failed(|| {
        Test::new("t").only::<double>().run(|iii| async move {
            while iii.calls::<double>().await.is_empty() {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        });
    });
    assert!(text.contains("its last step was `calls`"), "{text}");
}

#[test]
fn an_error_of_the_test_is_shown_with_what_happened() {
    let text = failed(|| {
        Test::new("t").only::<double>().run(|iii| async move {
            iii.call::<double>(2).await?;
            iii.call_raw::<()>("t::missing", &1).await
        });
    });
    assert!(text.contains("the test failed: Error {"), "{text}");
    assert!(text.contains("1. 2026-01-05T00:00:00Z t::double, took 2, gave 4"), "{text}");
}

#[test]
fn a_panic_of_the_test_goes_on_as_it_is() {
    let text = failed(|| {
        Test::new("t")
            .only::<double>()
            .run(|_iii| async move { assert_eq!(1, 1 + u8::from(true), "my own words") });
    });
    assert!(text.contains("my own words") && !text.contains("called"), "{text}");
}

#[iii::test(only(panics, panics_elsewhere))]
async fn a_panic_of_a_handler_has_its_words_and_its_place(iii: Harness) {
    assert_eq!(iii.call::<panics>(1).await.unwrap_err().code(), iii::code::PANIC);
    assert_eq!(iii.call::<panics_elsewhere>(2).await.unwrap_err().code(), iii::code::PANIC);
    assert_eq!(iii.call::<panics>(10).await.unwrap(), 10);
    for (call, words) in [
        (iii.calls_raw("t::panics").await.remove(0), "1 is too small"),
        (iii.calls_raw("t::panics_elsewhere").await.remove(0), "2 is too small"),
    ] {
        let text = call.error().unwrap().message();
        assert!(text.starts_with("panicked at ") && text.ends_with(words), "{text}");
        assert!(text.contains("testing/tests/worker.rs:"), "{text}");
    }
}

#[test]
#[should_panic(expected = "`advance` needs virtual time: leave `real_time` out")]
fn real_time_cannot_be_moved() {
    Test::new("t").only::<double>().real_time().run(|iii| async move {
        iii.advance(Duration::from_secs(1)).await;
    });
}
