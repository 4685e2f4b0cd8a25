//! F17, F18 and F22: the settings of the connection, and its state.

use std::time::{Duration, Instant};

use iii::prelude::*;
use iii::{
    code,
    lifecycle::{Backoff, ConnectionState},
};
use iii_tests::{FakeEngine, Script, within};

use super::{CALL, TOKEN, idle, started};

/// The pauses between attempts to come back are settings, with growth and chance.
#[tokio::test]
async fn f17_pauses_are_settings() {
    let engine = FakeEngine::start().await;
    let pause = Duration::from_millis(1);
    let mut app = App::new();
    app.backoff(Backoff { initial: pause, max: pause, factor: 1.0, jitter: 1.0 });
    let (_running, Script { peer, .. }) = started(&engine, app.function::<idle>()).await;
    peer.crash();
    let begun = Instant::now();
    // Far more attempts than the usual pauses would allow in this time.
    for _ in 0..30 {
        engine.accept(CALL, TOKEN).await.crash();
    }
    assert!(begun.elapsed() < iii_tests::DEADLINE);
    engine.accept_and_confirm(CALL, TOKEN).await;
}

/// How long a caller waits is a setting of the call, of the function, and of the app.
#[iii::test(only(never), setup = impatient)]
async fn f18_timeouts_are_settings(iii: Harness) {
    let begun = iii.now();
    let waited = |since| iii.now().duration_since(since).unwrap().as_secs();
    let error = iii.call::<never>(()).await.unwrap_err();
    assert_eq!((error.code(), waited(begun)), (code::TIMEOUT, 7), "that of the function");
    let begun = iii.now();
    let error = iii.call::<never>(()).timeout(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!((error.code(), waited(begun)), (code::TIMEOUT, 2), "that of the call");
}

#[iii::function(id = "faults::never", timeout = "7s")]
async fn never() {
    std::future::pending::<()>().await;
}

async fn impatient(app: &mut App) {
    app.call_timeout(Duration::from_secs(5));
}

/// That of the app, seen by a handler that calls.
#[iii::test(only(asks), setup = impatient)]
async fn f18_the_timeout_of_the_app_is_a_setting(iii: Harness) {
    iii.mock::<Other::slow>(|()| Ok(()));
    iii.delay::<Other::slow>(Duration::from_secs(3600));
    let begun = iii.now();
    let error = iii.call::<asks>(()).await.unwrap_err();
    assert_eq!(error.code(), code::TIMEOUT);
    assert_eq!(iii.now().duration_since(begun).unwrap().as_secs(), 5);
}

#[iii::function(id = "faults::asks")]
async fn asks(client: Client) -> iii::Result<()> {
    client.call::<Other::slow>(()).await
}

#[iii::remote(prefix = "faults-other")]
trait Other {
    async fn slow();
}

/// The state of the connection, and whether the worker is ready, are values to watch.
#[tokio::test]
async fn f22_state_and_readiness_can_be_watched() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let mut ready = app.ready();
    assert!(!*ready.borrow_and_update(), "it is there before the start");
    app.backoff(Backoff { initial: Duration::from_millis(1), ..Backoff::default() });
    let (mut running, Script { peer, .. }) = started(&engine, app.function::<idle>()).await;
    let mut state = running.client().connection_state();
    assert_eq!(*state.borrow_and_update(), ConnectionState::Connected);
    assert!(*ready.borrow_and_update());

    peer.crash();
    let lost = |state: &ConnectionState| *state == ConnectionState::Reconnecting;
    within("the loss", state.wait_for(lost)).await.unwrap();
    assert!(!*ready.borrow_and_update());
    let peer = engine.accept(CALL, TOKEN).await;
    let connected = |state: &ConnectionState| *state == ConnectionState::Connected;
    within("the link", state.wait_for(connected)).await.unwrap();
    assert!(!*ready.borrow(), "what is registered is not confirmed yet");
    let Script { mut peer, .. } = iii_tests::confirm(peer, |_| true).await;
    within("it is ready", ready.wait_for(|ready| *ready)).await.unwrap();

    let draining = tokio::spawn(async move { running.drain().await });
    within("it takes no more", ready.wait_for(|ready| !ready)).await.unwrap();
    peer.next_of("ping").await;
    peer.send(serde_json::json!({"type": "pong"})).await;
    within("the drain", draining).await.unwrap().unwrap();
    let gone = |state: &ConnectionState| *state == ConnectionState::Disconnected;
    within("the end", state.wait_for(gone)).await.unwrap();
}
