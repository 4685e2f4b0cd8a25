//! Tests of logs: what is kept, and which handlers hear of it.

use super::*;

#[tokio::test]
async fn a_listener_gets_the_records_of_its_level() {
    let mut rig = Rig::new().await;
    let worker = &mut rig.worker;
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
async fn the_newest_records_are_kept() {
    let mut rig = Rig::new().await;
    let kept = LogSettings::default().max_count;
    for n in 0..kept + 5 {
        rig.worker.void("engine::log::debug", &format!(r#"{{"message":"{n}","data":7}}"#));
    }
    rig.worker.void("engine::log::warn", r#"{"message":"last"}"#);
    let all = rig.ask("engine::logs::list", json!({"limit": 1})).await;
    assert_eq!((&all["total"], &all["logs"][0]["body"]), (&kept.into(), &"last".into()));
    let all = rig.ask("engine::logs::list", json!({"offset": kept - 1})).await;
    assert_eq!(all["logs"][0]["body"], "6");
    assert_eq!(all["logs"][0]["attributes"]["data"], 7, "what is no object is kept too");
    assert_eq!(all["query"]["offset"], kept - 1);
    assert_eq!(rig.ask("engine::logs::list", json!({"severity_min": 13})).await["total"], 1);
    rig.ask("engine::logs::clear", json!({})).await;
    assert_eq!(rig.ask("engine::logs::list", json!({})).await["total"], 0);
}

#[tokio::test(start_paused = true)]
async fn records_are_forgotten_in_time_and_sampled() {
    let logs = LogSettings { sampling_ratio: 0.5, ..LogSettings::default() };
    let settings = ObservabilitySettings { logs, ..ObservabilitySettings::default() };
    let mut rig = Rig::at_rest(settings).await;
    for n in 0..10 {
        rig.logs(json!([{"body": {"stringValue": n.to_string()}}])).await;
    }
    let list = rig.ask("engine::logs::list", json!({})).await;
    assert_eq!(list["total"], 5);
    assert_eq!(list["logs"][0]["timestamp_unix_nano"], 1_767_603_600_000_000_000_u64);
    assert_eq!(rig.ask("engine::sampling::rules", json!({})).await["logs"]["sampling_ratio"], 0.5);
    tokio::time::advance(Duration::from_secs(3_601)).await;
    assert_eq!(rig.ask("engine::logs::list", json!({})).await["total"], 0);
}

#[tokio::test]
async fn records_of_frames_fire_by_their_number_where_the_word_is_missing() {
    let mut rig = Rig::new().await;
    rig.worker.bind("l1", "log", "l::on", r#"{"level":"error"}"#);
    rig.worker.nothing_else().await;
    rig.logs(json!([
        {"severityNumber": 9, "body": {"stringValue": "info"}},
        {"severityNumber": 17, "body": {"stringValue": "error"}},
        {"severityNumber": 21, "severityText": "FATAL", "body": {"stringValue": "fatal"}},
        {"severityNumber": 17, "severityText": "warn", "body": {"stringValue": "the word counts"}},
        {"body": {"stringValue": "nothing"}},
    ]))
    .await;
    for (text, word) in [("error", "ERROR"), ("fatal", "FATAL")] {
        let (_, record) = rig.called().await;
        assert_eq!((&record["body"], &record["severity_text"]), (&text.into(), &word.into()));
    }
    rig.worker.nothing_else().await;
}

#[tokio::test]
async fn a_handler_that_logs_does_not_fire_itself() {
    let mut rig = Rig::new().await;
    rig.worker.bind("l1", "log", "l::on", "{}");
    rig.worker.nothing_else().await;
    let id = rig.worker.start("engine::log::info", r#"{"message":"first"}"#);
    let (first, _) = rig.called().await;
    rig.worker.answer_to(id).await.unwrap();
    let traceparent = first.traceparent.clone().expect("a firing is a trace");
    let trace = traceparent.split('-').nth(1).unwrap();
    // By a call that hands the trace on, by a frame, and by a call that hands nothing on.
    let traced = InvokeFunction {
        traceparent: Some(traceparent.clone()),
        ..Worker::invocation("engine::log::warn", r#"{"message":"own"}"#)
    };
    let id = rig.worker.start_with(traced);
    rig.worker.answer_to(id).await.unwrap();
    rig.logs(json!([{"traceId": trace, "body": {"stringValue": "own"}}])).await;
    rig.ask("engine::log::warn", json!({"message": "own", "trace_id": T1})).await;
    rig.worker.nothing_else().await;
    // What others write fires it meanwhile.
    rig.logs(json!([{"traceId": T1, "body": {"stringValue": "of others"}}])).await;
    let (second, record) = rig.called().await;
    assert_eq!(record["body"], "of others");
    // Once it is idle, its worker may write again.
    rig.worker.answer(&first, Ok(None));
    rig.worker.answer(&second, Ok(None));
    rig.worker.nothing_else().await;
    // That a firing has ended is noted by a task of its own.
    let fired = async {
        loop {
            let id = rig.worker.start("engine::log::info", r#"{"message":"later"}"#);
            match rig.worker.next().await {
                Message::InvokeFunction(call) => {
                    rig.worker.answer_to(id).await.unwrap();
                    return call.data.parse::<Value>().unwrap();
                }
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let record = tokio::time::timeout(Duration::from_secs(30), fired).await.expect("it fires");
    assert_eq!(record["body"], "later");
}

#[tokio::test]
async fn handlers_that_fire_each_other_come_to_an_end() {
    let mut rig = Rig::new().await;
    rig.worker.function("l::other");
    rig.worker.bind("a", "log", "l::on", "{}");
    rig.worker.bind("b", "log", "l::other", "{}");
    rig.worker.nothing_else().await;
    rig.logs(json!([{"body": {"stringValue": "start"}}])).await;
    let mut firings = Vec::new();
    // Each handler writes a record of its own for each firing.
    let mut open = std::collections::VecDeque::from([rig.called().await.0, rig.called().await.0]);
    while let Some(call) = open.pop_front() {
        firings.push(call.function_id.to_string());
        let trace = call.traceparent.as_deref().unwrap().split('-').nth(1).unwrap().to_owned();
        rig.logs(json!([{"traceId": trace, "body": {"stringValue": "again"}}])).await;
        rig.worker.answer(&call, Ok(None));
        if firings.len() <= 2 {
            open.push_back(rig.called().await.0);
        }
    }
    rig.worker.nothing_else().await;
    assert_eq!(firings.len(), 4, "{firings:?}");
}
