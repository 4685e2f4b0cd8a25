//! Tests of registrations under rules: what hooks make of them, who is told, and who waits for whom.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::state::StateProvider;
use crate::store::Store;

#[tokio::test]
async fn a_worker_knows_its_functions_by_its_own_names() {
    let broker = engine();
    let table = Store::in_memory().table("state");
    with_provider(&broker, StateProvider::new(broker.clone(), table, Default::default()));
    let grants = json!({"function_registration_prefix": "ann"});
    let mut guest = guest(&broker, exposing("*"), grants).await;
    guest.function("f");
    guest.nothing_else().await;
    let mut caller = Worker::named(&broker, "caller").await;
    assert_eq!(caller.call("f", "{}").await.unwrap_err().code, "function_not_found");
    let id = caller.start("ann::f", "{}");
    let call = guest.called().await;
    assert_eq!(call.function_id, "f");
    guest.answer(&call, Ok(None));
    assert_eq!(caller.answer_to(id).await, Ok(None));

    // It finds it by its own name, and so do its triggers.
    let info = guest.call("engine::functions::info", r#"{"function_ids":["f"]}"#).await;
    let info: Value = info.unwrap().unwrap().parse().unwrap();
    assert_eq!(info["functions"][0]["function_id"], "ann::f");
    guest.bind("t", "subscribe", "f", r#"{"topic":"news"}"#);
    guest.nothing_else().await;
    caller.call("publish", r#"{"topic":"news","data":1}"#).await.unwrap();
    assert_eq!(guest.called().await.function_id, "f");

    // What the config of a trigger names is one of its own as well.
    guest.function("only-if");
    guest.bind("c", "state", "f", r#"{"scope":"s","condition_function_id":"only-if"}"#);
    guest.nothing_else().await;
    caller.call("state::set", r#"{"scope":"s","key":"k","value":1}"#).await.unwrap();
    let condition = guest.called().await;
    assert_eq!(condition.function_id, "only-if");
    guest.answer(&condition, Ok(Some(payload(json!(true)))));
    assert_eq!(guest.called().await.function_id, "f");

    // The id of the tables is not one of its own.
    guest.send(Message::UnregisterFunction { id: "ann::f".into() });
    guest.nothing_else().await;
    assert_eq!(broker.functions_called("ann::f").len(), 1);
    guest.send(Message::UnregisterFunction { id: "f".into() });
    guest.nothing_else().await;
    assert!(broker.functions_called("ann::f").is_empty());
}

#[tokio::test]
async fn hooks_rewrite_and_refuse() {
    let broker = engine();
    serve(&broker, &["gate::fn", "gate::trigger", "gate::type"], |call, data| {
        assert_eq!(data["context"], json!({"user": "ann"}));
        let refused = Err(ErrorBody::new("no", "not yours"));
        Ok(Some(payload(match (&*call.function_id, data) {
            ("gate::fn", data) if data["function_id"] == "bad" => return refused,
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
            ("gate::type", data) if data["trigger_type_id"] == "bad" => return refused,
            ("gate::type", _) => json!({"trigger_type_id": "new-type", "description": "hooked"}),
            (other, _) => panic!("{other}"),
        })))
    })
    .await;
    let access = exposing("*")
        .on_function_registration("gate::fn")
        .on_trigger_registration("gate::trigger")
        .on_trigger_type_registration("gate::type");
    let grants = json!({"context": {"user": "ann"}, "allow_trigger_type_registration": true});
    serve(&broker, &["gate::auth"], move |_, _| Ok(Some(payload(grants.clone())))).await;
    let mut guest = guest_of(&broker, Some(access.auth_function("gate::auth")), None).await;
    guest.announce("guest", "default").await.unwrap();

    guest.function("f");
    for refused in ["bad", "mute"] {
        guest.function(refused);
        let rejection = guest.rejection().await;
        // The one code at which no SDK gives up.
        assert_eq!(rejection.code, "FUNCTION_NAMESPACE_CONFLICT");
        assert_eq!(rejection.function_id.unwrap(), refused);
        assert_eq!(rejection.owner_worker_id, "");
        assert_eq!(rejection.error.unwrap().code, "FORBIDDEN");
    }
    let view = broker.functions_called("new-f").remove(0);
    assert_eq!(view.metadata.unwrap(), payload(json!({"by": "hook"})));

    guest.bind("t", "subscribe", "f", r#"{"topic":"news"}"#);
    guest.bind("bad", "subscribe", "f", r#"{"topic":"news"}"#);
    let refused = guest.binding_error().await;
    assert_eq!((&*refused.id, &*refused.error.unwrap().code), ("bad", "FORBIDDEN"));
    let mut caller = Worker::named(&broker, "caller").await;
    caller.call("publish", r#"{"topic":"hooked","data":1}"#).await.unwrap();
    assert_eq!(guest.called().await.function_id, "f");
    // Its worker still knows it as `t`.
    let all = guest.call("engine::registered-triggers::list", "{}").await.unwrap().unwrap();
    let all: Value = all.parse().unwrap();
    assert_eq!(all["registered_triggers"][0]["id"], "t");
    assert_eq!(broker.bindings()[0].id, "new-t");
    guest.unbind("t");
    guest.nothing_else().await;
    assert!(broker.bindings().is_empty());

    guest.trigger_type("mail");
    guest.trigger_type("bad");
    let rejection = guest.rejection().await;
    assert_eq!((&*rejection.function_id.unwrap(), rejection.error.is_some()), ("bad", true));
    caller.bind("m", "new-type", "f", "{}");
    let bound = guest.bound().await;
    assert_eq!((&*bound.id, &*bound.trigger_type), ("m", "mail"));
    guest.send(Message::TriggerRegistrationResult(Box::new(
        iii_wire::protocol::TriggerRegistrationResult {
            id: bound.id.clone(),
            trigger_type: bound.trigger_type.clone(),
            function_id: bound.function_id.clone(),
            error: Some(ErrorBody::new("full", "no room")),
        },
    )));
    let refused = caller.binding_error().await;
    assert_eq!((&*refused.trigger_type, &*refused.error.unwrap().code), ("new-type", "full"));
    guest.send(Message::UnregisterTriggerType { id: "mail".into() });
    guest.nothing_else().await;
    assert!(broker.trigger_types().iter().all(|one| one.id != "new-type"));
}

#[tokio::test]
async fn a_registration_that_becomes_something_else_leaves_nothing_behind() {
    let broker = engine();
    let calls = std::sync::atomic::AtomicUsize::new(0);
    serve(&broker, &["gate::fn"], move |_, _| {
        let n = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Some(payload(json!({"function_id": format!("v{n}")}))))
    })
    .await;
    let access = exposing("*").on_function_registration("gate::fn");
    let mut guest = guest_of(&broker, Some(access), None).await;
    guest.announce("guest", "default").await.unwrap();
    for _ in 0..2 {
        guest.function("f");
    }
    guest.call("engine::functions::list", "{}").await.unwrap();
    assert!(broker.functions_called("v0").is_empty());
    assert_eq!(broker.functions_called("v1").len(), 1);
    drop(guest);
    until("gone", || broker.functions_called("v1").is_empty()).await;
}

#[tokio::test]
async fn a_slow_hook_holds_up_only_the_registrations_after_it() {
    let broker = engine();
    let mut gate = Worker::named(&broker, "gate").await;
    gate.function("gate::fn");
    gate.nothing_else().await;
    let access = exposing("*").on_function_registration("gate::fn");
    let mut guest = guest_of(&broker, Some(access), None).await;
    guest.announce("guest", "default").await.unwrap();
    guest.function("slow");
    let asked = gate.called().await;
    guest.bind("t", "subscribe", "slow", r#"{"topic":"news"}"#);
    guest.send(Message::UnregisterFunction { id: "slow".into() });
    guest.function("next");
    // Calls in both directions go on meanwhile.
    guest.call("publish", r#"{"topic":"news","data":1}"#).await.unwrap();
    assert!(broker.bindings().is_empty(), "the binding waits for the function before it");
    // What the worker asks about itself waits for what it said before.
    let list = guest.start("engine::functions::info", r#"{"function_ids":["next","slow"]}"#);
    guest.nothing_else().await;
    gate.answer(&asked, Ok(Some(payload(json!({})))));
    let asked = gate.called().await;
    assert!(asked.data.as_str().contains("next"), "{:?}", asked.data);
    assert_eq!(broker.bindings().len(), 1);
    gate.answer(&asked, Ok(Some(payload(json!({})))));
    let info: Value = guest.answer_to(list).await.unwrap().unwrap().parse().unwrap();
    assert_eq!(info["functions"][0]["function_id"], "next");
    assert_eq!(info["functions"][1]["error"], "not_found", "it was removed after it was allowed");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_never_answers_refuses() {
    let broker = engine();
    let mut gate = Worker::named(&broker, "gate").await;
    gate.function("gate::fn");
    gate.nothing_else().await;
    let access = exposing("*").on_function_registration("gate::fn");
    let mut guest = guest_of(&broker, Some(access), None).await;
    guest.announce("guest", "default").await.unwrap();
    guest.function("f");
    let error = guest.rejection().await.error.unwrap();
    assert!(error.code == "FORBIDDEN" && error.message.contains("10s"), "{error}");
}

#[tokio::test]
async fn triggers_reach_only_what_their_worker_may_call() {
    let broker = engine();
    let grants = json!({"allowed_trigger_types": ["subscribe", "http"]});
    let access = exposing("api::*").expose(FunctionFilter::matching("engine::register_trigger"));
    let mut guest = guest(&broker, access, grants).await;
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
        guest.bind("t", kind, function, config);
        let refused = guest.binding_error().await;
        assert_eq!(refused.error.unwrap().code, "FORBIDDEN", "{kind} {function} {config}");
        let config: Value = serde_json::from_str(config).unwrap();
        let input = json!({"trigger_type": kind, "function_id": function, "config": config});
        // The last of two keys is what is left in this JSON.
        let error = guest.call("engine::register_trigger", &input.to_string()).await.unwrap_err();
        assert_eq!(error.code, "FORBIDDEN", "{input}");
    }
    assert!(broker.bindings().is_empty());
    guest.bind("t", "subscribe", "api::f", r#"{"topic":"x","condition_function_id":"api::c"}"#);
    let input = r#"{"trigger_type":"subscribe","function_id":"api::f","config":{"topic":"y"}}"#;
    guest.call("engine::register_trigger", input).await.unwrap();
    assert_eq!(broker.bindings().len(), 2);
    drop(guest);
    until("its triggers go with it", || broker.bindings().is_empty()).await;
}

#[tokio::test]
async fn a_trigger_without_owner_is_not_a_guests_to_remove() {
    let broker = engine();
    let mut owner = Worker::named(&broker, "owner").await;
    let input = r#"{"trigger_type":"subscribe","function_id":"f","config":{"topic":"y"}}"#;
    let made = owner.call("engine::register_trigger", input).await.unwrap().unwrap();
    let made: Value = made.parse().unwrap();
    let mut guest = guest_of(&broker, Some(exposing("engine::*")), None).await;
    guest.announce("guest", "default").await.unwrap();
    guest.unbind(made["id"].as_str().unwrap());
    let input = json!({"id": made["id"]}).to_string();
    let removed = guest.call("engine::unregister_trigger", &input).await.unwrap().unwrap();
    assert_eq!(removed.as_str(), r#"{"removed":false}"#);
    assert_eq!(broker.bindings().len(), 1);
}

#[tokio::test]
async fn flags_forbid_registrations() {
    let broker = engine();
    let grants = json!({"allow_function_registration": false});
    let mut worker = guest(&broker, exposing("*"), grants).await;
    worker.function("f");
    let rejection = worker.rejection().await;
    assert_eq!(rejection.error.unwrap().code, "FORBIDDEN");
    worker.trigger_type("mail");
    let rejection = worker.rejection().await;
    assert_eq!((&*rejection.function_id.unwrap(), rejection.error.is_some()), ("mail", true));
    assert_eq!(broker.functions_called("f").len(), 0);

    // Without an auth function both are allowed.
    let mut open = guest_of(&broker, Some(Access::new()), None).await;
    open.announce("open", "default").await.unwrap();
    open.function("f");
    open.trigger_type("mail");
    open.nothing_else().await;
    assert_eq!(broker.functions_called("f").len(), 1);
    assert!(broker.trigger_types().iter().any(|one| one.id == "mail"));
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_only_in_the_namespaces_that_were_granted() {
    let broker = engine();
    serve(&broker, &["gate::auth"], |_, _| {
        let grants =
            json!({"namespaces": {"shop": ["*"]}, "allow_trigger_type_registration": true});
        Ok(Some(payload(grants)))
    })
    .await;
    let access = Access::new().auth_function("gate::auth");
    let mut guest = guest_of(&broker, Some(access.clone()), None).await;
    guest.function("f");
    let error = guest.announce("guest", "default").await.unwrap_err();
    assert!(error.code == "FORBIDDEN" && error.message.contains("`shop`"), "{error}");
    // Being late is no way into `default`.
    tokio::time::sleep(Duration::from_secs(6)).await;
    guest.nothing_else().await;
    assert!(broker.functions_called("f").is_empty());
    // A worker that waits for no answer is told so that it stops.
    guest.void("engine::workers::register", r#"{"name":"guest"}"#);
    let rejection = guest.rejection().await;
    assert_eq!((&*rejection.code, rejection.worker_name.as_deref()), ("FORBIDDEN", Some("guest")));
    guest.announce("guest", "shop").await.unwrap();
    assert_eq!(broker.functions_called("f")[0].namespace, "shop");
    // Nor are its trigger types anywhere else.
    guest.send(Message::RegisterTriggerType(Box::new(RegisterTriggerType {
        id: "mail".into(),
        description: "mail".to_owned(),
        trigger_request_format: None,
        call_request_format: None,
        namespace: Some("default".into()),
    })));
    assert_eq!(guest.rejection().await.error.unwrap().code, "FORBIDDEN");
}
