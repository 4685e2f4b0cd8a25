//! Tests of the log store and of `log` triggers.

use super::*;

#[tokio::test]
async fn trigger_fires_on_records_of_its_level() {
    let mut engine = TestEngine::new().await;
    let worker = &mut engine.worker;
    worker.bind("l1", "log", "l::on", r#"{"level":"all"}"#);
    worker.bind("l1", "log", "l::on", r#"{"level":"error"}"#);
    worker.call("engine::log::info", r#"{"message":"quiet"}"#).await.unwrap();
    let id =
        worker.start("engine::log::error", r#"{"message":"hi","data":{"a":1},"trace_id":"t"}"#);
    let call = worker.called().await;
    assert_eq!(worker.answer_to(id).await, Ok(None));
    let record: Value = call.data.parse().unwrap();
    assert_eq!(record["severity_text"], "ERROR");
    assert_eq!(record["severity_number"], 17);
    assert_eq!((&record["body"], &record["attributes"]["a"]), (&"hi".into(), &1.into()));
    assert_eq!((&record["service_name"], &record["trace_id"]), (&"unknown".into(), &"t".into()));
    worker.bind("l1", "log", "l::on", r#"{"level":"loud"}"#);
    assert_eq!(worker.binding_error().await.error.unwrap().code, "trigger_registration_failed");
}

#[tokio::test]
async fn newest_records_are_retained() {
    let mut engine = TestEngine::new().await;
    let max_count = LogSettings::default().max_count;
    for n in 0..max_count + 5 {
        engine.worker.void("engine::log::debug", &format!(r#"{{"message":"{n}","data":7}}"#));
    }
    engine.worker.void("engine::log::warn", r#"{"message":"last"}"#);
    let all = engine.call("engine::logs::list", json!({"limit": 1})).await;
    assert_eq!((&all["total"], &all["logs"][0]["body"]), (&max_count.into(), &"last".into()));
    let all = engine.call("engine::logs::list", json!({"offset": max_count - 1})).await;
    assert_eq!(all["logs"][0]["body"], "6");
    assert_eq!(
        all["logs"][0]["attributes"]["data"], 7,
        "a value that is not an object becomes the attribute `data`"
    );
    assert_eq!(all["query"]["offset"], max_count - 1);
    assert_eq!(engine.call("engine::logs::list", json!({"severity_min": 13})).await["total"], 1);
    engine.call("engine::logs::clear", json!({})).await;
    assert_eq!(engine.call("engine::logs::list", json!({})).await["total"], 0);
}

#[tokio::test(start_paused = true)]
async fn records_expire_and_are_sampled() {
    let logs = LogSettings { sampling_ratio: 0.5, ..LogSettings::default() };
    let settings = ObservabilitySettings { logs, ..ObservabilitySettings::default() };
    let mut engine = TestEngine::with_virtual_clock(settings).await;
    for n in 0..10 {
        engine.logs(json!([{"body": {"stringValue": n.to_string()}}])).await;
    }
    let list = engine.call("engine::logs::list", json!({})).await;
    assert_eq!(list["total"], 5);
    assert_eq!(list["logs"][0]["timestamp_unix_nano"], 1_767_603_600_000_000_000_u64);
    assert_eq!(
        engine.call("engine::sampling::rules", json!({})).await["logs"]["sampling_ratio"],
        0.5
    );
    tokio::time::advance(Duration::from_secs(3_601)).await;
    assert_eq!(engine.call("engine::logs::list", json!({})).await["total"], 0);
}

#[tokio::test]
async fn severity_number_applies_if_the_text_is_missing_or_unknown() {
    let mut engine = TestEngine::new().await;
    engine.worker.bind("l1", "log", "l::on", r#"{"level":"error"}"#);
    engine.worker.nothing_else().await;
    engine.logs(json!([
        {"severityNumber": 9, "body": {"stringValue": "info"}},
        {"severityNumber": 17, "body": {"stringValue": "error"}},
        {"severityNumber": 21, "severityText": "FATAL", "body": {"stringValue": "fatal"}},
        {"severityNumber": 17, "severityText": "warn", "body": {"stringValue": "the word counts"}},
        {"body": {"stringValue": "nothing"}},
    ]))
    .await;
    for (body, severity) in [("error", "ERROR"), ("fatal", "FATAL")] {
        let (_, record) = engine.called().await;
        assert_eq!((&record["body"], &record["severity_text"]), (&body.into(), &severity.into()));
    }
    engine.worker.nothing_else().await;
}

#[tokio::test]
async fn handler_does_not_fire_its_own_trigger() {
    let mut engine = TestEngine::new().await;
    engine.worker.bind("l1", "log", "l::on", "{}");
    engine.worker.nothing_else().await;
    let id = engine.worker.start("engine::log::info", r#"{"message":"first"}"#);
    let (first, _) = engine.called().await;
    engine.worker.answer_to(id).await.unwrap();
    let traceparent = first.traceparent.clone().expect("a firing is a trace");
    let trace = traceparent.split('-').nth(1).unwrap();
    // By a call with the trace, by a frame with the trace, and by a call without a trace.
    let traced = InvokeFunction {
        traceparent: Some(traceparent.clone()),
        ..Worker::invocation("engine::log::warn", r#"{"message":"own"}"#)
    };
    let id = engine.worker.start_with(traced);
    engine.worker.answer_to(id).await.unwrap();
    engine.logs(json!([{"traceId": trace, "body": {"stringValue": "own"}}])).await;
    engine.call("engine::log::warn", json!({"message": "own", "trace_id": T1})).await;
    engine.worker.nothing_else().await;
    // Records of others fire the trigger meanwhile.
    engine.logs(json!([{"traceId": T1, "body": {"stringValue": "of others"}}])).await;
    let (second, record) = engine.called().await;
    assert_eq!(record["body"], "of others");
    // When no firing is pending, calls of the worker without a trace fire the trigger again.
    engine.worker.answer(&first, Ok(None));
    engine.worker.answer(&second, Ok(None));
    engine.worker.nothing_else().await;
    // A separate task completes the firing, so the first records may still be attributed to it.
    let fired = async {
        loop {
            let id = engine.worker.start("engine::log::info", r#"{"message":"later"}"#);
            match engine.worker.next().await {
                Message::InvokeFunction(call) => {
                    engine.worker.answer_to(id).await.unwrap();
                    return call.data.parse::<Value>().unwrap();
                }
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let record =
        tokio::time::timeout(Duration::from_secs(30), fired).await.expect("the trigger fires");
    assert_eq!(record["body"], "later");
}

#[tokio::test]
async fn handlers_that_fire_each_other_run_once_each() {
    let mut engine = TestEngine::new().await;
    engine.worker.function("l::other");
    engine.worker.bind("a", "log", "l::on", "{}");
    engine.worker.bind("b", "log", "l::other", "{}");
    engine.worker.nothing_else().await;
    engine.logs(json!([{"body": {"stringValue": "start"}}])).await;
    let mut firings = Vec::new();
    // Each handler writes a record for each firing.
    let mut open =
        std::collections::VecDeque::from([engine.called().await.0, engine.called().await.0]);
    while let Some(call) = open.pop_front() {
        firings.push(call.function_id.to_string());
        let trace = call.traceparent.as_deref().unwrap().split('-').nth(1).unwrap().to_owned();
        engine.logs(json!([{"traceId": trace, "body": {"stringValue": "again"}}])).await;
        engine.worker.answer(&call, Ok(None));
        if firings.len() <= 2 {
            open.push_back(engine.called().await.0);
        }
    }
    engine.worker.nothing_else().await;
    assert_eq!(firings.len(), 4, "{firings:?}");
}
