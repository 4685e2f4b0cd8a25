//! The end of a worker as a supervisor sees it: exit codes, the readiness file, and the health function of a program.

use iii::lifecycle::exit;
use iii_tests::{FakeEngine, Peer, Program, Script, until};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_lifecycle-under-test");
const FREE_PORTS: [(&str, &str); 3] =
    [("III_WORKER_PORT", "0"), ("III_HTTP_PORT", "0"), ("III_STREAM_PORT", "0")];
const WORKER: &str = "6a0c1c0e-0f5b-4d55-9f1a-6d3a3f0f8a11";
const TOKEN: &str = "0b8f3b0e-7f0b-4a55-8d46-0f7b6f0c2a01";

/// The program on an engine of its own.
fn alone(more: &[(&str, &str)]) -> Program {
    Program::start(PROGRAM, &[&FREE_PORTS, more].concat())
}

/// Waits for the end of a program, which leaves with this code, and gives what it has printed.
async fn ends_with(code: u8, program: Program) -> String {
    let (status, lines) = program.ended().await;
    let text = lines.join("\n");
    assert_eq!(status.code(), Some(i32::from(code)), "{text}");
    text
}

/// The program on a scripted engine, with a handler that never ends.
async fn never_ending(variables: &[(&str, &str)]) -> (Program, Peer) {
    let engine = FakeEngine::start().await;
    let url = engine.url();
    let mut program = Program::start(PROGRAM, &[variables, &[("III_URL", &url)]].concat());
    let Script { mut peer, .. } = engine.accept_and_confirm(WORKER, TOKEN).await;
    program.line("is ready on").await;
    peer.start("lifecycle::never", json!({})).await;
    peer.settled().await;
    (program, peer)
}

#[tokio::test]
async fn a_clean_stop_is_0_and_the_file_is_there_while_it_is_ready() {
    let file = std::env::temp_dir().join(format!("iii-ready-{}", std::process::id()));
    std::fs::write(&file, "left by an earlier run").unwrap();
    let mut program = alone(&[("III_READY_FILE", file.to_str().unwrap())]);
    program.line("starts, ready: false").await;
    program.line("is ready on").await;
    until("the file", || std::fs::read_to_string(&file).is_ok_and(|text| !text.contains("left")))
        .await;
    let workers = program.address("workers").await;
    let mut peer = Peer::named(&format!("ws://{workers}"), "probe").await;
    let health = peer.call("lifecycle::health", json!({})).await.unwrap();
    assert_eq!((&health["status"], &health["ready"]), (&json!("ok"), &json!(true)), "{health}");
    assert_eq!(health["checks"]["stock"]["status"], "ok", "{health}");
    program.signal("TERM").await;
    let text = ends_with(exit::OK, program).await;
    assert!(text.contains("stops"), "{text}");
    assert!(!file.exists(), "the file goes with the worker");
}

#[tokio::test]
async fn a_main_or_a_start_that_fails_is_1() {
    let text = ends_with(exit::FAILED, alone(&[("LIFECYCLE", "main fails")])).await;
    assert!(text.contains("error: main has failed"), "{text}");
    let text = ends_with(exit::FAILED, alone(&[("LIFECYCLE", "start fails")])).await;
    assert!(text.contains("error: the start has failed (lifecycle/closed)"), "{text}");
    assert!(text.contains("stops"), "what main has made is undone: {text}");
    assert!(!text.contains("is ready on"), "{text}");
}

#[tokio::test]
async fn wrong_declarations_and_settings_are_78() {
    let text = ends_with(exit::MISCONFIGURED, alone(&[("LIFECYCLE", "invalid")])).await;
    assert!(text.contains("is not provided"), "{text}");
    assert!(text.contains("the health check `stock`"), "in the same report: {text}");
    for (name, value) in [
        ("III_URL", "http://x"),
        ("III_HTTP_PORT", "x"),
        ("III_READY_FILE", "/no/such/directory/ready"),
    ] {
        let text = ends_with(exit::MISCONFIGURED, alone(&[(name, value)])).await;
        assert!(text.contains("error: ") && text.contains(value), "{name}: {text}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_69() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    ends_with(exit::UNAVAILABLE, alone(&[("III_HTTP_PORT", &port)])).await;
}

#[tokio::test]
async fn rejected_registrations_are_76_and_a_later_eviction_is_77() {
    let taken = json!({
        "type": "registrationrejected", "code": "FUNCTION_NAMESPACE_CONFLICT", "namespace": "default",
        "function_id": "lifecycle::never", "owner_worker_id": TOKEN,
    });
    let engine = iii_tests::engine().await;
    let url = iii_tests::worker_url(&engine);
    let mut other = Peer::named(&url, "other").await;
    other.function("lifecycle::never").await;
    other.settled().await;
    let text = ends_with(exit::REJECTED, Program::start(PROGRAM, &[("III_URL", &url)])).await;
    assert!(text.contains("`lifecycle::never` belongs to another worker"), "{text}");
    assert!(text.contains("lifecycle.rs:"), "the declaration is named: {text}");

    let (program, mut peer) = never_ending(&[]).await;
    peer.send(taken).await;
    let text = ends_with(exit::EVICTED, program).await;
    assert!(text.contains("lifecycle.rs:"), "{text}");
}

#[tokio::test]
async fn a_grace_period_that_is_over_is_75() {
    let (program, mut peer) = never_ending(&[("LIFECYCLE", "short grace")]).await;
    program.signal("TERM").await;
    peer.next_of("ping").await;
    peer.send(json!({"type": "pong"})).await;
    let cut = peer.next_of("invocationresult").await;
    assert_eq!(cut["error"]["code"], iii::code::SHUTTING_DOWN);
    let text = ends_with(exit::GRACE_EXCEEDED, program).await;
    assert!(text.contains("1 invocations were not done"), "{text}");
    assert!(text.contains("stops"), "{text}");
}

#[tokio::test]
async fn a_second_signal_is_128_and_its_number() {
    for (signal, number) in [("INT", 2), ("TERM", 15)] {
        let (mut program, mut peer) = never_ending(&[]).await;
        program.signal("TERM").await;
        program.line("a second signal stops at once").await;
        program.signal(signal).await;
        let cut = peer.next_of("invocationresult").await;
        assert_eq!(cut["error"]["code"], iii::code::SHUTTING_DOWN);
        let text = ends_with(exit::SIGNAL + number, program).await;
        assert!(!text.contains("stops\n"), "nothing is waited for: {text}");
    }
}
