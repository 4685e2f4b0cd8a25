//! Tests of recovery after a restart of the engine.

use super::*;
use crate::broker::testing::until;

const PAUSE: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn messages_and_dead_letters_of_topics_survive_a_restart() {
    let mut harness = QueueHarness::new().await;
    let config =
        r#"{"topic":"t","queue_config":{"maxRetries":1,"type":"fifo","backoffDelayMs":5000}}"#;
    harness.subscribe("t1", "q::a", config).await;
    harness.publish("backlog", "9").await;
    for n in 1..=4 {
        harness.publish("t", &n.to_string()).await;
    }
    harness.fail().await;
    harness.fail().await;
    harness.fail().await;
    harness.worker.nothing_else().await;
    // Message 1 is a dead letter; message 2 is redelivered in 5 s.
    let dead_letters = harness.dead_letters("t").await;
    let mut harness = harness.restarted(PAUSE).await;
    assert_eq!(harness.dead_letters("t").await, dead_letters);
    assert_eq!((harness.depth("t").await, harness.depth("backlog").await), ((3, 1), (1, 0)));
    // No trigger is bound yet, but the subscription still receives messages.
    harness.publish("t", "5").await;
    harness.worker.bind("t2", "durable:subscriber", "q::b", r#"{"topic":"backlog"}"#);
    assert_eq!(harness.acknowledge(1).await, ["q::b 9"]);
    harness.worker.bind("t1", "durable:subscriber", "q::a", config);
    let (second, text) = harness.delivery().await;
    assert_eq!((text.as_str(), harness.elapsed_ms()), ("q::a 2", 4000));
    // It is in flight when the engine shuts down, so it is redelivered, still as its last attempt.
    drop(second);
    let mut harness = harness.restarted(PAUSE).await;
    harness.worker.bind("t1", "durable:subscriber", "q::a", config);
    assert_eq!(harness.fail().await, "q::a 2");
    assert_eq!(harness.acknowledge(3).await, ["q::a 3", "q::a 4", "q::a 5"]);
    harness.worker.nothing_else().await;
    assert_eq!(harness.depth("t").await, (0, 2));
    assert_eq!(harness.call("iii::queue::redrive", r#"{"queue":"t"}"#).await["redriven"], 2);
    assert_eq!(harness.acknowledge(2).await, ["q::a 1", "q::a 2"]);
}

#[tokio::test(start_paused = true)]
async fn named_queues_resume_after_a_restart() {
    let fifo = NamedQueue {
        kind: QueueKind::Fifo,
        message_group_field: Some("g".to_owned()),
        ..NamedQueue::default()
    };
    let mut harness = QueueHarness::with(with_queue("jobs", fifo), Store::in_memory()).await;
    for n in 1..=3 {
        harness.enqueue("jobs", &format!(r#"{{"g":1,"n":{n}}}"#)).await.unwrap();
    }
    harness.delivery().await;
    let store = harness.store.clone();
    let mut harness = harness.restarted(PAUSE).await;
    // The queue resumed before its worker reconnected, which did not count as an attempt.
    let deliveries = harness.acknowledge(3).await;
    assert_eq!(deliveries, [1, 2, 3].map(|n| format!(r#"q::a {{"g":1,"n":{n}}}"#)));
    until("all are acknowledged", || store.table("queue").scopes().is_empty()).await;
    harness.assert_no_delivery(Duration::from_secs(100)).await;
    assert!(harness.dead_letters("jobs").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn queue_that_is_no_longer_configured_is_drained() {
    let queue = NamedQueue { concurrency: 1, ..NamedQueue::default() };
    let mut harness = QueueHarness::with(with_queue("old", queue), Store::in_memory()).await;
    harness.enqueue("old", "1").await.unwrap();
    harness.enqueue("old", "2").await.unwrap();
    harness.delivery().await;
    harness.settings = QueueSettings::default();
    let mut harness = harness.restarted(PAUSE).await;
    assert_eq!(harness.acknowledge(2).await, ["q::a 1", "q::a 2"]);
    assert!(harness.enqueue("old", "3").await.unwrap_err().message.contains("queue_not_found"));
}

#[tokio::test(start_paused = true)]
async fn message_of_a_missing_function_becomes_a_dead_letter_after_the_restart_grace() {
    let mut harness = QueueHarness::new().await;
    harness.enqueue_call("default", Worker::invocation("gone::f", "1")).await.unwrap();
    harness.worker.nothing_else().await;
    let mut harness = harness.restarted(PAUSE).await;
    harness.assert_no_delivery(Duration::from_secs(29)).await;
    assert!(harness.dead_letters("default").await.is_empty());
    harness.assert_no_delivery(Duration::from_secs(20)).await;
    assert_eq!(harness.dead_letters("default").await[0]["retries"], 3);
}

#[tokio::test(start_paused = true)]
async fn shutdown_frees_the_broker() {
    let mut harness = QueueHarness::new().await;
    harness.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    harness.publish("t", "1").await;
    harness.delivery().await;
    let broker = harness.broker.downgrade();
    harness.broker.shut_down(1012);
    drop(harness);
    until("freed", || broker.upgrade().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn unreadable_records_are_skipped() {
    let mut harness = QueueHarness::new().await;
    harness.publish("t", "1").await;
    let table = harness.store.table("queue");
    let scope = table.list("lanes")[0].0.clone();
    for (scope, key, text) in [
        ("lanes", "odd", "1"),
        (scope.as_str(), "odd", "{}"),
        (scope.as_str(), "00000000-0000-0000-0000-000000000001", "[]"),
        ("queue:default", "x", "null"),
    ] {
        record::insert(&table, scope, key, &json(text)).unwrap().await.unwrap();
    }
    let mut harness = harness.restarted(PAUSE).await;
    harness.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    assert_eq!(harness.acknowledge(1).await, ["q::a 1"]);
    harness.publish("t", "2").await;
    assert_eq!(harness.acknowledge(1).await, ["q::a 2"]);
}

#[tokio::test(start_paused = true)]
async fn deliveries_cancelled_by_the_shutdown_do_not_count_as_attempts() {
    let mut harness = QueueHarness::new().await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":0,"concurrency":2}}"#;
    harness.subscribe("t1", "q::a", config).await;
    for n in 1..=3 {
        harness.publish("t", &n.to_string()).await;
    }
    let (first, _) = harness.delivery().await;
    let (second, _) = harness.delivery().await;
    harness.queues.before_stop();
    harness.worker.answer(&first, Err(ErrorBody::new("invocation_stopped", "gone")));
    harness.worker.answer(&second, Ok(None));
    // The acknowledged message is removed, the failed one is unchanged, and no delivery starts.
    harness.assert_no_delivery(Duration::from_secs(100)).await;
    assert_eq!(harness.depth("t").await, (1, 0));
    let mut harness = harness.restarted(PAUSE).await;
    harness.worker.bind("t1", "durable:subscriber", "q::a", config);
    assert_eq!(harness.acknowledge(2).await, ["q::a 1", "q::a 3"]);
    harness.assert_no_delivery(Duration::from_secs(100)).await;
}
