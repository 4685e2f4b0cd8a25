//! Pages in browsers: those of foreign origins get in only where the engine is told so.

use std::net::SocketAddr;

use iii::engine::{Engine, EngineBuilder};
use iii_tests::{engine_with, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The status of a WebSocket handshake from a page.
async fn status(addr: SocketAddr, path: &str, origin: &str) -> u16 {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {addr}\r\norigin: {origin}\r\nupgrade: websocket\r\n\
         connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    within("an answer", socket.read_exact(&mut answer)).await.unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

/// The statuses at the ports for workers and for streams.
async fn both(engine: &Engine, origin: &str) -> (u16, u16) {
    let (workers, streams) = (engine.worker_addr().unwrap(), engine.stream_addr().unwrap());
    (status(workers, "/", origin).await, status(streams, "/", origin).await)
}

const OURS: &str = "http://localhost:5173";
const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

#[tokio::test]
async fn a_page_of_a_foreign_origin_cannot_connect() {
    let engine = engine_with(|builder| builder).await;
    assert_eq!(both(&engine, EVIL).await, (403, 403));
    assert_eq!(both(&engine, "null").await, (403, 403));
    assert_eq!(both(&engine, OURS).await, (101, 101));
    let telemetry = status(engine.worker_addr().unwrap(), "/otel", EVIL).await;
    let channel =
        status(engine.worker_addr().unwrap(), "/ws/channels/x?key=x&dir=read", EVIL).await;
    assert_eq!((telemetry, channel), (403, 403));
}

#[tokio::test]
async fn an_origin_that_is_allowed_gets_in_and_no_other() {
    let engine = engine_with(|builder| builder.allowed_origins([APP])).await;
    assert_eq!(both(&engine, APP).await, (101, 101));
    assert_eq!(both(&engine, OURS).await, (101, 101));
    assert_eq!(both(&engine, EVIL).await, (403, 403));
    assert_eq!(both(&engine, "http://app.example").await, (403, 403), "the scheme is a part of it");
}

#[tokio::test]
async fn the_file_allows_origins_for_each_port() {
    let text = format!(
        "workers:
  - name: iii-worker-manager
    config: {{ port: 0, allowed_origins: ['{APP}'] }}
  - name: iii-stream
    config: {{ port: 0, allowed_origins: ['*'] }}
"
    );
    let engine = EngineBuilder::from_yaml(&text).unwrap().start().await.unwrap();
    assert_eq!(both(&engine, APP).await, (101, 101));
    assert_eq!(both(&engine, EVIL).await, (403, 101));
}

#[tokio::test]
async fn what_is_no_origin_is_refused_when_the_engine_starts() {
    let mut builder = Engine::builder();
    builder.worker_port(0).allowed_origins(["app.example/path"]);
    let error = builder.start().await.unwrap_err();
    assert_eq!(error.code(), iii::code::INVALID_CONFIGURATION);
    assert!(error.message().contains("`app.example/path`"), "{error}");
}
