//! `Deduplicate`: joining, remembering, refusing, and what happens when the first fails or is given up.

use super::*;
use crate::intercept::{Deduplicate, Timeout};

#[iii::function(id = "dedup::joins", intercept = [Deduplicate::while_running("/key")])]
async fn joins(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::test(only(joins))]
async fn those_that_come_while_the_first_runs_get_its_result(iii: Harness) {
    let story = iii.provide(Story::default());
    let call = |key, seconds| iii.call::<joins>(Job::of(key, seconds));
    iii.send::<joins>(Job::of("a", 5)).await.unwrap();
    iii.settle().await;
    let (one, two, other) = tokio::join!(call("a", 7), call("a", 8), call("b", 1));
    assert_eq!((one.unwrap(), two.unwrap(), other.unwrap()), (5, 5, 1));
    assert_eq!(story.take(), ["a runs", "b runs", "b is done", "a is done"]);
    // The next is a first one.
    assert_eq!(call("a", 7).await.unwrap(), 7);
    story.take();
    // Without a key, each runs.
    let without = || iii.call::<joins>(Job { key: None, seconds: 1 });
    let (one, two) = tokio::join!(without(), without());
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(story.take().len(), 4);
}

#[iii::function(id = "dedup::rejects", intercept = [Deduplicate::while_running("/key").reject()])]
async fn rejects(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::test(only(rejects))]
async fn duplicates_may_be_refused(iii: Harness) {
    iii.provide(Story::default());
    iii.send::<rejects>(Job::of("a", 5)).await.unwrap();
    iii.settle().await;
    let error = iii.call::<rejects>(Job::of("a", 5)).await.unwrap_err();
    assert_eq!((error.code(), error.status()), (iii::code::DUPLICATE, 409));
    assert_eq!(error.retryable(), Some(true));
    iii.advance(5 * SECOND).await;
    assert_eq!(iii.call::<rejects>(Job::of("a", 5)).await.unwrap(), 5);
}

#[iii::function(
    id = "dedup::remembers",
    intercept = [Deduplicate::within(60 * SECOND, "/key").entries(2)],
)]
#[iii::trigger(http, method = "POST", path = "/dedup")]
async fn remembers(job: Job, story: State<Story>) -> Created<u64> {
    Created(work(job, story).await)
}

#[iii::test(only(remembers))]
async fn a_result_is_remembered_for_a_time(iii: Harness) {
    let story = iii.provide(Story::default());
    assert_eq!(iii.call::<remembers>(Job::of("a", 5)).await.unwrap(), 5);
    iii.advance(59 * SECOND).await;
    let answer = iii.http().post("/dedup").json(&Job::of("a", 9)).send().await;
    assert_eq!((answer.status(), answer.text()), (201, "5"));
    assert_eq!(story.take(), ["a runs", "a is done"]);
    iii.advance(SECOND).await;
    assert_eq!(iii.call::<remembers>(Job::of("a", 9)).await.unwrap(), 9);
    // Of three, the oldest is forgotten.
    for key in ["b", "c"] {
        iii.call::<remembers>(Job::of(key, 1)).await.unwrap();
    }
    story.take();
    assert_eq!(iii.call::<remembers>(Job::of("b", 3)).await.unwrap(), 1);
    assert_eq!(iii.call::<remembers>(Job::of("a", 3)).await.unwrap(), 3);
    assert_eq!(story.take(), ["a runs", "a is done"]);
}

#[iii::test(only(remembers))]
async fn a_first_one_that_fails_is_forgotten(iii: Harness) {
    let story = iii.provide(Story::default());
    iii.delay::<remembers>(SECOND);
    iii.fail_next::<remembers>(iii::Error::new("t/broken", "no").with_status(418));
    let call = || iii.call::<remembers>(Job::of("a", 1));
    let (one, two) = tokio::join!(call(), call());
    for error in [one.unwrap_err(), two.unwrap_err()] {
        assert_eq!((error.code(), error.status()), ("t/broken", 418));
    }
    assert!(story.take().is_empty());
    assert_eq!(call().await.unwrap(), 1);
}

/// The queue delivers again while the first delivery still runs.
#[iii::function(
    id = "dedup::queued",
    intercept = [Timeout::after(30 * SECOND), Deduplicate::within(3600 * SECOND, "/key")],
)]
#[iii::trigger(queue, topic = "dedup.jobs")]
async fn queued(job: Job, story: State<Story>) -> u64 {
    work(job, story).await
}

#[iii::test(only(queued))]
async fn a_second_delivery_does_nothing(iii: Harness) {
    let story = iii.provide(Story::default());
    iii.duplicate_deliveries(true).await;
    iii.publish_durable("dedup.jobs", &Job::of("a", 2)).await.unwrap();
    iii.advance(10 * SECOND).await;
    assert_eq!(story.take(), ["a runs", "a is done"]);
    let calls = iii.calls::<queued>().await;
    assert!(calls.len() > 1 && calls.iter().all(|call| call.output() == 2), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn if_the_first_is_given_up_one_of_those_that_wait_runs() {
    let dedup = Arc::new(Deduplicate::within(60 * SECOND, ""));
    let story = Arc::new(Story::default());
    let run = |seconds: u64| {
        let (dedup, story) = (dedup.clone(), story.clone());
        async move {
            let call = Invocation::test(Context::test(), Payload::new(&"same").unwrap());
            let next = Next::test(move |_| async move {
                story.tell(format!("{seconds} runs"));
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                crate::output::Output::into_reply(seconds)
            });
            let reply = dedup.around(call, next).await.unwrap();
            reply.value().unwrap().parse::<u64>().unwrap()
        }
    };
    let first = tokio::spawn(run(100));
    let second = tokio::spawn(run(2));
    let third = tokio::spawn(run(3));
    tokio::time::sleep(SECOND).await;
    first.abort();
    let (second, third) = (second.await.unwrap(), third.await.unwrap());
    // Either may be the one that runs.
    assert_eq!(second, third);
    assert_eq!(story.take(), ["100 runs".to_owned(), format!("{second} runs")]);
}

#[tokio::test(start_paused = true)]
async fn large_results_push_out_older_ones() {
    let dedup = Deduplicate::within(60 * SECOND, "").bytes(10_000);
    let mut runs = 0;
    for key in [1, 2, 3, 1, 3] {
        let call = Invocation::test(Context::test(), Payload::new(&key).unwrap());
        let (ran, has_run) = tokio::sync::oneshot::channel();
        let next = Next::test(move |_| async move {
            ran.send(()).unwrap();
            crate::output::Output::into_reply("x".repeat(4_000))
        });
        dedup.around(call, next).await.unwrap();
        runs += usize::from(has_run.await.is_ok());
    }
    // The first had been pushed out by the third; the third was still there.
    assert_eq!(runs, 4);
}
