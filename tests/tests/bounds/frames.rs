//! Large frames and messages: what fits passes both ways, what does not ends one connection and says why.

use iii::engine::Limits;
use iii::prelude::*;
use iii_tests::{FakeEngine, Peer, engine, engine_with, worker, worker_url};
use serde_json::{Value, json};

const MIB: usize = 1 << 20;

/// A call with a text of so many bytes.
fn call(function: &str, bytes: usize) -> String {
    let id = "00000000-0000-4000-8000-00000000aaaa";
    let text = "x".repeat(bytes);
    format!(
        r#"{{"type":"invokefunction","invocation_id":"{id}","function_id":"{function}","data":"{text}"}}"#
    )
}

async fn echo(engine: &iii::engine::Engine) -> Peer {
    let mut echo = worker(engine, "echo").await;
    echo.function("echo::f").await;
    echo.settled().await;
    echo
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_nearly_64_mebibytes_passes_in_small_frames() {
    let engine = engine().await;
    let (mut echo, mut caller) = (echo(&engine).await, worker(&engine, "caller").await);
    let text = call("echo::f", 63 * MIB);
    // What the test's own sockets take is what those of workers take: frames of 16 MiB.
    let ((), asked) = tokio::join!(caller.send_in_frames(&text, 15 * MIB), async {
        let call = echo.next_of("invokefunction").await;
        echo.send_in_frames(&answer(&call, 63 * MIB), 16 * MIB).await;
        call
    });
    assert_eq!(asked["data"].as_str().map(str::len), Some(63 * MIB));
    let answer = caller.next_of("invocationresult").await;
    assert_eq!(answer["result"].as_str().map(str::len), Some(63 * MIB));
}

/// The answer to a call, with a text of so many bytes.
fn answer(call: &Value, bytes: usize) -> String {
    let (id, text) = (call["invocation_id"].as_str().expect("an id"), "y".repeat(bytes));
    format!(
        r#"{{"type":"invocationresult","invocation_id":"{id}","function_id":"echo::f","result":"{text}"}}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_larger_ends_only_its_own_connection_and_says_why() {
    let engine = engine().await;
    let (mut echo, mut other) = (echo(&engine).await, worker(&engine, "other").await);
    for (bytes, frame) in [(65 * MIB, 65 * MIB), (65 * MIB, 13 * MIB)] {
        let mut greedy = worker(&engine, "greedy").await;
        greedy.send_in_frames(&call("echo::f", bytes), frame).await;
        let ended = greedy.ended().await;
        assert_eq!(ended.code, Some(1009), "{ended:?}");
        assert!(ended.reason.contains("too long"), "{ended:?}");
        other.start("echo::f", json!(1)).await;
        assert_eq!(echo.serve(json!(2)).await["data"], 1, "nothing of the large one came");
        assert_eq!(other.next_of("invocationresult").await["result"], 2);
    }
    // What breaks the rules of WebSockets is told as well.
    let mut odd = worker(&engine, "odd").await;
    odd.send_reserved().await;
    assert_eq!(odd.ended().await.code, Some(1002));
}

#[tokio::test]
async fn a_result_that_no_message_can_carry_is_an_error() {
    let engine = engine_with(|builder| {
        let mut limits = Limits::default();
        limits.workers.message_bytes = 64 << 10;
        builder.limits(limits)
    })
    .await;
    let mut peer = worker(&engine, "peer").await;
    for n in 0..3 {
        let part = json!({"scope": "s", "key": n.to_string(), "value": "x".repeat(30 << 10)});
        peer.call("state::set", part).await.unwrap();
    }
    let error = peer.call("state::list", json!({"scope": "s"})).await.unwrap_err();
    assert_eq!(error["code"], "payload_too_large");
    assert!(error["message"].as_str().unwrap().contains("65536"), "{error}");
    assert!(peer.call("state::get", json!({"scope": "s", "key": "0"})).await.is_ok());
}

/// Gives back as much text as it is asked for.
#[iii::function(id = "bounds::text")]
async fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_worker_sends_large_messages_in_frames_and_refuses_what_is_too_large() {
    let engine = engine().await;
    let mut app = App::new();
    app.url(worker_url(&engine)).name("ours").function::<text>();
    let mut running = app.start().await.unwrap();
    let mut peer = worker(&engine, "peer").await;
    let large = peer.call("bounds::text", json!(40 * MIB)).await.unwrap();
    assert_eq!(large.as_str().map(str::len), Some(40 * MIB));
    let error = peer.call("bounds::text", json!(64 * MIB)).await.unwrap_err();
    assert_eq!(error["code"], "payload_too_large");
    let client = running.client();
    let input = "x".repeat(64 * MIB);
    let error = client.call_raw::<()>("bounds::text", &input).await.unwrap_err();
    assert_eq!(error.code(), iii::code::PAYLOAD_TOO_LARGE);
    assert_eq!(client.call::<text>(3).await.unwrap(), "xxx", "the link lives on");
    running.drain().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_worker_survives_an_engine_that_sends_too_much() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.url(engine.url()).name("ours").function::<text>();
    let (running, script) = tokio::join!(app.start(), engine.accept_and_confirm(ID, TOKEN));
    let (running, mut script) = (running.unwrap(), script);
    for (bytes, frame) in [(65 * MIB, 65 * MIB), (65 * MIB, 13 * MIB)] {
        script.peer.send_in_frames(&call("bounds::text", bytes), frame).await;
        assert_eq!(script.peer.ended().await.code, Some(1009));
        // It comes back, and serves.
        script = engine.accept_and_confirm(ID, TOKEN).await;
        let call = json!({
            "type": "invokefunction", "invocation_id": ID, "function_id": "bounds::text", "data": 2,
        });
        script.peer.send(call).await;
        assert_eq!(script.peer.next_of("invocationresult").await["result"], "xx");
    }
    drop(engine);
    script.peer.crash();
    running.abort();
}

const ID: &str = "00000000-0000-4000-8000-000000000001";
const TOKEN: &str = "00000000-0000-4000-8000-000000000002";
