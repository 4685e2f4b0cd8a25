//! Tests of durable topics and their subscribers.

use super::*;
use crate::broker::testing::until;

#[tokio::test(start_paused = true)]
async fn a_topic_is_needed() {
    let mut rig = Rig::new().await;
    for trigger_type in ["durable:subscriber", "queue"] {
        for config in ["{}", r#"{"topic":""}"#, "null"] {
            rig.worker.bind("t", trigger_type, "q::a", config);
            let error = rig.worker.binding_error().await.error.unwrap();
            assert_eq!(error.code, "trigger_registration_failed");
        }
    }
    for (input, code) in
        [(r#"{"topic":"","data":1}"#, "topic_not_set"), (r#"{"data":1}"#, "deserialization_error")]
    {
        let error = rig.caller.call("iii::durable::publish", input).await.unwrap_err();
        assert_eq!(error.code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn each_function_has_its_copy_and_triggers_of_one_function_share_it() {
    let mut rig = Rig::new().await;
    rig.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    rig.worker.bind("t2", "queue", "q::a", r#"{"topic":"t"}"#);
    rig.subscribe("t3", "q::b", r#"{"topic":"t"}"#).await;
    rig.publish("t", r#"{"b":1.50,"a":[]}"#).await;
    rig.publish("other", "1").await;
    let mut jobs = rig.done(2).await;
    jobs.sort();
    assert_eq!(jobs, [r#"q::a {"b":1.50,"a":[]}"#, r#"q::b {"b":1.50,"a":[]}"#]);
    rig.quiet(Duration::from_secs(100)).await;
    assert_eq!(rig.depth("t").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_waits_for_the_first_subscriber() {
    let mut rig = Rig::new().await;
    for n in ["1", "2"] {
        rig.publish("t", n).await;
    }
    assert_eq!(rig.depth("t").await, (2, 0));
    rig.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    assert_eq!(rig.done(2).await, ["q::a 1", "q::a 2"]);
    rig.worker.bind("t2", "durable:subscriber", "q::b", r#"{"topic":"t"}"#);
    rig.quiet(Duration::from_secs(100)).await;
}

#[tokio::test(start_paused = true)]
async fn metadata_trace_and_attempt_are_delivered() {
    let mut rig = Rig::new().await;
    let config = r#"{"topic":"t","queue_config":{"backoffDelayMs":10}}"#;
    rig.subscribe("plain", "q::a", config).await;
    let data = r#"{"topic":"t","data":1}"#;
    let m = Worker::invocation("iii::durable::publish", data);
    let (trace, bag) = ("00-4553cbc0d39f74a9f4032536d5d0c4b6-4db9cb3fbd710022-01", "k=v");
    let m =
        InvokeFunction { traceparent: Some(trace.to_owned()), baggage: Some(bag.to_owned()), ..m };
    let id = rig.caller.start_with(m);
    rig.caller.answer_to(id).await.unwrap();
    let (call, _) = rig.job().await;
    rig.worker.answer(&call, Ok(Some(json("5"))));
    assert_eq!(call.metadata, Some(json(r#"{"m":1}"#)));
    assert_eq!(call.traceparent.as_deref(), Some(trace));
    assert!(call.baggage.unwrap().contains("k=v"));
    rig.worker.unbind("plain");
    let mark = r#"{"iii:trigger":{"type":"queue","id":"own"},"value":7}"#;
    let own = Worker::binding("own", "durable:subscriber", "q::a", config);
    rig.worker.send(iii_wire::protocol::Message::RegisterTrigger(Box::new(
        iii_wire::protocol::RegisterTrigger { metadata: Some(json(mark)), ..own },
    )));
    rig.publish("t", "2").await;
    for attempt in 1..=3 {
        let (call, _) = rig.job().await;
        let metadata: Value = call.metadata.as_ref().unwrap().parse().unwrap();
        assert_eq!((&metadata["attempt"], &metadata["value"]), (&attempt.into(), &7.into()));
        rig.worker.answer(&call, Err(ErrorBody::new("e", "no luck")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_tried_again_at_exact_times_and_then_given_up() {
    let mut rig = Rig::new().await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":3,"backoffDelayMs":200}}"#;
    rig.subscribe("t1", "q::a", config).await;
    rig.publish("t", r#"{"x":1}"#).await;
    for due in [0, 200, 600, 1400] {
        let (call, _) = rig.job().await;
        assert_eq!(rig.ms(), due);
        rig.worker.answer(&call, Err(ErrorBody::new("always", "always fails")));
    }
    rig.quiet(Duration::from_secs(100)).await;
    let dead = rig.dead("t").await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["error"], "always: always fails");
    assert_eq!(
        (&dead[0]["retries"], &dead[0]["payload"]),
        (&4.into(), &serde_json::json!({"x":1}))
    );
    assert_eq!(dead[0]["failed_at"], START + 1);
    assert_eq!(rig.depth("t").await, (0, 1));
}

#[tokio::test(start_paused = true)]
async fn fixed_pauses_delays_and_limits() {
    let mut rig = Rig::new().await;
    let config = r#"{"topic":"t","queue_config":{"backoffDelayMs":200,"backoffType":"fixed","delaySeconds":5,
        "visibilityTimeout":2}}"#;
    rig.subscribe("t1", "q::a", config).await;
    rig.publish("t", "1").await;
    rig.fail().await;
    assert_eq!(rig.ms(), 5000);
    rig.fail().await;
    assert_eq!(rig.ms(), 5200);
    let (late, _) = rig.job().await;
    assert_eq!(rig.ms(), 5400);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    rig.worker.answer(&late, Ok(None));
    let dead = rig.dead("t").await;
    assert!(dead[0]["error"].as_str().unwrap().starts_with("timeout: "), "{dead:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_says_so_is_not_tried_again() {
    let mut rig = Rig::new().await;
    rig.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    rig.publish("t", "1").await;
    let (call, _) = rig.job().await;
    let error = ErrorBody { retryable: Some(false), ..ErrorBody::new("bad", "data") };
    rig.worker.answer(&call, Err(error));
    rig.quiet(Duration::from_secs(100)).await;
    assert_eq!(rig.dead("t").await[0]["retries"], 1);
}

#[tokio::test(start_paused = true)]
async fn slots_are_kept_and_messages_begin_in_their_order() {
    let mut rig = Rig::new().await;
    rig.subscribe("t1", "q::a", r#"{"topic":"t","queue_config":{"concurrency":3}}"#).await;
    for n in 0..40 {
        rig.publish("t", &n.to_string()).await;
    }
    let mut running = Vec::new();
    for n in 0..40 {
        let (call, text) = rig.job().await;
        assert_eq!(text, format!("q::a {n}"));
        running.push(call);
        if running.len() == 3 {
            rig.worker.nothing_else().await;
            let ended = running.swap_remove(n % 3);
            rig.worker.answer(&ended, Ok(None));
        }
    }
    for call in running {
        rig.worker.answer(&call, Ok(None));
    }
    rig.quiet(Duration::from_secs(100)).await;
    assert_eq!(rig.depth("t").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_fifo_keeps_the_order_through_failures() {
    let mut rig = Rig::new().await;
    let config =
        r#"{"topic":"t","queue_config":{"type":"fifo","backoffDelayMs":100,"concurrency":5}}"#;
    rig.subscribe("t1", "q::a", config).await;
    for n in 1..=4 {
        rig.publish("t", &n.to_string()).await;
    }
    let (first, _) = rig.job().await;
    rig.quiet(Duration::from_secs(5)).await;
    rig.worker.answer(&first, Ok(None));
    assert_eq!(rig.fail().await, "q::a 2");
    assert_eq!(rig.fail().await, "q::a 2");
    assert_eq!(rig.done(1).await, ["q::a 2"]);
    for _ in 0..3 {
        assert_eq!(rig.fail().await, "q::a 3");
    }
    assert_eq!(rig.done(1).await, ["q::a 4"]);
    assert_eq!(rig.dead("t").await[0]["payload"], 3);
    // The same id with another config: it counts from now on.
    rig.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    for n in 5..=6 {
        rig.publish("t", &n.to_string()).await;
    }
    let (five, _) = rig.job().await;
    assert_eq!(rig.done(1).await, ["q::a 6"]);
    rig.worker.answer(&five, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_function_stays_when_it_leaves() {
    let mut rig = Rig::new().await;
    let config = r#"{"topic":"t","queue_config":{"concurrency":1}}"#;
    rig.subscribe("t1", "q::a", config).await;
    rig.publish("t", "1").await;
    rig.publish("t", "2").await;
    let (one, _) = rig.job().await;
    rig.worker.unbind("t1");
    rig.worker.answer(&one, Ok(None));
    rig.worker.bind("t2", "durable:subscriber", "q::b", r#"{"topic":"t"}"#);
    rig.worker.nothing_else().await;
    rig.publish("t", "3").await;
    assert_eq!(rig.done(1).await, ["q::b 3"]);
    rig.quiet(Duration::from_secs(3600)).await;
    rig.worker.bind("t9", "durable:subscriber", "q::a", config);
    assert_eq!(rig.done(2).await, ["q::a 2", "q::a 3"]);
    rig.quiet(Duration::from_secs(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_that_stays_away_gets_no_more() {
    let mut rig = Rig::new().await;
    rig.subscribe("t1", "q::a", r#"{"topic":"t"}"#).await;
    rig.subscribe("t2", "q::b", r#"{"topic":"t"}"#).await;
    rig.worker.unbind("t1");
    rig.publish("t", "1").await;
    assert_eq!(rig.done(1).await, ["q::b 1"]);
    rig.quiet(Duration::from_secs(25 * 3600)).await;
    rig.publish("t", "2").await;
    assert_eq!(rig.done(1).await, ["q::b 2"]);
    rig.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    assert_eq!(rig.done(1).await, ["q::a 1"]);
    rig.worker.unbind("t1");
    rig.quiet(Duration::from_secs(25 * 3600)).await;
    rig.publish("t", "3").await;
    assert_eq!(rig.done(1).await, ["q::b 3"]);
    // It had nothing left, so it was forgotten: no record of it is there.
    assert_eq!(rig.store.table("queue").list("lanes").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_lost_loses_nothing() {
    let mut rig = Rig::new().await;
    let mut other = Worker::named(&rig.broker, "x").await;
    other.function("x::f");
    other.bind("x", "durable:subscriber", "x::f", r#"{"topic":"t"}"#);
    other.nothing_else().await;
    rig.publish("t", "1").await;
    other.called().await;
    drop(other);
    let mut other = Worker::named(&rig.broker, "y").await;
    other.function("x::f");
    other.bind("x", "durable:subscriber", "x::f", r#"{"topic":"t"}"#);
    let call = other.called().await;
    assert_eq!(call.data.as_str(), "1");
    other.answer(&call, Ok(None));
    other.nothing_else().await;
    assert_eq!(rig.depth("t").await, (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_condition_decides() {
    let mut rig = Rig::new().await;
    let config =
        r#"{"topic":"t","condition_function_id":"q::if","queue_config":{"backoffDelayMs":100}}"#;
    rig.subscribe("t1", "q::a", config).await;
    rig.publish("t", "1").await;
    let (asked, text) = rig.job().await;
    assert_eq!((text.as_str(), &asked.metadata), ("q::if 1", &None));
    rig.worker.answer(&asked, Ok(Some(json("false"))));
    rig.quiet(Duration::from_secs(100)).await;
    assert_eq!(rig.depth("t").await, (0, 0));
    rig.publish("t", "2").await;
    assert_eq!(rig.fail().await, "q::if 2");
    assert_eq!(rig.done(2).await, ["q::if 2", "q::a 2"]);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_messages_take_no_time_of_the_clock() {
    const MANY: usize = 10_000;
    let mut rig = Rig::new().await;
    let began = std::time::Instant::now();
    for n in 0..MANY {
        rig.publish("t", &n.to_string()).await;
    }
    rig.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    let jobs = rig.done(MANY).await;
    assert!(jobs.iter().enumerate().all(|(n, text)| *text == format!("q::a {n}")));
    assert_eq!(rig.ms(), 0, "nothing may wait for a tick");
    rig.worker.nothing_else().await;
    let scopes = || rig.store.table("queue").scopes();
    until("all are acknowledged", || scopes() == ["lanes"]).await;
    // Generous: a build without optimisations on a busy machine.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_full_topic_refuses_and_harms_no_other() {
    let mut rig = Rig::bounded(QueueSettings::default(), |limits| {
        (limits.messages, limits.bytes, limits.total_bytes) = (2, 2400, 4000);
    })
    .await;
    rig.publish("t", "1").await;
    rig.publish("t", "2").await;
    let publish = |topic: &str, data: &str| format!(r#"{{"topic":"{topic}","data":{data}}}"#);
    let big = format!("\"{}\"", "x".repeat(900));
    for (topic, data) in [("t", "3"), ("big", &*format!("[{big},{big}]"))] {
        let error =
            rig.caller.call("iii::durable::publish", &publish(topic, data)).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.retryable), ("overloaded", Some(true)));
    }
    rig.publish("u", &big).await;
    let error = rig.caller.call("iii::durable::publish", &publish("v", &big)).await.unwrap_err();
    assert!(error.message.contains("all queues"), "{error}");
    rig.worker.bind("t1", "durable:subscriber", "q::a", r#"{"topic":"t"}"#);
    assert_eq!(rig.done(2).await, ["q::a 1", "q::a 2"]);
    rig.worker.nothing_else().await;
    rig.publish("t", "3").await;
    assert_eq!(rig.done(1).await, ["q::a 3"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_full_refuses_and_settles_later() {
    let store = Store::in_memory_with(1500);
    let mut rig = Rig::with(QueueSettings::default(), store.clone()).await;
    let config = r#"{"topic":"t","queue_config":{"maxRetries":0}}"#;
    rig.subscribe("t1", "q::a", config).await;
    rig.publish("t", "1").await;
    let (call, _) = rig.job().await;
    let big = json(&format!("\"{}\"", "x".repeat(800)));
    let put = |value: Option<Payload>| {
        let other = store.table("other");
        other.change("s", "k", &mut |_| Ok(value.clone()), &mut |_| {}).map(drop)
    };
    put(Some(big)).unwrap();
    let input = r#"{"topic":"t","data":[2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2]}"#;
    let error = rig.caller.call("iii::durable::publish", input).await.unwrap_err();
    assert_eq!(error.code, "queue_write_failed");
    // The note of the failure does not fit either, until there is room.
    rig.worker.answer(&call, Err(ErrorBody::new("e", "y".repeat(500))));
    rig.quiet(Duration::from_secs(3)).await;
    assert_eq!(rig.depth("t").await, (0, 0));
    put(None).unwrap();
    rig.quiet(Duration::from_secs(5)).await;
    assert!(rig.dead("t").await[0]["error"].as_str().unwrap().contains("yyy"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_between_threads() {
    const MANY: usize = 3000;
    let mut rig = Rig::new().await;
    let config = r#"{"topic":"t","queue_config":{"concurrency":32,"backoffDelayMs":1}}"#;
    rig.subscribe("t1", "q::a", config).await;
    rig.subscribe("t2", "q::b", config).await;
    let Rig { broker, mut caller, mut worker, store, .. } = rig;
    let publishing = tokio::spawn(async move {
        for n in 0..MANY {
            let input = format!(r#"{{"topic":"t","data":{n}}}"#);
            caller.call("iii::durable::publish", &input).await.unwrap();
        }
    });
    // Each third one fails at first.
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
