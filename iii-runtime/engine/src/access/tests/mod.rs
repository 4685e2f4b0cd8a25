//! Tests of access rules at the broker: authentication, authorization of calls, and visibility in listings.

mod registrations;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::*;
use crate::broker::Broker;
use crate::broker::testing::{Worker, broker, until, with_provider};
use crate::discovery::Discovery;
use crate::provider::Outcome;
use crate::pubsub::PubSub;
use iii_wire::protocol::{
    Action, ErrorBody, InvokeFunction, Message, Payload, RegisterFunction, RegisterTriggerType,
};

fn payload(value: Value) -> Payload {
    value.into()
}

/// Connects a worker that serves functions with `code`.
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
        while let Some(message) = worker.connection.inbox.next().await {
            let Message::InvokeFunction(call) = message else { continue };
            let outcome = code(&call, call.data.parse().unwrap());
            worker.answer(&call, outcome);
        }
    });
}

fn auth_request(uri: &str) -> AuthRequest {
    let request = hyper::http::Request::get(uri).header("X-Who", "ann").body(()).unwrap();
    AuthRequest::new(&request, [10, 0, 0, 7].into())
}

fn middleware(function_id: &str) -> CallMiddleware {
    CallMiddleware { function_id: function_id.into(), timeout: Duration::from_secs(20) }
}

/// Connects a worker through a listener with these rules.
async fn connect_through(
    broker: &Broker,
    access: Option<Access>,
    middleware: Option<CallMiddleware>,
) -> Worker {
    let guard = AccessGuard::new(broker.clone(), access, middleware).unwrap();
    let policy = guard.admit(&auth_request("/")).await.unwrap();
    Worker::connect_with_policy(broker, policy).await
}

/// Connects a worker through a listener with these rules, and announces it.
async fn announced_through(
    broker: &Broker,
    access: Option<Access>,
    middleware: Option<CallMiddleware>,
) -> Worker {
    let mut worker = connect_through(broker, access, middleware).await;
    worker.announce("restricted", "default").await.unwrap();
    worker
}

/// Connects a worker through a listener whose auth function returns `grants`, and announces it.
async fn connect_with_grants(broker: &Broker, access: Access, grants: Value) -> Worker {
    serve(broker, &["gate::auth"], move |_, _| Ok(Some(payload(grants.clone())))).await;
    let access = access.auth_function("gate::auth");
    announced_through(broker, Some(access), None).await
}

fn exposing(pattern: &str) -> Access {
    Access::new().expose(FunctionFilter::matching(pattern))
}

/// A broker with the providers whose functions the tests call.
fn broker_with_providers() -> Broker {
    let broker = broker();
    with_provider(&broker, PubSub::new(broker.clone()));
    with_provider(&broker, Discovery::new(broker.clone(), Default::default()));
    broker
}

#[tokio::test]
async fn auth_function_receives_the_handshake_and_accepts_or_rejects() {
    let broker = broker();
    let guard =
        AccessGuard::new(broker.clone(), Some(Access::new().auth_function("gate::auth")), None);
    let guard = guard.unwrap();
    let missing = guard.admit(&auth_request("/")).await.map(drop).unwrap_err();
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
    assert!(guard.admit(&auth_request("/?token=a%2Bb%3D")).await.is_ok());
    for (uri, text) in [
        ("/?token=nothing", "not an object"),
        ("/?token=nonsense", "returned invalid grants"),
        ("/?token=later", "ask again"),
        ("/", "who are you"),
    ] {
        let error = guard.admit(&auth_request(uri)).await.map(drop).unwrap_err();
        assert_eq!(error.code, "AUTH_ERROR");
        assert!(error.message.contains(text), "{error}");
        assert_eq!(error.retryable, (text == "ask again").then_some(true));
    }
}

#[tokio::test(start_paused = true)]
async fn auth_function_timeout_rejects_the_connection() {
    let broker = broker();
    let worker = Worker::named(&broker, "gate").await;
    worker.function("gate::auth");
    let access = Access::new().auth_function("gate::auth").timeout(Duration::from_secs(3));
    let guard = AccessGuard::new(broker.clone(), Some(access), None).unwrap();
    until("the function", || broker.functions().len() == 1).await;
    let error = guard.admit(&auth_request("/")).await.map(drop).unwrap_err();
    assert!(error.code == "AUTH_ERROR" && error.message.contains("3s"), "{error}");
}

#[tokio::test]
async fn unexposed_functions_can_be_neither_called_nor_enqueued() {
    let broker = broker_with_providers();
    serve(&broker, &["api::ok", "admin::x", "engine::queue::enqueue"], |_, data| {
        Ok(Some(payload(data)))
    })
    .await;
    let access = exposing("api::*").expose(FunctionFilter::matching("engine::queue::*"));
    let mut worker = announced_through(&broker, Some(access), None).await;
    assert_eq!(worker.call("api::ok", "1").await.unwrap().unwrap().as_str(), "1");
    let error = worker.call("admin::x", "1").await.unwrap_err();
    assert!(error.code == "FORBIDDEN" && error.message.contains("`admin::x`"), "{error}");
    assert_eq!(worker.call("publish", "{}").await.unwrap_err().code, "FORBIDDEN");
    let missing = worker.call("api::nothing", "1").await.unwrap_err();
    assert_eq!(missing.code, "function_not_found");

    let enqueue = |id: &str| InvokeFunction {
        action: Some(Action::Enqueue { queue: "q".to_owned() }),
        ..Worker::invocation(id, "1")
    };
    let id = worker.start_with(enqueue("admin::x"));
    assert_eq!(worker.answer_to(id).await.unwrap_err().code, "FORBIDDEN");
    let id = worker.start_with(enqueue("api::ok"));
    assert!(worker.answer_to(id).await.unwrap().unwrap().as_str().contains("messageReceiptId"));
    // The enqueue function applies the same check to its target.
    for data in [
        json!({"queue": "q", "function_id": "admin::x", "data": 1}).to_string(),
        r#"{"queue":"q","function_id":"api::ok","function_id":"admin::x","data":1}"#.to_owned(),
    ] {
        let error = worker.call("engine::queue::enqueue", &data).await.unwrap_err();
        assert_eq!(error.code, "FORBIDDEN", "{data}");
    }
    // A denied void call is not answered either.
    worker.void("admin::x", "1");
    worker.nothing_else().await;
}

#[tokio::test]
async fn namespace_grants_do_not_cover_built_in_functions() {
    let broker = broker_with_providers();
    let mut worker = connect_with_grants(
        &broker,
        Access::new(),
        json!({"namespaces": {"shop": ["*"], "default": []}}),
    )
    .await;
    for (namespace, code) in [("shop", "FORBIDDEN"), ("default", "FORBIDDEN")] {
        let call = Worker::invocation("publish", r#"{"topic":"t","data":1}"#);
        let id = worker.start_with(InvokeFunction { namespace: Some(namespace.into()), ..call });
        assert_eq!(worker.answer_to(id).await.unwrap_err().code, code, "{namespace}");
    }
    let call = Worker::invocation("mine::f", "{}");
    let id = worker.start_with(InvokeFunction { namespace: Some("shop".into()), ..call });
    assert_eq!(worker.answer_to(id).await.unwrap_err().code, "function_not_found");
}

#[tokio::test]
async fn functions_are_exposed_by_their_metadata() {
    let broker = broker_with_providers();
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
    let mut worker = connect_through(&broker, Some(access), None).await;
    worker.start("a::open", "{}");
    assert_eq!(owner.called().await.function_id, "a::open");
    assert_eq!(worker.call("a::closed", "{}").await.unwrap_err().code, "FORBIDDEN");
}

#[tokio::test(start_paused = true)]
async fn middleware_receives_calls_and_returns_their_results() {
    let broker = broker_with_providers();
    let mut gate = Worker::named(&broker, "gate").await;
    gate.function("gate::check");
    gate.function("api::f");
    gate.nothing_else().await;
    // A listener may have middleware without access rules.
    let mut worker = announced_through(&broker, None, Some(middleware("gate::check"))).await;
    let call = Worker::invocation("api::f", r#"{"a":1}"#);
    let call = InvokeFunction { metadata: Some(payload(json!({"retry": 1}))), ..call };
    let id = worker.start_with(call);
    let seen = gate.called().await;
    assert_eq!((&*seen.function_id, seen.caller), ("gate::check", None));
    assert_eq!(seen.metadata, Some(payload(json!({"retry": 1}))));
    assert_eq!(
        seen.data.parse::<Value>().unwrap(),
        json!({"function_id": "api::f", "payload": {"a": 1}, "action": null, "context": {},
               "namespace": "default"})
    );
    gate.answer(&seen, Ok(Some(payload(json!("rewritten")))));
    assert_eq!(worker.answer_to(id).await.unwrap().unwrap().as_str(), "\"rewritten\"");

    let call = Worker::invocation("api::f", "1");
    let id = worker.start_with(InvokeFunction {
        action: Some(Action::Enqueue { queue: "q".to_owned() }),
        namespace: Some("shop".into()),
        ..call
    });
    let seen = gate.called().await;
    let data: Value = seen.data.parse().unwrap();
    assert_eq!(data["action"], json!({"type": "enqueue", "queue": "q"}));
    assert_eq!(data["namespace"], "shop");
    gate.answer(&seen, Err(ErrorBody::new("no", "not today")));
    assert_eq!(worker.answer_to(id).await.unwrap_err().code, "no");

    // Calls of `engine::*` bypass the middleware, void calls have no result, and late results are errors.
    assert!(worker.call("engine::functions::list", "{}").await.is_ok());
    worker.void("api::f", "1");
    let seen = gate.called().await;
    gate.answer(&seen, Ok(Some(payload(json!("ignored")))));
    gate.nothing_else().await;
    worker.nothing_else().await;
    let id = worker.start("api::f", "1");
    let error = worker.answer_to(id).await.unwrap_err();
    assert!(error.code == "timeout" && error.message.contains("20s"), "{error}");
}

#[tokio::test]
async fn calls_are_authorized_before_they_reach_the_middleware() {
    let broker = broker_with_providers();
    let mut gate = Worker::named(&broker, "gate").await;
    gate.function("gate::check");
    gate.nothing_else().await;
    let mut worker =
        connect_through(&broker, Some(exposing("api::*")), Some(middleware("gate::check"))).await;
    assert_eq!(worker.call("admin::f", "1").await.unwrap_err().code, "FORBIDDEN");
    gate.nothing_else().await;
}

#[tokio::test(start_paused = true)]
async fn listings_show_only_callable_and_own_entries() {
    let broker = broker_with_providers();
    let mut owner = Worker::named(&broker, "owner").await;
    owner.function("api::f");
    owner.function("admin::f");
    owner.bind("a1", "subscribe", "api::f", r#"{"topic":"x"}"#);
    owner.bind("a2", "subscribe", "admin::f", r#"{"topic":"secret"}"#);
    let mut hidden = Worker::named(&broker, "hidden").await;
    hidden.function("admin::g");
    hidden.nothing_else().await;
    let access = exposing("api::*").expose(FunctionFilter::matching("engine::*"));
    let mut worker = connect_with_grants(
        &broker,
        access,
        json!({"allowed_trigger_types": ["engine::functions-available"]}),
    )
    .await;
    worker.function("own::f");

    async fn ask(worker: &mut Worker, id: &str, input: Value) -> Value {
        let answer = worker.call(&format!("engine::{id}"), &input.to_string()).await;
        answer.unwrap().unwrap().parse().unwrap()
    }
    fn ids(list: &Value, key: &str) -> Vec<String> {
        let ids = list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned());
        ids.collect()
    }
    let g = &mut worker;
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
    assert_eq!(ids(&list["workers"], "name"), ["owner", "restricted"]);
    assert_eq!(list["workers"][0]["function_count"], 1);
    let info = ask(g, "workers::info", json!({"name": "owner"})).await;
    assert_eq!(ids(&info["functions"], "function_id"), ["api::f"]);
    assert_eq!(ids(&info["registered_triggers"], "id"), ["a1"]);
    let error = g.call("engine::workers::info", r#"{"name":"hidden"}"#).await;
    assert_eq!(error.unwrap_err().code, "NOT_FOUND");

    worker.bind("seen", "engine::functions-available", "api::f", "{}");
    worker.nothing_else().await;
    hidden.function("admin::h");
    let event: Value = owner.called().await.data.parse().unwrap();
    let functions = ids(&event["functions"], "function_id");
    assert!(functions.contains(&"api::f".to_owned()), "{functions:?}");
    assert!(functions.iter().all(|id| !id.starts_with("admin::")), "{functions:?}");
}

#[tokio::test]
async fn session_is_dropped_with_its_connection() {
    let broker = broker_with_providers();
    let guard = AccessGuard::new(broker.clone(), Some(Access::new()), None).unwrap();
    let policy = guard.admit(&auth_request("/")).await.unwrap();
    let weak = Arc::downgrade(&policy);
    let worker = Worker::connect_with_policy(&broker, policy).await;
    assert!(weak.upgrade().is_some());
    drop(worker);
    until("the session is dropped", || weak.upgrade().is_none()).await;
}
