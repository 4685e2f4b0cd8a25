//! Functions that HTTP endpoints serve, over sockets: what the endpoint gets, and what its answers become.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use iii::engine::{Engine, HttpFunctionSettings};
use iii_tests::{Peer, within};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A variable that every test has and whose value is its secret: tests cannot set one.
const SECRET: &str = "PATH";

/// What the endpoint got.
#[derive(Debug)]
struct Got {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// An endpoint that answers by path.
struct Endpoint {
    addr: SocketAddr,
    requests: mpsc::UnboundedReceiver<Got>,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (got, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let got = got.clone();
                let service = service_fn(move |request| answer(request, got.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
            }
        });
        Self { addr, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    async fn got(&mut self) -> Got {
        within("a request", self.requests.recv()).await.expect("the endpoint runs")
    }

    fn got_nothing(&mut self) {
        assert!(self.requests.try_recv().is_err(), "nobody asked");
    }
}

async fn answer(
    request: Request<Incoming>,
    got: mpsc::UnboundedSender<Got>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let path = head.uri.path().to_owned();
    let told = Got { method: head.method, path: path.clone(), headers: head.headers, body };
    got.send(told).expect("the test runs");
    let (status, body) = match path.as_str() {
        "/created" => (201, r#"{"made":1.50}"#),
        "/empty" => (204, ""),
        "/null" => (200, "null"),
        "/text" => (200, "not json"),
        "/moved" => (302, "<html>"),
        "/moved-json" => (307, r#"{"see":"other"}"#),
        "/failed" => (409, r#"{"error":{"code":"orders/gone","message":"sold"}}"#),
        "/broken" => (503, "oops"),
        "/long" => (200, r#""0123456789""#),
        "/slow" => return std::future::pending().await,
        _ => (200, r#"{"ok":true}"#),
    };
    let response = Response::builder().status(status).header("location", "/ok");
    Ok(response.body(Full::new(Bytes::from(body))).expect("a response"))
}

/// An engine with the settings, and a worker that is connected to it.
async fn engine(settings: HttpFunctionSettings) -> (Engine, Peer) {
    let mut builder = Engine::builder();
    builder.worker_port(0).http_port(0).stream_port(0);
    let engine = builder.http_functions(settings).start().await.expect("an engine");
    let url = format!("ws://{}", engine.worker_addr().expect("it listens"));
    let mut worker = Peer::connect(&url).await;
    let about = json!({"name": "w", "runtime": "rust", "version": "1", "os": "x"});
    worker.call("engine::workers::register", about).await.expect("it is taken");
    (engine, worker)
}

/// Everything on this machine may be called.
fn open() -> HttpFunctionSettings {
    HttpFunctionSettings {
        require_https: false,
        block_private_ips: false,
        ..HttpFunctionSettings::default()
    }
}

/// Registers `ext::f` with an invocation, and calls it.
async fn call(worker: &mut Peer, invocation: Value, data: Value) -> Result<Value, Value> {
    worker
        .send(json!({"type": "registerfunction", "id": "ext::f", "invocation": invocation}))
        .await;
    worker.call("ext::f", data).await
}

/// The code and the HTTP status of an error.
fn told(outcome: Result<Value, Value>) -> (String, Option<u64>) {
    let error = outcome.expect_err("an error");
    (error["code"].as_str().expect("a code").to_owned(), error["status"].as_u64())
}

#[tokio::test]
async fn the_endpoint_gets_the_call_with_headers_and_body() {
    let mut endpoint = Endpoint::start().await;
    let (engine, mut worker) = engine(open()).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "post"] {
        let headers = json!({"x-tenant": "7", "accept": "text/json"});
        let invocation =
            json!({"url": endpoint.url("/ok?a=b"), "method": method, "headers": headers});
        let result = call(&mut worker, invocation, json!({"n": 1})).await;
        assert_eq!(result, Ok(json!({"ok": true})));
        let got = endpoint.got().await;
        assert_eq!(got.method.as_str(), method.to_uppercase());
        assert_eq!(got.path, "/ok");
        for (name, value) in [
            ("host", endpoint.addr.to_string().as_str()),
            ("content-type", "application/json"),
            ("accept", "text/json"),
            ("x-tenant", "7"),
            ("x-iii-function-path", "ext::f"),
        ] {
            assert_eq!(got.headers[name], value, "{name}");
        }
        assert_eq!(got.headers["x-iii-invocation-id"].len(), 36);
        assert!(!got.headers.contains_key("authorization"));
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(body["n"], 1);
        assert!(body["_caller_worker_id"].is_string());
    }
    engine.stop().await;
}

#[tokio::test]
async fn secrets_of_the_environment_prove_who_calls() {
    let secret = std::env::var(SECRET).expect("a variable");
    let mut endpoint = Endpoint::start().await;
    let (engine, mut worker) = engine(open()).await;

    let auth = json!({"type": "hmac", "secret_key": SECRET});
    let invocation = json!({"url": endpoint.url("/ok"), "auth": auth});
    call(&mut worker, invocation, json!([1])).await.unwrap();
    let got = endpoint.got().await;
    let timestamp = got.headers["x-iii-timestamp"].to_str().unwrap();
    assert!(timestamp.parse::<u64>().unwrap() > 1_700_000_000, "{timestamp}");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{timestamp}:{}", BASE64.encode(&got.body)).as_bytes());
    let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
    assert_eq!(got.headers["x-iii-signature"], format!("sha256={signature}"));

    let auth = json!({"type": "bearer", "token_key": SECRET});
    let invocation = json!({"url": endpoint.url("/ok"), "auth": auth});
    call(&mut worker, invocation, json!(null)).await.unwrap();
    assert_eq!(endpoint.got().await.headers["authorization"], format!("Bearer {secret}"));

    let auth = json!({"type": "api_key", "header": "X-Api-Key", "value_key": SECRET});
    let invocation = json!({"url": endpoint.url("/ok"), "auth": auth});
    call(&mut worker, invocation, json!(null)).await.unwrap();
    assert_eq!(endpoint.got().await.headers["x-api-key"], secret);

    let auth = json!({"type": "bearer", "token_key": "III_TEST_NOT_SET"});
    let invocation = json!({"url": endpoint.url("/ok"), "auth": auth});
    let outcome = call(&mut worker, invocation, json!(null)).await;
    assert_eq!(told(outcome).0, "token_not_found");
    endpoint.got_nothing();
    engine.stop().await;
}

#[tokio::test]
async fn each_kind_of_answer_becomes_an_outcome() {
    let mut endpoint = Endpoint::start().await;
    let settings = HttpFunctionSettings { response_limit: 64, ..open() };
    let (engine, mut worker) = engine(settings).await;
    for (path, result) in [
        ("/created", json!({"made": 1.5})),
        ("/empty", Value::Null),
        ("/null", Value::Null),
        // The address that it leads to is not asked.
        ("/moved", Value::Null),
        ("/moved-json", json!({"see": "other"})),
    ] {
        let outcome = call(&mut worker, json!({"url": endpoint.url(path)}), json!({})).await;
        assert_eq!(outcome, Ok(result), "{path}");
        assert_eq!(endpoint.got().await.path, path);
        endpoint.got_nothing();
    }
    for (path, code, status) in [
        ("/text", "invalid_response", 502),
        ("/failed", "orders/gone", 409),
        ("/broken", "http_error", 502),
    ] {
        let outcome = call(&mut worker, json!({"url": endpoint.url(path)}), json!({})).await;
        assert_eq!(told(outcome), (code.to_owned(), Some(status)), "{path}");
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_slow_endpoint_and_a_long_answer_are_given_up() {
    let endpoint = Endpoint::start().await;
    let settings = HttpFunctionSettings { response_limit: 11, ..open() };
    let (engine, mut worker) = engine(settings).await;
    let invocation = json!({"url": endpoint.url("/slow"), "timeout_ms": 50});
    let outcome = call(&mut worker, invocation, json!({})).await;
    assert_eq!(told(outcome), ("http_request_failed".to_owned(), Some(504)));
    let outcome = call(&mut worker, json!({"url": endpoint.url("/long")}), json!({})).await;
    assert_eq!(told(outcome), ("http_response_failed".to_owned(), Some(502)));
    let outcome = call(&mut worker, json!({"url": endpoint.url("/ok")}), json!({})).await;
    assert_eq!(outcome, Ok(json!({"ok": true})));
    engine.stop().await;
}

#[tokio::test]
async fn nothing_but_public_addresses_is_called_unless_that_is_allowed() {
    let mut endpoint = Endpoint::start().await;
    let port = endpoint.addr.port();
    let settings = HttpFunctionSettings { block_private_ips: true, ..open() };
    let (engine, mut worker) = engine(settings).await;
    for host in ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{port}/ok");
        let outcome = call(&mut worker, json!({ "url": url }), json!({})).await;
        assert_eq!(told(outcome).0, "url_validation_failed", "{host}");
    }
    endpoint.got_nothing();
    engine.stop().await;
}

#[tokio::test]
async fn only_hosts_of_the_list_are_called() {
    let mut endpoint = Endpoint::start().await;
    let port = endpoint.addr.port();
    let url_allowlist = vec!["local*".to_owned()];
    let (engine, mut worker) = engine(HttpFunctionSettings { url_allowlist, ..open() }).await;
    let url = format!("http://127.0.0.1:{port}/ok");
    let outcome = call(&mut worker, json!({ "url": url }), json!({})).await;
    assert_eq!(told(outcome).0, "url_validation_failed");
    endpoint.got_nothing();
    let url = format!("http://localhost:{port}/ok");
    let outcome = call(&mut worker, json!({ "url": url }), json!({})).await;
    assert_eq!(outcome, Ok(json!({"ok": true})));
    assert_eq!(endpoint.got().await.headers["host"], format!("localhost:{port}"));
    engine.stop().await;
}

#[tokio::test]
async fn an_engine_without_settings_calls_https_only() {
    let mut endpoint = Endpoint::start().await;
    let (engine, mut worker) = engine(HttpFunctionSettings::default()).await;
    let outcome = call(&mut worker, json!({"url": endpoint.url("/ok")}), json!({})).await;
    let error = outcome.unwrap_err();
    assert_eq!(error["code"], "url_validation_failed");
    assert!(error["message"].as_str().unwrap().contains("`require_https`"), "{error}");
    endpoint.got_nothing();
    engine.stop().await;
}

#[tokio::test]
async fn a_bad_pattern_does_not_start() {
    let url_allowlist = vec!["https://example.com".to_owned()];
    let settings = HttpFunctionSettings { url_allowlist, ..open() };
    let error = Engine::builder().http_functions(settings).start().await.unwrap_err();
    assert_eq!(error.code(), "invalid_configuration");
    assert!(error.message().contains("host only"), "{error}");
}

#[tokio::test]
async fn an_http_trigger_answers_with_the_status_of_the_endpoint() {
    let endpoint = Endpoint::start().await;
    let (engine, mut worker) = engine(open()).await;
    let register = |id: &str, invocation: Value| json!({"type": "registerfunction", "id": id, "invocation": invocation});
    worker.send(register("ext::failed", json!({"url": endpoint.url("/failed")}))).await;
    let slow = json!({"url": endpoint.url("/slow"), "timeout_ms": 50});
    worker.send(register("ext::slow", slow)).await;
    for name in ["failed", "slow"] {
        worker
            .send(json!({
                "type": "registertrigger", "id": name, "trigger_type": "http",
                "function_id": format!("ext::{name}"), "config": {"api_path": name},
            }))
            .await;
    }
    worker.call("engine::triggers::list", json!({})).await.expect("all is registered");
    let http = engine.http_addr().expect("it listens");
    let answer = iii_tests::request(http, "GET", "/failed", None).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (409, &json!("orders/gone")));
    let answer = iii_tests::request(http, "GET", "/slow", None).await;
    let code = &answer.json()["error"]["code"];
    assert_eq!((answer.status, code), (504, &json!("http_request_failed")));
    tokio::time::timeout(Duration::from_secs(10), engine.stop()).await.expect("nothing hangs");
}
