//! Faults, and what callers see of them.

use std::time::Duration;

use super::start;
use super::worker::*;
use crate::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[iii::test(only(nap, double))]
async fn a_dropped_connection_comes_back(iii: Harness) {
    let napping = tokio::spawn(iii.call::<nap>(20).into_future());
    iii.drop_connection().await;
    assert_eq!(napping.await.unwrap().unwrap_err().code(), "invocation_stopped");
    assert_eq!(iii.now(), start());
    let gone = iii.call::<double>(1).await.unwrap_err();
    assert_eq!(gone.code(), iii::code::FUNCTION_NOT_FOUND);
    iii.connected().await;
    assert_eq!(iii.now(), start() + SECOND);
    assert_eq!(iii.call::<double>(1).await.unwrap(), 2);
    iii.advance(20 * SECOND).await;
    assert!(iii.calls::<nap>().await[0].error().is_none(), "the handler ran on");
}

#[iii::test(only(buy, nap, double))]
async fn an_engine_that_is_down_is_waited_for(iii: Harness) {
    iii.mock::<Charge>(|_| Ok("paid".to_owned()));
    let napping = tokio::spawn(iii.call::<nap>(20).into_future());
    iii.engine_down(5 * SECOND).await;
    assert_eq!(napping.await.unwrap().unwrap_err().code(), iii::code::CONNECTION_LOST);
    let error = iii.call::<double>(1).timeout(2 * SECOND).await.unwrap_err();
    assert_eq!(error.code(), iii::code::NOT_CONNECTED);
    iii.connected().await;
    // After 1, 3 and 7 seconds.
    assert_eq!(iii.now(), start() + 7 * SECOND);
    assert_eq!(iii.call::<buy>(1).await.unwrap(), "paid", "mocks come back as well");
}

#[iii::test(only(double, nap))]
async fn functions_fail_and_wait(iii: Harness) {
    iii.fail_next::<double>(OrderError::Empty);
    assert_eq!(iii.call::<double>(1).await.unwrap_err().code(), "orders/empty");
    assert_eq!(iii.call::<double>(1).await.unwrap(), 2);
    iii.delay::<double>(2 * SECOND);
    assert_eq!(iii.call::<double>(2).await.unwrap(), 4);
    assert_eq!(iii.now(), start() + 2 * SECOND);
    iii.delay::<double>(Duration::ZERO);
    assert_eq!(iii.call::<double>(2).await.unwrap(), 4);
    assert_eq!(iii.now(), start() + 2 * SECOND);
    assert_eq!(iii.calls::<double>().await[0].error().unwrap().code(), "orders/empty");
}

#[iii::test(only(work, double))]
async fn messages_come_twice(iii: Harness) {
    iii.provide(Done::default());
    iii.duplicate_deliveries(true).await;
    iii.publish_durable("jobs", &Job { name: "a".into(), fails: 0 }).await.unwrap();
    iii.enqueue::<double>("default", 1).await.unwrap();
    assert_eq!(iii.calls::<work>().await.len(), 2);
    assert_eq!(iii.calls::<double>().await.len(), 2);
    let jobs = iii.queue("jobs").await;
    assert_eq!((jobs.waiting, jobs.dead.len()), (0, 0));
    iii.duplicate_deliveries(false).await;
    iii.publish_durable("jobs", &Job { name: "b".into(), fails: 0 }).await.unwrap();
    assert_eq!(iii.calls::<work>().await.len(), 3);
}

#[iii::test(only(work))]
async fn a_message_survives_a_lost_connection(iii: Harness) {
    iii.provide(Done::default());
    iii.drop_connection().await;
    iii.publish_durable("jobs", &Job { name: "a".into(), fails: 0 }).await.unwrap();
    iii.advance(10 * SECOND).await;
    assert_eq!(iii.calls::<work>().await.len(), 1);
}
