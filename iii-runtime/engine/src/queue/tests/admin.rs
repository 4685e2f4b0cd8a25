//! Tests of the functions that look at queues.

use serde_json::json as value;

use super::*;

/// A topic with so many messages that were given up: 1, 2, …
async fn with_dead(count: u32) -> Rig {
    let mut rig = Rig::new().await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":0,"type":"fifo"}}"#;
    rig.subscribe("t1", "q::a", config).await;
    for n in 1..=count {
        rig.publish("t", &n.to_string()).await;
        rig.fail().await;
    }
    rig.worker.nothing_else().await;
    rig
}

#[tokio::test(start_paused = true)]
async fn topics_and_queues_are_listed() {
    let mut rig = with_dead(2).await;
    rig.publish("later", "1").await;
    assert_eq!(
        rig.ask("engine::queue::list_topics", "null").await,
        value!([
            {"name": "default", "broker_type": "builtin", "subscriber_count": 10},
            {"name": "later", "broker_type": "builtin", "subscriber_count": 0},
            {"name": "t", "broker_type": "builtin", "subscriber_count": 1},
        ])
    );
    assert_eq!(
        rig.ask("engine::queue::dlq_topics", "{}").await,
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
        assert_eq!(rig.ask("engine::queue::topic_stats", &input).await, stats, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn dead_messages_are_shown_page_by_page() {
    let mut rig = with_dead(60).await;
    assert_eq!(rig.dead("t").await.len(), 50);
    let page = r#"{"topic":"t","offset":57,"limit":2}"#;
    let page = rig.ask("engine::queue::dlq_messages", page).await;
    let payloads: Vec<_> = page.as_array().unwrap().iter().map(|m| m["payload"].clone()).collect();
    assert_eq!(payloads, [58, 59]);
    assert!(page[0]["size_bytes"].as_u64().unwrap() > 10);
    assert_eq!(page[0].as_object().unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn dead_messages_are_tried_again_or_forgotten() {
    let mut rig = with_dead(3).await;
    let ids: Vec<_> = rig.dead("t").await.iter().map(|m| m["id"].clone()).collect();
    let one = |id: &Value| value!({"queue": "t", "message_id": id}).to_string();
    assert_eq!(
        rig.ask("iii::queue::redrive_message", &one(&ids[1])).await,
        value!({"queue": "t", "message_id": ids[1], "redriven": 1})
    );
    assert_eq!(rig.done(1).await, ["q::a 2"]);
    for function in ["iii::queue::redrive_message", "iii::queue::discard_message"] {
        for id in [ids[1].clone(), "nonsense".into()] {
            assert_eq!(rig.ask(function, &one(&id)).await["redriven"], 0);
        }
    }
    assert_eq!(rig.ask("iii::queue::discard_message", &one(&ids[0])).await["redriven"], 1);
    let topic = r#"{"topic":"t"}"#;
    let redriven = value!({"queue": "t", "redriven": 1});
    assert_eq!(rig.ask("iii::queue::redrive", topic).await, redriven);
    assert_eq!(rig.fail().await, "q::a 3");
    rig.worker.nothing_else().await;
    let dead = rig.dead("t").await;
    assert_eq!((dead.len(), &dead[0]["retries"]), (1, &1.into()));
    assert_eq!(rig.ask("iii::queue::redrive", r#"{"queue":"none"}"#).await["redriven"], 0);
}

#[tokio::test(start_paused = true)]
async fn empty_names_have_their_codes() {
    let mut rig = Rig::new().await;
    for (function, input, code) in [
        ("iii::queue::redrive", r#"{"queue":""}"#, "queue_not_set"),
        ("iii::queue::redrive_message", r#"{"queue":"","message_id":"x"}"#, "queue_not_set"),
        ("iii::queue::redrive_message", r#"{"queue":"q","message_id":""}"#, "message_id_not_set"),
        ("iii::queue::discard_message", r#"{"queue":"q","message_id":""}"#, "message_id_not_set"),
        ("engine::queue::topic_stats", r#"{"topic":""}"#, "topic_required"),
        ("engine::queue::dlq_messages", r#"{"topic":""}"#, "topic_required"),
        ("engine::queue::dlq_messages", "{}", "deserialization_error"),
    ] {
        let error = rig.caller.call(function, input).await.unwrap_err();
        assert_eq!(error.code, code, "{function}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_dead_letters_give_way() {
    let mut rig = Rig::bounded(QueueSettings::default(), |limits| limits.dead_letters = 3).await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":0,"concurrency":1}}"#;
    rig.subscribe("t1", "q::a", config).await;
    for n in 0..5 {
        rig.publish("t", &n.to_string()).await;
        let (call, _) = rig.job().await;
        rig.worker.answer(&call, Err(ErrorBody::new("e", "no")));
    }
    rig.quiet(Duration::from_secs(1)).await;
    let payloads: Vec<_> = rig.dead("t").await.iter().map(|one| one["payload"].clone()).collect();
    assert_eq!(payloads, [2, 3, 4]);
    assert_eq!(rig.store.table("queue").list("topic:1").len(), 3, "their records are gone as well");
}
