//! Namespaces, names, ids and reattachment (protocol section 3).

use std::time::Duration;

use super::super::Broker;
use super::super::testing::{Worker, broker, json, until, with_provider};
use crate::clock::Clock;
use crate::engine::provider::{BuiltIn, Provider};
use crate::protocol::{HttpInvocation, Message, RegisterFunction};
use std::sync::Arc;

struct State;

impl Provider for State {
    fn name(&self) -> &'static str {
        "iii-state"
    }

    fn description(&self) -> &'static str {
        "For a test."
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        vec![BuiltIn::sync("state::get", "Reads.", |_: serde_json::Value, _| Ok(Some(1)))]
    }
}

fn has(broker: &Broker, namespace: &str, id: &str) -> bool {
    broker.functions().iter().any(|f| f.id == id && f.namespace == namespace)
}

#[tokio::test]
async fn registrations_wait_for_the_announcement() {
    let broker = broker();
    let mut worker = Worker::connect(&broker).await;
    worker.function("a::b");
    worker.function("a::c");
    worker.send(Message::UnregisterFunction { id: "a::c".into() });
    worker.nothing_else().await;
    assert!(broker.functions().is_empty());
    worker.announce("w", "shop").await.unwrap();
    assert!(has(&broker, "shop", "a::b") && !has(&broker, "shop", "a::c"));
    let again =
        worker.call("engine::workers::register", r#"{"name":"v","namespace":"other"}"#).await;
    assert_eq!(again.unwrap().unwrap(), json(r#"{"success":true}"#));
    worker.function("a::d");
    worker.nothing_else().await;
    assert!(has(&broker, "shop", "a::d"));
    assert!(Worker::in_namespace(&broker, "w", "shop").await.id != worker.id);
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_is_in_default_after_the_grace() {
    let broker = Broker::new(Clock::system(), Duration::from_secs(5));
    let mut worker = Worker::connect(&broker).await;
    worker.function("a::b");
    worker.nothing_else().await;
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert!(!has(&broker, "default", "a::b"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(has(&broker, "default", "a::b"));
}

#[tokio::test]
async fn a_blank_namespace_leaves_the_worker_unannounced() {
    let broker = broker();
    let mut worker = Worker::connect(&broker).await;
    let error = worker.announce("w", " ").await.unwrap_err();
    assert_eq!(error.code, "INVALID_NAMESPACE");
    worker.function("a::b");
    worker.announce("w", "shop").await.unwrap();
    assert!(has(&broker, "shop", "a::b"));
}

#[tokio::test]
async fn an_id_belongs_to_one_worker_until_it_leaves() {
    let broker = broker();
    let mut owner = Worker::named(&broker, "owner").await;
    owner.function("a::b");
    owner.function("a::b");
    owner.nothing_else().await;
    let mut other = Worker::named(&broker, "other").await;
    other.function("a::b");
    let rejection = other.rejection().await;
    assert_eq!(rejection.code, "FUNCTION_NAMESPACE_CONFLICT");
    assert_eq!(rejection.namespace, "default");
    assert_eq!(rejection.function_id.unwrap(), "a::b");
    assert_eq!(rejection.owner_worker_id, owner.id.to_string());
    other.send(Message::UnregisterFunction { id: "a::b".into() });
    other.nothing_else().await;
    assert!(has(&broker, "default", "a::b"));
    drop(owner);
    until("gone", || !has(&broker, "default", "a::b")).await;
    other.function("a::b");
    other.nothing_else().await;
    assert!(has(&broker, "default", "a::b"));
}

#[tokio::test]
async fn built_in_ids_cannot_be_claimed() {
    let broker = broker();
    with_provider(&broker, State);
    let mut worker = Worker::named(&broker, "w").await;
    worker.function("state::get");
    let rejection = worker.rejection().await;
    assert_eq!(
        (rejection.code.as_str(), rejection.owner_worker_id.as_str()),
        ("FUNCTION_NAMESPACE_CONFLICT", "")
    );
    assert_eq!(worker.call("state::get", "{}").await, Ok(Some(json("1"))));

    let mut elsewhere = Worker::in_namespace(&broker, "w", "shop").await;
    elsewhere.function("engine::x");
    assert_eq!(elsewhere.rejection().await.owner_worker_id, "");
    worker.function("engine::x");
    worker.function("engine::queue::enqueue");
    worker.nothing_else().await;
}

#[tokio::test]
async fn a_name_belongs_to_one_worker() {
    let broker = broker();
    let first = Worker::named(&broker, "w").await;
    let mut second = Worker::connect(&broker).await;
    second.function("a::b");
    let id = second.start("engine::workers::register", r#"{"name":"w"}"#);
    let rejection = second.rejection().await;
    assert_eq!(rejection.code, "WORKER_NAMESPACE_CONFLICT");
    assert_eq!(rejection.worker_name.as_deref(), Some("w"));
    assert_eq!(rejection.owner_worker_id, first.id.to_string());
    assert_eq!(second.answer_to(id).await, Ok(Some(json(r#"{"success":false}"#))));
    second.closed().await;
    assert!(!has(&broker, "default", "a::b"));
}

#[tokio::test]
async fn a_successor_takes_over_without_conflict() {
    let broker = broker();
    let mut old = Worker::named(&broker, "w").await;
    old.function("a::b");
    old.bind("t", "nothing", "a::b", "{}");
    old.nothing_else().await;
    let mut caller = Worker::named(&broker, "caller").await;
    let id = caller.start("a::b", "{}");
    old.called().await;

    let mut new = Worker::connect(&broker).await;
    let reattach = |token| Message::Reattach { previous_worker_id: old.id, reattach_token: token };
    new.send(reattach(uuid::Uuid::new_v4()));
    new.nothing_else().await;
    assert!(has(&broker, "default", "a::b"), "a wrong token does nothing");
    new.send(reattach(old.token));
    assert_eq!(new.announce("w", "default").await, Ok(Some(json(r#"{"success":true}"#))));
    new.function("a::b");
    new.bind("t", "nothing", "a::b", "{}");
    new.nothing_else().await;
    assert_eq!(caller.answer_to(id).await.unwrap_err().code, "invocation_stopped");
    old.closed().await;
    caller.start("a::b", "{}");
    assert_eq!(new.called().await.function_id, "a::b");
}

#[tokio::test]
async fn a_function_behind_an_endpoint_says_that_nobody_serves_it() {
    let broker = broker();
    let mut worker = Worker::named(&broker, "w").await;
    worker.send(Message::RegisterFunction(Box::new(RegisterFunction {
        id: "ext::f".into(),
        description: None,
        request_format: None,
        response_format: None,
        metadata: None,
        invocation: Some(HttpInvocation(json(r#"{"url":"https://x"}"#))),
    })));
    let error = worker.call("ext::f", "{}").await.unwrap_err();
    assert_eq!(error.code, "http_functions_unavailable");
}

#[tokio::test]
async fn shutting_down_ends_the_links_after_what_was_queued() {
    let broker = broker();
    let mut worker = Worker::named(&broker, "w").await;
    let id = worker.start("engine::workers::register", "{}");
    worker.answer_to(id).await.unwrap();
    broker.shut_down(1012);
    worker.closed().await;
    assert!(broker.workers().is_empty());
}

#[tokio::test]
async fn a_worker_can_have_only_so_much() {
    let broker = broker();
    let mut worker = Worker::named(&broker, "w").await;
    for n in 0..broker.limits().workers.functions {
        worker.function(&format!("f::{n}"));
        worker.bind(&format!("t{n}"), "nothing", "f", "null");
    }
    worker.function("f::0");
    worker.bind("t0", "nothing", "f", "1");
    worker.nothing_else().await;
    worker.function("f::more");
    assert_eq!(worker.rejection().await.code, "overloaded");
    worker.bind("more", "nothing", "f", "null");
    assert_eq!(worker.binding_error().await.error.unwrap().code, "overloaded");
}
