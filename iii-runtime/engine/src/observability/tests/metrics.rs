//! Tests of metrics: what the engine counts, what workers send, and alerts.

use super::*;

#[tokio::test]
async fn the_engine_counts_its_calls() {
    let mut rig = Rig::new().await;
    let id = rig.worker.start("l::on", "1");
    let (call, _) = rig.called().await;
    rig.worker.answer(&call, Err(ErrorBody::new("bad", "bad")));
    rig.worker.answer_to(id).await.unwrap_err();
    rig.worker.call("no::such", "{}").await.unwrap_err();
    let gone = Worker::named(&rig.broker, "gone").await;
    drop(gone);
    let broker = rig.broker.clone();
    until("the worker is gone", || broker.load().0 == 1).await;
    let metrics = rig.ask("engine::metrics::list", json!({})).await;
    let engine = &metrics["engine_metrics"];
    let calls = &engine["invocations"];
    assert_eq!(calls["by_function"]["l::on"], 1);
    assert_eq!((&calls["deferred"], &calls["error"]), (&1.into(), &2.into()));
    // The list itself has not ended yet.
    let (total, success) = (calls["total"].as_u64().unwrap(), calls["success"].as_u64().unwrap());
    assert_eq!(total, success + 2 + 1);
    assert_eq!(engine["workers"], json!({"spawns": 2, "deaths": 1, "active": 1}));
    let times = &engine["performance"];
    let time = |name: &str| times[format!("{name}_duration_ms")].as_f64().unwrap();
    assert!(
        time("max") >= time("avg") && time("avg") > 0.0 && time("p99") >= time("p50"),
        "{times}"
    );
    assert_eq!((&metrics["sdk_metrics"], &metrics["query"]), (&json!([]), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn metrics_are_kept_added_up_and_rolled_up() {
    let mut rig = Rig::at_rest(ObservabilitySettings::default()).await;
    let gauge = |value: f64| json!({"name": "g", "gauge": {"dataPoints": [{"asDouble": value}]}});
    let histogram = json!({"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [
        {"count": 2, "sum": 6, "bucketCounts": ["1", "1"], "explicitBounds": [2]}]}});
    rig.points(json!([gauge(1.0), histogram])).await;
    rig.points(json!([gauge(3.0), histogram])).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    rig.points(json!([gauge(5.0)])).await;
    let list =
        rig.ask("engine::metrics::list", json!({"metric_name": "g", "aggregate_interval": 60}));
    let list = list.await;
    assert_eq!(list["sdk_metrics"][0]["value"], 1.0);
    assert_eq!(list["sdk_metrics"][0]["metric_type"], "gauge");
    let sums = &list["aggregated_metrics"];
    assert_eq!(
        (&sums[0]["avg"], &sums[0]["count"], &sums[1]["last"]),
        (&2.0.into(), &2.into(), &5.0.into())
    );
    let start = 1_767_603_600_000_u64;
    let early =
        rig.ask("engine::metrics::list", json!({"start_time": start, "end_time": start + 1}));
    assert_eq!(early.await["sdk_metrics"].as_array().unwrap().len(), 4);
    let minutes = rig.ask("engine::rollups::list", json!({})).await;
    assert_eq!((&minutes["level"], minutes["rollups"].as_array().unwrap().len()), (&0.into(), 2));
    let merged = &minutes["histogram_rollups"][0];
    assert_eq!((&merged["count"], &merged["counts"]), (&4.into(), &json!([2, 2])));
    let hours = rig.ask("engine::rollups::list", json!({"level": 2, "metric_name": "g"})).await;
    assert_eq!(
        (&hours["rollups"][0]["max"], &hours["rollups"][0]["count"]),
        (&5.0.into(), &3.into())
    );
    tokio::time::advance(Duration::from_secs(3_601)).await;
    assert_eq!(rig.ask("engine::metrics::list", json!({})).await["sdk_metrics"], json!([]));
    let health = rig.ask("engine::health::check", json!({})).await;
    assert_eq!(health["components"]["metrics"]["details"]["stored_metrics"], 0);
}

#[tokio::test]
async fn what_workers_say_about_themselves_is_shown_with_them() {
    let mut rig = Rig::new().await;
    let gauge = |name: &str, worker: &str, value: f64| {
        let of = json!([{"key": "worker.id", "value": {"stringValue": worker}}]);
        let point = json!({"timeUnixNano": "5000000", "asDouble": value, "attributes": of});
        json!({"name": name, "gauge": {"dataPoints": [point]}})
    };
    let other = Worker::named(&rig.broker, "other").await;
    let id = other.id.to_string();
    rig.points(json!([
        gauge("iii.worker.memory.heap_used", &id, 7.0),
        gauge("iii.worker.event_loop.lag_ms", &id, 0.5),
        gauge("iii.worker.unknown", &id, 1.0),
        gauge("iii.worker.memory.rss", &iii_wire::protocol::WorkerId::random().to_string(), 1.0),
        gauge("iii.worker.memory.rss", "no id", 1.0),
    ]))
    .await;
    let info = rig.ask("engine::workers::info", json!({"name": "other"})).await;
    assert_eq!(
        info["worker"]["latest_metrics"],
        json!({"memory_heap_used": 7.0, "event_loop_lag_ms": 0.5, "timestamp_ms": 5, "runtime": "rust"})
    );
    let info = rig.ask("engine::workers::info", json!({"name": "w"})).await;
    assert_eq!(info["worker"]["latest_metrics"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn alerts_fire_when_a_threshold_is_crossed_and_are_then_silent() {
    let call = AlertAction::Function { path: "l::on".to_owned() };
    let rule = |name: &str, metric: &str| AlertRule {
        action: call.clone(),
        ..AlertRule::above(name, metric, 2.0)
    };
    let settings = ObservabilitySettings {
        alerts: vec![rule("errors", "iii.invocations.error"), rule("hot", "temperature")],
        ..ObservabilitySettings::default()
    };
    let mut rig = Rig::at_rest(settings).await;
    for _ in 0..3 {
        rig.worker.call("no::such", "{}").await.unwrap_err();
    }
    let (call, alert) = rig.called().await;
    assert_eq!(
        (&alert["name"], &alert["value"], &alert["firing"]),
        (&"errors".into(), &3.0.into(), &true.into())
    );
    rig.worker.answer(&call, Ok(None));
    let temperature = json!([{"name": "temperature", "gauge": {"dataPoints": [{"asInt": 40}]}}]);
    rig.points(temperature).await;
    let id = rig.worker.start("engine::alerts::evaluate", "{}");
    let (_, alert) = rig.called().await;
    assert_eq!((&alert["name"], &alert["value"]), (&"hot".into(), &40.0.into()));
    let evaluated: Value = rig.worker.answer_to(id).await.unwrap().unwrap().parse().unwrap();
    assert_eq!(names(&evaluated["triggered_alerts"], "name"), ["hot"], "the other one is silent");
    let list = rig.ask("engine::alerts::list", json!({})).await;
    assert_eq!(
        (&list["firing_count"], &list["rules"][0]["operator"]),
        (&2.into(), &"greaterthan".into())
    );
}
