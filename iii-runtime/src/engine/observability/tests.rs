//! Tests of what the engine observes: frames in, questions answered, triggers fired.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Bytes;

use super::*;
use crate::clock::Clock;
use crate::engine::broker::testing::{Worker, broker, until, with_provider};
use crate::engine::discovery::Discovery;
use crate::protocol::{InvokeFunction, Message, Payload};

const T1: &str = "0af7651916cd43dd8448eb211c80319c";
const T2: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// An engine that observes, and a worker with the function `l::on`.
struct Rig {
    broker: Broker,
    worker: Worker,
}

impl Rig {
    async fn new() -> Self {
        Self::with(broker(), ObservabilitySettings::default()).await
    }

    async fn with(broker: Broker, settings: ObservabilitySettings) -> Self {
        let gauges = Gauges::default();
        let observability = Observability::new(broker.clone(), settings, None, gauges.clone());
        with_provider(&broker, observability);
        with_provider(&broker, Discovery::new(broker.clone(), gauges));
        let mut worker = Worker::named(&broker, "w").await;
        worker.function("l::on");
        worker.nothing_else().await;
        Self { broker, worker }
    }

    /// Under a clock that stands still with Tokio's.
    async fn at_rest(settings: ObservabilitySettings) -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600);
        Self::with(Broker::new(Clock::starting_at(start), Duration::from_secs(5)), settings).await
    }

    /// A telemetry frame comes.
    async fn frame(&self, prefix: &str, body: &Value) {
        let take = self.broker.telemetry().expect("telemetry is taken");
        take(Bytes::from(format!("{prefix}{body}"))).await;
    }

    async fn spans(&self, service: &str, spans: Value) {
        self.frame("OTLP", &json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"scope": {"name": "lib"}, "spans": spans}],
        }]}))
        .await;
    }

    async fn logs(&self, records: Value) {
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
        self.frame("LOGS", &body).await;
    }

    async fn points(&self, metrics: Value) {
        let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]});
        self.frame("MTRC", &body).await;
    }

    async fn ask(&mut self, function: &str, input: Value) -> Value {
        let answer = self.worker.call(function, &input.to_string()).await.unwrap();
        answer.map_or(Value::Null, |answer| answer.parse().unwrap())
    }

    /// The next message, which must be a call of the worker's function; its input.
    async fn called(&mut self) -> (InvokeFunction, Value) {
        let call = self.worker.called().await;
        let data = call.data.parse().unwrap();
        (call, data)
    }

    /// Nothing comes, however long it is waited for.
    async fn quiet(&mut self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.worker.nothing_else().await;
    }
}

fn span(trace: &str, id: u64, parent: Option<u64>, more: Value) -> Value {
    let mut span = json!({
        "traceId": trace, "spanId": format!("{id:016x}"), "name": format!("s{id}"),
        "startTimeUnixNano": (id * 1_000_000).to_string(),
        "endTimeUnixNano": (id * 2_000_000).to_string(),
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = format!("{parent:016x}").into();
    }
    span.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    span
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    let one = |(key, value): &(&str, &str)| json!({"key": key, "value": {"stringValue": value}});
    json!({"attributes": pairs.iter().map(one).collect::<Vec<_>>()})
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

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

#[tokio::test]
async fn traces_are_listed_and_shown_as_trees() {
    let mut rig = Rig::new().await;
    rig.spans(
        "Shop",
        json!([
            span(T1, 1, None, attributes(&[("tenant", "x"), ("password", "p")])),
            span(T1, 2, Some(1), json!({"status": {"code": 2, "message": "no"}})),
            span(T2, 3, Some(99), attributes(&[("tenant", "y")])),
            span(T2, 4, None, attributes(&[("iii.function.id", "engine::traces::list")])),
            span(T2, 5, None, json!({"endTimeUnixNano": "0"})),
        ]),
    )
    .await;
    rig.spans("bank", json!([span(T2, 5, None, attributes(&[("tenant", "y")]))])).await;
    let list = async |rig: &mut Rig, query: Value| {
        let page = rig.ask("engine::traces::list", query).await;
        (names(&page["spans"], "name"), page["total"].as_u64().unwrap())
    };
    let found = async |rig: &mut Rig, query: Value| list(rig, query).await.0;
    assert_eq!(list(&mut rig, json!({})).await, (vec!["s1".into(), "s3".into(), "s5".into()], 3));
    assert_eq!(found(&mut rig, json!({"search_all_spans": true})).await, ["s1", "s2", "s3", "s5"]);
    assert_eq!(
        found(&mut rig, json!({"include_internal": true, "sort_order": "desc"})).await,
        ["s5", "s4", "s3", "s1"]
    );
    assert_eq!(found(&mut rig, json!({"service_name": "SHO", "limit": 1})).await, ["s1"]);
    assert_eq!(found(&mut rig, json!({"offset": 1, "limit": 1})).await, ["s3"]);
    assert_eq!(found(&mut rig, json!({"trace_id": T1})).await, ["s1"]);
    assert_eq!(found(&mut rig, json!({"trace_ids": [T1, T2, "x"]})).await, ["s1", "s3", "s5"]);
    assert_eq!(found(&mut rig, json!({"status": "err", "search_all_spans": true})).await, ["s2"]);
    assert_eq!(found(&mut rig, json!({"attributes": [["tenant", "y"]]})).await, ["s3", "s5"]);
    assert_eq!(found(&mut rig, json!({"exclude_attributes": [["tenant", "y"]]})).await, ["s1"]);
    assert_eq!(found(&mut rig, json!({"min_duration_ms": 4, "start_time": 4})).await, ["s5"]);
    assert_eq!(found(&mut rig, json!({"end_time": 3, "max_duration_ms": 2.5})).await, ["s1"]);
    assert_eq!(
        found(&mut rig, json!({"sort_by": "duration_ms", "sort_order": "desc"})).await,
        ["s5", "s3", "s1"]
    );
    let tree = rig.ask("engine::traces::tree", json!({"trace_id": T1})).await;
    assert_eq!(
        tree["roots"][0]["attributes"],
        json!([["tenant", "x"], ["password", "[REDACTED]"]])
    );
    assert_eq!(tree["roots"][0]["children"][0]["status_description"], "no");
    assert_eq!(tree["storage"]["completeness"], "complete");
    let input = json!({"attribute": "tenant", "label_attribute": "password"});
    let groups = rig.ask("engine::traces::group_by", input).await;
    assert_eq!(names(&groups["groups"], "value"), ["y", "x"]);
    assert_eq!(
        (&groups["groups"][0]["span_count"], &groups["groups"][0]["trace_ids"]),
        (&2.into(), &json!([T2]))
    );
    assert_eq!(groups["groups"][1]["label"], "[REDACTED]");
    assert_eq!(rig.ask("engine::traces::clear", json!({})).await, json!({"success": true}));
    assert_eq!(list(&mut rig, json!({"search_all_spans": true})).await.1, 0);
}

#[tokio::test(start_paused = true)]
async fn functions_hear_of_traces_after_a_while_but_not_of_their_own() {
    let mut rig = Rig::at_rest(ObservabilitySettings::default()).await;
    rig.worker.bind("t1", "trace", "l::on", r#"{"service_name":"nobody"}"#);
    rig.worker.bind("t1", "trace", "l::on", r#"{"service_name":"SHOP","status":"error"}"#);
    rig.worker.nothing_else().await;
    let bad = || json!({"status": {"code": "STATUS_CODE_ERROR"}});
    let begin = tokio::time::Instant::now();
    rig.spans("shop", json!([span(T1, 1, None, bad()), span(T1, 2, None, json!({}))])).await;
    rig.spans("bank", json!([span(T2, 3, None, bad())])).await;
    rig.spans("shop", json!([span(T1, 4, None, bad())])).await;
    let (call, event) = rig.called().await;
    assert_eq!(begin.elapsed(), Duration::from_millis(300));
    assert_eq!(event, json!({"trace_ids": [T1]}));
    // The handler's own spans: in the trace of the firing, or known by its function.
    let own = call.traceparent.unwrap().split('-').nth(1).unwrap().to_owned();
    let mut named = span(T2, 6, None, bad());
    named["name"] = "execute l::on".into();
    rig.spans("shop", json!([span(&own, 5, None, bad()), named])).await;
    rig.quiet().await;
    rig.worker.unbind("t1");
    rig.spans("shop", json!([span(T2, 7, None, bad())])).await;
    rig.quiet().await;
}

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
        gauge("iii.worker.memory.rss", &crate::protocol::WorkerId::random().to_string(), 1.0),
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

#[tokio::test]
async fn health_names_all_parts_and_small_functions_answer() {
    let mut rig = Rig::new().await;
    let id = rig.worker.start("l::on", "1");
    let (open, _) = rig.called().await;
    let health = rig.ask("engine::health::check", json!({})).await;
    let parts = &health["components"];
    assert_eq!(health["status"], "healthy");
    assert_eq!(parts["otel"]["details"]["exporter"], "memory");
    assert_eq!(parts["workers"]["details"]["connected"], 1);
    assert_eq!(parts["calls"]["details"]["pending"], 1);
    rig.worker.answer(&open, Ok(None));
    rig.worker.answer_to(id).await.unwrap();
    let with_baggage = InvokeFunction {
        baggage: Some("a=1%202;p=1, b = x".to_owned()),
        ..Worker::invocation("engine::baggage::get_all", "{}")
    };
    let id = rig.worker.start_with(with_baggage);
    let all: Option<Payload> = rig.worker.answer_to(id).await.unwrap();
    let all: Value = all.unwrap().parse().unwrap();
    assert_eq!(all["baggage"]["a"], "1 2");
    assert_eq!(rig.ask("engine::baggage::get", json!({"key": "a"})).await, json!({"value": null}));
    assert_eq!(rig.ask("engine::alerts::evaluate", json!({})).await["evaluated"], false);
}

#[tokio::test]
async fn what_is_switched_off_keeps_nothing() {
    let settings = ObservabilitySettings { enabled: false, ..ObservabilitySettings::default() };
    let mut rig = Rig::with(broker(), settings).await;
    assert!(rig.broker.telemetry().is_none());
    rig.ask("engine::log::info", json!({"message": "x"})).await;
    assert_eq!(rig.ask("engine::logs::list", json!({})).await["total"], 0);
    let health = rig.ask("engine::health::check", json!({})).await;
    assert_eq!(health["components"]["logs"]["status"], "disabled");
    assert_eq!(health["status"], "healthy");
}
