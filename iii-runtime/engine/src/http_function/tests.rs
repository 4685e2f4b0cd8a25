//! Tests of HTTP functions with a broker and an endpoint in this process.

#[cfg(feature = "tls")]
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::broker::Broker;
use crate::broker::testing::{Worker, broker, until, with_provider};
use iii_wire::protocol::{HttpInvocation, InvokeFunction, Message, Payload};

/// An endpoint whose responses the test writes.
struct TestEndpoint {
    listener: TcpListener,
    addr: SocketAddr,
}

/// A received request with the connection for its response.
struct ReceivedRequest {
    socket: BufReader<TcpStream>,
    head: String,
    body: String,
}

impl TestEndpoint {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        Self { listener, addr }
    }

    /// Accepts a connection and reads its first request.
    async fn accept(&self) -> ReceivedRequest {
        let accepted = tokio::time::timeout(Duration::from_secs(10), self.listener.accept()).await;
        let socket = BufReader::new(accepted.expect("a connection").unwrap().0);
        ReceivedRequest { socket, head: String::new(), body: String::new() }.next().await
    }
}

impl ReceivedRequest {
    /// Reads the next request on the same connection.
    async fn next(mut self) -> Self {
        self.head.clear();
        while !self.head.ends_with("\r\n\r\n") {
            assert_ne!(self.socket.read_line(&mut self.head).await.unwrap(), 0, "a whole head");
        }
        self.head = self.head.to_ascii_lowercase();
        let length = self.head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.socket.read_exact(&mut body).await.unwrap();
        self.body = String::from_utf8(body).unwrap();
        self
    }

    fn has(&self, line: &str) -> bool {
        self.head.lines().any(|one| one == line)
    }

    async fn write(&mut self, text: &str) {
        self.socket.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn answer(&mut self, status: &str, body: &str) {
        let length = body.len();
        self.write(&format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")).await;
    }

    /// Waits until the engine has closed the connection.
    async fn closed(mut self) {
        let end = self.socket.read_u8();
        let end = tokio::time::timeout(Duration::from_secs(10), end).await.expect("an end");
        assert!(end.is_err());
    }
}

/// Settings that allow `http` URLs and local addresses.
fn permissive() -> HttpFunctionSettings {
    HttpFunctionSettings {
        require_https: false,
        block_private_ips: false,
        ..HttpFunctionSettings::default()
    }
}

fn broker_with(settings: &HttpFunctionSettings) -> Broker {
    let broker = broker();
    let functions = HttpFunctions::new(settings, Clock::system()).unwrap();
    with_provider(&broker, functions);
    broker
}

fn register(worker: &Worker, id: &str, invocation: &Value) {
    worker.send(Message::RegisterFunction(Box::new(RegisterFunction {
        id: id.into(),
        description: None,
        request_format: None,
        response_format: None,
        metadata: None,
        invocation: Some(HttpInvocation(Payload::from(invocation.clone()))),
    })));
}

/// Starts an endpoint, a worker with the function `ext::f` at the endpoint, and a worker that calls it.
async fn setup(settings: &HttpFunctionSettings) -> (Broker, Worker, Worker, TestEndpoint) {
    let broker = broker_with(settings);
    let endpoint = TestEndpoint::new().await;
    let mut owner = Worker::named(&broker, "owner").await;
    register(&owner, "ext::f", &json!({"url": format!("http://{}/f", endpoint.addr)}));
    owner.nothing_else().await;
    let caller = Worker::named(&broker, "caller").await;
    (broker, owner, caller, endpoint)
}

#[tokio::test]
async fn call_is_sent_to_the_endpoint_with_its_trace_context() {
    let (_broker, mut owner, mut caller, endpoint) = setup(&permissive()).await;
    let id = caller.start_with(InvokeFunction {
        traceparent: Some("00-a-b-01".to_owned()),
        baggage: Some("tenant=7".to_owned()),
        ..Worker::invocation("ext::f", r#"{"n":1}"#)
    });
    let mut request = endpoint.accept().await;
    assert!(request.head.starts_with("post /f http/1.1\r\n"), "{}", request.head);
    assert_eq!(request.body, format!(r#"{{"_caller_worker_id":"{}","n":1}}"#, caller.id));
    assert!(request.has("traceparent: 00-a-b-01"), "{}", request.head);
    assert!(request.has("baggage: iii.function.id=ext::f,tenant=7"), "{}", request.head);
    request.answer("200 OK", r#"{"ok":true}"#).await;
    assert_eq!(caller.answer_to(id).await.unwrap().unwrap().as_str(), r#"{"ok":true}"#);
    // The connection is reused, also by a void call.
    caller.void("ext::f", "[2]");
    let mut request = request.next().await;
    assert_eq!(request.body, "[2]");
    assert!(!request.head.contains("traceparent"), "{}", request.head);
    request.answer("200 OK", "").await;
    owner.nothing_else().await;
    caller.nothing_else().await;
}

#[tokio::test]
async fn disconnect_of_the_owner_cancels_calls_in_flight() {
    let (broker, mut owner, mut caller, endpoint) = setup(&permissive()).await;
    let id = caller.start("ext::f", "{}");
    let request = endpoint.accept().await;
    owner.nothing_else().await;
    drop(owner);
    assert_eq!(caller.answer_to(id).await.unwrap_err().code, "invocation_stopped");
    request.closed().await;
    let error = caller.call("ext::f", "{}").await.unwrap_err();
    assert_eq!(error.code, "function_not_found");
    drop(broker);
}

#[tokio::test]
async fn disconnect_of_the_caller_cancels_its_calls() {
    let (broker, mut owner, caller, endpoint) = setup(&permissive()).await;
    caller.start("ext::f", "{}");
    let request = endpoint.accept().await;
    drop(caller);
    request.closed().await;
    let active = || broker.workers().iter().map(|one| one.active_invocations).sum::<usize>();
    until("the call is cancelled", || active() == 0).await;
    owner.nothing_else().await;
}

#[tokio::test]
async fn calls_over_the_concurrency_limit_fail() {
    let settings = HttpFunctionSettings { concurrency: 1, ..permissive() };
    let (_broker, _owner, mut caller, endpoint) = setup(&settings).await;
    let first = caller.start("ext::f", "{}");
    let mut request = endpoint.accept().await;
    let error = caller.call("ext::f", "{}").await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), ("overloaded", Some(true)));
    request.answer("200 OK", "1").await;
    assert_eq!(caller.answer_to(first).await.unwrap().unwrap().as_str(), "1");
}

#[tokio::test]
async fn response_size_is_limited_and_truncation_is_an_error() {
    let settings = HttpFunctionSettings { response_limit: 10, ..permissive() };
    let (_broker, _owner, mut caller, endpoint) = setup(&settings).await;
    let huge_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(300_000));
    let many_fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n\"12345678\"", None),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n\"123456789\"",
            Some("http_response_failed"),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n123456789\r\n9\r\n123456789\r\n0\r\n\r\n",
            Some("http_response_failed"),
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\"1", Some("http_response_failed")),
        ("no HTTP\r\n\r\n", Some("http_request_failed")),
        (&huge_head, Some("http_request_failed")),
        (&many_fields, Some("http_request_failed")),
        ("", Some("http_request_failed")),
    ];
    for (response, code) in cases {
        let id = caller.start("ext::f", "{}");
        let mut request = endpoint.accept().await;
        // The engine does not read a response over the limit to its end.
        let _ = request.socket.get_mut().write_all(response.as_bytes()).await;
        let _ = request.socket.get_mut().shutdown().await;
        let (outcome, beginning) = (caller.answer_to(id).await, response.get(..60));
        assert_eq!(outcome.is_ok(), code.is_none(), "{beginning:?}");
        if let Err(error) = outcome {
            let actual = (error.code.as_str(), error.status);
            assert_eq!(actual, (code.unwrap_or_default(), Some(502)), "{beginning:?}");
        }
    }
}

#[tokio::test]
async fn invalid_function_fails_each_call_with_the_reason() {
    let broker = broker_with(&HttpFunctionSettings::default());
    let mut worker = Worker::named(&broker, "w").await;
    for (invocation, code) in [
        (json!({"url": "http://example.com/"}), "url_validation_failed"),
        (json!({"url": "https://127.0.0.1/"}), "url_validation_failed"),
        (json!({"url": "https://user:s3cret@example.com/"}), "url_validation_failed"),
        (json!("s3cret"), "invalid_invocation"),
    ] {
        register(&worker, "ext::f", &invocation);
        let error = worker.call("ext::f", "{}").await.unwrap_err();
        assert_eq!(error.code, code, "{invocation}");
        assert!(!error.message.contains("s3cret"), "{}", error.message);
    }
    let missing = json!({"type": "bearer", "token_key": "III_TEST_NOT_SET"});
    let broker = broker_with(&permissive());
    let mut worker = Worker::named(&broker, "w").await;
    register(&worker, "ext::f", &json!({"url": "http://127.0.0.1:1/", "auth": missing}));
    let error = worker.call("ext::f", "{}").await.unwrap_err();
    assert_eq!(error.code, "token_not_found");
    // A corrected registration replaces the invalid one.
    register(&worker, "ext::f", &json!({"url": "http://127.0.0.1:1/"}));
    let error = worker.call("ext::f", "{}").await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), ("http_request_failed", Some(true)));
    assert!(error.message.contains("http://127.0.0.1:1"), "{}", error.message);
}

#[tokio::test]
async fn host_name_is_resolved_and_checked_at_each_call() {
    let settings = HttpFunctionSettings { block_private_ips: true, ..permissive() };
    let broker = broker_with(&settings);
    let endpoint = TestEndpoint::new().await;
    let mut worker = Worker::named(&broker, "w").await;
    let url = format!("http://localhost:{}/", endpoint.addr.port());
    register(&worker, "ext::f", &json!({ "url": url }));
    let error = worker.call("ext::f", "{}").await.unwrap_err();
    assert_eq!(error.code, "url_validation_failed");
    assert!(error.message.contains("`localhost`"), "{}", error.message);
    let connected = tokio::time::timeout(Duration::from_millis(20), endpoint.listener.accept());
    assert!(connected.await.is_err(), "no connection is made");
}
