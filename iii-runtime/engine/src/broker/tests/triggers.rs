//! Triggers, providers, parking and fallback ([protocol 3.6](iii_wire::protocol#s3-6)).

use std::sync::{Arc, Mutex};

use super::super::testing::{Worker, broker, json, until, with_provider};
use super::super::{Broker, lock};
use crate::provider::{Binding, Provider, TriggerTypeInfo, refused};
use iii_wire::protocol::{
    ErrorBody, Message, RegisterTrigger, TriggerId, TriggerRegistrationResult,
};

/// Provides the type `made`; rejects the config `"no"`, panics for `"panic"`, accepts one trigger with `"one"`.
#[derive(Default)]
struct Made {
    events: Mutex<Vec<String>>,
    one: Mutex<Option<TriggerId>>,
}

impl Made {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.events))
    }
}

impl Provider for Made {
    fn name(&self) -> &'static str {
        "iii-made"
    }

    fn description(&self) -> &'static str {
        "For a test."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        vec![TriggerTypeInfo {
            id: "made",
            description: "",
            config_schema: None,
            request_schema: None,
        }]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        match binding.config.as_str() {
            "\"no\"" => Err(refused("not this one")),
            "\"panic\"" => panic!("on purpose"),
            "\"one\"" => match &mut *lock(&self.one) {
                Some(other) if *other != binding.id => {
                    Err(ErrorBody { retryable: Some(true), ..refused("taken") })
                }
                one => {
                    *one = Some(binding.id.clone());
                    Ok(())
                }
            },
            config => {
                lock(&self.events).push(format!("+{} {config}", binding.id));
                Ok(())
            }
        }
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        lock(&self.one).take_if(|one| *one == binding.id);
        lock(&self.events).push(format!("-{}", binding.id));
    }
}

fn bound_ids(broker: &Broker) -> Vec<String> {
    broker.bindings().iter().map(|one| one.id.to_string()).collect()
}

fn verdict(m: &RegisterTrigger, error: Option<ErrorBody>) -> Message {
    Message::TriggerRegistrationResult(Box::new(TriggerRegistrationResult {
        id: m.id.clone(),
        trigger_type: m.trigger_type.clone(),
        function_id: m.function_id.clone(),
        error,
    }))
}

#[tokio::test]
async fn built_in_provider_receives_all_changes() {
    let broker = broker();
    let made = with_provider(&broker, Made::default());
    let mut worker = Worker::named(&broker, "w").await;
    worker.bind("a", "made", "f", "1");
    worker.bind("a", "made", "f", "2");
    worker.bind("b", "made", "f", "3");
    worker.unbind("b");
    worker.nothing_else().await;
    assert_eq!(made.take(), ["+a 1", "+a 2", "+b 3", "-b"]);

    // A rejection changes nothing.
    worker.bind("a", "made", "f", "\"no\"");
    let error = worker.binding_error().await;
    assert_eq!(error.id, "a");
    assert_eq!(error.error.unwrap().code, "trigger_registration_failed");
    assert_eq!(broker.bindings()[0].config, json("2"));
    worker.bind("c", "made", "f", "\"panic\"");
    assert_eq!(worker.binding_error().await.error.unwrap().code, "trigger_registration_failed");
    assert_eq!(bound_ids(&broker), ["a"]);

    drop(worker);
    until("removed", || broker.bindings().is_empty()).await;
    assert_eq!(made.take(), ["-a"]);
}

#[tokio::test(start_paused = true)]
async fn rejected_trigger_is_accepted_when_the_conflicting_one_is_removed() {
    let broker = broker();
    with_provider(&broker, Made::default());
    let mut first = Worker::named(&broker, "first").await;
    first.bind("a", "made", "f", "\"one\"");
    first.nothing_else().await;
    let mut second = Worker::named(&broker, "second").await;
    second.bind("bad", "made", "f", "\"no\"");
    second.binding_error().await;
    let third = Worker::named(&broker, "third").await;
    for (worker, id) in [(&mut second, "b"), (&mut Worker::named(&broker, "x").await, "x")] {
        worker.bind(id, "made", "f", "\"one\"");
        assert_eq!(worker.binding_error().await.id, id);
    }
    third.bind("c", "made", "f", "\"one\"");
    until("x is gone and c is parked", || broker.parked().len() == 3).await;
    assert_eq!(bound_ids(&broker), ["a"]);

    // The successor of a connection takes precedence.
    let mut next = Worker::connect(&broker).await;
    next.send(Message::Reattach { previous_worker_id: first.id, reattach_token: first.token });
    next.announce("first", "default").await.unwrap().unwrap();
    next.bind("a", "made", "f", "\"one\"");
    next.nothing_else().await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(bound_ids(&broker), ["a"]);

    next.unbind("a");
    next.nothing_else().await;
    assert_eq!(bound_ids(&broker), ["b"]);
    drop(second);
    until("c is next", || bound_ids(&broker) == ["c"]).await;
    assert!(broker.parked().is_empty());
}

#[tokio::test]
async fn trigger_belongs_to_the_worker_that_registered_it() {
    let broker = broker();
    let made = with_provider(&broker, Made::default());
    let mut owner = Worker::named(&broker, "owner").await;
    owner.bind("a", "made", "f", "1");
    owner.nothing_else().await;
    let mut other = Worker::named(&broker, "other").await;
    other.unbind("a");
    other.bind("a", "made", "g", "2");
    let error = other.binding_error().await.error.unwrap();
    assert_eq!(error.code, "trigger_registration_failed");
    assert_eq!(made.take(), ["+a 1"]);
    assert_eq!(broker.bindings()[0].function_id, "f");
}

#[tokio::test]
async fn built_in_trigger_types_are_reserved() {
    let broker = broker();
    with_provider(&broker, Made::default());
    let mut worker = Worker::named(&broker, "w").await;
    worker.trigger_type("made");
    assert_eq!(worker.rejection().await.code, "FUNCTION_NAMESPACE_CONFLICT");
}

#[tokio::test]
async fn parked_trigger_is_forwarded_to_each_new_provider() {
    let broker = broker();
    let mut consumer = Worker::named(&broker, "consumer").await;
    consumer.bind("u1", "webhook", "u::hook", r#"{"url":"/hook"}"#);
    consumer.nothing_else().await;
    assert!(broker.bindings().is_empty());

    let mut provider = Worker::named(&broker, "provider").await;
    provider.trigger_type("webhook");
    let m = provider.bound().await;
    assert_eq!(m, Worker::binding("u1", "webhook", "u::hook", r#"{"url":"/hook"}"#));
    provider.send(verdict(&m, None));
    provider.nothing_else().await;
    consumer.nothing_else().await;
    assert_eq!(bound_ids(&broker), ["u1"]);

    consumer.bind("u2", "webhook", "u::hook", "{}");
    assert_eq!(provider.bound().await.id, "u2");
    consumer.unbind("u2");
    assert_eq!(provider.unbound().await, "u2");

    drop(provider);
    until("parked", || broker.bindings().is_empty()).await;
    let mut provider = Worker::named(&broker, "provider2").await;
    provider.trigger_type("webhook");
    assert_eq!(provider.bound().await.id, "u1");
    provider.trigger_type("webhook");
    assert_eq!(provider.bound().await.id, "u1", "registered again: forwarded again");
    provider.send(Message::UnregisterTriggerType { id: "webhook".into() });
    assert_eq!(provider.unbound().await, "u1");
    assert!(broker.bindings().is_empty());
    consumer.nothing_else().await;
}

#[tokio::test]
async fn rejection_by_a_worker_parks_the_trigger_and_reaches_its_owner() {
    let broker = broker();
    let mut provider = Worker::named(&broker, "provider").await;
    provider.trigger_type("webhook");
    provider.nothing_else().await;
    let mut consumer = Worker::named(&broker, "consumer").await;
    consumer.bind("u1", "webhook", "f", "{}");
    let m = provider.bound().await;
    // Results of other workers are ignored.
    let mut stranger = Worker::named(&broker, "stranger").await;
    stranger.send(verdict(&m, Some(refused("forged"))));
    stranger.nothing_else().await;
    assert_eq!(bound_ids(&broker), ["u1"]);
    provider.send(verdict(&m, Some(refused("no such box"))));
    let message = consumer.binding_error().await;
    assert_eq!(message.error.unwrap().message, "no such box");
    assert!(broker.bindings().is_empty());
    provider.trigger_type("webhook");
    assert_eq!(provider.bound().await.id, "u1");
}

#[tokio::test]
async fn home_provider_takes_precedence_over_default() {
    let broker = broker();
    let mut common = Worker::named(&broker, "common").await;
    common.trigger_type("mail");
    common.nothing_else().await;
    let mut consumer = Worker::in_namespace(&broker, "consumer", "shop").await;
    let m = Worker::binding("u1", "mail", "f", "{}");
    let there = RegisterTrigger { namespace: Some("shop".into()), ..m };
    consumer.send(Message::RegisterTrigger(Box::new(there.clone())));
    assert_eq!(common.bound().await, there);

    let mut home = Worker::in_namespace(&broker, "home", "shop").await;
    home.trigger_type("mail");
    let message = home.bound().await;
    assert_eq!(message.trigger_namespace.unwrap(), "shop");
    assert_eq!(common.unbound().await, "u1");

    drop(home);
    assert_eq!(common.bound().await.id, "u1");
    consumer.nothing_else().await;

    // A trigger that names the namespace of its provider has no fallback.
    let named = Worker::binding("u2", "mail", "f", "{}");
    let named = RegisterTrigger { trigger_namespace: Some("shop".into()), ..named };
    consumer.send(Message::RegisterTrigger(Box::new(named)));
    consumer.nothing_else().await;
    assert_eq!(bound_ids(&broker), ["u1"]);
    common.nothing_else().await;
}

#[tokio::test]
async fn latest_provider_is_active_and_the_previous_one_is_the_fallback() {
    let broker = broker();
    let mut first = Worker::named(&broker, "first").await;
    first.trigger_type("mail");
    first.nothing_else().await;
    let consumer = Worker::named(&broker, "consumer").await;
    consumer.bind("u1", "mail", "f", "{}");
    first.bound().await;
    let mut second = Worker::named(&broker, "second").await;
    second.trigger_type("mail");
    second.bound().await;
    assert_eq!(first.unbound().await, "u1");
    drop(second);
    assert_eq!(first.bound().await.id, "u1");
}

#[tokio::test]
async fn blank_namespaces_are_rejected() {
    let broker = broker();
    let mut worker = Worker::named(&broker, "w").await;
    let m = Worker::binding("u1", "mail", "f", "{}");
    for m in [
        RegisterTrigger { namespace: Some("".into()), ..m.clone() },
        RegisterTrigger { trigger_namespace: Some(" ".into()), ..m },
    ] {
        worker.send(Message::RegisterTrigger(Box::new(m)));
        assert_eq!(worker.binding_error().await.error.unwrap().code, "INVALID_NAMESPACE");
    }
}
