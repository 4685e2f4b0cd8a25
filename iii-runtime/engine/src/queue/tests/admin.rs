//! Tests of the built-in functions that inspect queues and manage dead letters.

use serde_json::json as value;

use super::*;

/// A topic with the dead letters 1 to `count`.
async fn with_dead_letters(count: u32) -> QueueHarness {
    let mut harness = QueueHarness::new().await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":0,"type":"fifo"}}"#;
    harness.subscribe("t1", "q::a", config).await;
    for n in 1..=count {
        harness.publish("t", &n.to_string()).await;
        harness.fail().await;
    }
    harness.worker.nothing_else().await;
    harness
}

#[tokio::test(start_paused = true)]
async fn topics_and_queues_are_listed_with_their_stats() {
    let mut harness = with_dead_letters(2).await;
    harness.publish("later", "1").await;
    assert_eq!(
        harness.call("engine::queue::list_topics", "null").await,
        value!([
            {"name": "default", "broker_type": "builtin", "subscriber_count": 10},
            {"name": "later", "broker_type": "builtin", "subscriber_count": 0},
            {"name": "t", "broker_type": "builtin", "subscriber_count": 1},
        ])
    );
    assert_eq!(
        harness.call("engine::queue::dlq_topics", "{}").await,
        value!([
            {"topic": "default", "broker_type": "function_queue", "message_count": 0},
            {"topic": "later", "broker_type": "builtin", "message_count": 0},
            {"topic": "t", "broker_type": "builtin", "message_count": 2},
        ])
    );
    for (name, stats) in [
        ("default", value!({"depth": 0, "consumer_count": 10, "dlq_depth": 0, "config": null})),
        ("t", value!({"depth": 0, "consumer_count": 1, "dlq_depth": 2, "config": null})),
        ("later", value!({"depth": 1, "consumer_count": 0, "dlq_depth": 0, "config": null})),
        ("none", value!({"depth": 0, "consumer_count": 0, "dlq_depth": 0, "config": null})),
    ] {
        let input = format!(r#"{{"queue":"{name}"}}"#);
        assert_eq!(harness.call("engine::queue::topic_stats", &input).await, stats, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_listed_by_page() {
    let mut harness = with_dead_letters(60).await;
    assert_eq!(harness.dead_letters("t").await.len(), 50);
    let page = r#"{"topic":"t","offset":57,"limit":2}"#;
    let page = harness.call("engine::queue::dlq_messages", page).await;
    let payloads: Vec<_> = page.as_array().unwrap().iter().map(|m| m["payload"].clone()).collect();
    assert_eq!(payloads, [58, 59]);
    assert!(page[0]["size_bytes"].as_u64().unwrap() > 10);
    assert_eq!(page[0].as_object().unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_redriven_or_discarded() {
    let mut harness = with_dead_letters(3).await;
    let ids: Vec<_> = harness.dead_letters("t").await.iter().map(|m| m["id"].clone()).collect();
    let one = |id: &Value| value!({"queue": "t", "message_id": id}).to_string();
    assert_eq!(
        harness.call("iii::queue::redrive_message", &one(&ids[1])).await,
        value!({"queue": "t", "message_id": ids[1], "redriven": 1})
    );
    assert_eq!(harness.acknowledge(1).await, ["q::a 2"]);
    for function in ["iii::queue::redrive_message", "iii::queue::discard_message"] {
        for id in [ids[1].clone(), "nonsense".into()] {
            assert_eq!(harness.call(function, &one(&id)).await["redriven"], 0);
        }
    }
    assert_eq!(harness.call("iii::queue::discard_message", &one(&ids[0])).await["redriven"], 1);
    let topic = r#"{"topic":"t"}"#;
    let redriven = value!({"queue": "t", "redriven": 1});
    assert_eq!(harness.call("iii::queue::redrive", topic).await, redriven);
    assert_eq!(harness.fail().await, "q::a 3");
    harness.worker.nothing_else().await;
    let dead_letters = harness.dead_letters("t").await;
    assert_eq!(dead_letters.len(), 1);
    assert_eq!(dead_letters[0]["retries"], 1);
    assert_eq!(harness.call("iii::queue::redrive", r#"{"queue":"none"}"#).await["redriven"], 0);
}

#[tokio::test(start_paused = true)]
async fn empty_names_are_rejected_with_their_error_codes() {
    let mut harness = QueueHarness::new().await;
    for (function, input, code) in [
        ("iii::queue::redrive", r#"{"queue":""}"#, "queue_not_set"),
        ("iii::queue::redrive_message", r#"{"queue":"","message_id":"x"}"#, "queue_not_set"),
        ("iii::queue::redrive_message", r#"{"queue":"q","message_id":""}"#, "message_id_not_set"),
        ("iii::queue::discard_message", r#"{"queue":"q","message_id":""}"#, "message_id_not_set"),
        ("engine::queue::topic_stats", r#"{"topic":""}"#, "topic_required"),
        ("engine::queue::dlq_messages", r#"{"topic":""}"#, "topic_required"),
        ("engine::queue::dlq_messages", "{}", "deserialization_error"),
    ] {
        let error = harness.caller.call(function, input).await.unwrap_err();
        assert_eq!(error.code, code, "{function}");
    }
}

#[tokio::test(start_paused = true)]
async fn oldest_dead_letters_are_evicted() {
    let settings = QueueSettings::default();
    let mut harness = QueueHarness::with_limits(settings, |limits| limits.dead_letters = 3).await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":0,"concurrency":1}}"#;
    harness.subscribe("t1", "q::a", config).await;
    for n in 0..5 {
        harness.publish("t", &n.to_string()).await;
        let (call, _) = harness.delivery().await;
        harness.worker.answer(&call, Err(ErrorBody::new("e", "no")));
    }
    harness.assert_no_delivery(Duration::from_secs(1)).await;
    let dead_letters = harness.dead_letters("t").await;
    let payloads: Vec<_> = dead_letters.iter().map(|m| m["payload"].clone()).collect();
    assert_eq!(payloads, [2, 3, 4]);
    let records = harness.store.table("queue").list("topic:1");
    assert_eq!(records.len(), 3, "the records of evicted dead letters are removed");
}
