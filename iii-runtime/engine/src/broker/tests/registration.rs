//! Namespaces, names, function ids and reattachment ([protocol 3](iii_wire::protocol#s3)).

use std::time::Duration;

use super::super::Broker;
use super::super::testing::{Worker, broker, json, until, with_provider};
use crate::provider::{BuiltIn, Provider};
use iii_wire::clock::Clock;
use iii_wire::code;
use iii_wire::protocol::{HttpInvocation, Message, RegisterFunction, RegisterTriggerType};
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
async fn registrations_are_buffered_until_the_announcement() {
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
async fn worker_without_announcement_is_in_default_after_the_grace_period() {
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
async fn blank_namespace_leaves_the_worker_unannounced() {
    let broker = broker();
    let mut worker = Worker::connect(&broker).await;
    let error = worker.announce("w", " ").await.unwrap_err();
    assert_eq!(error.code, "INVALID_NAMESPACE");
    worker.function("a::b");
    worker.announce("w", "shop").await.unwrap();
    assert!(has(&broker, "shop", "a::b"));
}

#[tokio::test]
async fn function_id_belongs_to_one_worker_until_it_disconnects() {
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
    assert!(has(&broker, "default", "a::b"), "only its owner can unregister it");
    drop(owner);
    until("unregistered", || !has(&broker, "default", "a::b")).await;
    other.function("a::b");
    other.nothing_else().await;
    assert!(has(&broker, "default", "a::b"));
}

/// The owner of `a::b`.
fn owner(broker: &Broker) -> Option<iii_wire::protocol::WorkerId> {
    broker.functions_called("a::b").first().and_then(|function| function.owner)
}

/// Connects a worker that is on standby for `a::b`.
async fn on_standby(broker: &Broker, name: &str) -> Worker {
    let mut worker = Worker::named(broker, name).await;
    worker.function("a::b");
    assert_eq!(worker.rejection().await.code, "FUNCTION_NAMESPACE_CONFLICT");
    worker
}

#[tokio::test]
async fn standby_worker_takes_over_a_function_in_order() {
    let broker = broker();
    let mut first = Worker::named(&broker, "first").await;
    first.function("a::b");
    first.nothing_else().await;
    let mut second = on_standby(&broker, "second").await;
    let third = on_standby(&broker, "third").await;
    let mut fourth = on_standby(&broker, "fourth").await;
    // Registering again keeps its position.
    second.function("a::b");
    second.rejection().await;
    drop(third);
    until("disconnected", || {
        !broker
            .workers()
            .iter()
            .any(|one| one.info.as_ref().is_some_and(|info| info.name.as_deref() == Some("third")))
    })
    .await;

    first.send(Message::UnregisterFunction { id: "a::b".into() });
    first.nothing_else().await;
    assert_eq!(owner(&broker), Some(second.id));
    let id = first.start("a::b", "1");
    let call = second.called().await;
    second.answer(&call, Ok(Some(json("2"))));
    assert_eq!(first.answer_to(id).await, Ok(Some(json("2"))));

    drop(second);
    until("taken over", || owner(&broker) == Some(fourth.id)).await;
    fourth.send(Message::UnregisterFunction { id: "a::b".into() });
    fourth.nothing_else().await;
    assert_eq!(owner(&broker), None);
}

#[tokio::test(start_paused = true)]
async fn successor_takes_precedence_over_standby_workers() {
    let broker = broker();
    let mut old = Worker::named(&broker, "w").await;
    for id in ["a::b", "a::c"] {
        old.function(id);
    }
    old.nothing_else().await;
    let mut other = on_standby(&broker, "other").await;
    other.function("a::c");
    other.rejection().await;
    let mut new = Worker::connect(&broker).await;
    new.send(Message::Reattach { previous_worker_id: old.id, reattach_token: old.token });
    assert_eq!(new.announce("w", "default").await, Ok(Some(json(r#"{"success":true}"#))));
    new.function("a::b");
    new.nothing_else().await;
    assert_eq!(owner(&broker), Some(new.id));
    // A function that it does not register again goes to the standby worker.
    assert!(!has(&broker, "default", "a::c"));
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(broker.functions_called("a::c")[0].owner, Some(other.id));
    assert_eq!(owner(&broker), Some(new.id));
}

#[tokio::test]
async fn invalid_registrations_are_reported() {
    let broker = broker();
    let mut worker = Worker::named(&broker, "w").await;
    worker.function("");
    worker.send(Message::RegisterTriggerType(Box::new(RegisterTriggerType {
        id: "mail".into(),
        description: String::new(),
        trigger_request_format: None,
        call_request_format: None,
        namespace: Some(" ".into()),
    })));
    for word in ["`id`", "`namespace`"] {
        let Message::Error(error) = worker.next().await else { panic!("expected an error") };
        assert_eq!(error.code, code::INVALID_MESSAGE);
        assert!(error.message.contains(word), "{error}");
    }
    worker.nothing_else().await;
}

#[tokio::test]
async fn built_in_ids_are_reserved() {
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
async fn worker_name_is_unique() {
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
async fn successor_takes_over_without_conflict() {
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
    assert!(has(&broker, "default", "a::b"), "a wrong token is ignored");
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
async fn http_function_fails_without_a_provider() {
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
async fn shutdown_closes_connections_after_queued_messages() {
    let broker = broker();
    let mut worker = Worker::named(&broker, "w").await;
    let id = worker.start("engine::workers::register", "{}");
    worker.answer_to(id).await.unwrap();
    broker.shut_down(1012);
    worker.closed().await;
    assert!(broker.workers().is_empty());
}

#[tokio::test]
async fn registrations_of_a_worker_are_limited() {
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
    let refused = worker.rejection().await;
    // Any other code would stop an SDK for good (protocol.md#s3-8).
    assert_eq!(refused.code, "FUNCTION_NAMESPACE_CONFLICT");
    assert_eq!(refused.error.unwrap().code, "overloaded");
    worker.bind("more", "nothing", "f", "null");
    assert_eq!(worker.binding_error().await.error.unwrap().code, "overloaded");
}
