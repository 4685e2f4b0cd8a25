//! What an OTLP collector gets: from a worker that is told of it, and from a program by its environment.

use std::net::SocketAddr;

use iii_tests::{Peer, Program, engine, request, within, worker};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

/// One request to a collector.
struct Post {
    /// The request line and the headers, in small letters.
    head: String,
    body: Vec<u8>,
}

impl Post {
    fn has(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// A collector that takes everything.
struct Collector {
    addr: SocketAddr,
    posts: mpsc::UnboundedReceiver<Post>,
    seen: Vec<Post>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().unwrap();
        let (sender, posts) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, sender.clone()));
            }
        });
        Self { addr, posts, seen: Vec::new() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A request to a path that is about something. Each is given once, and earlier ones count.
    async fn post(&mut self, path: &str, about: &str) -> Post {
        let line = format!("post {path} http/1.1");
        let wanted = |post: &Post| post.head.starts_with(&line) && post.has(about);
        within(path, async {
            loop {
                if let Some(at) = self.seen.iter().position(&wanted) {
                    return self.seen.swap_remove(at);
                }
                self.seen.push(self.posts.recv().await.expect("the collector goes on"));
            }
        })
        .await
    }
}

/// Answers the requests of one connection.
async fn serve(mut socket: TcpStream, posts: mpsc::UnboundedSender<Post>) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                break end;
            }
            more(&mut socket, &mut bytes).await?;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().expect("a number");
        while bytes.len() < end + 4 + length {
            more(&mut socket, &mut bytes).await?;
        }
        let rest = bytes.split_off(end + 4 + length);
        let body = bytes.split_off(end + 4);
        bytes = rest;
        let _ = posts.send(Post { head, body });
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
    }
}

async fn more(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    (socket.read_buf(bytes).await.ok()? > 0).then_some(())
}

#[tokio::test]
async fn a_worker_sends_everything_to_its_collector_too() {
    subscribe();
    let mut collector = Collector::start().await;
    let engine = engine().await;
    let stock = start(&engine, "stock", |app| {
        app.function::<take>().collector(collector.url());
    })
    .await
    .unwrap();
    let mut peer = worker(&engine, "peer").await;
    peer.call("stock::take", json!({"sku": "green tea"})).await.unwrap();
    let post = collector.post("/v1/traces", "execute stock::take").await;
    assert!(post.head.contains("content-type: application/x-protobuf"), "{}", post.head);
    collector.post("/v1/logs", "taking green tea").await;
    collector.post("/v1/metrics", "iii.invocation.duration").await;
    // And to the engine.
    assert_eq!(spans(&mut peer, "execute stock::take", 1).await.len(), 1);
    drop(stock);
    engine.stop().await;
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_the_start() {
    let engine = engine().await;
    let started = start(&engine, "stock", |app| {
        app.function::<take>().collector("not an address");
    });
    assert_eq!(started.await.unwrap_err().code(), iii::code::INVALID_CONFIGURATION);
    engine.stop().await;
}

#[tokio::test]
async fn a_program_is_told_by_its_environment() {
    let mut collector = Collector::start().await;
    let url = collector.url();
    let mut program = Program::start(
        env!("CARGO_BIN_EXE_quickstart-under-test"),
        &[
            ("III_WORKER_PORT", "0"),
            ("III_HTTP_PORT", "0"),
            ("III_STREAM_PORT", "0"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k-1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_SERVICE_NAME", "the-shop"),
        ],
    );
    let http = program.address("http").await;
    let workers = program.address("workers").await;
    let order = json!({"sku": "tea", "quantity": 1}).to_string();
    let answer = request(http, "POST", "/orders", Some(&order)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let post = collector.post("/v1/traces", "execute orders::create").await;
    assert!(post.head.contains("x-key: k-1"), "{}", post.head);
    let body: Value = serde_json::from_slice(&post.body).expect("JSON was asked for");
    let span = &body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"].as_str().map(str::len), Some(32), "{span}");
    // The engine in the process has it as well, without a socket.
    let mut peer = Peer::named(&format!("ws://{workers}"), "peer").await;
    let span = &spans(&mut peer, "execute orders::create", 1).await[0];
    assert_eq!(span["service_name"], "the-shop");
    assert_eq!(attribute(span, "iii.trigger.kind"), Some("http"));
    assert!(attribute(span, "iii.trigger.id").is_some());
    // What it logs is shown once, and kept once, although the engine shows what it keeps.
    let second = request(http, "POST", "/orders", Some(&order)).await;
    assert_eq!(second.status, 201, "{second:?}");
    let told = |page: &Value, text: &str| page.to_string().matches(text).count();
    let logs = asked(&mut peer, "engine::logs::list", json!({}), |page| {
        told(page, "\"order 2 is for 1 tea\"") > 0
    })
    .await;
    assert_eq!(told(&logs, "\"order 1 is for 1 tea\""), 1, "{logs:#}");
    program.signal("TERM").await;
    let (status, lines) = program.ended().await;
    assert!(status.success(), "{lines:#?}");
    let shown = lines.iter().filter(|line| line.contains("order 1 is for 1 tea")).count();
    assert_eq!(shown, 1, "{lines:#?}");
}
