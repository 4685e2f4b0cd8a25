//! `RateLimit`: refusing, waiting, and what callers learn of it.

use super::*;
use crate::intercept::RateLimit;

#[iii::function(id = "rate::refuses", intercept = [RateLimit::per_minute(2).by("/key")])]
#[iii::trigger(http, path = "/rate/:key")]
async fn refuses(job: Option<Job>) -> bool {
    job.is_some()
}

#[iii::test(only(refuses))]
async fn too_many_are_refused_and_told_when_to_try_again(iii: Harness) {
    let call = || iii.call::<refuses>(Some(Job::of("a", 0)));
    assert!(call().await.is_ok() && call().await.is_ok());
    let error = call().await.unwrap_err();
    assert_eq!((error.code(), error.status()), (iii::code::RATE_LIMITED, 429));
    assert_eq!((error.retryable(), error.retry_after()), (Some(true), Some(30 * SECOND)));
    iii.advance(Duration::from_millis(500)).await;
    let answer = iii.http().get("/rate/a").send().await;
    assert_eq!((answer.status(), answer.header("retry-after")), (429, Some("30")));
    // Others are not meant.
    assert!(iii.call::<refuses>(Some(Job::of("b", 0))).await.is_ok());
    iii.advance(Duration::from_millis(29_500)).await;
    assert!(call().await.is_ok());
    assert!(call().await.is_err());
}

#[iii::function(id = "rate::waits", timeout = "5s", concurrency = 1, intercept = [RateLimit::per_second(1).wait(60 * SECOND)])]
async fn waits(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::test(only(waits))]
async fn some_wait_for_their_turn_and_none_past_its_deadline(iii: Harness) {
    let story = iii.provide(Story::default());
    for n in 0..8 {
        iii.send::<waits>(Job::of(&n.to_string(), 0)).await.unwrap();
    }
    iii.settle().await;
    assert_eq!(story.take(), ["0 runs", "0 is done"]);
    iii.advance(2 * SECOND).await;
    assert_eq!(story.take(), ["1 runs", "1 is done", "2 runs", "2 is done"]);
    iii.advance(60 * SECOND).await;
    let calls = iii.calls::<waits>().await;
    let failed: Vec<_> = calls.iter().filter_map(|call| call.error()).collect();
    // At once, as it could not be in time; and at the deadline, for the one whose turn comes then.
    assert_eq!(failed.iter().filter(|error| error.code() == iii::code::RATE_LIMITED).count(), 2);
    assert!(failed.len() <= 3, "{failed:?}");
}
