//! Virtual time.

use std::time::{Duration, SystemTime};

use super::start;
use super::worker::*;
use crate::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);

#[iii::test(only(daily))]
async fn a_year_of_days_is_short(iii: Harness) {
    let before = std::time::Instant::now();
    iii.advance(365 * 24 * HOUR).await;
    let calls = iii.calls::<daily>().await;
    assert_eq!(calls.len(), 365);
    for (day, call) in (0..).zip(&calls) {
        assert_eq!(call.began(), start() + 9 * HOUR + day * 24 * HOUR);
        assert_eq!(call.input().scheduled_time, call.began());
        assert!(call.error().is_none(), "{call}");
    }
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
}

#[iii::test(only(daily), start_time = "2027-02-28T08:59:59.999Z")]
async fn time_begins_where_the_test_says(iii: Harness) {
    assert!(iii.calls::<daily>().await.is_empty());
    iii.advance(Duration::from_millis(1)).await;
    assert_eq!(iii.calls::<daily>().await.len(), 1);
    iii.advance_to("2027-03-01T08:59:59Z").await;
    assert_eq!(iii.calls::<daily>().await.len(), 1);
    iii.advance_to("2027-03-01T10:00:00+01:00").await;
    assert_eq!(iii.calls::<daily>().await.len(), 2);
    let past = std::panic::catch_unwind(|| drop(iii.advance_to(SystemTime::UNIX_EPOCH)));
    assert!(past.is_err());
}

#[iii::test(only(nap, hourly))]
async fn time_moves_while_a_call_is_awaited(iii: Harness) {
    assert_eq!(iii.call::<nap>(20).await.unwrap(), 20);
    assert_eq!(iii.now(), start() + Duration::from_secs(20));
    let error = iii.call::<nap>(40).timeout(Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(error.code(), iii::code::TIMEOUT);
    assert_eq!(iii.now(), start() + Duration::from_secs(30));
    let calls = iii.calls::<nap>().await;
    assert_eq!(
        (calls[0].ended(), calls[1].ended()),
        (Some(start() + Duration::from_secs(20)), None)
    );
}

#[iii::test(only(nap, hourly))]
async fn settling_does_not_move_time(iii: Harness) {
    iii.send::<nap>(20).await.unwrap();
    iii.settle().await;
    assert_eq!(iii.now(), start());
    assert!(iii.calls::<nap>().await[0].ended().is_none());
    iii.advance(Duration::from_secs(19)).await;
    assert!(iii.calls::<nap>().await[0].ended().is_none());
    iii.advance(Duration::from_secs(1)).await;
    assert!(iii.calls::<nap>().await[0].ended().is_some());
    assert!(iii.calls::<hourly>().await.is_empty());
}

#[iii::test(only(work))]
async fn retries_come_when_they_are_due(iii: Harness) {
    iii.provide(Done::default());
    iii.publish_durable("jobs", &Job { name: "a".into(), fails: 1 }).await.unwrap();
    iii.publish_durable("jobs", &Job { name: "b".into(), fails: 9 }).await.unwrap();
    let jobs = iii.queue("jobs").await;
    assert_eq!((jobs.waiting, jobs.running, jobs.dead.len()), (2, 0, 0));
    iii.advance(HOUR).await;
    let jobs = iii.queue("jobs").await;
    assert_eq!((jobs.waiting, jobs.running, jobs.dead.len()), (0, 0, 1));
    assert_eq!(jobs.dead[0].payload.parse::<Job>().unwrap().name, "b");
    assert!(jobs.dead[0].error.starts_with("t/failed"), "{:?}", jobs.dead);
    assert_eq!(jobs.dead[0].attempts, 3);

    let seen: Vec<_> = iii
        .calls::<work>()
        .await
        .iter()
        .map(|call| {
            let after = call.began().duration_since(start()).unwrap().as_secs();
            (call.input().name, call.attempt(), after)
        })
        .collect();
    let (a, b) = (|| "a".to_owned(), || "b".to_owned());
    let (one, two, three) = (Some(1), Some(2), Some(3));
    assert_eq!(seen, [(a(), one, 0), (b(), one, 0), (a(), two, 1), (b(), two, 1), (b(), three, 3)]);
    assert!(iii.published("jobs").await.iter().all(|one| one.is_durable()));
}

#[iii::test(only(hourly))]
async fn whoever_waits_in_the_test_sees_time_move(iii: Harness) {
    iii.settle().await;
    tokio::time::sleep(HOUR / 2).await;
    assert_eq!(iii.now(), start() + HOUR / 2);
    let waiting = tokio::spawn(tokio::time::sleep(HOUR));
    iii.advance(HOUR).await;
    assert!(waiting.is_finished());
    assert_eq!(iii.calls::<hourly>().await.len(), 1);
}
