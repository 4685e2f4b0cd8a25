//! Tests of what comes back from the store.

use super::*;
use crate::broker::testing::until;

const SHORT: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn waiting_running_and_dead_messages_of_topics_come_back() {
    let mut rig = Rig::new().await;
    let config =
        r#"{"topic":"t","queue_config":{"maxRetries":1,"type":"fifo","backoffDelayMs":5000}}"#;
    rig.subscribe("t1", "q::a", config).await;
    rig.publish("backlog", "9").await;
    for n in 1..=4 {
        rig.publish("t", &n.to_string()).await;
    }
    rig.fail().await;
    rig.fail().await;
    rig.fail().await;
    rig.worker.nothing_else().await;
    // 1 is dead, 2 waits for its retry in 5 s.
    let dead = rig.dead("t").await;
    let mut rig = rig.restarted(SHORT).await;
    assert_eq!(rig.dead("t").await, dead);
    assert_eq!((rig.depth("t").await, rig.depth("backlog").await), ((3, 1), (1, 0)));
    // Nobody is bound yet, and still the function gets what is published.
    rig.publish("t", "5").await;
    rig.worker.bind("t2", "durable:subscriber", "q::b", r#"{"topic":"backlog"}"#);
    assert_eq!(rig.done(1).await, ["q::b 9"]);
    rig.worker.bind("t1", "durable:subscriber", "q::a", config);
    let (two, text) = rig.job().await;
    assert_eq!((text.as_str(), rig.ms()), ("q::a 2", 4000));
    // It is running when the engine ends, so it runs again: still its last attempt.
    drop(two);
    let mut rig = rig.restarted(SHORT).await;
    rig.worker.bind("t1", "durable:subscriber", "q::a", config);
    assert_eq!(rig.fail().await, "q::a 2");
    assert_eq!(rig.done(3).await, ["q::a 3", "q::a 4", "q::a 5"]);
    rig.worker.nothing_else().await;
    assert_eq!(rig.depth("t").await, (0, 2));
    assert_eq!(rig.ask("iii::queue::redrive", r#"{"queue":"t"}"#).await["redriven"], 2);
    assert_eq!(rig.done(2).await, ["q::a 1", "q::a 2"]);
}

#[tokio::test(start_paused = true)]
async fn named_queues_go_on_by_themselves() {
    let fifo = NamedQueue {
        kind: QueueKind::Fifo,
        message_group_field: Some("g".to_owned()),
        ..NamedQueue::default()
    };
    let mut rig = Rig::with(with_queue("jobs", fifo), Store::in_memory()).await;
    for n in 1..=3 {
        rig.enqueue("jobs", &format!(r#"{{"g":1,"n":{n}}}"#)).await.unwrap();
    }
    rig.job().await;
    let store = rig.store.clone();
    let mut rig = rig.restarted(SHORT).await;
    // The queue began before its worker was there: that cost no attempt.
    let jobs = rig.done(3).await;
    assert_eq!(jobs, [1, 2, 3].map(|n| format!(r#"q::a {{"g":1,"n":{n}}}"#)));
    until("all are acknowledged", || store.table("queue").scopes().is_empty()).await;
    rig.quiet(Duration::from_secs(100)).await;
    assert!(rig.dead("jobs").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_queue_without_settings_is_worked_on_to_its_end() {
    let queue = NamedQueue { concurrency: 1, ..NamedQueue::default() };
    let mut rig = Rig::with(with_queue("old", queue), Store::in_memory()).await;
    rig.enqueue("old", "1").await.unwrap();
    rig.enqueue("old", "2").await.unwrap();
    rig.job().await;
    rig.settings = QueueSettings::default();
    let mut rig = rig.restarted(SHORT).await;
    assert_eq!(rig.done(2).await, ["q::a 1", "q::a 2"]);
    assert!(rig.enqueue("old", "3").await.unwrap_err().message.contains("queue_not_found"));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_does_not_come_back_is_given_up_in_the_end() {
    let mut rig = Rig::new().await;
    rig.enqueue_call("default", Worker::invocation("gone::f", "1")).await.unwrap();
    rig.worker.nothing_else().await;
    let mut rig = rig.restarted(SHORT).await;
    rig.quiet(Duration::from_secs(29)).await;
    assert!(rig.dead("default").await.is_empty());
    rig.quiet(Duration::from_secs(20)).await;
    assert_eq!(rig.dead("default").await[0]["retries"], 3);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_ends_frees_everything() {
    let mut rig = Rig::new().await;
    rig.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    rig.publish("t", "1").await;
    rig.job().await;
    let broker = rig.broker.downgrade();
    rig.broker.shut_down(1012);
    drop(rig);
    until("freed", || broker.upgrade().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_harms_nothing_else() {
    let mut rig = Rig::new().await;
    rig.publish("t", "1").await;
    let table = rig.store.table("queue");
    let lane = table.list("lanes")[0].0.clone();
    for (scope, key, text) in [
        ("lanes", "odd", "1"),
        (lane.as_str(), "odd", "{}"),
        (lane.as_str(), "00000000-0000-0000-0000-000000000001", "[]"),
        ("queue:default", "x", "null"),
    ] {
        record::insert(&table, scope, key, &json(text)).unwrap().await.unwrap();
    }
    let mut rig = rig.restarted(SHORT).await;
    rig.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    assert_eq!(rig.done(1).await, ["q::a 1"]);
    rig.publish("t", "2").await;
    assert_eq!(rig.done(1).await, ["q::a 2"]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_engine_is_no_fault_of_a_message() {
    let mut rig = Rig::new().await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":0,"concurrency":2}}"#;
    rig.subscribe("t1", "q::a", config).await;
    for n in 1..=3 {
        rig.publish("t", &n.to_string()).await;
    }
    let ((one, _), (two, _)) = (rig.job().await, rig.job().await);
    rig.queues.ending();
    rig.worker.answer(&one, Err(ErrorBody::new("invocation_stopped", "gone")));
    rig.worker.answer(&two, Ok(None));
    // What succeeded is done; what failed is as it was, and nothing is begun.
    rig.quiet(Duration::from_secs(100)).await;
    assert_eq!(rig.depth("t").await, (1, 0));
    let mut rig = rig.restarted(SHORT).await;
    rig.worker.bind("t1", "durable:subscriber", "q::a", config);
    assert_eq!(rig.done(2).await, ["q::a 1", "q::a 3"]);
    rig.quiet(Duration::from_secs(100)).await;
}
