//! `Call::retry`: which errors, what pauses, and no longer than the call may take.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{Retry, lifecycle::Backoff};
use iii_wire::Error;

/// How often it fails before it does not.
#[derive(Debug, Default)]
struct Failing(AtomicU32);

#[iii::function(id = "retry::flaky")]
async fn flaky(retryable: Option<bool>, failing: State<Failing>) -> Result<u32> {
    let left = failing.0.0.load(Ordering::Relaxed);
    if left == 0 {
        return Ok(7);
    }
    failing.0.0.store(left - 1, Ordering::Relaxed);
    let error = Error::new("t/flaky", "not yet");
    Err(match retryable {
        Some(retryable) => error.with_retryable(retryable),
        None => error,
    })
}

#[iii::test(only(flaky))]
async fn a_call_is_made_again_after_pauses_that_grow(iii: Harness) {
    let failing = iii.provide(Failing(AtomicU32::new(3)));
    let began = iii.now();
    assert_eq!(iii.call::<flaky>(Some(true)).retry(Retry::times(3)).await.unwrap(), 7);
    let at: Vec<_> = iii
        .calls::<flaky>()
        .await
        .iter()
        .map(|call| call.began().duration_since(began).unwrap().as_millis())
        .collect();
    assert_eq!(at, [0, 100, 300, 700]);

    failing.0.store(3, Ordering::Relaxed);
    let error = iii.call::<flaky>(Some(true)).retry(Retry::times(2)).await.unwrap_err();
    assert_eq!(error.code(), "t/flaky");
    assert_eq!(iii.calls::<flaky>().await.len(), 7);
}

#[iii::test(only(flaky))]
async fn only_errors_that_may_pass_are_worth_it(iii: Harness) {
    let failing = iii.provide(Failing(AtomicU32::new(1)));
    for retryable in [Some(false), None] {
        failing.0.store(1, Ordering::Relaxed);
        assert!(iii.call::<flaky>(retryable).retry(Retry::times(3)).await.is_err());
    }
    failing.0.store(1, Ordering::Relaxed);
    let any = Retry::times(3).on(|error| error.code() == "t/flaky");
    assert_eq!(iii.call::<flaky>(None).retry(any).await.unwrap(), 7);
}

#[iii::test(only(flaky))]
async fn a_call_and_its_pauses_end_with_its_timeout(iii: Harness) {
    iii.provide(Failing(AtomicU32::new(100)));
    let began = iii.now();
    let backoff = Backoff { initial: SECOND, ..Retry::BACKOFF };
    let call = iii.call::<flaky>(Some(true)).timeout(5 * SECOND);
    let error = call.retry(Retry::times(50).backoff(backoff)).await.unwrap_err();
    assert_eq!(error.code(), "t/flaky");
    // After 0, 1 and 3 s; the next pause would have ended after the timeout.
    assert_eq!(iii.now(), began + 3 * SECOND);
    assert_eq!(iii.calls::<flaky>().await.len(), 3);
}

#[iii::function(id = "retry::limited", intercept = [iii::intercept::RateLimit::per_minute(1)])]
async fn limited() {}

#[iii::test(only(limited))]
async fn a_pause_is_as_long_as_the_error_asks(iii: Harness) {
    iii.call::<limited>(()).await.unwrap();
    let began = iii.now();
    let patient = iii.call::<limited>(()).timeout(90 * SECOND);
    patient.retry(Retry::times(1)).await.unwrap();
    assert_eq!(iii.now(), began + 60 * SECOND);
    // One that cannot wait so long learns it at once.
    let error = iii.call::<limited>(()).timeout(SECOND).retry(Retry::times(9)).await.unwrap_err();
    assert_eq!(error.code(), iii::code::RATE_LIMITED);
    assert_eq!(iii.now(), began + 60 * SECOND);
}

#[iii::function(id = "retry::stuck")]
async fn stuck(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::test(only(stuck))]
async fn an_attempt_may_have_a_timeout_of_its_own(iii: Harness) {
    iii.provide(Story::default());
    let began = iii.now();
    let retry = Retry::times(2).attempt_timeout(SECOND);
    let error = iii.call::<stuck>(Job::of("a", 60)).retry(retry).await.unwrap_err();
    assert_eq!(error.code(), iii::code::TIMEOUT);
    assert_eq!(iii.now(), began + 3 * SECOND + Duration::from_millis(300));
    assert_eq!(iii.calls::<stuck>().await.len(), 3);
}

#[iii::test(only(stuck))]
async fn a_link_that_is_lost_is_worth_another_attempt(iii: Harness) {
    iii.provide(Story::default());
    // The worker is back after a second.
    let backoff = Backoff { initial: 2 * SECOND, ..Retry::BACKOFF };
    let call = iii.call::<stuck>(Job::of("a", 2)).retry(Retry::times(1).backoff(backoff));
    let broken = async {
        tokio::time::sleep(SECOND).await;
        iii.drop_connection().await;
    };
    let (result, ()) = tokio::join!(call.into_future(), broken);
    assert_eq!(result.unwrap(), 2);
}
