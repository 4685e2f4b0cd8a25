//! F13 to F16: calls and handlers when the link to the engine is lost, and calls that are given up.

use std::time::Duration;

use iii::code;
use iii::prelude::*;
use iii_tests::{FakeEngine, Script, until, within};
use serde_json::{Value, json};

use super::{TOKEN, idle, started};

const SECOND: Duration = Duration::from_secs(1);

#[iii::function(id = "faults::naps")]
async fn naps(seconds: u64) -> u64 {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    seconds
}

/// Calls in flight fail when the engine is lost, and not after their timeout.
#[iii::test(only(naps))]
async fn f13_a_lost_engine_fails_calls_at_once(iii: Harness) {
    let call = tokio::spawn(iii.call::<naps>(20).timeout(60 * SECOND).into_future());
    iii.settle().await;
    let begun = iii.now();
    iii.engine_down(SECOND).await;
    assert_eq!(call.await.unwrap().unwrap_err().code(), code::CONNECTION_LOST);
    assert_eq!(iii.now(), begun);
}

/// A call whose caller gave up while the engine was away is never sent; one whose caller still waits is, once.
#[tokio::test]
async fn f14_calls_that_were_given_up_are_never_sent() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (running, Script { peer, .. }) = started(&engine, app.function::<idle>()).await;
    let client = running.client();
    let mut ready = running.ready();
    peer.crash();
    within("the loss", ready.wait_for(|ready| !ready)).await.unwrap();
    for n in 0..4 {
        let call = client.call_raw::<Value>("gave::up", &n).timeout(Duration::from_millis(1));
        assert_eq!(call.await.unwrap_err().code(), code::NOT_CONNECTED);
    }
    // Given up by dropping it, before it was ever sent.
    let dropped = tokio::spawn(client.call_raw::<Value>("gave::up", &4).into_future());
    tokio::task::yield_now().await;
    dropped.abort();
    let waits = tokio::spawn(client.call_raw::<u8>("still::waits", &()).into_future());

    let Script { mut peer, messages } = engine.accept_and_confirm(super::CALL, TOKEN).await;
    let mut calls: Vec<Value> = messages;
    while !calls.iter().any(|m| m["function_id"] == "still::waits") {
        calls.push(peer.next().await.expect("the worker goes on"));
    }
    let call = calls.iter().find(|m| m["function_id"] == "still::waits").unwrap().clone();
    peer.answer(&call, json!(7)).await;
    assert_eq!(within("the answer", waits).await.unwrap().unwrap(), 7);
    // Whatever was queued before would have come by now.
    client.send_raw("the::end", &()).await.unwrap();
    loop {
        let message = peer.next_of("invokefunction").await;
        calls.push(message.clone());
        if message["function_id"] == "the::end" {
            break;
        }
    }
    let sent = |id: &str| calls.iter().filter(|m| m["function_id"] == id).count();
    assert_eq!((sent("gave::up"), sent("still::waits")), (0, 1));
}

/// A caller learns at once that the link of its callee broke; the handler goes on, and the worker serves again.
#[iii::test(only(naps))]
async fn f15_a_broken_link_of_the_callee_is_told_at_once(iii: Harness) {
    let call = tokio::spawn(iii.call::<naps>(5).timeout(60 * SECOND).into_future());
    iii.settle().await;
    let begun = iii.now();
    iii.drop_connection().await;
    assert_eq!(call.await.unwrap().unwrap_err().code(), "invocation_stopped");
    assert_eq!(iii.now(), begun);
    iii.connected().await;
    assert_eq!(iii.call::<naps>(0).await.unwrap(), 0);
    iii.advance(5 * SECOND).await;
    assert!(iii.calls::<naps>().await[0].error().is_none(), "the handler was not cut off");
}

/// A call that is dropped is forgotten here. The function over there may still run: the protocol cannot stop it.
#[tokio::test]
async fn f16_dropped_calls_are_forgotten() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (running, Script { mut peer, .. }) = started(&engine, app.function::<idle>()).await;
    let client = running.client();
    assert_eq!(client.pending_calls(), 0);
    let calls: Vec<_> = (0..1000)
        .map(|n| tokio::spawn(client.call_raw::<Value>("never::answers", &n).into_future()))
        .collect();
    until("all calls are made", || client.pending_calls() == 1000).await;
    for call in calls {
        call.abort();
    }
    until("all calls are forgotten", || client.pending_calls() == 0).await;
    // Answers that come too late harm nobody.
    let late = peer.next_of("invokefunction").await;
    peer.answer(&late, json!(1)).await;
    peer.settled().await;
    let short = client.call_raw::<Value>("never::answers", &()).timeout(Duration::from_millis(1));
    assert_eq!(short.await.unwrap_err().code(), code::TIMEOUT);
    assert_eq!(client.pending_calls(), 0, "one that has given up is forgotten as well");
}
