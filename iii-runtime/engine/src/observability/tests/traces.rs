//! Tests of the functions for traces and of `trace` triggers.

use super::*;

#[tokio::test]
async fn traces_are_listed_grouped_and_returned_as_trees() {
    let mut engine = TestEngine::new().await;
    engine
        .spans(
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
    engine.spans("bank", json!([span(T2, 5, None, attributes(&[("tenant", "y")]))])).await;
    let list = async |engine: &mut TestEngine, query: Value| {
        let page = engine.call("engine::traces::list", query).await;
        (values_of(&page["spans"], "name"), page["total"].as_u64().unwrap())
    };
    let found = async |engine: &mut TestEngine, query: Value| list(engine, query).await.0;
    assert_eq!(
        list(&mut engine, json!({})).await,
        (vec!["s1".into(), "s3".into(), "s5".into()], 3)
    );
    assert_eq!(
        found(&mut engine, json!({"search_all_spans": true})).await,
        ["s1", "s2", "s3", "s5"]
    );
    assert_eq!(
        found(&mut engine, json!({"include_internal": true, "sort_order": "desc"})).await,
        ["s5", "s4", "s3", "s1"]
    );
    assert_eq!(found(&mut engine, json!({"service_name": "SHO", "limit": 1})).await, ["s1"]);
    assert_eq!(found(&mut engine, json!({"offset": 1, "limit": 1})).await, ["s3"]);
    assert_eq!(found(&mut engine, json!({"trace_id": T1})).await, ["s1"]);
    assert_eq!(found(&mut engine, json!({"trace_ids": [T1, T2, "x"]})).await, ["s1", "s3", "s5"]);
    assert_eq!(
        found(&mut engine, json!({"status": "err", "search_all_spans": true})).await,
        ["s2"]
    );
    assert_eq!(found(&mut engine, json!({"attributes": [["tenant", "y"]]})).await, ["s3", "s5"]);
    assert_eq!(found(&mut engine, json!({"exclude_attributes": [["tenant", "y"]]})).await, ["s1"]);
    assert_eq!(found(&mut engine, json!({"min_duration_ms": 4, "start_time": 4})).await, ["s5"]);
    assert_eq!(found(&mut engine, json!({"end_time": 3, "max_duration_ms": 2.5})).await, ["s1"]);
    assert_eq!(
        found(&mut engine, json!({"sort_by": "duration_ms", "sort_order": "desc"})).await,
        ["s5", "s3", "s1"]
    );
    let tree = engine.call("engine::traces::tree", json!({"trace_id": T1})).await;
    assert_eq!(
        tree["roots"][0]["attributes"],
        json!([["tenant", "x"], ["password", "[REDACTED]"]])
    );
    assert_eq!(tree["roots"][0]["children"][0]["status_description"], "no");
    assert_eq!(tree["storage"]["completeness"], "complete");
    let input = json!({"attribute": "tenant", "label_attribute": "password"});
    let groups = engine.call("engine::traces::group_by", input).await;
    assert_eq!(values_of(&groups["groups"], "value"), ["y", "x"]);
    assert_eq!(
        (&groups["groups"][0]["span_count"], &groups["groups"][0]["trace_ids"]),
        (&2.into(), &json!([T2]))
    );
    assert_eq!(groups["groups"][1]["label"], "[REDACTED]");
    assert_eq!(engine.call("engine::traces::clear", json!({})).await, json!({"success": true}));
    assert_eq!(list(&mut engine, json!({"search_all_spans": true})).await.1, 0);
}

#[tokio::test(start_paused = true)]
async fn trigger_fires_after_the_batch_interval_but_not_on_its_own_spans() {
    let mut engine = TestEngine::with_virtual_clock(ObservabilitySettings::default()).await;
    engine.worker.bind("t1", "trace", "l::on", r#"{"service_name":"nobody"}"#);
    engine.worker.bind("t1", "trace", "l::on", r#"{"service_name":"SHOP","status":"error"}"#);
    engine.worker.nothing_else().await;
    let bad = || json!({"status": {"code": "STATUS_CODE_ERROR"}});
    let begin = tokio::time::Instant::now();
    engine.spans("shop", json!([span(T1, 1, None, bad()), span(T1, 2, None, json!({}))])).await;
    engine.spans("bank", json!([span(T2, 3, None, bad())])).await;
    engine.spans("shop", json!([span(T1, 4, None, bad())])).await;
    let (call, event) = engine.called().await;
    assert_eq!(begin.elapsed(), Duration::from_millis(300));
    assert_eq!(event, json!({"trace_ids": [T1]}));
    // Spans of the handler: in the trace of the firing, or identified by its function.
    let own = call.traceparent.unwrap().split('-').nth(1).unwrap().to_owned();
    let mut named = span(T2, 6, None, bad());
    named["name"] = "execute l::on".into();
    engine.spans("shop", json!([span(&own, 5, None, bad()), named])).await;
    engine.assert_no_firing().await;
    engine.worker.unbind("t1");
    engine.spans("shop", json!([span(T2, 7, None, bad())])).await;
    engine.assert_no_firing().await;
}

/// A frame in the form of the official Python SDK: hexadecimal ids, times as strings, kind and status as numbers,
/// payloads in events, an attribute for each baggage entry, and no parent id in root spans.
fn python_frame(trace: &str, id: u64, parent: Option<u64>, function: &str) -> Value {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let payload = |name: &str, more: Value| {
        let mut attributes = vec![
            attribute("iii.payload.json", r#"{"a": 1, "b": 2}"#),
            json!({"key": "iii.payload.truncated", "value": {"boolValue": false}}),
        ];
        attributes.extend(more.as_array().cloned().unwrap_or_default());
        json!({"name": name, "timeUnixNano": "1795724513079165227", "attributes": attributes})
    };
    let ok = json!([{"key": "iii.payload.ok", "value": {"boolValue": true}}]);
    let mut span = json!({
        "traceId": trace,
        "spanId": format!("{id:016x}"),
        "name": format!("execute {function}"),
        "kind": 0,
        "startTimeUnixNano": "1795724513078605506",
        "endTimeUnixNano": "1795724513080134914",
        "attributes": [],
        "events": [payload("iii.invocation.input", Value::Null), payload("iii.invocation.output", ok)],
        "links": [],
        "status": {"code": 1, "message": ""},
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = format!("{parent:016x}").into();
        span["attributes"] = json!([attribute("iii.function.id", function)]);
    }
    let resource = [
        attribute("telemetry.sdk.language", "python"),
        attribute("telemetry.sdk.name", "iii-python-sdk"),
        attribute("service.name", "iii-python-sdk"),
        attribute("service.version", "unknown"),
        attribute("service.instance.id", "9d8e4c1f-7b14-4a3a-8a2e-9d3c1b0e5f11"),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "iii-python-sdk", "version": ""}, "spans": [span]}],
    }]})
}

#[tokio::test(start_paused = true)]
async fn trigger_fires_on_spans_of_other_functions_of_the_same_worker() {
    let mut engine = TestEngine::with_virtual_clock(ObservabilitySettings::default()).await;
    engine.worker.bind("t1", "trace", "l::on", "{}");
    engine.worker.nothing_else().await;
    // A call without a trace, and a call within a trace.
    for (trace, parent) in [(T1, None), (T2, Some(7))] {
        engine.frame("OTLP", &python_frame(trace, 1, parent, "py::sum")).await;
        let (call, event) = engine.called().await;
        assert_eq!(event, json!({"trace_ids": [trace]}));
        // The span of the handler does not fire, whether it is in the trace of the firing or not.
        let own = call.traceparent.unwrap().split('-').nth(1).unwrap().to_owned();
        engine.frame("OTLP", &python_frame(&own, 2, Some(9), "l::on")).await;
        engine.frame("OTLP", &python_frame(T1, 3, None, "l::on")).await;
        engine.frame("OTLP", &python_frame(T1, 4, None, "engine::traces::list")).await;
        engine.assert_no_firing().await;
    }
}
