//! Tests of registrations under access rules: hooks, id prefixes, rejections and their order.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::state::StateProvider;
use crate::store::Store;

/// Connects a worker that serves the function hook `gate::fn`, and a worker whose registrations the hook authorizes.
async fn with_function_hook(broker: &Broker) -> (Worker, Worker) {
    let mut gate = Worker::named(broker, "gate").await;
    gate.function("gate::fn");
    gate.nothing_else().await;
    let access = exposing("*").on_function_registration("gate::fn");
    let worker = announced_through(broker, Some(access), None).await;
    (gate, worker)
}

#[tokio::test]
async fn prefixed_functions_keep_their_ids_for_their_worker() {
    let broker = broker_with_providers();
    let table = Store::in_memory().table("state");
    with_provider(&broker, StateProvider::new(broker.clone(), table, Default::default()));
    let grants = json!({"function_registration_prefix": "ann"});
    let mut worker = connect_with_grants(&broker, exposing("*"), grants).await;
    worker.function("f");
    worker.nothing_else().await;
    let mut caller = Worker::named(&broker, "caller").await;
    assert_eq!(caller.call("f", "{}").await.unwrap_err().code, "function_not_found");
    let id = caller.start("ann::f", "{}");
    let call = worker.called().await;
    assert_eq!(call.function_id, "f");
    worker.answer(&call, Ok(None));
    assert_eq!(caller.answer_to(id).await, Ok(None));

    // The worker and its triggers address the function without the prefix.
    let info = worker.call("engine::functions::info", r#"{"function_ids":["f"]}"#).await;
    let info: Value = info.unwrap().unwrap().parse().unwrap();
    assert_eq!(info["functions"][0]["function_id"], "ann::f");
    worker.bind("t", "subscribe", "f", r#"{"topic":"news"}"#);
    worker.nothing_else().await;
    caller.call("publish", r#"{"topic":"news","data":1}"#).await.unwrap();
    assert_eq!(worker.called().await.function_id, "f");

    // So does the condition of a trigger.
    worker.function("only-if");
    worker.bind("c", "state", "f", r#"{"scope":"s","condition_function_id":"only-if"}"#);
    worker.nothing_else().await;
    caller.call("state::set", r#"{"scope":"s","key":"k","value":1}"#).await.unwrap();
    let condition = worker.called().await;
    assert_eq!(condition.function_id, "only-if");
    worker.answer(&condition, Ok(Some(payload(json!(true)))));
    assert_eq!(worker.called().await.function_id, "f");

    // The worker cannot unregister the function by its prefixed id.
    worker.send(Message::UnregisterFunction { id: "ann::f".into() });
    worker.nothing_else().await;
    assert_eq!(broker.functions_called("ann::f").len(), 1);
    worker.send(Message::UnregisterFunction { id: "f".into() });
    worker.nothing_else().await;
    assert!(broker.functions_called("ann::f").is_empty());
}

/// Connects a worker with hooks that rewrite registrations, and reject those with the id `bad` or `mute`.
async fn serve_hooks(broker: &Broker) {
    serve(broker, &["gate::fn", "gate::trigger", "gate::type"], |call, data| {
        assert_eq!(data["context"], json!({"user": "ann"}));
        let rejected = Err(ErrorBody::new("no", "not yours"));
        Ok(Some(payload(match (&*call.function_id, data) {
            ("gate::fn", data) if data["function_id"] == "bad" => return rejected,
            ("gate::fn", data) if data["function_id"] == "mute" => return Ok(None),
            ("gate::fn", data) => {
                assert_eq!(data["namespace"], "default");
                let id = data["function_id"].as_str().unwrap();
                json!({"function_id": format!("new-{id}"), "metadata": {"by": "hook"}, "description": null})
            }
            ("gate::trigger", data) if data["trigger_id"] == "bad" => json!(true),
            ("gate::trigger", data) => {
                assert_eq!(data["metadata"], json!({"m": 1}));
                json!({"trigger_id": "new-t", "function_id": "new-f", "config": {"topic": "hooked"}})
            }
            ("gate::type", data) if data["trigger_type_id"] == "bad" => return rejected,
            ("gate::type", _) => json!({"trigger_type_id": "new-type", "description": "hooked"}),
            (other, _) => panic!("{other}"),
        })))
    })
    .await;
}

#[tokio::test]
async fn hooks_rewrite_and_reject_registrations() {
    let broker = broker_with_providers();
    serve_hooks(&broker).await;
    let access = exposing("*")
        .on_function_registration("gate::fn")
        .on_trigger_registration("gate::trigger")
        .on_trigger_type_registration("gate::type");
    let grants = json!({"context": {"user": "ann"}, "allow_trigger_type_registration": true});
    let mut worker = connect_with_grants(&broker, access, grants).await;

    worker.function("f");
    for id in ["bad", "mute"] {
        worker.function(id);
        let rejection = worker.rejection().await;
        // The only code that no SDK treats as fatal.
        assert_eq!(rejection.code, "FUNCTION_NAMESPACE_CONFLICT");
        assert_eq!(rejection.function_id.unwrap(), id);
        assert_eq!(rejection.owner_worker_id, "");
        assert_eq!(rejection.error.unwrap().code, "FORBIDDEN");
    }
    let view = broker.functions_called("new-f").remove(0);
    assert_eq!(view.metadata.unwrap(), payload(json!({"by": "hook"})));

    worker.bind("t", "subscribe", "f", r#"{"topic":"news"}"#);
    worker.bind("bad", "subscribe", "f", r#"{"topic":"news"}"#);
    let rejected = worker.binding_error().await;
    assert_eq!((&*rejected.id, &*rejected.error.unwrap().code), ("bad", "FORBIDDEN"));
    let mut caller = Worker::named(&broker, "caller").await;
    caller.call("publish", r#"{"topic":"hooked","data":1}"#).await.unwrap();
    assert_eq!(worker.called().await.function_id, "f");
    // The worker still addresses it as `t`.
    let all = worker.call("engine::registered-triggers::list", "{}").await.unwrap().unwrap();
    let all: Value = all.parse().unwrap();
    assert_eq!(all["registered_triggers"][0]["id"], "t");
    assert_eq!(broker.bindings()[0].id, "new-t");
    worker.unbind("t");
    worker.nothing_else().await;
    assert!(broker.bindings().is_empty());

    worker.trigger_type("mail");
    worker.trigger_type("bad");
    let rejection = worker.rejection().await;
    assert_eq!((&*rejection.function_id.unwrap(), rejection.error.is_some()), ("bad", true));
    caller.bind("m", "new-type", "f", "{}");
    let bound = worker.bound().await;
    assert_eq!((&*bound.id, &*bound.trigger_type), ("m", "mail"));
    worker.send(Message::TriggerRegistrationResult(Box::new(
        iii_wire::protocol::TriggerRegistrationResult {
            id: bound.id.clone(),
            trigger_type: bound.trigger_type.clone(),
            function_id: bound.function_id.clone(),
            error: Some(ErrorBody::new("full", "no room")),
        },
    )));
    let rejected = caller.binding_error().await;
    assert_eq!((&*rejected.trigger_type, &*rejected.error.unwrap().code), ("new-type", "full"));
    worker.send(Message::UnregisterTriggerType { id: "mail".into() });
    worker.nothing_else().await;
    assert!(broker.trigger_types().iter().all(|one| one.id != "new-type"));
}

#[tokio::test]
async fn registration_rewritten_to_a_new_id_replaces_the_previous_one() {
    let broker = broker_with_providers();
    let calls = std::sync::atomic::AtomicUsize::new(0);
    serve(&broker, &["gate::fn"], move |_, _| {
        let n = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Some(payload(json!({"function_id": format!("v{n}")}))))
    })
    .await;
    let access = exposing("*").on_function_registration("gate::fn");
    let mut worker = announced_through(&broker, Some(access), None).await;
    for _ in 0..2 {
        worker.function("f");
    }
    worker.call("engine::functions::list", "{}").await.unwrap();
    assert!(broker.functions_called("v0").is_empty());
    assert_eq!(broker.functions_called("v1").len(), 1);
    drop(worker);
    until("the function is removed", || broker.functions_called("v1").is_empty()).await;
}

#[tokio::test]
async fn pending_hook_delays_only_later_registrations_of_its_connection() {
    let broker = broker_with_providers();
    let (mut gate, mut worker) = with_function_hook(&broker).await;
    worker.function("slow");
    let hook_call = gate.called().await;
    worker.bind("t", "subscribe", "slow", r#"{"topic":"news"}"#);
    worker.send(Message::UnregisterFunction { id: "slow".into() });
    worker.function("next");
    // Calls are not delayed.
    worker.call("publish", r#"{"topic":"news","data":1}"#).await.unwrap();
    assert!(broker.bindings().is_empty(), "the trigger waits for the function registered before");
    // Discovery functions wait for the earlier registrations of their caller.
    let list = worker.start("engine::functions::info", r#"{"function_ids":["next","slow"]}"#);
    worker.nothing_else().await;
    gate.answer(&hook_call, Ok(Some(payload(json!({})))));
    let hook_call = gate.called().await;
    assert!(hook_call.data.as_str().contains("next"), "{:?}", hook_call.data);
    assert_eq!(broker.bindings().len(), 1);
    gate.answer(&hook_call, Ok(Some(payload(json!({})))));
    let info: Value = worker.answer_to(list).await.unwrap().unwrap().parse().unwrap();
    assert_eq!(info["functions"][0]["function_id"], "next");
    assert_eq!(info["functions"][1]["error"], "not_found", "unregistered after it was allowed");
}

#[tokio::test(start_paused = true)]
async fn hook_timeout_rejects_the_registration() {
    let broker = broker_with_providers();
    let (_gate, mut worker) = with_function_hook(&broker).await;
    worker.function("f");
    let error = worker.rejection().await.error.unwrap();
    assert!(error.code == "FORBIDDEN" && error.message.contains("10s"), "{error}");
}

#[tokio::test]
async fn triggers_refer_only_to_functions_that_their_worker_may_call() {
    let broker = broker_with_providers();
    let grants = json!({"allowed_trigger_types": ["subscribe", "http"]});
    let access = exposing("api::*").expose(FunctionFilter::matching("engine::register_trigger"));
    let mut worker = connect_with_grants(&broker, access, grants).await;
    for (kind, function, config) in [
        ("cron", "api::f", r#"{"expression":"* * * * * *"}"#),
        ("subscribe", "admin::f", r#"{"topic":"x"}"#),
        ("subscribe", "api::f", r#"{"topic":"x","condition_function_id":"admin::f"}"#),
        ("http", "api::f", r#"{"api_path":"x","middleware_function_ids":["api::m","admin::f"]}"#),
        (
            "subscribe",
            "api::f",
            r#"{"condition_function_id":"api::c","condition_function_id":"admin::f"}"#,
        ),
    ] {
        worker.bind("t", kind, function, config);
        let rejected = worker.binding_error().await;
        assert_eq!(rejected.error.unwrap().code, "FORBIDDEN", "{kind} {function} {config}");
        let config: Value = serde_json::from_str(config).unwrap();
        let input = json!({"trigger_type": kind, "function_id": function, "config": config});
        // This JSON keeps the last of two equal keys.
        let error = worker.call("engine::register_trigger", &input.to_string()).await.unwrap_err();
        assert_eq!(error.code, "FORBIDDEN", "{input}");
    }
    assert!(broker.bindings().is_empty());
    worker.bind("t", "subscribe", "api::f", r#"{"topic":"x","condition_function_id":"api::c"}"#);
    let input = r#"{"trigger_type":"subscribe","function_id":"api::f","config":{"topic":"y"}}"#;
    worker.call("engine::register_trigger", input).await.unwrap();
    assert_eq!(broker.bindings().len(), 2);
    drop(worker);
    until("its triggers are removed", || broker.bindings().is_empty()).await;
}

#[tokio::test]
async fn restricted_worker_cannot_remove_a_trigger_without_owner() {
    let broker = broker_with_providers();
    let mut owner = Worker::named(&broker, "owner").await;
    let input = r#"{"trigger_type":"subscribe","function_id":"f","config":{"topic":"y"}}"#;
    let made = owner.call("engine::register_trigger", input).await.unwrap().unwrap();
    let made: Value = made.parse().unwrap();
    let mut worker = announced_through(&broker, Some(exposing("engine::*")), None).await;
    worker.unbind(made["id"].as_str().unwrap());
    let input = json!({"id": made["id"]}).to_string();
    let removed = worker.call("engine::unregister_trigger", &input).await.unwrap().unwrap();
    assert_eq!(removed.as_str(), r#"{"removed":false}"#);
    assert_eq!(broker.bindings().len(), 1);
}

#[tokio::test]
async fn registration_flags_reject_functions_and_trigger_types() {
    let broker = broker_with_providers();
    let grants = json!({"allow_function_registration": false});
    let mut worker = connect_with_grants(&broker, exposing("*"), grants).await;
    worker.function("f");
    let rejection = worker.rejection().await;
    assert_eq!(rejection.error.unwrap().code, "FORBIDDEN");
    worker.trigger_type("mail");
    let rejection = worker.rejection().await;
    assert_eq!((&*rejection.function_id.unwrap(), rejection.error.is_some()), ("mail", true));
    assert_eq!(broker.functions_called("f").len(), 0);

    // Without an auth function, both kinds of registration are allowed.
    let mut open = connect_through(&broker, Some(Access::new()), None).await;
    open.announce("open", "default").await.unwrap();
    open.function("f");
    open.trigger_type("mail");
    open.nothing_else().await;
    assert_eq!(broker.functions_called("f").len(), 1);
    assert!(broker.trigger_types().iter().any(|one| one.id == "mail"));
}

#[tokio::test(start_paused = true)]
async fn worker_joins_only_granted_namespaces() {
    let broker = broker_with_providers();
    serve(&broker, &["gate::auth"], |_, _| {
        let grants =
            json!({"namespaces": {"shop": ["*"]}, "allow_trigger_type_registration": true});
        Ok(Some(payload(grants)))
    })
    .await;
    let access = Access::new().auth_function("gate::auth");
    let mut worker = connect_through(&broker, Some(access.clone()), None).await;
    worker.function("f");
    let error = worker.announce("restricted", "default").await.unwrap_err();
    assert!(error.code == "FORBIDDEN" && error.message.contains("`shop`"), "{error}");
    // The end of the grace period does not put the worker into `default` either.
    tokio::time::sleep(Duration::from_secs(6)).await;
    worker.nothing_else().await;
    assert!(broker.functions_called("f").is_empty());
    // A void call is answered with a rejection, at which the worker stops.
    worker.void("engine::workers::register", r#"{"name":"restricted"}"#);
    let rejection = worker.rejection().await;
    assert_eq!(
        (&*rejection.code, rejection.worker_name.as_deref()),
        ("FORBIDDEN", Some("restricted"))
    );
    worker.announce("restricted", "shop").await.unwrap();
    assert_eq!(broker.functions_called("f")[0].namespace, "shop");
    // Its trigger types are limited to the same namespaces.
    worker.send(Message::RegisterTriggerType(Box::new(RegisterTriggerType {
        id: "mail".into(),
        description: "mail".to_owned(),
        trigger_request_format: None,
        call_request_format: None,
        namespace: Some("default".into()),
    })));
    assert_eq!(worker.rejection().await.error.unwrap().code, "FORBIDDEN");
}
