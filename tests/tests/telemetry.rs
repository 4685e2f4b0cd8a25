//! Telemetry over sockets: frames on both paths, questions about them, triggers, frames that are broken; and the catalogue
//! of built-in functions.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use iii::engine::Engine;
use iii_tests::{Peer, within};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn engine() -> Engine {
    Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.expect("free ports")
}

/// A worker that has introduced itself.
async fn worker(engine: &Engine, name: &str) -> Peer {
    let mut peer = Peer::connect(&format!("ws://{}", engine.worker_addr().unwrap())).await;
    peer.next_of("workerregistered").await;
    peer.call("engine::workers::register", json!({"name": name, "pid": 1})).await.unwrap();
    peer
}

/// A socket for telemetry.
struct Sender(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Sender {
    async fn connect(engine: &Engine, path: &str) -> Self {
        let url = format!("ws://{}{path}", engine.worker_addr().unwrap());
        Self(within("the handshake", tokio_tungstenite::connect_async(url)).await.unwrap().0)
    }

    async fn send(&mut self, frame: impl Into<Vec<u8>>) {
        self.0.send(Frame::binary(frame.into())).await.expect("the connection is open");
    }

    /// Waits until the engine has read all that was sent.
    async fn read(&mut self) {
        self.0.send(Frame::Ping("read?".into())).await.expect("the connection is open");
        within("a pong", async {
            while !matches!(self.0.next().await.expect("open").expect("open"), Frame::Pong(_)) {}
        })
        .await;
    }
}

fn span(id: u64, error: bool) -> String {
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": TRACE, "spanId": format!("{id:016x}"), "name": format!("s{id}"),
            "startTimeUnixNano": "1000000", "endTimeUnixNano": "2000000",
            "status": {"code": if error { 2 } else { 1 }},
        }]}],
    }]});
    format!("OTLP{body}")
}

async fn span_names(peer: &mut Peer) -> Vec<String> {
    let page = peer.call("engine::traces::list", json!({"sort_by": "name"})).await.unwrap();
    let spans = page["spans"].as_array().unwrap().iter();
    spans.map(|span| span["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn frames_on_both_paths_are_kept_and_bad_ones_hurt_nobody() {
    let engine = engine().await;
    let mut peer = worker(&engine, "w").await;
    for (path, first) in [("/", 1), ("/otel?token=x", 2)] {
        let mut sender = Sender::connect(&engine, path).await;
        for bad in ["OTLP", "OTLP{", "LOGS[]", "MTRC\u{0}", "OTLP{\"resourceSpans\":[7]}"] {
            sender.send(bad).await;
        }
        sender.send(&b"LOGS\xff\xfe{}"[..]).await;
        sender.send(span(first, false)).await;
        // Larger than what is read at once.
        let long = "x".repeat(100_000);
        sender.send(format!(
            r#"LOGS{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{long}"}}}}]}}]}}]}}"#
        )).await;
        sender.send(r#"MTRC{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"7"}]}}]}]}]}"#).await;
        sender.read().await;
    }
    assert_eq!(span_names(&mut peer).await, ["s1", "s2"]);
    let logs = peer.call("engine::logs::list", json!({})).await.unwrap();
    assert_eq!(logs["total"], 2);
    assert_eq!(logs["logs"][0]["body"].as_str().unwrap().len(), 64 << 10, "long texts are cut");
    let metrics = peer.call("engine::metrics::list", json!({"metric_name": "m"})).await.unwrap();
    assert_eq!(metrics["sdk_metrics"][1]["value"], 7.0);
}

#[tokio::test]
async fn a_worker_sends_telemetry_beside_its_messages() {
    let engine = engine().await;
    let mut peer = worker(&engine, "w").await;
    let mut other = Sender::connect(&engine, "/").await;
    other.send(span(1, false)).await;
    other.send(r#"{"type":"ping"}"#).await;
    within("a pong in JSON", async {
        loop {
            let frame = other.0.next().await.expect("open").expect("open");
            if frame == Frame::text(r#"{"type":"pong"}"#) {
                break;
            }
        }
    })
    .await;
    assert_eq!(span_names(&mut peer).await, ["s1"]);
}

#[tokio::test]
async fn a_trace_trigger_hears_of_spans() {
    let engine = engine().await;
    let mut peer = worker(&engine, "w").await;
    peer.send(json!({"type": "registerfunction", "id": "t::on"})).await;
    peer.send(json!({
        "type": "registertrigger", "id": "t1", "trigger_type": "trace", "function_id": "t::on",
        "config": {"service_name": "shop", "status": "error"},
    }))
    .await;
    peer.call("engine::functions::list", json!({})).await.unwrap();
    let mut sender = Sender::connect(&engine, "/otel").await;
    sender.send(span(1, false)).await;
    sender.send(span(2, true)).await;
    let call = peer.next_of("invokefunction").await;
    assert_eq!(call["data"], json!({"trace_ids": [TRACE]}));
}

#[tokio::test]
async fn developer_tools_see_new_spans_on_streams() {
    let engine = engine().await;
    let url = format!("ws://{}", engine.stream_addr().unwrap());
    let mut tools = tokio_tungstenite::connect_async(url).await.unwrap().0;
    let join = json!({"type": "join", "data": {
        "subscriptionId": "s", "streamName": "iii:devtools:trace-spans", "groupId": TRACE,
    }});
    tools.send(Frame::text(join.to_string())).await.unwrap();
    within("the first picture", tools.next()).await.expect("open").expect("open");
    let mut sender = Sender::connect(&engine, "/otel").await;
    sender.send(span(1, false)).await;
    let event = within("the spans", async {
        loop {
            let frame = tools.next().await.expect("open").expect("open");
            let Frame::Text(text) = frame else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message.to_string().contains("\"s1\"") {
                return message;
            }
        }
    })
    .await;
    assert!(event.to_string().contains("\"spans\""), "{event}");
}

/// What the official engine says of one of its own functions or trigger types.
fn recorded(name: &str) -> BTreeMap<String, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/");
    let text = std::fs::read_to_string(format!("{folder}{name}.json")).expect("the recording");
    serde_json::from_str(&text).expect("it is JSON")
}

#[tokio::test]
async fn every_built_in_function_and_trigger_type_of_the_official_engine_is_here() {
    let engine = engine().await;
    let mut peer = worker(&engine, "w").await;
    let listed =
        peer.call("engine::functions::list", json!({"include_internal": true})).await.unwrap();
    let listed: Vec<&str> = listed["functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|function| function["function_id"].as_str().unwrap())
        .collect();
    let mut lacking = Vec::new();
    for (id, theirs) in recorded("builtin_functions") {
        // How its parts follow changes of their settings, and a page for its console.
        if id.ends_with("::on-config-change") || id.ends_with("::ui-content") {
            continue;
        }
        if !listed.contains(&id.as_str()) {
            lacking.push(id);
            continue;
        }
        let ours = peer.call("engine::functions::info", json!({"function_id": id})).await.unwrap();
        for schema in ["request_schema", "response_schema"] {
            if theirs.get(schema).is_some() && !ours[schema].is_object() {
                lacking.push(format!("{id}: {schema}"));
            }
        }
    }
    let types = peer.call("engine::triggers::list", json!({"include_internal": true})).await;
    let types = types.unwrap();
    let types: Vec<&str> = types["triggers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    for id in recorded("builtin_trigger_types").into_keys() {
        if !types.contains(&id.as_str()) {
            lacking.push(format!("trigger type {id}"));
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}
