//! Tests of named queues.

use super::*;

/// A FIFO queue `payments` grouped by `order`, with 2 attempts, a concurrency of 2 and a backoff of 200 ms.
fn payments_queue() -> QueueSettings {
    with_queue(
        "payments",
        NamedQueue {
            kind: QueueKind::Fifo,
            max_retries: 2,
            concurrency: 2,
            message_group_field: Some("order".to_owned()),
            backoff_ms: 200,
            ..NamedQueue::default()
        },
    )
}

#[tokio::test(start_paused = true)]
async fn enqueued_invocation_is_delivered_unchanged() {
    let mut harness = QueueHarness::new().await;
    let trace = "00-4553cbc0d39f74a9f4032536d5d0c4b6-4db9cb3fbd710022-01";
    let m = InvokeFunction {
        metadata: Some(json(r#"{"iii:trigger":1,"z":1.50}"#)),
        traceparent: Some(trace.to_owned()),
        baggage: Some("k=v".to_owned()),
        ..Worker::invocation("q::a", r#"{"b":1.50,"a":[]}"#)
    };
    let receipt = harness.enqueue_call("default", m).await.unwrap();
    let (call, text) = harness.delivery().await;
    assert_eq!(text, r#"q::a {"b":1.50,"a":[]}"#);
    assert_eq!(call.metadata, Some(json(r#"{"iii:trigger":1,"z":1.50}"#)));
    assert_eq!((call.traceparent.as_deref(), call.caller), (Some(trace), None));
    assert!(call.baggage.as_ref().unwrap().contains("k=v"));
    harness.worker.answer(&call, Err(ErrorBody::new("e", "no luck")));
    for due in [1000, 3000] {
        harness.fail().await;
        assert_eq!(harness.elapsed_ms(), due);
    }
    harness.assert_no_delivery(Duration::from_secs(100)).await;
    let dead_letters = harness.dead_letters("default").await;
    assert_eq!(dead_letters[0]["id"], receipt);
    assert_eq!(dead_letters[0]["retries"], 3);
}

#[tokio::test(start_paused = true)]
async fn invalid_enqueue_is_rejected() {
    let mut harness = QueueHarness::with(payments_queue(), Store::in_memory()).await;
    let error = harness.enqueue("nowhere", "1").await.unwrap_err();
    assert_eq!(error.code, "enqueue_error");
    for fact in ["queue_not_found", "`default`", "`payments`"] {
        assert!(error.message.contains(fact), "{error}");
    }
    let error = harness.enqueue("payments", r#"{"q":3}"#).await.unwrap_err();
    assert!(error.message.contains("message_group_missing"), "{error}");
    for (input, code) in [
        ("{}", "deserialization_error"),
        (r#"{"queue":"default","function_id":""}"#, "invalid_argument"),
        (r#"{"queue":"default","function_id":"f","messageReceiptId":"x"}"#, "invalid_argument"),
    ] {
        let error = harness.caller.call("engine::queue::enqueue", input).await.unwrap_err();
        assert_eq!(error.code, code, "{input}");
    }
}

#[tokio::test(start_paused = true)]
async fn message_id_is_enqueued_once() {
    let mut harness = QueueHarness::new().await;
    let id = Uuid::new_v4();
    let input = format!(r#"{{"queue":"default","function_id":"q::a","messageReceiptId":"{id}"}}"#);
    for _ in 0..2 {
        let receipt = harness.call("engine::queue::enqueue", &input).await;
        assert_eq!(receipt["messageReceiptId"], id.to_string());
    }
    assert_eq!(harness.acknowledge(1).await, ["q::a null"]);
    harness.assert_no_delivery(Duration::from_secs(100)).await;
}

#[tokio::test(start_paused = true)]
async fn missing_function_counts_as_a_failed_attempt() {
    let mut harness = QueueHarness::new().await;
    harness.enqueue_call("default", Worker::invocation("missing::fn", "1")).await.unwrap();
    harness.assert_no_delivery(Duration::from_secs(4)).await;
    let dead_letters = harness.dead_letters("default").await;
    assert_eq!(dead_letters[0]["retries"], 3);
    assert!(dead_letters[0]["error"].as_str().unwrap().starts_with("function_not_found: "));
}

#[tokio::test(start_paused = true)]
async fn function_of_another_namespace_is_invoked() {
    let mut harness = QueueHarness::new().await;
    let mut other = Worker::in_namespace(&harness.broker, "o", "shop").await;
    other.function("s::f");
    other.nothing_else().await;
    let m = Worker::invocation("s::f", "1");
    harness
        .enqueue_call("default", InvokeFunction { namespace: Some("shop".into()), ..m })
        .await
        .unwrap();
    assert_eq!(other.called().await.function_id, "s::f");
}

#[tokio::test(start_paused = true)]
async fn groups_keep_their_order_and_run_concurrently() {
    let mut harness = QueueHarness::with(payments_queue(), Store::in_memory()).await;
    let calls = [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("b", 2)];
    for (order, n) in calls {
        let data = format!(r#"{{"order":"{order}","n":{n}}}"#);
        harness.enqueue("payments", &data).await.unwrap();
    }
    let data = |order: &str, n: u32| format!(r#"q::a {{"order":"{order}","n":{n}}}"#);
    // The concurrency allows two groups in flight.
    let (a1, text) = harness.delivery().await;
    assert_eq!(text, data("a", 1));
    let (b1, text) = harness.delivery().await;
    assert_eq!(text, data("b", 1));
    harness.worker.nothing_else().await;
    // `a` awaits its redelivery, and `c` takes its capacity.
    harness.worker.answer(&a1, Err(ErrorBody::new("e", "no luck")));
    assert_eq!(harness.acknowledge(1).await, [data("c", 1)]);
    harness.worker.answer(&b1, Ok(None));
    assert_eq!(harness.acknowledge(1).await, [data("b", 2)]);
    harness.worker.nothing_else().await;
    assert_eq!(harness.fail().await, data("a", 1));
    assert_eq!(harness.elapsed_ms(), 200);
    // The second attempt was the last one, so the group continues.
    assert_eq!(harness.acknowledge(1).await, [data("a", 2)]);
    assert_eq!(harness.dead_letters("payments").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn enqueues_of_one_worker_keep_their_order() {
    let mut harness = QueueHarness::with(payments_queue(), Store::in_memory()).await;
    let action = Some(Action::Enqueue { queue: "payments".to_owned() });
    for n in 0..100 {
        let m = Worker::invocation("q::a", &format!(r#"{{"order":1,"n":{n}}}"#));
        let void = InvokeFunction { action: action.clone(), invocation_id: None, ..m };
        harness.caller.start_with(void);
    }
    let deliveries = harness.acknowledge(100).await;
    assert!(deliveries.iter().enumerate().all(|(n, text)| text.ends_with(&format!("\"n\":{n}}}"))));
}

#[tokio::test(start_paused = true)]
async fn higher_priorities_are_delivered_first() {
    let settings = with_queue(
        "jobs",
        NamedQueue {
            concurrency: 1,
            max_priority: Some(9),
            priority_field: Some("p".to_owned()),
            ..NamedQueue::default()
        },
    );
    let mut harness = QueueHarness::with(settings, Store::in_memory()).await;
    harness.enqueue("jobs", r#"{"p":0}"#).await.unwrap();
    let (first, _) = harness.delivery().await;
    for p in ["1", "5", "\"odd\"", "99", "5"] {
        harness.enqueue("jobs", &format!(r#"{{"p":{p}}}"#)).await.unwrap();
    }
    harness.worker.answer(&first, Ok(None));
    let deliveries = harness.acknowledge(5).await;
    let order: Vec<_> = deliveries.iter().map(|text| &text[5..]).collect();
    assert_eq!(order, [r#"{"p":99}"#, r#"{"p":5}"#, r#"{"p":5}"#, r#"{"p":1}"#, r#"{"p":"odd"}"#]);
}

#[tokio::test(start_paused = true)]
async fn full_queue_rejects_messages() {
    let mut settings = QueueSettings::default();
    settings.queues.insert("one".to_owned(), NamedQueue { concurrency: 1, ..Default::default() });
    let mut harness = QueueHarness::with_limits(settings, |limits| limits.messages = 10).await;
    for _ in 0..10 {
        harness.enqueue("one", "1").await.unwrap();
    }
    let error = harness.enqueue("one", "1").await.unwrap_err();
    assert!(error.message.contains("overloaded"), "{error}");
    assert_eq!((error.code.as_str(), error.retryable), ("enqueue_error", Some(true)));
    harness.enqueue("default", "1").await.unwrap();
    harness.acknowledge(1).await;
}
