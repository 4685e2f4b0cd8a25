//! What one client does must not harm the others: a wildcard, a missing name, a claimed id, a stuck provider, a huge body.

use iii::engine::{Engine, EngineBuilder};
use iii_tests::{Peer, request};
use serde_json::{Value, json};

async fn engine() -> Engine {
    Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.expect("free ports")
}

/// A worker that has introduced itself.
async fn worker(engine: &Engine, name: &str) -> Peer {
    let mut peer = Peer::connect(&format!("ws://{}", engine.worker_addr().unwrap())).await;
    peer.next_of("workerregistered").await;
    peer.call("engine::workers::register", json!({"name": name, "pid": 1})).await.unwrap();
    peer
}

async fn bind(peer: &mut Peer, id: &str, kind: &str, function: &str, config: Value) {
    peer.send(json!({
        "type": "registertrigger", "id": id, "trigger_type": kind, "function_id": function,
        "config": config,
    }))
    .await;
}

/// Answers the next call of this worker.
async fn answer(peer: &mut Peer, result: Value) -> Value {
    let call = peer.next_of("invokefunction").await;
    peer.send(json!({
        "type": "invocationresult", "invocation_id": call["invocation_id"],
        "function_id": call["function_id"], "result": result,
    }))
    .await;
    call
}

#[tokio::test]
async fn a01_a_path_that_cannot_be_served_is_refused_and_the_next_one_is_served() {
    let engine = engine().await;
    let mut peer = worker(&engine, "web").await;
    peer.send(json!({"type": "registerfunction", "id": "web::f"})).await;
    for (at, path) in ["/a/*rest", "/a/:", "/a/:x/:x"].iter().enumerate() {
        bind(&mut peer, &format!("bad-{at}"), "http", "web::f", json!({"api_path": path})).await;
        let refused = peer.next_of("triggerregistrationresult").await;
        assert_eq!(refused["error"]["code"], "trigger_registration_failed", "{path}: {refused}");
    }
    bind(&mut peer, "good", "http", "web::f", json!({"api_path": "/a/:x"})).await;
    // Calls and registrations of one connection are handled in order.
    peer.call("engine::functions::list", json!({})).await.unwrap();
    let asked = tokio::spawn(request(engine.http_addr().unwrap(), "GET", "/a/1", None));
    answer(&mut peer, json!({"body": "served"})).await;
    assert_eq!(asked.await.unwrap().json(), "served");
}

#[tokio::test]
async fn a02_a_stream_trigger_without_a_name_is_refused_and_the_connection_lives_on() {
    let engine = engine().await;
    let mut peer = worker(&engine, "chat").await;
    for config in [json!({}), json!(null), json!({"stream_name": ""}), json!(7)] {
        bind(&mut peer, "s", "stream", "chat::f", config.clone()).await;
        let refused = peer.next_of("triggerregistrationresult").await;
        assert_eq!(refused["error"]["code"], "trigger_registration_failed", "{config}: {refused}");
    }
    let item = json!({"stream_name": "c", "group_id": "g", "item_id": "i", "data": 1});
    assert_eq!(peer.call("stream::set", item).await.unwrap()["new_value"], 1);
}

#[tokio::test]
async fn a03_one_subscriber_that_leaves_takes_nobody_along() {
    let engine = engine().await;
    let (mut stays, mut leaves) = (worker(&engine, "stays").await, worker(&engine, "leaves").await);
    for (peer, name) in [(&mut stays, "stays"), (&mut leaves, "leaves")] {
        peer.send(json!({"type": "registerfunction", "id": format!("{name}::f")})).await;
        bind(peer, name, "subscribe", &format!("{name}::f"), json!({"topic": "news"})).await;
        peer.call("engine::functions::list", json!({})).await.unwrap();
    }
    leaves.send(json!({"type": "unregistertrigger", "id": "leaves"})).await;
    let news = json!({"topic": "news", "data": "hi"});
    leaves.call("publish", news).await.unwrap();
    assert_eq!(answer(&mut stays, json!(null)).await["data"], "hi");
}

#[tokio::test]
async fn a04_nobody_takes_the_id_of_a_built_in_function() {
    let engine = engine().await;
    let mut thief = worker(&engine, "thief").await;
    thief.send(json!({"type": "registerfunction", "id": "state::get"})).await;
    let rejected = thief.next_of("registrationrejected").await;
    assert_eq!(rejected["code"], "FUNCTION_NAMESPACE_CONFLICT");
    thief.crash();
    let mut peer = worker(&engine, "honest").await;
    let place = json!({"scope": "s", "key": "k", "value": 1});
    peer.call("state::set", place.clone()).await.unwrap();
    assert_eq!(peer.call("state::get", place).await.unwrap(), 1);
}

#[tokio::test]
async fn a06_a_provider_that_never_answers_holds_up_nobody() {
    let engine = engine().await;
    let mut provider = worker(&engine, "provider").await;
    provider
        .send(json!({"type": "registertriggertype", "id": "mail", "description": "mail"}))
        .await;
    provider.call("engine::functions::list", json!({})).await.unwrap();
    let mut peer = worker(&engine, "peer").await;
    for at in 0..200 {
        bind(&mut peer, &format!("m{at}"), "mail", "peer::f", json!({"at": at})).await;
    }
    // The provider reads nothing, and the worker's own messages go on.
    assert!(peer.call("state::list_groups", json!({})).await.is_ok());
    peer.send(json!({"type": "registerfunction", "id": "peer::f"})).await;
    let known = peer.call("engine::functions::info", json!({"function_id": "peer::f"})).await;
    assert_eq!(known.unwrap()["function_id"], "peer::f");
}

#[tokio::test]
async fn a09_a_body_beyond_the_limit_is_refused() {
    let builder = Engine::builder().worker_port(0).http_port(0).stream_port(0);
    let engine = builder.http_body_limit(100).start().await.unwrap();
    let mut peer = worker(&engine, "web").await;
    let route = json!({"api_path": "/in", "http_method": "POST"});
    bind(&mut peer, "in", "http", "web::f", route).await;
    peer.call("engine::functions::list", json!({})).await.unwrap();
    let body = format!("\"{}\"", "x".repeat(200));
    let refused = request(engine.http_addr().unwrap(), "POST", "/in", Some(&body)).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "payload_too_large");
}

#[test]
fn a12_a_variable_that_is_not_set_is_an_error_that_names_it() {
    let error =
        EngineBuilder::from_yaml("workers:\n  - name: ${NO_SUCH_VARIABLE_HERE}\n").unwrap_err();
    assert_eq!(error.code(), iii::code::INVALID_CONFIGURATION);
    assert!(error.message().contains("NO_SUCH_VARIABLE_HERE"), "{error}");
    assert!(error.message().contains("line 2"), "{error}");
}
