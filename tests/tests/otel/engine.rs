//! What the engine shows of workers that send telemetry.

use iii_tests::{engine, within, worker};
use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn handlers_in_two_workers_make_one_tree_and_their_logs_belong_to_it() {
    subscribe();
    let engine = engine().await;
    let mut stock = start(&engine, "stock", serving::<take>).await.unwrap();
    let mut front = start(&engine, "front", serving::<order>).await.unwrap();
    let mut peer = worker(&engine, "peer").await;

    let input = json!({"sku": "tea", "password": "p-1"});
    let traceparent = peer.call("shop::order", input).await.unwrap();
    let parts: Vec<&str> = traceparent.as_str().unwrap().split('-').collect();
    let (trace, span) = (parts[1], parts[2]);

    let count = |tree: &Value| tree.to_string().matches("\"span_id\"").count();
    let tree = asked(&mut peer, "engine::traces::tree", json!({"trace_id": trace}), |tree| {
        count(tree) == 3
    })
    .await;
    let root = &tree["roots"][0];
    assert_eq!(
        (&root["name"], &root["service_name"]),
        (&json!("execute shop::order"), &json!("front"))
    );
    assert_eq!((&root["span_id"], &root["status"]), (&json!(span), &json!("ok")));
    assert_eq!(attribute(root, "iii.function.id"), Some("shop::order"));
    assert_eq!(attribute(root, "iii.outcome"), Some("ok"));
    assert_eq!(root["events"], json!([]), "payloads are not sent unless asked");
    let price = &root["children"][0];
    assert_eq!((&price["name"], attribute(price, "currency")), (&json!("price"), Some("EUR")));
    assert_eq!(attribute(price, "password"), Some("[REDACTED]"));
    let taken = &price["children"][0];
    assert_eq!(
        (&taken["name"], &taken["service_name"]),
        (&json!("execute stock::take"), &json!("stock"))
    );

    let of_trace = json!({"trace_id": trace});
    let logs = asked(&mut peer, "engine::logs::list", of_trace, |page| page["total"] == 2).await;
    let logs = logs["logs"].as_array().unwrap();
    let ordering = logs.iter().find(|one| one["body"] == "ordering").expect("a record");
    assert_eq!((&ordering["span_id"], &ordering["severity_text"]), (&json!(span), &json!("WARN")));
    assert_eq!(ordering["service_name"], "front");
    let data = json!({"sku": "tea", "token": "[REDACTED]", "pieces": 2});
    assert_eq!(
        (&ordering["attributes"]["log.data"], &ordering["attributes"]["sku"]),
        (&data, &json!("tea"))
    );
    // Also from a thread where blocking is allowed.
    let taking = logs.iter().find(|one| one["body"] == "taking tea").expect("a record");
    assert_eq!((&taking["span_id"], &taking["service_name"]), (&taken["span_id"], &json!("stock")));

    within("the end", async {
        front.drain().await.unwrap();
        stock.drain().await.unwrap();
    })
    .await;
    engine.stop().await;
}

#[tokio::test]
async fn a_trace_that_comes_in_goes_on_and_a_failure_is_seen() {
    let engine = engine().await;
    let front = start(&engine, "front", serving::<refuse>).await.unwrap();
    let mut peer = worker(&engine, "peer").await;
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    peer.send(json!({
        "type": "invokefunction", "invocation_id": "9d8e4c1f-7b14-4a3a-8a2e-9d3c1b0e5f11",
        "function_id": "shop::refuse", "data": {"sku": "tea"},
        "traceparent": format!("00-{trace}-{parent}-01"), "baggage": "tenant=acme,api_key=k",
    }))
    .await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["error"]["code"], "shop/refused");
    let span = &spans(&mut peer, "execute shop::refuse", 1).await[0];
    assert_eq!((&span["trace_id"], &span["parent_span_id"]), (&json!(trace), &json!(parent)));
    assert_eq!(
        (&span["status"], &span["status_description"]),
        (&json!("error"), &json!("not today"))
    );
    assert_eq!(attribute(span, "tenant"), Some("acme"));
    assert_eq!(attribute(span, "api_key"), Some("[REDACTED]"));
    assert_eq!(attribute(span, "error.type"), Some("shop/refused"));
    let exception = &span["events"][0];
    assert_eq!(exception["name"], "exception");
    assert_eq!(attribute(exception, "exception.type"), Some("shop/refused"));
    drop(front);
    engine.stop().await;
}

#[tokio::test]
async fn payloads_are_shown_if_asked_without_secrets() {
    let engine = engine().await;
    let front = start(&engine, "front", |app| {
        app.function::<refuse>().trace_payloads(true).redact(["IBAN"]);
    })
    .await
    .unwrap();
    let mut peer = worker(&engine, "peer").await;
    let input = json!({"sku": "tea", "password": "p-1", "iban": "DE00"});
    peer.call("shop::refuse", input).await.unwrap_err();
    let span = &spans(&mut peer, "execute shop::refuse", 1).await[0];
    let event = |name: &str| {
        let events = span["events"].as_array().unwrap();
        events.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{span:#}"))
    };
    let read = |event: &Value| -> Value {
        serde_json::from_str(attribute(event, "iii.payload.json").unwrap()).unwrap()
    };
    let input = read(event("iii.invocation.input"));
    assert_eq!(
        (&input["sku"], &input["password"], &input["iban"]),
        (&json!("tea"), &json!("[REDACTED]"), &json!("[REDACTED]"))
    );
    let output = event("iii.invocation.output");
    assert_eq!(attribute(output, "iii.payload.ok"), Some("false"));
    assert_eq!(read(output)["code"], "shop/refused");
    drop(front);
    engine.stop().await;
}

#[tokio::test]
async fn gauges_and_metrics_of_a_worker_are_shown() {
    let engine = engine().await;
    let front = start(&engine, "front", serving::<refuse>).await.unwrap();
    let mut peer = worker(&engine, "peer").await;
    peer.call("shop::refuse", json!({"sku": "tea"})).await.unwrap_err();
    let named = json!({"name": "front"});
    let info = asked(&mut peer, "engine::workers::info", named, |info| {
        info["worker"]["latest_metrics"]["cpu_percent"].is_number()
    })
    .await;
    let gauges = &info["worker"]["latest_metrics"];
    assert!(gauges["memory_rss"].as_f64().unwrap() > 1e6, "{gauges}");
    for known in ["cpu_user_micros", "cpu_system_micros", "event_loop_lag_ms", "uptime_seconds"] {
        assert!(gauges[known].is_number(), "{known}: {gauges}");
    }
    let metrics = asked(
        &mut peer,
        "engine::metrics::list",
        json!({"metric_name": "iii.invocations"}),
        |page| page["sdk_metrics"].as_array().is_some_and(|all| !all.is_empty()),
    )
    .await;
    let counted = &metrics["sdk_metrics"][0];
    assert_eq!(counted["attributes"]["iii.outcome"], "shop/refused", "{counted}");
    assert_eq!(counted["attributes"]["iii.function.id"], "shop::refuse");
    drop(front);
    engine.stop().await;
}

#[tokio::test]
async fn what_is_left_is_sent_when_a_worker_drains() {
    let engine = engine().await;
    let mut front = start(&engine, "front", serving::<refuse>).await.unwrap();
    let mut peer = worker(&engine, "peer").await;
    for _ in 0..50 {
        peer.call("shop::refuse", json!({"sku": "tea"})).await.unwrap_err();
    }
    within("the end", front.drain()).await.unwrap();
    // The engine has read what came before the close of the socket, or is about to.
    assert_eq!(spans(&mut peer, "execute shop::refuse", 50).await.len(), 50);
    engine.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_told_so_sends_nothing() {
    let engine = engine().await;
    let mut front = start(&engine, "front", |app| {
        app.function::<refuse>().telemetry(false);
    })
    .await
    .unwrap();
    let mut peer = worker(&engine, "peer").await;
    peer.call("shop::refuse", json!({"sku": "tea"})).await.unwrap_err();
    within("the end", front.drain()).await.unwrap();
    let health = peer.call("engine::health::check", json!({})).await.unwrap();
    assert_eq!(health["components"]["spans"]["details"]["stored_spans"], 0);
    engine.stop().await;
}
