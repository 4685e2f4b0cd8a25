//! Tests of named queues.

use super::*;

/// A fifo by `order`, with 2 attempts, 2 groups at a time and a pause of 200 ms.
fn payments() -> QueueSettings {
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
async fn a_call_goes_through_the_queue_as_it_is() {
    let mut rig = Rig::new().await;
    let trace = "00-4553cbc0d39f74a9f4032536d5d0c4b6-4db9cb3fbd710022-01";
    let m = InvokeFunction {
        metadata: Some(json(r#"{"iii:trigger":1,"z":1.50}"#)),
        traceparent: Some(trace.to_owned()),
        baggage: Some("k=v".to_owned()),
        ..Worker::invocation("q::a", r#"{"b":1.50,"a":[]}"#)
    };
    let receipt = rig.enqueue_call("default", m).await.unwrap();
    let (call, text) = rig.job().await;
    assert_eq!(text, r#"q::a {"b":1.50,"a":[]}"#);
    assert_eq!(call.metadata, Some(json(r#"{"iii:trigger":1,"z":1.50}"#)));
    assert_eq!((call.traceparent.as_deref(), call.caller), (Some(trace), None));
    assert!(call.baggage.as_ref().unwrap().contains("k=v"));
    rig.worker.answer(&call, Err(ErrorBody::new("e", "no luck")));
    for due in [1000, 3000] {
        rig.fail().await;
        assert_eq!(rig.ms(), due);
    }
    rig.quiet(Duration::from_secs(100)).await;
    let dead = rig.dead("default").await;
    assert_eq!((&dead[0]["id"], &dead[0]["retries"]), (&receipt.into(), &3.into()));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_queued_is_refused() {
    let mut rig = Rig::with(payments(), Store::in_memory()).await;
    let error = rig.enqueue("nowhere", "1").await.unwrap_err();
    assert_eq!(error.code, "enqueue_error");
    for fact in ["queue_not_found", "`default`", "`payments`"] {
        assert!(error.message.contains(fact), "{error}");
    }
    let error = rig.enqueue("payments", r#"{"q":3}"#).await.unwrap_err();
    assert!(error.message.contains("message_group_missing"), "{error}");
    for (input, code) in [
        ("{}", "deserialization_error"),
        (r#"{"queue":"default","function_id":""}"#, "invalid_argument"),
        (r#"{"queue":"default","function_id":"f","messageReceiptId":"x"}"#, "invalid_argument"),
    ] {
        let error = rig.caller.call("engine::queue::enqueue", input).await.unwrap_err();
        assert_eq!(error.code, code, "{input}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receipt_is_taken_once() {
    let mut rig = Rig::new().await;
    let id = Uuid::new_v4();
    let input = format!(r#"{{"queue":"default","function_id":"q::a","messageReceiptId":"{id}"}}"#);
    for _ in 0..2 {
        let receipt = rig.ask("engine::queue::enqueue", &input).await;
        assert_eq!(receipt["messageReceiptId"], id.to_string());
    }
    assert_eq!(rig.done(1).await, ["q::a null"]);
    rig.quiet(Duration::from_secs(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_missing_fails_like_any_other() {
    let mut rig = Rig::new().await;
    rig.enqueue_call("default", Worker::invocation("missing::fn", "1")).await.unwrap();
    rig.quiet(Duration::from_secs(4)).await;
    let dead = rig.dead("default").await;
    assert_eq!(dead[0]["retries"], 3);
    assert!(dead[0]["error"].as_str().unwrap().starts_with("function_not_found: "));
}

#[tokio::test(start_paused = true)]
async fn another_namespace_is_reached() {
    let mut rig = Rig::new().await;
    let mut other = Worker::in_namespace(&rig.broker, "o", "shop").await;
    other.function("s::f");
    other.nothing_else().await;
    let m = Worker::invocation("s::f", "1");
    rig.enqueue_call("default", InvokeFunction { namespace: Some("shop".into()), ..m })
        .await
        .unwrap();
    assert_eq!(other.called().await.function_id, "s::f");
}

#[tokio::test(start_paused = true)]
async fn groups_keep_their_order_beside_each_other() {
    let mut rig = Rig::with(payments(), Store::in_memory()).await;
    let calls = [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("b", 2)];
    for (order, n) in calls {
        let data = format!(r#"{{"order":"{order}","n":{n}}}"#);
        rig.enqueue("payments", &data).await.unwrap();
    }
    let data = |order: &str, n: u32| format!(r#"q::a {{"order":"{order}","n":{n}}}"#);
    // Two groups at a time.
    let (a1, text) = rig.job().await;
    assert_eq!(text, data("a", 1));
    let (b1, text) = rig.job().await;
    assert_eq!(text, data("b", 1));
    rig.worker.nothing_else().await;
    // `a` waits for its retry, and its slot goes to `c`.
    rig.worker.answer(&a1, Err(ErrorBody::new("e", "no luck")));
    assert_eq!(rig.done(1).await, [data("c", 1)]);
    rig.worker.answer(&b1, Ok(None));
    assert_eq!(rig.done(1).await, [data("b", 2)]);
    rig.worker.nothing_else().await;
    assert_eq!(rig.fail().await, data("a", 1));
    assert_eq!(rig.ms(), 200);
    // The second attempt was the last one, so the group goes on.
    assert_eq!(rig.done(1).await, [data("a", 2)]);
    assert_eq!(rig.dead("payments").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_worker_stay_in_their_order() {
    let mut rig = Rig::with(payments(), Store::in_memory()).await;
    let action = Some(Action::Enqueue { queue: "payments".to_owned() });
    for n in 0..100 {
        let m = Worker::invocation("q::a", &format!(r#"{{"order":1,"n":{n}}}"#));
        let void = InvokeFunction { action: action.clone(), invocation_id: None, ..m };
        rig.caller.start_with(void);
    }
    let jobs = rig.done(100).await;
    assert!(jobs.iter().enumerate().all(|(n, text)| text.ends_with(&format!("\"n\":{n}}}"))));
}

#[tokio::test(start_paused = true)]
async fn the_highest_priority_goes_first() {
    let settings = with_queue(
        "jobs",
        NamedQueue {
            concurrency: 1,
            max_priority: Some(9),
            priority_field: Some("p".to_owned()),
            ..NamedQueue::default()
        },
    );
    let mut rig = Rig::with(settings, Store::in_memory()).await;
    rig.enqueue("jobs", r#"{"p":0}"#).await.unwrap();
    let (first, _) = rig.job().await;
    for p in ["1", "5", "\"odd\"", "99", "5"] {
        rig.enqueue("jobs", &format!(r#"{{"p":{p}}}"#)).await.unwrap();
    }
    rig.worker.answer(&first, Ok(None));
    let jobs = rig.done(5).await;
    let order: Vec<_> = jobs.iter().map(|text| &text[5..]).collect();
    assert_eq!(order, [r#"{"p":99}"#, r#"{"p":5}"#, r#"{"p":5}"#, r#"{"p":1}"#, r#"{"p":"odd"}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses() {
    let mut settings = QueueSettings::default();
    settings.queues.insert("one".to_owned(), NamedQueue { concurrency: 1, ..Default::default() });
    let mut rig = Rig::bounded(settings, |limits| limits.messages = 10).await;
    for _ in 0..10 {
        rig.enqueue("one", "1").await.unwrap();
    }
    let error = rig.enqueue("one", "1").await.unwrap_err();
    assert!(error.message.contains("overloaded"), "{error}");
    assert_eq!((error.code.as_str(), error.retryable), ("enqueue_error", Some(true)));
    rig.enqueue("default", "1").await.unwrap();
    rig.done(1).await;
}
