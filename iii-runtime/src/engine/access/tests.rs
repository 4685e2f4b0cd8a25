//! Tests of the rules at the broker: what is called, what is registered, what is seen, and who waits for whom.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::engine::broker::Broker;
use crate::engine::broker::testing::{Worker, broker, until, with_provider};
use crate::engine::discovery::Discovery;
use crate::engine::provider::Outcome;
use crate::engine::pubsub::PubSub;
use crate::protocol::{
    Action, ErrorBody, InvokeFunction, Message, Payload, RegisterFunction, RegisterTriggerType,
};

fn payload(value: Value) -> Payload {
    value.into()
}

/// A worker that serves functions with code.
async fn serve(
    broker: &Broker,
    functions: &[&str],
    code: impl Fn(&InvokeFunction, Value) -> Outcome + Send + 'static,
) {
    let mut worker = Worker::named(broker, functions[0]).await;
    for id in functions {
        worker.function(id);
    }
    worker.nothing_else().await;
    tokio::spawn(async move {
        while let Some(message) = worker.link.inbox.next().await {
            let Message::InvokeFunction(call) = message else { continue };
            let outcome = code(&call, call.data.parse().unwrap());
            worker.answer(&call, outcome);
        }
    });
}

fn visitor(uri: &str) -> Visitor {
    let request = hyper::http::Request::get(uri).header("X-Who", "ann").body(()).unwrap();
    Visitor::new(&request, [10, 0, 0, 7].into())
}

fn middleware(function_id: &str) -> Middleware {
    Middleware { function_id: function_id.into(), timeout: Duration::from_secs(20) }
}

/// A worker that came through a listener with these rules.
async fn guest_of(
    broker: &Broker,
    access: Option<Access>,
    middleware: Option<Middleware>,
) -> Worker {
    let guard = Guard::new(broker.clone(), access, middleware).unwrap();
    let gate = guard.admit(&visitor("/")).await.unwrap();
    Worker::connect_behind(broker, gate).await
}

/// A worker that has announced itself through a listener with rules and an auth function that grants this.
async fn guest(broker: &Broker, access: Access, grants: Value) -> Worker {
    serve(broker, &["gate::auth"], move |_, _| Ok(Some(payload(grants.clone())))).await;
    let access = access.auth_function("gate::auth");
    let mut worker = guest_of(broker, Some(access), None).await;
    worker.announce("guest", "default").await.unwrap();
    worker
}

fn exposing(pattern: &str) -> Access {
    Access::new().expose(FunctionFilter::matching(pattern))
}

/// A broker with what the tests call.
fn engine() -> Broker {
    let broker = broker();
    with_provider(&broker, PubSub::new(broker.clone()));
    with_provider(&broker, Discovery::new(broker.clone()));
    broker
}

#[tokio::test]
async fn the_auth_function_hears_who_comes_and_decides() {
    let broker = broker();
    let guard = Guard::new(broker.clone(), Some(Access::new().auth_function("gate::auth")), None);
    let guard = guard.unwrap();
    let missing = guard.admit(&visitor("/")).await.map(drop).unwrap_err();
    assert_eq!(missing.code, "AUTH_ERROR");

    serve(&broker, &["gate::auth"], |_, data| {
        let expected = json!({"headers": {"x-who": "ann"}, "query_params": data["query_params"],
                              "ip_address": "10.0.0.7"});
        assert_eq!(data, expected);
        match data["query_params"]["token"][0].as_str() {
            Some("a+b=") => Ok(Some(payload(json!({})))),
            Some("nothing") => Ok(None),
            Some("nonsense") => Ok(Some(payload(json!({"allowed_functions": 7})))),
            Some("later") => {
                let error = ErrorBody::new("busy", "ask again");
                Err(ErrorBody { retryable: Some(true), ..error })
            }
            _ => Err(ErrorBody::new("no", "who are you")),
        }
    })
    .await;
    assert!(guard.admit(&visitor("/?token=a%2Bb%3D")).await.is_ok());
    for (uri, text) in [
        ("/?token=nothing", "no object"),
        ("/?token=nonsense", "gave no grants"),
        ("/?token=later", "ask again"),
        ("/", "who are you"),
    ] {
        let error = guard.admit(&visitor(uri)).await.map(drop).unwrap_err();
        assert_eq!(error.code, "AUTH_ERROR");
        assert!(error.message.contains(text), "{error}");
        assert_eq!(error.retryable, (text == "ask again").then_some(true));
    }
}

#[tokio::test(start_paused = true)]
async fn an_auth_function_that_never_answers_lets_nobody_in() {
    let broker = broker();
    let worker = Worker::named(&broker, "gate").await;
    worker.function("gate::auth");
    let access = Access::new().auth_function("gate::auth").timeout(Duration::from_secs(3));
    let guard = Guard::new(broker.clone(), Some(access), None).unwrap();
    until("the function", || broker.functions().len() == 1).await;
    let error = guard.admit(&visitor("/")).await.map(drop).unwrap_err();
    assert!(error.code == "AUTH_ERROR" && error.message.contains("3s"), "{error}");
}

#[tokio::test]
async fn what_is_not_exposed_cannot_be_called_nor_queued() {
    let broker = engine();
    serve(&broker, &["api::ok", "admin::x", "engine::queue::enqueue"], |_, data| {
        Ok(Some(payload(data)))
    })
    .await;
    let access = exposing("api::*").expose(FunctionFilter::matching("engine::queue::*"));
    let mut guest = guest_of(&broker, Some(access), None).await;
    guest.announce("guest", "default").await.unwrap();
    assert_eq!(guest.call("api::ok", "1").await.unwrap().unwrap().as_str(), "1");
    let error = guest.call("admin::x", "1").await.unwrap_err();
    assert!(error.code == "FORBIDDEN" && error.message.contains("`admin::x`"), "{error}");
    assert_eq!(guest.call("publish", "{}").await.unwrap_err().code, "FORBIDDEN");
    let missing = guest.call("api::nothing", "1").await.unwrap_err();
    assert_eq!(missing.code, "function_not_found");

    let enqueue = |id: &str| InvokeFunction {
        action: Some(Action::Enqueue { queue: "q".to_owned() }),
        ..Worker::invocation(id, "1")
    };
    let id = guest.start_with(enqueue("admin::x"));
    assert_eq!(guest.answer_to(id).await.unwrap_err().code, "FORBIDDEN");
    let id = guest.start_with(enqueue("api::ok"));
    assert!(guest.answer_to(id).await.unwrap().unwrap().as_str().contains("messageReceiptId"));
    // The function behind it reaches no further.
    for data in [
        json!({"queue": "q", "function_id": "admin::x", "data": 1}).to_string(),
        r#"{"queue":"q","function_id":"api::ok","function_id":"admin::x","data":1}"#.to_owned(),
    ] {
        let error = guest.call("engine::queue::enqueue", &data).await.unwrap_err();
        assert_eq!(error.code, "FORBIDDEN", "{data}");
    }
    // A call that wants no answer gets none, also if it is denied.
    guest.void("admin::x", "1");
    guest.nothing_else().await;
}

#[tokio::test]
async fn a_grant_for_a_namespace_reaches_no_built_in_function() {
    let broker = engine();
    let mut guest =
        guest(&broker, Access::new(), json!({"namespaces": {"shop": ["*"], "default": []}})).await;
    for (namespace, code) in [("shop", "FORBIDDEN"), ("default", "FORBIDDEN")] {
        let call = Worker::invocation("publish", r#"{"topic":"t","data":1}"#);
        let id = guest.start_with(InvokeFunction { namespace: Some(namespace.into()), ..call });
        assert_eq!(guest.answer_to(id).await.unwrap_err().code, code, "{namespace}");
    }
    let call = Worker::invocation("mine::f", "{}");
    let id = guest.start_with(InvokeFunction { namespace: Some("shop".into()), ..call });
    assert_eq!(guest.answer_to(id).await.unwrap_err().code, "function_not_found");
}

#[tokio::test]
async fn exposed_by_metadata_is_what_its_worker_says() {
    let broker = engine();
    let mut owner = Worker::named(&broker, "owner").await;
    for (id, public) in [("a::open", true), ("a::closed", false)] {
        owner.send(Message::RegisterFunction(Box::new(RegisterFunction {
            id: id.into(),
            description: None,
            request_format: None,
            response_format: None,
            metadata: Some(payload(json!({ "public": public }))),
            invocation: None,
        })));
    }
    owner.nothing_else().await;
    let rules = [("public", MetadataRule::equals(true))];
    let access = Access::new().expose(FunctionFilter::metadata(rules));
    let mut guest = guest_of(&broker, Some(access), None).await;
    guest.start("a::open", "{}");
    assert_eq!(owner.called().await.function_id, "a::open");
    assert_eq!(guest.call("a::closed", "{}").await.unwrap_err().code, "FORBIDDEN");
}

#[tokio::test]
async fn a_worker_knows_its_functions_by_its_own_names() {
    let broker = engine();
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
        crate::protocol::TriggerRegistrationResult {
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

#[tokio::test(start_paused = true)]
async fn middleware_gets_the_calls_and_answers_them() {
    let broker = engine();
    let mut gate = Worker::named(&broker, "gate").await;
    gate.function("gate::check");
    gate.function("api::f");
    gate.nothing_else().await;
    // No rules are needed for that.
    let mut guest = guest_of(&broker, None, Some(middleware("gate::check"))).await;
    guest.announce("guest", "default").await.unwrap();
    let call = Worker::invocation("api::f", r#"{"a":1}"#);
    let call = InvokeFunction { metadata: Some(payload(json!({"retry": 1}))), ..call };
    let id = guest.start_with(call);
    let seen = gate.called().await;
    assert_eq!((&*seen.function_id, seen.caller), ("gate::check", None));
    assert_eq!(seen.metadata, Some(payload(json!({"retry": 1}))));
    assert_eq!(
        seen.data.parse::<Value>().unwrap(),
        json!({"function_id": "api::f", "payload": {"a": 1}, "action": null, "context": {},
               "namespace": "default"})
    );
    gate.answer(&seen, Ok(Some(payload(json!("rewritten")))));
    assert_eq!(guest.answer_to(id).await.unwrap().unwrap().as_str(), "\"rewritten\"");

    let call = Worker::invocation("api::f", "1");
    let id = guest.start_with(InvokeFunction {
        action: Some(Action::Enqueue { queue: "q".to_owned() }),
        namespace: Some("shop".into()),
        ..call
    });
    let seen = gate.called().await;
    let data: Value = seen.data.parse().unwrap();
    assert_eq!(data["action"], json!({"type": "enqueue", "queue": "q"}));
    assert_eq!(data["namespace"], "shop");
    gate.answer(&seen, Err(ErrorBody::new("no", "not today")));
    assert_eq!(guest.answer_to(id).await.unwrap_err().code, "no");

    // Those of the engine go their own way; a call without answer has none, and one that is late an error.
    assert!(guest.call("engine::functions::list", "{}").await.is_ok());
    guest.void("api::f", "1");
    let seen = gate.called().await;
    gate.answer(&seen, Ok(Some(payload(json!("ignored")))));
    gate.nothing_else().await;
    guest.nothing_else().await;
    let id = guest.start("api::f", "1");
    let error = guest.answer_to(id).await.unwrap_err();
    assert!(error.code == "timeout" && error.message.contains("20s"), "{error}");
}

#[tokio::test]
async fn middleware_does_not_replace_the_check() {
    let broker = engine();
    let mut gate = Worker::named(&broker, "gate").await;
    gate.function("gate::check");
    gate.nothing_else().await;
    let mut guest =
        guest_of(&broker, Some(exposing("api::*")), Some(middleware("gate::check"))).await;
    assert_eq!(guest.call("admin::f", "1").await.unwrap_err().code, "FORBIDDEN");
    gate.nothing_else().await;
}

#[tokio::test(start_paused = true)]
async fn a_guest_sees_what_it_may_call_and_what_is_its_own() {
    let broker = engine();
    let mut owner = Worker::named(&broker, "owner").await;
    owner.function("api::f");
    owner.function("admin::f");
    owner.bind("a1", "subscribe", "api::f", r#"{"topic":"x"}"#);
    owner.bind("a2", "subscribe", "admin::f", r#"{"topic":"secret"}"#);
    let mut hidden = Worker::named(&broker, "hidden").await;
    hidden.function("admin::g");
    hidden.nothing_else().await;
    let access = exposing("api::*").expose(FunctionFilter::matching("engine::*"));
    let mut guest =
        guest(&broker, access, json!({"allowed_trigger_types": ["engine::functions-available"]}))
            .await;
    guest.function("own::f");

    async fn ask(guest: &mut Worker, id: &str, input: Value) -> Value {
        let answer = guest.call(&format!("engine::{id}"), &input.to_string()).await;
        answer.unwrap().unwrap().parse().unwrap()
    }
    fn ids(list: &Value, key: &str) -> Vec<String> {
        let ids = list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned());
        ids.collect()
    }
    let g = &mut guest;
    let list = ask(g, "functions::list", json!({})).await;
    assert_eq!(ids(&list["functions"], "function_id"), ["api::f", "own::f"]);
    let asked =
        json!({"function_ids": ["api::f", "admin::f", "nothing", "api::nothing", "own::f"]});
    let info = ask(g, "functions::info", asked).await;
    let errors: Vec<_> =
        info["functions"].as_array().unwrap().iter().map(|one| one["error"].as_str()).collect();
    assert_eq!(errors, [None, Some("forbidden"), Some("forbidden"), Some("not_found"), None]);
    let error = g.call("engine::functions::info", r#"{"function_id":"admin::f"}"#).await;
    assert_eq!(error.unwrap_err().code, "FORBIDDEN");

    let list = ask(g, "triggers::list", json!({"include_internal": true})).await;
    assert_eq!(ids(&list["triggers"], "id"), ["engine::functions-available"]);
    let list = ask(g, "registered-triggers::list", json!({})).await;
    assert_eq!(ids(&list["registered_triggers"], "id"), ["a1"]);
    let error = g.call("engine::registered-triggers::info", r#"{"id":"a2"}"#).await;
    assert_eq!(error.unwrap_err().code, "NOT_FOUND");

    let list = ask(g, "workers::list", json!({"status": "connected"})).await;
    assert_eq!(ids(&list["workers"], "name"), ["owner", "guest"]);
    assert_eq!(list["workers"][0]["function_count"], 1);
    let info = ask(g, "workers::info", json!({"name": "owner"})).await;
    assert_eq!(ids(&info["functions"], "function_id"), ["api::f"]);
    assert_eq!(ids(&info["registered_triggers"], "id"), ["a1"]);
    let error = g.call("engine::workers::info", r#"{"name":"hidden"}"#).await;
    assert_eq!(error.unwrap_err().code, "NOT_FOUND");

    guest.bind("seen", "engine::functions-available", "api::f", "{}");
    guest.nothing_else().await;
    hidden.function("admin::h");
    let told: Value = owner.called().await.data.parse().unwrap();
    let told = ids(&told["functions"], "function_id");
    assert!(told.contains(&"api::f".to_owned()), "{told:?}");
    assert!(told.iter().all(|id| !id.starts_with("admin::")), "{told:?}");
}

#[tokio::test]
async fn a_gate_goes_with_its_connection() {
    let broker = engine();
    let guard = Guard::new(broker.clone(), Some(Access::new()), None).unwrap();
    let gate = guard.admit(&visitor("/")).await.unwrap();
    let weak = Arc::downgrade(&gate);
    let worker = Worker::connect_behind(&broker, gate).await;
    assert!(weak.upgrade().is_some());
    drop(worker);
    until("the gate is gone", || weak.upgrade().is_none()).await;
}
