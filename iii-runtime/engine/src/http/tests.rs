//! Tests of HTTP triggers over a TCP socket.

mod cors;
mod middleware;
mod streaming;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::broker::testing::Worker;
use crate::{Engine, EngineBuilder};
use iii_wire::protocol::{ErrorBody, InvokeFunction, Payload};
use iii_wire::transport::Transport;

/// An engine and a worker with one HTTP trigger.
struct TestServer {
    engine: Engine,
    worker: Worker,
    addr: SocketAddr,
}

impl TestServer {
    async fn new(config: &str) -> Self {
        Self::with(config, |builder| builder).await
    }

    async fn with(
        config: &str,
        configure: impl FnOnce(&mut EngineBuilder) -> &mut EngineBuilder,
    ) -> Self {
        let mut builder = Engine::builder();
        builder.worker_port(0).http_port(0).stream_port(0);
        let engine = configure(&mut builder).start().await.unwrap();
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

    /// Sends a request and lets the worker respond to it.
    async fn respond_with(
        &mut self,
        request: &str,
        result: Result<Option<Value>, ErrorBody>,
    ) -> (Reply, InvokeFunction) {
        let pending = send(self.addr, request.to_owned());
        let call = self.worker.called().await;
        self.worker.answer(&call, result.map(|result| result.map(Payload::from)));
        (pending.await.unwrap(), call)
    }

    async fn response_to(&mut self, result: Value) -> Reply {
        self.respond_with(GET, Ok(Some(result))).await.0
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

/// Sends a request with `connection: close` and reads the response until the end.
fn send(addr: SocketAddr, request: String) -> tokio::task::JoinHandle<Reply> {
    tokio::spawn(async move {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = socket.read_to_end(&mut bytes);
        tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("a response in time")
            .unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP response");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    })
}

async fn fetch(addr: SocketAddr, request: &str) -> Reply {
    send(addr, request.to_owned()).await.unwrap()
}

fn post(kind: &str, body: &str) -> String {
    format!(
        "POST /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn request_is_converted_to_the_payload() {
    let mut server =
        TestServer::new(r#"{"api_path":"orders/:id/items/:item","http_method":"post"}"#).await;
    let request = "POST /orders/a%20b/items/7?a=1&b=x+y&a=3&c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Two: 1\r\n\
                   X-Two: 2\r\nTraceparent: 00-a-b-01\r\nBaggage: k=v\r\nContent-Type: Application/Json; charset=utf-8\r\n\
                   Content-Length: 15\r\n\r\n{\"b\":1.50,\"a\":2";
    let request =
        request.replace("15\r\n\r\n{\"b\":1.50,\"a\":2", "16\r\n\r\n{\"b\":1.50,\"a\":2}");
    let (reply, call) = server.respond_with(&request, Ok(Some(json!({"ok": true})))).await;
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
async fn json_bodies_are_validated_and_limited() {
    let config = r#"{"api_path":"/a","http_method":"POST"}"#;
    let mut server = TestServer::with(config, |builder| builder.http_body_limit(20)).await;
    let reply = fetch(server.addr, &post("application/json", "{\"bad")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_payload"));
    let reply = fetch(server.addr, &post("application/json", &"1".repeat(21))).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "payload_too_large"));
    for (kind, body) in [
        ("text/plain", "hello"),
        ("application/json", ""),
        ("application/x-www-form-urlencoded", "a=1"),
    ] {
        let (_, call) = server.respond_with(&post(kind, body), Ok(None)).await;
        assert!(call.data.as_str().contains(r#""body":null"#), "{kind}");
    }
    let (_, call) = server.respond_with(&post("application/merge+json", "[1]"), Ok(None)).await;
    assert!(call.data.as_str().contains(r#""body":[1]"#));
}

#[tokio::test]
async fn results_are_converted_to_responses() {
    let mut server = TestServer::new(ROUTE).await;
    let reply = server.respond_with(GET, Ok(None)).await.0;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    for bare in [json!({"x": 1}), json!("text"), json!([1]), json!(7), json!(false)] {
        let reply = server.response_to(bare.clone()).await;
        assert_eq!((reply.status, reply.json()), (200, bare));
    }
    let text =
        json!({"status_code": 201, "headers": {"content-type": "text/plain"}, "body": "hello"});
    let reply = server.response_to(text).await;
    assert_eq!((reply.status, reply.body.as_str()), (201, "hello"));
    assert!(reply.has("content-type: text/plain"));
    let lines = json!({"headers": ["x-a: 1", "x-a: 2", "bad"], "body": "s"});
    let reply = server.response_to(lines).await;
    assert!(reply.has("x-a: 1") && reply.has("x-a: 2"));
    assert_eq!(reply.body, "\"s\"");
    let cookies =
        json!({"headers": {"set-cookie": ["a=1", "b=2"], "content-length": "99"}, "body": null});
    let reply = server.response_to(cookies).await;
    assert!(reply.has("set-cookie: a=1") && reply.has("set-cookie: b=2"));
    assert_eq!(reply.body, "null");
    assert_eq!(server.response_to(json!({"status_code": 202})).await.body, "{}");
    let reply = server.response_to(json!({"status_code": 204, "body": {"x": 1}})).await;
    assert_eq!((reply.status, reply.body.as_str()), (204, ""));
    assert_eq!(server.response_to(json!({"status_code": 7, "body": 1})).await.status, 200);
    let reply =
        server.response_to(json!({"headers": {"content-type": "text/x"}, "body": {"a": 1}})).await;
    assert_eq!(reply.body, r#"{"a":1}"#);
    // The spelling of the Python SDK.
    let reply =
        server.response_to(json!({"statusCode": 201, "headers": {}, "body": {"a": 1}})).await;
    assert_eq!((reply.status, reply.body.as_str()), (201, r#"{"a":1}"#));
    let data = json!({"statusCode": 201});
    let reply = server.response_to(data.clone()).await;
    assert_eq!(
        (reply.status, reply.json()),
        (200, data),
        "`statusCode` alone does not describe a response"
    );
}

#[tokio::test]
async fn errors_are_converted_to_error_objects() {
    let mut server = TestServer::new(ROUTE).await;
    let error = ErrorBody {
        status: Some(409),
        details: Some(Payload::from(json!({"sku": "A1"}))),
        ..ErrorBody::new("orders/out-of-stock", "none left")
    };
    let reply = server.respond_with(GET, Err(error)).await.0;
    assert_eq!(reply.status, 409);
    let body = reply.json();
    assert_eq!(body["error"]["code"], "orders/out-of-stock");
    assert_eq!(body["error"]["message"], "none left");
    assert_eq!(body["error"]["details"], json!({"sku": "A1"}));
    assert_eq!(body["error"]["error_id"].as_str().unwrap().len(), 12);
    let reply = server.respond_with(GET, Err(ErrorBody::new("x", "y"))).await.0;
    assert_eq!((reply.status, reply.code().as_str()), (500, "x"));
    server.worker.send(iii_wire::protocol::Message::UnregisterFunction { id: "h::f".into() });
    server.worker.nothing_else().await;
    let reply = fetch(server.addr, GET).await;
    assert_eq!((reply.status, reply.code().as_str()), (500, "function_not_found"));
}

#[tokio::test]
async fn unknown_paths_and_methods_have_standard_responses() {
    let mut server = TestServer::new(ROUTE).await;
    let reply = fetch(server.addr, &GET.replace("/a", "/b")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "NOT_FOUND"));
    let reply = fetch(server.addr, &GET.replace("GET", "DELETE")).await;
    assert_eq!((reply.status, reply.code().as_str()), (405, "METHOD_NOT_ALLOWED"));
    assert!(reply.has("allow: get, head"));
    let (reply, call) =
        server.respond_with(&GET.replace("GET", "HEAD"), Ok(Some(json!({"body": "x"})))).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
    assert!(call.data.as_str().contains(r#""method":"HEAD""#));
    let reply = fetch(server.addr, &GET.replace("GET", "OPTIONS")).await;
    assert_eq!(reply.status, 204);
    let preflight = "OPTIONS /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\norigin: http://p\r\n\
                     access-control-request-method: GET\r\naccess-control-request-headers: authorization\r\n\r\n";
    let reply = fetch(server.addr, preflight).await;
    assert_eq!(reply.status, 200);
    assert!(reply.has("access-control-allow-origin: *"));
    assert!(reply.has("access-control-allow-headers: authorization"));
}

#[tokio::test]
async fn invalid_route_is_rejected_and_later_routes_work() {
    let mut server = TestServer::new(ROUTE).await;
    for config in [
        r#"{"api_path":"/w/*rest"}"#,
        r#"{"api_path":"/w/:"}"#,
        r#"{"api_path":"/a"}"#,
        r#"{"api_path":"/w","http_method":"FETCH"}"#,
        "{}",
    ] {
        server.worker.bind("bad", "http", "h::f", config);
        let error = server.worker.binding_error().await;
        assert_eq!(error.error.unwrap().code, "trigger_registration_failed", "{config}");
    }
    server.worker.bind("good", "http", "h::f", r#"{"api_path":"/w/:x"}"#);
    server.worker.nothing_else().await;
    let (reply, _) = server.respond_with(&GET.replace("/a", "/w/1"), Ok(None)).await;
    assert_eq!(reply.status, 204);
    server.worker.unbind("good");
    server.worker.nothing_else().await;
    assert_eq!(fetch(server.addr, &GET.replace("/a", "/w/1")).await.status, 404);
}

#[tokio::test]
async fn condition_and_middleware_run_before_the_function() {
    let config =
        r#"{"api_path":"/a","condition_function_id":"h::if","middleware_function_ids":["h::mid"]}"#;
    let mut server = TestServer::new(config).await;
    let answer = |server: &TestServer, call: &InvokeFunction, result: Value| {
        server.worker.answer(call, Ok(Some(Payload::from(result))));
    };
    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    assert_eq!((call.function_id.as_str(), call.metadata.clone()), ("h::if", None));
    answer(&server, &call, json!(false));
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (422, "CONDITION_NOT_MET"));
    assert_eq!(reply.json()["skipped"], true);

    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    server.worker.answer(&call, Err(ErrorBody::new("no", "no")));
    assert_eq!(pending.await.unwrap().status, 500);

    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    answer(&server, &call, json!(null));
    let call = server.worker.called().await;
    assert_eq!(call.function_id, "h::mid");
    let input: Value = call.data.parse().unwrap();
    assert_eq!((&input["phase"], &input["context"]), (&json!("preHandler"), &json!({})));
    assert_eq!(input["request"]["method"], "GET");
    assert!(input["request"].get("body").is_none());
    let output = json!({"action": "respond", "response": {"status_code": 401, "headers": {"x-a": "1"}, "body": {"error": "no"}}});
    answer(&server, &call, output);
    let reply = pending.await.unwrap();
    assert_eq!((reply.status, reply.json()), (401, json!({"error": "no"})));
    assert!(reply.has("x-a: 1"));

    let pending = send(server.addr, GET.to_owned());
    for result in [json!(true), json!({"action": "continue"}), json!("done")] {
        let call = server.worker.called().await;
        answer(&server, &call, result);
    }
    assert_eq!(pending.await.unwrap().json(), json!("done"));
}

#[tokio::test]
async fn function_timeout_has_status_504() {
    let server =
        TestServer::with(ROUTE, |builder| builder.http_timeout(Duration::from_millis(50))).await;
    let reply = fetch(server.addr, GET).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "timeout"));
}

#[tokio::test]
async fn requests_over_the_concurrency_limit_have_status_503() {
    let mut server = TestServer::with(ROUTE, |builder| builder.http_concurrency(1)).await;
    let pending = send(server.addr, GET.to_owned());
    let call = server.worker.called().await;
    let reply = fetch(server.addr, GET).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "overloaded"));
    assert!(reply.has("retry-after: 1"));
    server.worker.answer(&call, Ok(None));
    assert_eq!(pending.await.unwrap().status, 204);
}

#[tokio::test]
async fn shutdown_finishes_requests_and_closes_idle_connections() {
    let mut server = TestServer::new(ROUTE).await;
    let mut idle = TcpStream::connect(server.addr).await.unwrap();
    let pending = send(server.addr, GET.replace("connection: close\r\n", ""));
    let call = server.worker.called().await;
    server.engine.close_http();
    let mut nothing = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), idle.read_to_end(&mut nothing));
    assert!(matches!(closed.await, Ok(Ok(0))));
    server.worker.answer(&call, Ok(None));
    tokio::time::timeout(Duration::from_secs(5), server.engine.drain()).await.unwrap();
    assert_eq!(pending.await.unwrap().status, 204);
    assert!(TcpStream::connect(server.addr).await.is_err());
    server.engine.stop().await;
    server.worker.closed().await;
}

#[tokio::test]
async fn client_disconnect_cancels_the_invocation() {
    let mut server = TestServer::new(ROUTE).await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    socket.write_all(GET.as_bytes()).await.unwrap();
    let call = server.worker.called().await;
    drop(socket);
    let active =
        || server.engine.broker.workers().iter().map(|one| one.active_invocations).sum::<usize>();
    crate::broker::testing::until("the invocation is cancelled", || active() == 0).await;
    server.worker.answer(&call, Ok(None));
    server.worker.nothing_else().await;
}
