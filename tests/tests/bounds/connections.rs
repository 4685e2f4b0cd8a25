//! Many connections, slow ones, and one that never reads.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use iii::engine::{EngineBuilder, Limits};
use iii_tests::{Peer, Program, engine_with, request, within, worker};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart-under-test");

/// The connections that an engine takes by default.
const CONNECTIONS: usize = 10_000;
/// Memory of the engine for one that is idle, in bytes.
const MEMORY: u64 = 48 << 10;

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// Opens a connection as a worker's, without anything that takes memory here. `None`: it was turned away.
async fn idle(addr: SocketAddr) -> Option<TcpStream> {
    within("an idle connection", async {
        let mut socket = TcpStream::connect(addr).await.expect("the engine listens");
        socket.write_all(HANDSHAKE.as_bytes()).await.ok()?;
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.ok()?;
        assert_eq!(&status, b"HTTP/1.1 101");
        Some(socket)
    })
    .await
}

/// How many connections this process and its children may have.
fn allowed() -> usize {
    let files = rlimit::increase_nofile_limit(u64::MAX).expect("the limit can be asked for");
    // Some are needed for other things.
    usize::try_from(files).unwrap_or(usize::MAX).saturating_sub(256)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn ten_thousand_idle_connections_cost_little_and_one_more_is_turned_away() {
    let wanted = CONNECTIONS.min(allowed());
    assert!(wanted >= 1_000, "this machine allows only {wanted} connections");
    let ports = [("III_WORKER_PORT", "0"), ("III_HTTP_PORT", "0"), ("III_STREAM_PORT", "0")];
    let mut program = Program::start(PROGRAM, &ports);
    let addr = program.address("workers").await;
    let mut active = Peer::named(&format!("ws://{addr}"), "active").await;
    let before = program.memory();

    let mut opening = tokio::task::JoinSet::new();
    for part in 0..8 {
        opening.spawn(async move {
            let mut open = Vec::new();
            // The active one counts as well.
            for _ in (part..wanted - 1).step_by(8) {
                open.push(idle(addr).await.expect("there is room"));
            }
            open
        });
    }
    let mut sockets: Vec<_> = opening.join_all().await.into_iter().flatten().collect();
    let after = program.memory();
    let place = json!({"scope": "s", "key": "k", "value": 1});
    active.call("state::set", place.clone()).await.unwrap();
    if let Some((before, after)) = before.zip(after) {
        let each = after.saturating_sub(before) / wanted as u64;
        eprintln!("{wanted} idle connections: {each} bytes each");
        assert!(each < MEMORY, "{each} bytes for each of {wanted} connections");
    }
    if wanted == CONNECTIONS {
        assert!(idle(addr).await.is_none(), "one more is turned away");
        drop(sockets.pop());
        within("a free place", async { while idle(addr).await.is_none() {} }).await;
    }
    assert_eq!(active.call("state::get", place).await.unwrap(), 1);
    drop(sockets);
    // Their end is as quick as their beginning.
    assert_eq!(active.call("state::list_groups", json!({})).await.unwrap()["groups"][0], "s");
}

/// Sends a head a byte at a time, until the other side ends the connection.
async fn dribble(addr: SocketAddr) -> Duration {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let begun = Instant::now();
    within("the end of a slow connection", async {
        for byte in HANDSHAKE.bytes().take(HANDSHAKE.len() - 2).cycle() {
            if socket.write_all(&[byte]).await.is_err() {
                break;
            }
            // Quick enough to be a connection that is alive, slow enough to be a nuisance.
            let mut answer = [0; 64];
            match tokio::time::timeout(Duration::from_millis(20), socket.read(&mut answer)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => break,
                Err(_) => {}
            }
        }
    })
    .await;
    begun.elapsed()
}

#[tokio::test]
async fn slow_heads_are_cut_off_while_others_are_served() {
    let builder = EngineBuilder::from_yaml(
        "limits: { http: { head_ms: 1000 }, streams: { head_ms: 1000 } }
workers:
  - name: iii-worker-manager
    config: { port: 0, handshake_timeout_ms: 1000 }
  - name: iii-http
    config: { port: 0 }
  - name: iii-stream
    config: { port: 0 }
",
    );
    let engine = builder.unwrap().start().await.unwrap();
    let http = engine.http_addr().unwrap();
    let mut web = worker(&engine, "web").await;
    web.function("web::f").await;
    web.bind("a", "http", "web::f", json!({"api_path": "/a"})).await;
    web.settled().await;
    let doors = [engine.worker_addr().unwrap(), http, engine.stream_addr().unwrap()];
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..20 {
        doors.iter().for_each(|door| drop(slow.spawn(dribble(*door))));
    }
    let mut served = 0;
    while slow.try_join_next().is_none() {
        let asked = tokio::spawn(request(http, "GET", "/a", None));
        web.serve(json!({"body": 1})).await;
        assert_eq!(asked.await.unwrap().status, 200);
        worker(&engine, &format!("w{served}")).await.close().await;
        served += 1;
    }
    assert!(served > 0);
    for took in slow.join_all().await {
        assert!(took > Duration::from_millis(800), "{took:?}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let engine = engine_with(|builder| {
        let mut limits = Limits::default();
        (limits.http.head_bytes, limits.http.headers) = (4096, 20);
        builder.limits(limits)
    })
    .await;
    for head in [format!("a: {}\r\n", "x".repeat(5000)), "a: b\r\n".repeat(30)] {
        let mut socket = TcpStream::connect(engine.http_addr().unwrap()).await.unwrap();
        let text = format!("GET / HTTP/1.1\r\nhost: x\r\n{head}\r\n");
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within("an answer", socket.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert_eq!(request(engine.http_addr().unwrap(), "GET", "/", None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_ended_and_others_go_on() {
    let engine = engine_with(|builder| {
        let mut limits = Limits::default();
        (limits.workers.outgoing_soft_bytes, limits.workers.outgoing_bytes) = (1 << 20, 4 << 20);
        builder.limits(limits)
    })
    .await;
    let mut other = worker(&engine, "other").await;
    let large = json!({"scope": "s", "key": "k", "value": "x".repeat(1 << 20)});
    other.call("state::set", large).await.unwrap();
    let mut glutton = worker(&engine, "glutton").await;
    glutton.function("glutton::f").await;
    glutton.settled().await;
    // Calls for it wait as its answers do.
    other.start("glutton::f", json!(1)).await;
    for _ in 0..200 {
        let call = json!({
            "type": "invokefunction", "invocation_id": "00000000-0000-4000-8000-000000000001",
            "function_id": "state::get", "data": {"scope": "s", "key": "k"},
        });
        if !glutton.try_send(call).await {
            break;
        }
    }
    let stopped = other.next_of("invocationresult").await;
    assert_eq!(stopped["error"]["code"], "invocation_stopped");
    let gone = other.call("glutton::f", json!(1)).await.unwrap_err();
    assert_eq!(gone["code"], "function_not_found");
    let small = json!({"scope": "s", "key": "other", "value": 1});
    assert_eq!(other.call("state::set", small).await.unwrap()["new_value"], 1);
    worker(&engine, "glutton").await;
}
