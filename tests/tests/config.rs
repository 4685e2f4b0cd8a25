//! Configurations over WebSocket: what another client sets is seen without a restart, also after a lost link.

use std::time::Duration;

use iii::engine::Engine;
use iii::prelude::*;
use iii::{Running, code};
use iii_tests::{FakeEngine, Peer, confirm, within};
use serde_json::{Value, json};

/// How many items are taken.
#[derive(Debug, iii::Config)]
#[config(id = "x-limits")]
struct Limits {
    #[config(default = 100)]
    most_items: u32,
    #[config(default = "30s")]
    timeout: Duration,
}

#[iii::function(id = "x::most")]
async fn most(limits: Config<Limits>) -> (u32, u64) {
    (limits.most_items, limits.timeout.as_secs())
}

#[iii::function(id = "x::most-again")]
async fn most_again(limits: Config<Limits>) -> u32 {
    limits.most_items
}

async fn engine(port: u16) -> Engine {
    let mut builder = Engine::builder();
    builder.worker_port(port).http_port(0).stream_port(0);
    builder.start().await.expect("the port is free")
}

fn url(engine: &Engine) -> String {
    format!("ws://{}", engine.worker_addr().expect("it listens"))
}

async fn worker(url: &str) -> Running {
    let mut app = App::new();
    app.url(url).function::<most>().name("limits");
    within("the start", app.start()).await.expect("it starts")
}

async fn set(peer: &mut Peer, value: Value) {
    let input = json!({"id": "x-limits", "value": value});
    peer.call("configuration::set", input).await.expect("it is taken");
}

/// Waits until the worker has heard of a value.
async fn heard(watch: &mut iii::ConfigWatch<Limits>, most_items: u32) {
    within("the new value", async {
        while watch.current().is_none_or(|limits| limits.most_items != most_items) {
            watch.changed().await.expect("the worker runs");
        }
    })
    .await;
}

#[tokio::test]
async fn what_another_client_sets_is_seen_without_a_restart_and_after_one_of_the_engine() {
    let first = engine(0).await;
    let port = first.worker_addr().expect("it listens").port();
    let url = url(&first);
    let running = worker(&url).await;
    let mut watch = running.watch_config::<Limits>().expect("a function takes it");
    let mut peer = Peer::named(&url, "other").await;
    assert_eq!(peer.call("x::most", json!(null)).await, Ok(json!([100, 30])));

    // The schema is there for everybody, and nobody's value was written.
    let view = peer.call("configuration::schema", json!({"id": "x-limits"})).await.unwrap();
    assert_eq!(view["schema"]["properties"]["most_items"]["default"], 100);
    let value = peer.call("configuration::get", json!({"id": "x-limits"})).await.unwrap();
    assert_eq!(value["value"], Value::Null);
    let listed = peer.call("engine::functions::list", json!({})).await.unwrap();
    assert!(!listed.to_string().contains("configuration-changed"), "{listed}");

    set(&mut peer, json!({"most_items": 7, "timeout": "1m"})).await;
    heard(&mut watch, 7).await;
    assert_eq!(peer.call("x::most", json!(null)).await, Ok(json!([7, 60])));

    // Another engine at the same address knows nothing: the worker tells it, and listens again.
    first.stop().await;
    let second = engine(port).await;
    heard(&mut watch, 100).await;
    let mut peer = Peer::named(&url, "other").await;
    set(&mut peer, json!({"most_items": 8})).await;
    heard(&mut watch, 8).await;
    assert_eq!(peer.call("x::most", json!(null)).await, Ok(json!([8, 30])));
    second.stop().await;
}

#[tokio::test]
async fn each_copy_of_a_worker_hears_of_changes() {
    let engine = engine(0).await;
    let url = url(&engine);
    let first = worker(&url).await;
    let mut app = App::new();
    app.url(&url).function::<most_again>().name("limits-again");
    let second = within("the start", app.start()).await.expect("it starts");
    let mut peer = Peer::named(&url, "other").await;
    set(&mut peer, json!({"most_items": 7})).await;
    for running in [&first, &second] {
        heard(&mut running.watch_config::<Limits>().expect("a function takes it"), 7).await;
    }
    engine.stop().await;
}

/// Answers the next call of a function of the store.
async fn answer(peer: &mut Peer, function: &str, answer: Value) {
    let call = peer.next_of("invokefunction").await;
    assert_eq!(call["function_id"], function, "{call}");
    let mut message = json!({
        "type": "invocationresult", "invocation_id": call["invocation_id"], "function_id": function,
    });
    let kind = if answer.get("code").is_some() { "error" } else { "result" };
    message[kind] = answer;
    peer.send(message).await;
}

fn error(code: &str) -> Value {
    json!({"code": code, "message": "no"})
}

#[tokio::test]
async fn an_engine_without_a_store_leaves_the_other_sources() {
    let engine = FakeEngine::start().await;
    let url = engine.url();
    let starting = tokio::spawn(async move { worker(&url).await });
    let peer = engine
        .accept("6a0c1c0e-0f5b-4d55-9f1a-6d3a3f0f8a11", "0b8f3b0e-7f0b-4a55-8d46-0f7b6f0c2a01");
    let mut peer = confirm(peer.await, |_| true).await.peer;
    answer(&mut peer, "configuration::schema", error("function_not_found")).await;
    let running = starting.await.expect("it starts");
    let limits = running.watch_config::<Limits>().and_then(|watch| watch.current());
    assert_eq!(limits.expect("the defaults").most_items, 100);
}

#[tokio::test]
async fn a_value_that_does_not_fit_ends_the_start() {
    let engine = FakeEngine::start().await;
    let url = engine.url();
    let starting = tokio::spawn(async move {
        let mut app = App::new();
        app.url(&url).function::<most>();
        app.start().await
    });
    let peer = engine
        .accept("6a0c1c0e-0f5b-4d55-9f1a-6d3a3f0f8a11", "0b8f3b0e-7f0b-4a55-8d46-0f7b6f0c2a01");
    let mut peer = confirm(peer.await, |_| true).await.peer;
    answer(&mut peer, "configuration::schema", error("NOT_FOUND")).await;
    let call = peer.serve(json!({"id": "x-limits"})).await;
    assert_eq!(call["function_id"], "configuration::register");
    assert!(call["data"].get("initial_value").is_none(), "{call}");
    let read = json!({"id": "x-limits", "value": {"most_items": "many"}});
    answer(&mut peer, "configuration::get", read).await;
    let error = within("the end", starting).await.unwrap().expect_err("it does not start");
    assert_eq!(error.code(), code::INVALID_CONFIGURATION);
    assert!(error.message().contains("`most_items` of `Limits`"), "{error}");
}
