//! `ConcurrencyLimit`: who runs, who waits, who is refused, and what room it takes.

use super::*;
use crate::intercept::ConcurrencyLimit;

#[iii::function(id = "limit::waits", intercept = [ConcurrencyLimit::new(1).queue(2).by("/key")])]
#[iii::trigger(http, method = "POST", path = "/limit/:key")]
async fn waits(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::test(only(waits))]
async fn others_of_the_key_wait_in_their_order_and_too_many_are_refused(iii: Harness) {
    let story = iii.provide(Story::default());
    for (key, seconds) in [("a", 3), ("a", 2), ("a", 1), ("b", 2)] {
        iii.send::<waits>(Job::of(key, seconds)).await.unwrap();
    }
    iii.settle().await;
    assert_eq!(story.take(), ["a runs", "b runs"]);
    let error = iii.call::<waits>(Job::of("a", 9)).await.unwrap_err();
    assert_eq!((error.code(), error.retryable()), (iii::code::OVERLOADED, Some(true)));
    // Over HTTP, the key is in the path.
    let body = serde_json::json!({"seconds": 1});
    assert_eq!(iii.http().post("/limit/a").json(&body).send().await.status(), 503);
    assert_eq!(iii.http().post("/limit/c").json(&body).send().await.status(), 200);
    story.take();
    iii.advance(9 * SECOND).await;
    assert_eq!(
        story.take(),
        ["b is done", "a is done", "a runs", "a is done", "a runs", "a is done"]
    );
    let began: Vec<_> = iii.calls::<waits>().await.iter().filter_map(|call| call.ended()).collect();
    assert_eq!(began.len(), 7);
}

#[iii::test(only(waits))]
async fn a_caller_without_the_key_counts_with_all_others_without(iii: Harness) {
    let story = iii.provide(Story::default());
    for _ in 0..2 {
        iii.send::<waits>(Job { key: None, seconds: 1 }).await.unwrap();
    }
    iii.settle().await;
    assert_eq!(story.take(), ["- runs"]);
    iii.advance(2 * SECOND).await;
    assert_eq!(story.take(), ["- is done", "- runs", "- is done"]);
}

#[iii::function(id = "limit::room", concurrency = 2, timeout = "5s", intercept = [ConcurrencyLimit::new(1).by("/key")])]
async fn room(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::test(only(room))]
async fn those_that_wait_leave_their_room_to_others(iii: Harness) {
    let story = iii.provide(Story::default());
    for key in ["a", "a", "a", "a", "b"] {
        iii.send::<room>(Job::of(key, 2)).await.unwrap();
    }
    iii.settle().await;
    // The function has room for two: those that wait for `a` must not take it from `b`.
    assert_eq!(story.take(), ["a runs", "b runs"]);
    iii.advance(4 * SECOND).await;
    assert_eq!(story.take(), ["a is done", "b is done", "a runs", "a is done", "a runs"]);
    // What waited is ended by its own deadline, and its place is free again.
    iii.advance(2 * SECOND).await;
    let codes: Vec<_> = iii
        .calls::<room>()
        .await
        .iter()
        .map(|call| call.error().map_or("ok".to_owned(), |error| error.code().to_owned()))
        .collect();
    assert_eq!(codes, ["ok", "ok", "timeout", "timeout", "ok"]);
    story.take();
    assert_eq!(iii.call::<room>(Job::of("a", 1)).await.unwrap(), 1);
}

#[tokio::test]
async fn nothing_is_kept_of_keys_that_are_not_in_use() {
    let limit = ConcurrencyLimit::new(1).reject().by("");
    for n in 0..100 {
        let call = Invocation::test(Context::test(), Payload::new(&n).unwrap());
        let next = Next::test(|_| async { crate::output::Output::into_reply(()) });
        limit.around(call, next).await.unwrap();
    }
    assert!(format!("{limit:?}").contains("data: {}"), "{limit:?}");
}
