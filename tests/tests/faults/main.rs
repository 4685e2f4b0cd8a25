//! What goes wrong with workers of the official Rust SDK, by its number, and goes right here: each at the outermost quick
//! door, which is the harness, or a WebSocket where the link is what fails.

mod connection;
mod handlers;
mod offline;
mod registration;
mod shutdown;

use iii::{App, Running};
use iii_tests::{FakeEngine, Peer, Script};
use serde_json::{Value, json};

/// The ids of a scripted engine.
const WORKER: &str = "6a0c1c0e-0f5b-4d55-9f1a-6d3a3f0f8a11";
const TOKEN: &str = "0b8f3b0e-7f0b-4a55-8d46-0f7b6f0c2a01";
const CALL: &str = "7bf22097-7be4-48e5-a329-5a504bc71e09";

/// A worker that is ready on a scripted engine.
async fn started(engine: &FakeEngine, app: &mut App) -> (Running, Script) {
    let (running, script) =
        tokio::join!(app.url(engine.url()).start(), engine.accept_and_confirm(WORKER, TOKEN));
    (running.expect("the worker starts"), script)
}

/// Calls a function of the worker, as the engine does.
async fn invoke(peer: &mut Peer, function_id: &str, data: Value) {
    peer.send(json!({
        "type": "invokefunction", "invocation_id": CALL, "function_id": function_id, "data": data,
    }))
    .await;
}

/// What a worker registers when it has another function id than its tests need.
#[iii::function(id = "faults::idle")]
async fn idle() {}
