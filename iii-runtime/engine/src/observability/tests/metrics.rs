//! Tests of engine metrics, exported metrics, rollups, worker gauges and alerts.

use super::*;

#[tokio::test]
async fn engine_counts_invocations_and_workers() {
    let mut engine = TestEngine::new().await;
    let id = engine.worker.start("l::on", "1");
    let (call, _) = engine.called().await;
    engine.worker.answer(&call, Err(ErrorBody::new("bad", "bad")));
    engine.worker.answer_to(id).await.unwrap_err();
    engine.worker.call("no::such", "{}").await.unwrap_err();
    let gone = Worker::named(&engine.broker, "gone").await;
    drop(gone);
    let broker = engine.broker.clone();
    until("the worker is disconnected", || broker.load().0 == 1).await;
    let metrics = engine.call("engine::metrics::list", json!({})).await;
    let engine_metrics = &metrics["engine_metrics"];
    let calls = &engine_metrics["invocations"];
    assert_eq!(calls["by_function"]["l::on"], 1);
    assert_eq!((&calls["deferred"], &calls["error"]), (&1.into(), &2.into()));
    // The invocation of the list function is still in flight.
    let (total, success) = (calls["total"].as_u64().unwrap(), calls["success"].as_u64().unwrap());
    assert_eq!(total, success + 2 + 1);
    assert_eq!(engine_metrics["workers"], json!({"spawns": 2, "deaths": 1, "active": 1}));
    let times = &engine_metrics["performance"];
    let time = |name: &str| times[format!("{name}_duration_ms")].as_f64().unwrap();
    assert!(
        time("max") >= time("avg") && time("avg") > 0.0 && time("p99") >= time("p50"),
        "{times}"
    );
    assert_eq!((&metrics["sdk_metrics"], &metrics["query"]), (&json!([]), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn data_points_are_stored_aggregated_and_rolled_up() {
    let mut engine = TestEngine::with_virtual_clock(ObservabilitySettings::default()).await;
    let gauge = |value: f64| json!({"name": "g", "gauge": {"dataPoints": [{"asDouble": value}]}});
    let histogram = json!({"name": "h", "histogram": {"aggregationTemporality": 1, "dataPoints": [
        {"count": 2, "sum": 6, "bucketCounts": ["1", "1"], "explicitBounds": [2]}]}});
    engine.metrics(json!([gauge(1.0), histogram])).await;
    engine.metrics(json!([gauge(3.0), histogram])).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    engine.metrics(json!([gauge(5.0)])).await;
    let list =
        engine.call("engine::metrics::list", json!({"metric_name": "g", "aggregate_interval": 60}));
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
        engine.call("engine::metrics::list", json!({"start_time": start, "end_time": start + 1}));
    assert_eq!(early.await["sdk_metrics"].as_array().unwrap().len(), 4);
    let minutes = engine.call("engine::rollups::list", json!({})).await;
    assert_eq!((&minutes["level"], minutes["rollups"].as_array().unwrap().len()), (&0.into(), 2));
    let merged = &minutes["histogram_rollups"][0];
    assert_eq!((&merged["count"], &merged["counts"]), (&4.into(), &json!([2, 2])));
    let hours = engine.call("engine::rollups::list", json!({"level": 2, "metric_name": "g"})).await;
    assert_eq!(
        (&hours["rollups"][0]["max"], &hours["rollups"][0]["count"]),
        (&5.0.into(), &3.into())
    );
    tokio::time::advance(Duration::from_secs(3_601)).await;
    assert_eq!(engine.call("engine::metrics::list", json!({})).await["sdk_metrics"], json!([]));
    let health = engine.call("engine::health::check", json!({})).await;
    assert_eq!(health["components"]["metrics"]["details"]["stored_metrics"], 0);
}

#[tokio::test]
async fn worker_gauges_are_part_of_the_worker_details() {
    let mut engine = TestEngine::new().await;
    let gauge = |name: &str, worker: &str, value: f64| {
        let of = json!([{"key": "worker.id", "value": {"stringValue": worker}}]);
        let point = json!({"timeUnixNano": "5000000", "asDouble": value, "attributes": of});
        json!({"name": name, "gauge": {"dataPoints": [point]}})
    };
    let other = Worker::named(&engine.broker, "other").await;
    let id = other.id.to_string();
    engine
        .metrics(json!([
            gauge("iii.worker.memory.heap_used", &id, 7.0),
            gauge("iii.worker.event_loop.lag_ms", &id, 0.5),
            gauge("iii.worker.unknown", &id, 1.0),
            gauge(
                "iii.worker.memory.rss",
                &iii_wire::protocol::WorkerId::random().to_string(),
                1.0
            ),
            gauge("iii.worker.memory.rss", "no id", 1.0),
        ]))
        .await;
    let info = engine.call("engine::workers::info", json!({"name": "other"})).await;
    assert_eq!(
        info["worker"]["latest_metrics"],
        json!({"memory_heap_used": 7.0, "event_loop_lag_ms": 0.5, "timestamp_ms": 5, "runtime": "rust"})
    );
    let info = engine.call("engine::workers::info", json!({"name": "w"})).await;
    assert_eq!(info["worker"]["latest_metrics"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn alert_fires_at_the_threshold_and_has_a_cooldown() {
    let call = AlertAction::Function { path: "l::on".to_owned() };
    let rule = |name: &str, metric: &str| AlertRule {
        action: call.clone(),
        ..AlertRule::above(name, metric, 2.0)
    };
    let settings = ObservabilitySettings {
        alerts: vec![rule("errors", "iii.invocations.error"), rule("hot", "temperature")],
        ..ObservabilitySettings::default()
    };
    let mut engine = TestEngine::with_virtual_clock(settings).await;
    for _ in 0..3 {
        engine.worker.call("no::such", "{}").await.unwrap_err();
    }
    let (call, alert) = engine.called().await;
    assert_eq!(
        (&alert["name"], &alert["value"], &alert["firing"]),
        (&"errors".into(), &3.0.into(), &true.into())
    );
    engine.worker.answer(&call, Ok(None));
    let temperature = json!([{"name": "temperature", "gauge": {"dataPoints": [{"asInt": 40}]}}]);
    engine.metrics(temperature).await;
    let id = engine.worker.start("engine::alerts::evaluate", "{}");
    let (_, alert) = engine.called().await;
    assert_eq!((&alert["name"], &alert["value"]), (&"hot".into(), &40.0.into()));
    let evaluated: Value = engine.worker.answer_to(id).await.unwrap().unwrap().parse().unwrap();
    assert_eq!(
        values_of(&evaluated["triggered_alerts"], "name"),
        ["hot"],
        "the other alert is in its cooldown"
    );
    let list = engine.call("engine::alerts::list", json!({})).await;
    assert_eq!(
        (&list["firing_count"], &list["rules"][0]["operator"]),
        (&2.into(), &"greaterthan".into())
    );
}
