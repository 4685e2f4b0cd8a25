//! Tests of HTTP functions with a broker, and an endpoint in this process.

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

/// An endpoint that answers when the test says so.
struct Remote {
    listener: TcpListener,
    addr: SocketAddr,
}

/// A request that was read, and the connection on which to answer it.
struct Asked {
    socket: BufReader<TcpStream>,
    head: String,
    body: String,
}

impl Remote {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        Self { listener, addr }
    }

    /// The next request, on a new connection.
    async fn asked(&self) -> Asked {
        let accepted = tokio::time::timeout(Duration::from_secs(10), self.listener.accept()).await;
        let socket = BufReader::new(accepted.expect("a connection").unwrap().0);
        Asked { socket, head: String::new(), body: String::new() }.next().await
    }
}

impl Asked {
    /// The next request on the same connection.
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

    /// Waits until the engine has given the request up.
    async fn given_up(mut self) {
        let end = self.socket.read_u8();
        let end = tokio::time::timeout(Duration::from_secs(10), end).await.expect("an end");
        assert!(end.is_err());
    }
}

/// Anything on this machine may be called.
fn open() -> HttpFunctionSettings {
    HttpFunctionSettings {
        require_https: false,
        block_private_ips: false,
        ..HttpFunctionSettings::default()
    }
}

fn serve(settings: &HttpFunctionSettings) -> Broker {
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

/// A worker whose function `ext::f` is served by the endpoint, and another worker.
async fn setup(settings: &HttpFunctionSettings) -> (Broker, Worker, Worker, Remote) {
    let broker = serve(settings);
    let remote = Remote::new().await;
    let mut owner = Worker::named(&broker, "owner").await;
    register(&owner, "ext::f", &json!({"url": format!("http://{}/f", remote.addr)}));
    owner.nothing_else().await;
    let caller = Worker::named(&broker, "caller").await;
    (broker, owner, caller, remote)
}

#[tokio::test]
async fn a_call_goes_to_the_endpoint_with_its_trace() {
    let (_broker, mut owner, mut caller, remote) = setup(&open()).await;
    let id = caller.start_with(InvokeFunction {
        traceparent: Some("00-a-b-01".to_owned()),
        baggage: Some("tenant=7".to_owned()),
        ..Worker::invocation("ext::f", r#"{"n":1}"#)
    });
    let mut asked = remote.asked().await;
    assert!(asked.head.starts_with("post /f http/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.body, format!(r#"{{"_caller_worker_id":"{}","n":1}}"#, caller.id));
    assert!(asked.has("traceparent: 00-a-b-01"), "{}", asked.head);
    assert!(asked.has("baggage: iii.function.id=ext::f,tenant=7"), "{}", asked.head);
    asked.answer("200 OK", r#"{"ok":true}"#).await;
    assert_eq!(caller.answer_to(id).await.unwrap().unwrap().as_str(), r#"{"ok":true}"#);
    // The connection is used again, also by a call for whose answer nobody waits.
    caller.void("ext::f", "[2]");
    let mut asked = asked.next().await;
    assert_eq!(asked.body, "[2]");
    assert!(!asked.head.contains("traceparent"), "{}", asked.head);
    asked.answer("200 OK", "").await;
    owner.nothing_else().await;
    caller.nothing_else().await;
}

#[tokio::test]
async fn calls_under_way_end_with_the_worker_that_registered_the_function() {
    let (broker, mut owner, mut caller, remote) = setup(&open()).await;
    let id = caller.start("ext::f", "{}");
    let asked = remote.asked().await;
    owner.nothing_else().await;
    drop(owner);
    assert_eq!(caller.answer_to(id).await.unwrap_err().code, "invocation_stopped");
    asked.given_up().await;
    let error = caller.call("ext::f", "{}").await.unwrap_err();
    assert_eq!(error.code, "function_not_found");
    drop(broker);
}

#[tokio::test]
async fn a_caller_that_leaves_gives_its_calls_up() {
    let (broker, mut owner, caller, remote) = setup(&open()).await;
    caller.start("ext::f", "{}");
    let asked = remote.asked().await;
    drop(caller);
    asked.given_up().await;
    let waiting = || broker.workers().iter().map(|one| one.active_invocations).sum::<usize>();
    until("forgotten", || waiting() == 0).await;
    owner.nothing_else().await;
}

#[tokio::test]
async fn too_many_calls_are_turned_away() {
    let settings = HttpFunctionSettings { concurrency: 1, ..open() };
    let (_broker, _owner, mut caller, remote) = setup(&settings).await;
    let first = caller.start("ext::f", "{}");
    let mut asked = remote.asked().await;
    let error = caller.call("ext::f", "{}").await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), ("overloaded", Some(true)));
    asked.answer("200 OK", "1").await;
    assert_eq!(caller.answer_to(first).await.unwrap().unwrap().as_str(), "1");
}

#[tokio::test]
async fn a_response_is_bounded_and_must_be_whole() {
    let settings = HttpFunctionSettings { response_limit: 10, ..open() };
    let (_broker, _owner, mut caller, remote) = setup(&settings).await;
    let huge_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(300_000));
    let many_heads = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
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
        (&many_heads, Some("http_request_failed")),
        ("", Some("http_request_failed")),
    ];
    for (response, code) in cases {
        let id = caller.start("ext::f", "{}");
        let mut asked = remote.asked().await;
        // What is too long is not read to its end.
        let _ = asked.socket.get_mut().write_all(response.as_bytes()).await;
        let _ = asked.socket.get_mut().shutdown().await;
        let (outcome, beginning) = (caller.answer_to(id).await, response.get(..60));
        assert_eq!(outcome.is_ok(), code.is_none(), "{beginning:?}");
        if let Err(error) = outcome {
            let told = (error.code.as_str(), error.status);
            assert_eq!(told, (code.unwrap_or_default(), Some(502)), "{beginning:?}");
        }
    }
}

#[tokio::test]
async fn a_function_that_cannot_be_served_says_why() {
    let broker = serve(&HttpFunctionSettings::default());
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
    let broker = serve(&open());
    let mut worker = Worker::named(&broker, "w").await;
    register(&worker, "ext::f", &json!({"url": "http://127.0.0.1:1/", "auth": missing}));
    let error = worker.call("ext::f", "{}").await.unwrap_err();
    assert_eq!(error.code, "token_not_found");
    // Put right, it works like any other.
    register(&worker, "ext::f", &json!({"url": "http://127.0.0.1:1/"}));
    let error = worker.call("ext::f", "{}").await.unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), ("http_request_failed", Some(true)));
    assert!(error.message.contains("http://127.0.0.1:1"), "{}", error.message);
}

#[tokio::test]
async fn a_name_is_checked_when_it_is_called() {
    let settings = HttpFunctionSettings { block_private_ips: true, ..open() };
    let broker = serve(&settings);
    let remote = Remote::new().await;
    let mut worker = Worker::named(&broker, "w").await;
    let url = format!("http://localhost:{}/", remote.addr.port());
    register(&worker, "ext::f", &json!({ "url": url }));
    let error = worker.call("ext::f", "{}").await.unwrap_err();
    assert_eq!(error.code, "url_validation_failed");
    assert!(error.message.contains("`localhost`"), "{}", error.message);
    let connected = tokio::time::timeout(Duration::from_millis(20), remote.listener.accept());
    assert!(connected.await.is_err(), "nobody connects");
}
