//! Tests of traces: questions about spans, and who hears of new ones.

use super::*;

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

/// A frame as the official SDK for Python sends it: ids in hex, times as texts, kind and status as numbers, payloads in
/// events, an attribute for each entry of the baggage, and no parent of a span that begins a trace.
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
async fn spans_of_other_functions_of_the_same_worker_fire() {
    let mut rig = Rig::at_rest(ObservabilitySettings::default()).await;
    rig.worker.bind("t1", "trace", "l::on", "{}");
    rig.worker.nothing_else().await;
    // A call of somebody without a trace, and one within a trace.
    for (trace, parent) in [(T1, None), (T2, Some(7))] {
        rig.frame("OTLP", &python_frame(trace, 1, parent, "py::sum")).await;
        let (call, event) = rig.called().await;
        assert_eq!(event, json!({"trace_ids": [trace]}));
        // The span of the handler itself says nothing new, whether it is in the trace of its firing or not.
        let own = call.traceparent.unwrap().split('-').nth(1).unwrap().to_owned();
        rig.frame("OTLP", &python_frame(&own, 2, Some(9), "l::on")).await;
        rig.frame("OTLP", &python_frame(T1, 3, None, "l::on")).await;
        rig.frame("OTLP", &python_frame(T1, 4, None, "engine::traces::list")).await;
        rig.quiet().await;
    }
}
