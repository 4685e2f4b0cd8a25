//! Interceptors of a worker against a scripted engine: what their answers look like on the wire, and that a drain waits for
//! them.

use std::sync::Arc;
use std::time::Duration;

use iii::intercept::{ConcurrencyLimit, RateLimit, from_fn};
use iii::prelude::*;
use iii::{Invocation, Next, Running, code, output::Reply};
use iii_tests::{FakeEngine, Peer, Script, within};
use serde_json::{Value, json};
use tokio::sync::Notify;

const WORKER: &str = "6a0c1c0e-0f5b-4d55-9f1a-6d3a3f0f8a11";
const TOKEN: &str = "0b8f3b0e-7f0b-4a55-8d46-0f7b6f0c2a01";
const CALLS: [&str; 3] = [
    "7bf22097-7be4-48e5-a329-5a504bc71e01",
    "7bf22097-7be4-48e5-a329-5a504bc71e02",
    "7bf22097-7be4-48e5-a329-5a504bc71e03",
];

#[iii::function(id = "wire::limited", intercept = [RateLimit::new(1, Duration::from_secs(3600))])]
async fn limited() -> u32 {
    7
}

#[iii::function(id = "wire::panics", intercept = [ConcurrencyLimit::new(1)])]
async fn panics() {
    panic!("the inside of the worker");
}

/// Lets a test hold an interceptor.
#[derive(Default)]
struct Gate {
    entered: Notify,
    open: Notify,
}

/// Goes on after the function, as long as the test wants.
async fn held(call: Invocation, next: Next) -> iii::Result<Reply> {
    let gate = call.resources().get::<Arc<Gate>>().expect("the app has it");
    let result = next.run(call).await;
    gate.entered.notify_one();
    gate.open.notified().await;
    result
}

#[iii::function(id = "wire::held", intercept = [from_fn(held)])]
async fn is_held() -> &'static str {
    "done"
}

async fn started(engine: &FakeEngine, app: &mut App) -> (Running, Script) {
    let (running, script) =
        tokio::join!(app.url(engine.url()).start(), engine.accept_and_confirm(WORKER, TOKEN));
    (running.expect("the worker starts"), script)
}

async fn invoke(peer: &mut Peer, id: &str, function_id: &str) {
    peer.send(json!({
        "type": "invokefunction", "invocation_id": id, "function_id": function_id, "data": null,
    }))
    .await;
}

#[tokio::test]
async fn a_refusal_has_its_code_its_status_and_the_time_to_try_again() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.function::<limited>().function::<panics>();
    let (_running, mut script) = started(&engine, &mut app).await;
    let peer = &mut script.peer;
    invoke(peer, CALLS[0], "wire::limited").await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["result"], 7);
    invoke(peer, CALLS[1], "wire::limited").await;
    let error = peer.next_of("invocationresult").await["error"].take();
    assert_eq!((&error["code"], &error["status"]), (&json!(code::RATE_LIMITED), &json!(429)));
    assert_eq!(error["retryable"], true);
    let after = error["retry_after_ms"].as_u64().expect("it is a number");
    assert!((3_500_000..=3_600_000).contains(&after), "{error}");

    // The text of a panic stays inside, and the place of the limit is free again.
    for id in [CALLS[1], CALLS[2]] {
        invoke(peer, id, "wire::panics").await;
        let error: Value = peer.next_of("invocationresult").await["error"].take();
        assert_eq!(error["code"], code::PANIC);
        assert!(!error.to_string().contains("inside"), "{error}");
    }
}

#[tokio::test]
async fn a_drain_waits_for_interceptors() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let gate = Arc::new(Gate::default());
    app.function::<is_held>().state(gate.clone());
    app.intercept(from_fn(|call: Invocation, next| async move { next.run(call).await }));
    let (mut running, mut script) = started(&engine, &mut app).await;
    let peer = &mut script.peer;
    invoke(peer, CALLS[0], "wire::held").await;
    within("the interceptor", gate.entered.notified()).await;
    let draining = tokio::spawn(async move { running.drain().await });
    peer.next_of("ping").await;
    peer.send(json!({"type": "pong"})).await;
    assert!(!draining.is_finished());
    gate.open.notify_one();
    assert_eq!(peer.next_of("invocationresult").await["result"], "done");
    assert_eq!(peer.next().await, None);
    within("the drain", draining).await.unwrap().unwrap();
}
