//! Tests of durable topics and their subscribers.

use super::*;
use crate::broker::testing::until;

#[tokio::test(start_paused = true)]
async fn missing_topic_is_rejected() {
    let mut harness = QueueHarness::new().await;
    for trigger_type in ["durable:subscriber", "queue"] {
        for config in ["{}", r#"{"topic":""}"#, "null"] {
            harness.worker.bind("t", trigger_type, "q::a", config);
            let error = harness.worker.binding_error().await.error.unwrap();
            assert_eq!(error.code, "trigger_registration_failed");
        }
    }
    for (input, code) in
        [(r#"{"topic":"","data":1}"#, "topic_not_set"), (r#"{"data":1}"#, "deserialization_error")]
    {
        let error = harness.caller.call("iii::durable::publish", input).await.unwrap_err();
        assert_eq!(error.code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn each_function_gets_one_copy_that_its_triggers_share() {
    let mut harness = QueueHarness::new().await;
    harness.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    harness.worker.bind("t2", "queue", "q::a", r#"{"topic":"t"}"#);
    harness.subscribe("t3", "q::b", r#"{"topic":"t"}"#).await;
    harness.publish("t", r#"{"b":1.50,"a":[]}"#).await;
    harness.publish("other", "1").await;
    let mut deliveries = harness.acknowledge(2).await;
    deliveries.sort();
    assert_eq!(deliveries, [r#"q::a {"b":1.50,"a":[]}"#, r#"q::b {"b":1.50,"a":[]}"#]);
    harness.assert_no_delivery(Duration::from_secs(100)).await;
    assert_eq!(harness.depth("t").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn messages_are_kept_for_the_first_subscriber() {
    let mut harness = QueueHarness::new().await;
    for n in ["1", "2"] {
        harness.publish("t", n).await;
    }
    assert_eq!(harness.depth("t").await, (2, 0));
    harness.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    assert_eq!(harness.acknowledge(2).await, ["q::a 1", "q::a 2"]);
    harness.worker.bind("t2", "durable:subscriber", "q::b", r#"{"topic":"t"}"#);
    harness.assert_no_delivery(Duration::from_secs(100)).await;
}

#[tokio::test(start_paused = true)]
async fn metadata_trace_context_and_attempt_are_delivered() {
    let mut harness = QueueHarness::new().await;
    let config = r#"{"topic":"t","queue_config":{"backoffDelayMs":10}}"#;
    harness.subscribe("plain", "q::a", config).await;
    let data = r#"{"topic":"t","data":1}"#;
    let m = Worker::invocation("iii::durable::publish", data);
    let (traceparent, baggage) = ("00-4553cbc0d39f74a9f4032536d5d0c4b6-4db9cb3fbd710022-01", "k=v");
    let m = InvokeFunction {
        traceparent: Some(traceparent.to_owned()),
        baggage: Some(baggage.to_owned()),
        ..m
    };
    let id = harness.caller.start_with(m);
    harness.caller.answer_to(id).await.unwrap();
    let (call, _) = harness.delivery().await;
    harness.worker.answer(&call, Ok(Some(json("5"))));
    assert_eq!(call.metadata, Some(json(r#"{"m":1}"#)));
    assert_eq!(call.traceparent.as_deref(), Some(traceparent));
    assert!(call.baggage.unwrap().contains("k=v"));
    harness.worker.unbind("plain");
    let metadata = r#"{"iii:trigger":{"type":"queue","id":"own"},"value":7}"#;
    let own = Worker::binding("own", "durable:subscriber", "q::a", config);
    harness.worker.send(iii_wire::protocol::Message::RegisterTrigger(Box::new(
        iii_wire::protocol::RegisterTrigger { metadata: Some(json(metadata)), ..own },
    )));
    harness.publish("t", "2").await;
    for attempt in 1..=3 {
        let (call, _) = harness.delivery().await;
        let metadata: Value = call.metadata.as_ref().unwrap().parse().unwrap();
        assert_eq!((&metadata["attempt"], &metadata["value"]), (&attempt.into(), &7.into()));
        harness.worker.answer(&call, Err(ErrorBody::new("e", "no luck")));
    }
}

#[tokio::test(start_paused = true)]
async fn failed_message_is_redelivered_with_backoff_and_then_becomes_a_dead_letter() {
    let mut harness = QueueHarness::new().await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":3,"backoffDelayMs":200}}"#;
    harness.subscribe("t1", "q::a", config).await;
    harness.publish("t", r#"{"x":1}"#).await;
    for due in [0, 200, 600, 1400] {
        let (call, _) = harness.delivery().await;
        assert_eq!(harness.elapsed_ms(), due);
        harness.worker.answer(&call, Err(ErrorBody::new("always", "always fails")));
    }
    harness.assert_no_delivery(Duration::from_secs(100)).await;
    let dead_letters = harness.dead_letters("t").await;
    assert_eq!(dead_letters.len(), 1);
    let dead_letter = &dead_letters[0];
    assert_eq!(dead_letter["error"], "always: always fails");
    assert_eq!(dead_letter["retries"], 4);
    assert_eq!(dead_letter["payload"], serde_json::json!({"x":1}));
    assert_eq!(dead_letter["failed_at"], START + 1);
    assert_eq!(harness.depth("t").await, (0, 1));
}

#[tokio::test(start_paused = true)]
async fn fixed_backoff_delay_and_visibility_timeout_apply() {
    let mut harness = QueueHarness::new().await;
    let config = r#"{"topic":"t","queue_config":{"backoffDelayMs":200,"backoffType":"fixed","delaySeconds":5,
        "visibilityTimeout":2}}"#;
    harness.subscribe("t1", "q::a", config).await;
    harness.publish("t", "1").await;
    harness.fail().await;
    assert_eq!(harness.elapsed_ms(), 5000);
    harness.fail().await;
    assert_eq!(harness.elapsed_ms(), 5200);
    let (late, _) = harness.delivery().await;
    assert_eq!(harness.elapsed_ms(), 5400);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    harness.worker.answer(&late, Ok(None));
    let dead_letters = harness.dead_letters("t").await;
    let error = dead_letters[0]["error"].as_str().unwrap();
    assert!(error.starts_with("timeout: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn non_retryable_error_is_not_retried() {
    let mut harness = QueueHarness::new().await;
    harness.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    harness.publish("t", "1").await;
    let (call, _) = harness.delivery().await;
    let error = ErrorBody { retryable: Some(false), ..ErrorBody::new("bad", "data") };
    harness.worker.answer(&call, Err(error));
    harness.assert_no_delivery(Duration::from_secs(100)).await;
    assert_eq!(harness.dead_letters("t").await[0]["retries"], 1);
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_limited_and_deliveries_start_in_order() {
    let mut harness = QueueHarness::new().await;
    harness.subscribe("t1", "q::a", r#"{"topic":"t","queue_config":{"concurrency":3}}"#).await;
    for n in 0..40 {
        harness.publish("t", &n.to_string()).await;
    }
    let mut running = Vec::new();
    for n in 0..40 {
        let (call, text) = harness.delivery().await;
        assert_eq!(text, format!("q::a {n}"));
        running.push(call);
        if running.len() == 3 {
            harness.worker.nothing_else().await;
            let ended = running.swap_remove(n % 3);
            harness.worker.answer(&ended, Ok(None));
        }
    }
    for call in running {
        harness.worker.answer(&call, Ok(None));
    }
    harness.assert_no_delivery(Duration::from_secs(100)).await;
    assert_eq!(harness.depth("t").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn fifo_subscriber_keeps_the_order_through_failures() {
    let mut harness = QueueHarness::new().await;
    let config =
        r#"{"topic":"t","queue_config":{"type":"fifo","backoffDelayMs":100,"concurrency":5}}"#;
    harness.subscribe("t1", "q::a", config).await;
    for n in 1..=4 {
        harness.publish("t", &n.to_string()).await;
    }
    let (first, _) = harness.delivery().await;
    harness.assert_no_delivery(Duration::from_secs(5)).await;
    harness.worker.answer(&first, Ok(None));
    assert_eq!(harness.fail().await, "q::a 2");
    assert_eq!(harness.fail().await, "q::a 2");
    assert_eq!(harness.acknowledge(1).await, ["q::a 2"]);
    for _ in 0..3 {
        assert_eq!(harness.fail().await, "q::a 3");
    }
    assert_eq!(harness.acknowledge(1).await, ["q::a 4"]);
    assert_eq!(harness.dead_letters("t").await[0]["payload"], 3);
    // The trigger is bound again with another config, which applies from now on.
    harness.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    for n in 5..=6 {
        harness.publish("t", &n.to_string()).await;
    }
    let (fifth, _) = harness.delivery().await;
    assert_eq!(harness.acknowledge(1).await, ["q::a 6"]);
    harness.worker.answer(&fifth, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn backlog_is_kept_while_a_function_is_unbound() {
    let mut harness = QueueHarness::new().await;
    let config = r#"{"topic":"t","queue_config":{"concurrency":1}}"#;
    harness.subscribe("t1", "q::a", config).await;
    harness.publish("t", "1").await;
    harness.publish("t", "2").await;
    let (first, _) = harness.delivery().await;
    harness.worker.unbind("t1");
    harness.worker.answer(&first, Ok(None));
    harness.worker.bind("t2", "durable:subscriber", "q::b", r#"{"topic":"t"}"#);
    harness.worker.nothing_else().await;
    harness.publish("t", "3").await;
    assert_eq!(harness.acknowledge(1).await, ["q::b 3"]);
    harness.assert_no_delivery(Duration::from_secs(3600)).await;
    harness.worker.bind("t9", "durable:subscriber", "q::a", config);
    assert_eq!(harness.acknowledge(2).await, ["q::a 2", "q::a 3"]);
    harness.assert_no_delivery(Duration::from_secs(100)).await;
}

#[tokio::test(start_paused = true)]
async fn absent_subscriber_receives_no_further_messages() {
    let mut harness = QueueHarness::new().await;
    harness.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    harness.subscribe("t2", "q::b", r#"{"topic":"t"}"#).await;
    harness.worker.unbind("t1");
    harness.publish("t", "1").await;
    assert_eq!(harness.acknowledge(1).await, ["q::b 1"]);
    harness.assert_no_delivery(Duration::from_secs(25 * 3600)).await;
    harness.publish("t", "2").await;
    assert_eq!(harness.acknowledge(1).await, ["q::b 2"]);
    harness.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    assert_eq!(harness.acknowledge(1).await, ["q::a 1"]);
    harness.worker.unbind("t1");
    harness.assert_no_delivery(Duration::from_secs(25 * 3600)).await;
    harness.publish("t", "3").await;
    assert_eq!(harness.acknowledge(1).await, ["q::b 3"]);
    // The subscription was empty, so it was removed together with its record.
    assert_eq!(harness.store.table("queue").list("lanes").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn message_in_flight_is_redelivered_after_its_worker_disconnects() {
    let mut harness = QueueHarness::new().await;
    let mut other = Worker::named(&harness.broker, "x").await;
    other.function("x::f");
    other.bind("x", "durable:subscriber", "x::f", r#"{"topic":"t"}"#);
    other.nothing_else().await;
    harness.publish("t", "1").await;
    other.called().await;
    drop(other);
    let mut other = Worker::named(&harness.broker, "y").await;
    other.function("x::f");
    other.bind("x", "durable:subscriber", "x::f", r#"{"topic":"t"}"#);
    let call = other.called().await;
    assert_eq!(call.data.as_str(), "1");
    other.answer(&call, Ok(None));
    other.nothing_else().await;
    assert_eq!(harness.depth("t").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn condition_function_filters_messages() {
    let mut harness = QueueHarness::new().await;
    let config =
        r#"{"topic":"t","condition_function_id":"q::if","queue_config":{"backoffDelayMs":100}}"#;
    harness.subscribe("t1", "q::a", config).await;
    harness.publish("t", "1").await;
    let (asked, text) = harness.delivery().await;
    assert_eq!((text.as_str(), &asked.metadata), ("q::if 1", &None));
    harness.worker.answer(&asked, Ok(Some(json("false"))));
    harness.assert_no_delivery(Duration::from_secs(100)).await;
    assert_eq!(harness.depth("t").await, (0, 0));
    harness.publish("t", "2").await;
    assert_eq!(harness.fail().await, "q::if 2");
    assert_eq!(harness.acknowledge(2).await, ["q::if 2", "q::a 2"]);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_are_delivered_without_polling() {
    const MANY: usize = 10_000;
    let mut harness = QueueHarness::new().await;
    let began = std::time::Instant::now();
    for n in 0..MANY {
        harness.publish("t", &n.to_string()).await;
    }
    harness.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    let deliveries = harness.acknowledge(MANY).await;
    assert!(deliveries.iter().enumerate().all(|(n, text)| *text == format!("q::a {n}")));
    assert_eq!(harness.elapsed_ms(), 0, "no delivery waits for the clock");
    harness.worker.nothing_else().await;
    let scopes = || harness.store.table("queue").scopes();
    until("all are acknowledged", || scopes() == ["lanes"]).await;
    // Generous, for an unoptimised build on a busy machine.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn full_topic_rejects_messages_without_affecting_others() {
    let mut harness = QueueHarness::with_limits(QueueSettings::default(), |limits| {
        (limits.messages, limits.bytes, limits.total_bytes) = (2, 2400, 4000);
    })
    .await;
    harness.publish("t", "1").await;
    harness.publish("t", "2").await;
    let publish = |topic: &str, data: &str| format!(r#"{{"topic":"{topic}","data":{data}}}"#);
    let big = format!("\"{}\"", "x".repeat(900));
    for (topic, data) in [("t", "3"), ("big", &*format!("[{big},{big}]"))] {
        let error =
            harness.caller.call("iii::durable::publish", &publish(topic, data)).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.retryable), ("overloaded", Some(true)));
    }
    harness.publish("u", &big).await;
    let input = publish("v", &big);
    let error = harness.caller.call("iii::durable::publish", &input).await.unwrap_err();
    assert!(error.message.contains("all queues"), "{error}");
    harness.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    assert_eq!(harness.acknowledge(2).await, ["q::a 1", "q::a 2"]);
    harness.worker.nothing_else().await;
    harness.publish("t", "3").await;
    assert_eq!(harness.acknowledge(1).await, ["q::a 3"]);
}

#[tokio::test(start_paused = true)]
async fn full_store_rejects_messages_and_defers_settlement() {
    let store = Store::in_memory_with(1500);
    let mut harness = QueueHarness::with(QueueSettings::default(), store.clone()).await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":0}}"#;
    harness.subscribe("t1", "q::a", config).await;
    harness.publish("t", "1").await;
    let (call, _) = harness.delivery().await;
    let big = json(&format!("\"{}\"", "x".repeat(800)));
    let put = |value: Option<Payload>| {
        let other = store.table("other");
        other.change("s", "k", &mut |_| Ok(value.clone()), &mut |_| {}).map(drop)
    };
    put(Some(big)).unwrap();
    let input = r#"{"topic":"t","data":[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2]}"#;
    let error = harness.caller.call("iii::durable::publish", input).await.unwrap_err();
    assert_eq!(error.code, "queue_write_failed");
    // The record of the failed attempt does not fit either, until the store has capacity.
    harness.worker.answer(&call, Err(ErrorBody::new("e", "y".repeat(500))));
    harness.assert_no_delivery(Duration::from_secs(3)).await;
    assert_eq!(harness.depth("t").await, (0, 0));
    put(None).unwrap();
    harness.assert_no_delivery(Duration::from_secs(5)).await;
    assert!(harness.dead_letters("t").await[0]["error"].as_str().unwrap().contains("yyy"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_deliveries_are_neither_lost_nor_duplicated() {
    const MANY: usize = 3000;
    let mut harness = QueueHarness::new().await;
    let config = r#"{"topic":"t","queue_config":{"concurrency":32,"backoffDelayMs":1}}"#;
    harness.subscribe("t1", "q::a", config).await;
    harness.subscribe("t2", "q::b", config).await;
    let QueueHarness { broker, mut caller, mut worker, store, .. } = harness;
    let publishing = tokio::spawn(async move {
        for n in 0..MANY {
            let input = format!(r#"{{"topic":"t","data":{n}}}"#);
            caller.call("iii::durable::publish", &input).await.unwrap();
        }
    });
    // Every third message fails at first.
    let (mut done, mut failed) =
        (std::collections::HashSet::new(), std::collections::HashSet::new());
    while done.len() < 2 * MANY {
        let call = worker.called().await;
        let n: usize = call.data.parse().unwrap();
        let which = (call.function_id.clone(), n);
        if n.is_multiple_of(3) && failed.insert(which.clone()) {
            worker.answer(&call, Err(ErrorBody::new("e", "no luck")));
        } else {
            worker.answer(&call, Ok(None));
            assert!(done.insert(which.clone()), "{which:?} twice");
        }
    }
    publishing.await.unwrap();
    until("all are acknowledged", || store.table("queue").scopes() == ["lanes"]).await;
    worker.nothing_else().await;
    broker.shut_down(1012);
}
