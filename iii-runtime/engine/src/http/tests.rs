//! Tests of HTTP triggers over a real socket.

mod cors;
mod middleware;
mod streaming;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Engine;
use crate::broker::testing::Worker;
use iii_wire::protocol::{ErrorBody, InvokeFunction, Payload};
use iii_wire::transport::Transport;

/// An engine and a worker that serves one route.
struct Site {
    engine: Engine,
    worker: Worker,
    addr: SocketAddr,
}

impl Site {
    async fn new(config: &str) -> Self {
        Self::with(config, |builder| builder).await
    }

    async fn with(
        config: &str,
        alter: impl FnOnce(super::super::EngineBuilder) -> super::super::EngineBuilder,
    ) -> Self {
        let builder = Engine::builder().worker_port(0).http_port(0).stream_port(0);
        let engine = alter(builder).start().await.unwrap();
        let addr = engine.http_addr().unwrap();
        let mut worker = Worker::greeted(engine.local().connect().await.unwrap()).await;
        worker.announce("web", "default").await.unwrap();
        for id in ["h::f", "h::if", "h::mid"] {
            worker.function(id);
        }
        worker.bind("t", "http", "h::f", config);
        worker.nothing_else().await;
        Self { engine, worker, addr }
    }

    /// Sends a request and lets the worker answer it.
    async fn served(
        &mut self,
        request: &str,
        result: Result<Option<Value>, ErrorBody>,
    ) -> (Reply, InvokeFunction) {
        let pending = send(self.addr, request.to_owned());
        let call = self.worker.called().await;
        self.worker.answer(&call, result.map(|result| result.map(Payload::from)));
        (pending.await.unwrap(), call)
    }

    async fn result(&mut self, result: Value) -> Reply {
        self.served(GET, Ok(Some(result))).await.0
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
const ROUTE: &str = r#"{"api_path":"/a"}"#;

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    fn has(&self, line: &str) -> bool {
        self.head.to_ascii_lowercase().lines().any(|one| one == line)
    }

    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// Sends a request that closes the connection, and reads until the end.
fn send(addr: SocketAddr, request: String) -> tokio::task::JoinHandle<Reply> {
    tokio::spawn(async move {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = socket.read_to_end(&mut bytes);
        tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("an answer in time")
            .unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    })
}

async fn ask(addr: SocketAddr, request: &str) -> Reply {
    send(addr, request.to_owned()).await.unwrap()
}

fn post(kind: &str, body: &str) -> String {
    format!(
        "POST /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_request_becomes_a_payload() {
    let mut site = Site::new(r#"{"api_path":"orders/:id/items/:item","http_method":"post"}"#).await;
    let request = "POST /orders/a%20b/items/7?a=1&b=x+y&a=3&c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Two: 1\r\n\
                   X-Two: 2\r\nTraceparent: 00-a-b-01\r\nBaggage: k=v\r\nContent-Type: Application/Json; charset=utf-8\r\n\
                   Content-Length: 15\r\n\r\n{\"b\":1.50,\"a\":2";
    let request =
        request.replace("15\r\n\r\n{\"b\":1.50,\"a\":2", "16\r\n\r\n{\"b\":1.50,\"a\":2}");
    let (reply, call) = site.served(&request, Ok(Some(json!({"ok": true})))).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"ok":true}"#));
    assert!(reply.has("content-type: application/json"));
    let data: Value = call.data.parse().unwrap();
    assert_eq!(data["method"], "POST");
    assert_eq!(data["path"], "orders/:id/items/:item");
    assert_eq!(data["raw_path"], "/orders/a%20b/items/7");
    assert_eq!(data["ip_address"], "127.0.0.1");
    assert_eq!(data["path_params"], json!({"id": "a b", "item": "7"}));
    assert_eq!(data["query_params"], json!({"a": "3", "b": "x y", "c": ""}));
    assert_eq!(data["query_params_multi"], json!({"a": ["1", "3"], "b": ["x y"], "c": [""]}));
    assert_eq!(data["headers"]["x-two"], "1, 2");
    assert_eq!(
        data["trigger"],
        json!({"type": "http", "path": "orders/:id/items/:item", "method": "POST"})
    );
    assert!(call.data.as_str().contains(r#""body":{"b":1.50,"a":2}"#), "the body is not rewritten");
    assert_eq!(call.metadata.unwrap().as_str(), r#"{"m":1}"#);
    assert_eq!(call.traceparent.as_deref(), Some("00-a-b-01"));
    assert_eq!(call.baggage.as_deref(), Some("iii.function.id=h::f,k=v"));
    assert_eq!(call.caller, None);
}

#[tokio::test]
async fn bodies_are_checked() {
    let config = r#"{"api_path":"/a","http_method":"POST"}"#;
    let mut site = Site::with(config, |builder| builder.http_body_limit(20)).await;
    let reply = ask(site.addr, &post("application/json", "{\"bad")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_payload"));
    let reply = ask(site.addr, &post("application/json", &"1".repeat(21))).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "payload_too_large"));
    for (kind, body) in [
        ("text/plain", "hello"),
        ("application/json", ""),
        ("application/x-www-form-urlencoded", "a=1"),
    ] {
        let (_, call) = site.served(&post(kind, body), Ok(None)).await;
        assert!(call.data.as_str().contains(r#""body":null"#), "{kind}");
    }
    let (_, call) = site.served(&post("application/merge+json", "[1]"), Ok(None)).await;
    assert!(call.data.as_str().contains(r#""body":[1]"#));
}

#[tokio::test]
async fn results_become_responses() {
    let mut site = Site::new(ROUTE).await;
    let reply = site.served(GET, Ok(None)).await.0;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    for bare in [json!({"x": 1}), json!("text"), json!([1]), json!(7), json!(false)] {
        let reply = site.result(bare.clone()).await;
        assert_eq!((reply.status, reply.json()), (200, bare));
    }
    let text =
        json!({"status_code": 201, "headers": {"content-type": "text/plain"}, "body": "hello"});
    let reply = site.result(text).await;
    assert_eq!((reply.status, reply.body.as_str()), (201, "hello"));
    assert!(reply.has("content-type: text/plain"));
    let lines = json!({"headers": ["x-a: 1", "x-a: 2", "bad"], "body": "s"});
    let reply = site.result(lines).await;
    assert!(reply.has("x-a: 1") && reply.has("x-a: 2"));
    assert_eq!(reply.body, "\"s\"");
    let cookies =
        json!({"headers": {"set-cookie": ["a=1", "b=2"], "content-length": "99"}, "body": null});
    let reply = site.result(cookies).await;
    assert!(reply.has("set-cookie: a=1") && reply.has("set-cookie: b=2"));
    assert_eq!(reply.body, "null");
    assert_eq!(site.result(json!({"status_code": 202})).await.body, "{}");
    let reply = site.result(json!({"status_code": 204, "body": {"x": 1}})).await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert_eq!(site.result(json!({"status_code": 7, "body": 1})).await.status, 200);
    let reply = site.result(json!({"headers": {"content-type": "text/x"}, "body": {"a": 1}})).await;
    assert_eq!(reply.body, r#"{"a":1}"#);
    // As the SDK for Python writes it.
    let reply = site.result(json!({"statusCode": 201, "headers": {}, "body": {"a": 1}})).await;
    assert_eq!((reply.status, reply.body.as_str()), (201, r#"{"a":1}"#));
    let data = json!({"statusCode": 201});
    let reply = site.result(data.clone()).await;
    assert_eq!(
        (reply.status, reply.json()),
        (200, data),
        "nothing else says that it is a response"
    );
}

#[tokio::test]
async fn errors_become_error_objects() {
    let mut site = Site::new(ROUTE).await;
    let error = ErrorBody {
        status: Some(409),
        details: Some(Payload::from(json!({"sku": "A1"}))),
        ..ErrorBody::new("orders/out-of-stock", "none left")
    };
    let reply = site.served(GET, Err(error)).await.0;
    assert_eq!(reply.status, 409);
    let body = reply.json();
    assert_eq!(body["error"]["code"], "orders/out-of-stock");
    assert_eq!(body["error"]["message"], "none left");
    assert_eq!(body["error"]["details"], json!({"sku": "A1"}));
    assert_eq!(body["error"]["error_id"].as_str().unwrap().len(), 12);
    let reply = site.served(GET, Err(ErrorBody::new("x", "y"))).await.0;
    assert_eq!((reply.status, reply.code().as_str()), (500, "x"));
    site.worker.send(iii_wire::protocol::Message::UnregisterFunction { id: "h::f".into() });
    site.worker.nothing_else().await;
    let reply = ask(site.addr, GET).await;
    assert_eq!((reply.status, reply.code().as_str()), (500, "function_not_found"));
}

#[tokio::test]
async fn methods_and_paths_that_are_not_served() {
    let mut site = Site::new(ROUTE).await;
    let reply = ask(site.addr, &GET.replace("/a", "/b")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"));
    let reply = ask(site.addr, &GET.replace("GET", "DELETE")).await;
    assert_eq!((reply.status, reply.code().as_str()), (405, "METHOD_NOT_ALLOWED"));
    assert!(reply.has("allow: get, head"));
    let (reply, call) =
        site.served(&GET.replace("GET", "HEAD"), Ok(Some(json!({"body": "x"})))).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert!(call.data.as_str().contains(r#""method":"HEAD""#));
    let reply = ask(site.addr, &GET.replace("GET", "OPTIONS")).await;
    assert_eq!(reply.status, 204);
    let preflight = "OPTIONS /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: http://p\r\n\
                     access-control-request-method: GET\r\naccess-control-request-headers: authorization\r\n\r\n";
    let reply = ask(site.addr, preflight).await;
    assert_eq!(reply.status, 200);
    assert!(reply.has("access-control-allow-origin: *"));
    assert!(reply.has("access-control-allow-headers: authorization"));
}

#[tokio::test]
async fn bad_routes_are_refused_and_later_ones_are_fine() {
    let mut site = Site::new(ROUTE).await;
    for config in [
        r#"{"api_path":"/w/*rest"}"#,
        r#"{"api_path":"/w/:"}"#,
        r#"{"api_path":"/a"}"#,
        r#"{"api_path":"/w","http_method":"FETCH"}"#,
        "{}",
    ] {
        site.worker.bind("bad", "http", "h::f", config);
        let error = site.worker.binding_error().await;
        assert_eq!(error.error.unwrap().code, "trigger_registration_failed", "{config}");
    }
    site.worker.bind("good", "http", "h::f", r#"{"api_path":"/w/:x"}"#);
    site.worker.nothing_else().await;
    let (reply, _) = site.served(&GET.replace("/a", "/w/1"), Ok(None)).await;
    assert_eq!(reply.status, 204);
    site.worker.unbind("good");
    site.worker.nothing_else().await;
    assert_eq!(ask(site.addr, &GET.replace("/a", "/w/1")).await.status, 404);
}

#[tokio::test]
async fn a_condition_and_middleware_come_first() {
    let config =
        r#"{"api_path":"/a","condition_function_id":"h::if","middleware_function_ids":["h::mid"]}"#;
    let mut site = Site::new(config).await;
    let answer = |site: &Site, call: &InvokeFunction, result: Value| {
        site.worker.answer(call, Ok(Some(Payload::from(result))));
    };
    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    assert_eq!((call.function_id.as_str(), call.metadata.clone()), ("h::if", None));
    answer(&site, &call, json!(false));
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (422, "CONDITION_NOT_MET"));
    assert_eq!(reply.json()["skipped"], true);

    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    site.worker.answer(&call, Err(ErrorBody::new("no", "no")));
    assert_eq!(pending.await.unwrap().status, 500);

    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    answer(&site, &call, json!(null));
    let call = site.worker.called().await;
    assert_eq!(call.function_id, "h::mid");
    let seen: Value = call.data.parse().unwrap();
    assert_eq!((&seen["phase"], &seen["context"]), (&json!("preHandler"), &json!({})));
    assert_eq!(seen["request"]["method"], "GET");
    assert!(seen["request"].get("body").is_none());
    let verdict = json!({"action": "respond", "response": {"status_code": 401, "headers": {"x-a": "1"}, "body": {"error": "no"}}});
    answer(&site, &call, verdict);
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.json()), (401, json!({"error": "no"})));
    assert!(reply.has("x-a: 1"));

    let pending = send(site.addr, GET.to_owned());
    for result in [json!(true), json!({"action": "continue"}), json!("done")] {
        let call = site.worker.called().await;
        answer(&site, &call, result);
    }
    assert_eq!(pending.await.unwrap().json(), json!("done"));
}

#[tokio::test]
async fn a_slow_function_is_given_up() {
    let site = Site::with(ROUTE, |builder| builder.http_timeout(Duration::from_millis(50))).await;
    let reply = ask(site.addr, GET).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "timeout"));
}

#[tokio::test]
async fn too_many_requests_are_turned_away() {
    let mut site = Site::with(ROUTE, |builder| builder.http_concurrency(1)).await;
    let pending = send(site.addr, GET.to_owned());
    let call = site.worker.called().await;
    let reply = ask(site.addr, GET).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "overloaded"));
    assert!(reply.has("retry-after: 1"));
    site.worker.answer(&call, Ok(None));
    assert_eq!(pending.await.unwrap().status, 204);
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_closes_idle_connections() {
    let mut site = Site::new(ROUTE).await;
    let mut idle = TcpStream::connect(site.addr).await.unwrap();
    let pending = send(site.addr, GET.replace("connection: close\r\n", ""));
    let call = site.worker.called().await;
    site.engine.stop_intake();
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), idle.read_to_end(&mut nothing));
    assert!(matches!(closed.await, Ok(Ok(0))));
    site.worker.answer(&call, Ok(None));
    tokio::time::timeout(Duration::from_secs(5), site.engine.drained()).await.unwrap();
    assert_eq!(pending.await.unwrap().status, 204);
    assert!(TcpStream::connect(site.addr).await.is_err());
    site.engine.stop().await;
    site.worker.closed().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_forgotten() {
    let mut site = Site::new(ROUTE).await;
    let mut socket = TcpStream::connect(site.addr).await.unwrap();
    socket.write_all(GET.as_bytes()).await.unwrap();
    let call = site.worker.called().await;
    drop(socket);
    let active =
        || site.engine.broker.workers().iter().map(|one| one.active_invocations).sum::<usize>();
    crate::broker::testing::until("forgotten", || active() == 0).await;
    site.worker.answer(&call, Ok(None));
    site.worker.nothing_else().await;
}
