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
