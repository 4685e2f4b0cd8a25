//! F11 and F12: a worker that stops.

use std::sync::Arc;

use iii::code;
use iii::prelude::*;
use iii_tests::{FakeEngine, Peer, Script, within};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::{idle, invoke, started};

/// Lets a test hold a handler.
#[derive(Default)]
struct Gate {
    entered: Notify,
    open: Notify,
}

#[iii::function(id = "faults::gated")]
async fn gated(gate: State<Arc<Gate>>) -> &'static str {
    gate.entered.notify_one();
    gate.open.notified().await;
    "done"
}

/// Starts a worker, holds its handler, and tells it to stop.
async fn draining(
    engine: &FakeEngine,
    app: &mut App,
    gate: &Gate,
) -> (Peer, JoinHandle<iii::Result<()>>) {
    let (mut running, Script { mut peer, .. }) = started(engine, app).await;
    invoke(&mut peer, "faults::gated", json!({})).await;
    within("the handler", gate.entered.notified()).await;
    let draining = tokio::spawn(async move { running.drain().await });
    peer.next_of("ping").await;
    (peer, draining)
}

/// What runs when a worker stops is finished and answered; the hooks of the app come after it, over the same link.
#[tokio::test]
async fn f11_a_stop_finishes_and_answers_what_runs() {
    let engine = FakeEngine::start().await;
    let gate = Arc::new(Gate::default());
    let mut app = App::new();
    app.state(gate.clone()).function::<gated>();
    app.on_stop(async |client| {
        client.send_raw("other::gone", &"the worker").await?;
        Ok(())
    });
    let (mut peer, draining) = draining(&engine, &mut app, &gate).await;
    peer.send(json!({"type": "pong"})).await;
    gate.open.notify_one();
    let answer = peer.next().await.expect("the link is there");
    assert_eq!((&answer["type"], &answer["result"]), (&json!("invocationresult"), &json!("done")));
    let last = peer.next().await.expect("the link is still there");
    assert_eq!(
        (&last["function_id"], &last["data"]),
        (&json!("other::gone"), &json!("the worker"))
    );
    assert_eq!(peer.next().await, None);
    within("the drain", draining).await.unwrap().unwrap();
}

/// A link that is lost while the worker stops takes neither handlers nor hooks along.
#[tokio::test]
async fn f11_a_link_that_is_lost_meanwhile_ends_nothing_early() {
    let engine = FakeEngine::start().await;
    let (gate, stopped) = (Arc::new(Gate::default()), Arc::new(Notify::new()));
    let of_hook = stopped.clone();
    let mut app = App::new();
    app.state(gate.clone()).function::<gated>();
    app.on_stop(async move |client| {
        let error = client.call_raw::<Value>("any", &()).await.unwrap_err();
        assert_eq!(error.code(), code::SHUTTING_DOWN, "it does not wait for a link");
        of_hook.notify_one();
        Ok(())
    });
    let (peer, draining) = draining(&engine, &mut app, &gate).await;
    peer.crash();
    gate.open.notify_one();
    within("the hook", stopped.notified()).await;
    within("the drain", draining).await.unwrap().unwrap();
}

/// A call of a client whose worker has stopped fails at once.
#[tokio::test]
async fn f12_a_call_after_the_end_fails_at_once() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (mut running, Script { mut peer, .. }) = started(&engine, app.function::<idle>()).await;
    let client = running.client();
    let answering = tokio::spawn(async move {
        peer.next_of("ping").await;
        peer.send(json!({"type": "pong"})).await;
        while peer.next().await.is_some() {}
    });
    within("the drain", running.drain()).await.unwrap();
    answering.await.unwrap();
    let call = client.call_raw::<Value>("any", &()).timeout(2 * iii_tests::DEADLINE);
    let error = within("the error", call.into_future()).await.unwrap_err();
    assert_eq!(error.code(), code::SHUTTING_DOWN);
    // A worker that is told twice to stop says the same twice.
    running.drain().await.unwrap();
}
