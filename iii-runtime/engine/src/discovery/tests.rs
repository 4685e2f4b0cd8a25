//! Tests of discovery: output fields, internal entries, and change events.

use serde_json::{Value, json};

use super::*;
use crate::broker::testing::{Worker, broker, with_provider};
use crate::pubsub::PubSub;
use iii_wire::protocol::{Message, RegisterFunction};

async fn setup() -> (Broker, Worker) {
    let broker = broker();
    with_provider(&broker, PubSub::new(broker.clone()));
    with_provider(&broker, Discovery::new(broker.clone(), Default::default()));
    let mut worker = Worker::named(&broker, "demo").await;
    worker.send(Message::RegisterFunction(Box::new(RegisterFunction {
        id: "demo::echo".into(),
        description: Some("echoes".into()),
        request_format: Some(crate::broker::testing::json(r#"{"type":"object"}"#)),
        response_format: None,
        metadata: Some(crate::broker::testing::json(r#"{"team":"x"}"#)),
        invocation: None,
    })));
    worker.bind("u1", "subscribe", "demo::echo", r#"{"topic":"news"}"#);
    worker.nothing_else().await;
    (broker, worker)
}

async fn ask(worker: &mut Worker, function: &str, input: Value) -> Value {
    let result = worker.call(function, &input.to_string()).await;
    result.unwrap_or_else(|error| panic!("{error}")).unwrap().parse().unwrap()
}

async fn fails(worker: &mut Worker, function: &str, input: Value) -> String {
    worker.call(function, &input.to_string()).await.unwrap_err().code
}

#[tokio::test]
async fn functions_are_listed_and_described() {
    let (_broker, mut worker) = setup().await;
    let w = &mut worker;
    let echo = json!({"description": "echoes", "function_id": "demo::echo", "metadata": {"team": "x"},
                      "namespace": "default", "worker_name": "demo"});
    let list = ask(w, "engine::functions::list", json!({})).await;
    assert_eq!(list["functions"][0], echo);
    assert_eq!(list["functions"][1]["function_id"], "publish");
    assert_eq!(list["functions"].as_array().unwrap().len(), 2, "internal functions are omitted");
    let all = ask(
        w,
        "engine::functions::list",
        json!({"include_internal": true, "prefix": "engine::workers"}),
    )
    .await;
    assert_eq!(all["functions"].as_array().unwrap().len(), 3);
    let found =
        ask(w, "engine::functions::list", json!({"search": "ECHO", "worker": "demo"})).await;
    assert_eq!(found, json!({"functions": [echo.clone()]}));

    let mut detail = echo;
    detail["request_schema"] = json!({"type": "object"});
    detail["registered_triggers"] =
        json!([{"id": "u1", "trigger_type": "subscribe", "config": {"topic": "news"}}]);
    let info = ask(w, "engine::functions::info", json!({"function_id": "demo::echo"})).await;
    assert_eq!(info, detail);
    let several = json!({"function_ids": ["demo::echo", "nope", "demo::echo"]});
    let info = ask(w, "engine::functions::info", several).await;
    assert_eq!(info, json!({"functions": [detail, {"function_id": "nope", "error": "not_found"}]}));
    assert_eq!(
        fails(w, "engine::functions::info", json!({"function_id": "nope"})).await,
        "NOT_FOUND"
    );
    for bad in
        [json!({}), json!({"function_ids": []}), json!({"function_id": "a", "function_ids": ["b"]})]
    {
        assert_eq!(fails(w, "engine::functions::info", bad).await, "INVALID_ARGUMENTS");
    }
}

#[tokio::test]
async fn triggers_are_listed_and_described() {
    let (_broker, mut worker) = setup().await;
    let w = &mut worker;
    let list = ask(w, "engine::triggers::list", json!({})).await;
    assert_eq!(list["triggers"].as_array().unwrap().len(), 1);
    assert_eq!(list["triggers"][0]["id"], "subscribe");
    let info = ask(w, "engine::triggers::info", json!({"id": "subscribe"})).await;
    assert_eq!(info["instance_count"], 1);
    assert_eq!(info["worker_name"], "iii-pubsub");
    assert!(info["configuration_schema"]["properties"]["topic"].is_object());
    assert_eq!(fails(w, "engine::triggers::info", json!({"id": "nope"})).await, "NOT_FOUND");

    let list =
        ask(w, "engine::registered-triggers::list", json!({"trigger_type": "subscribe"})).await;
    let summary = json!({"id": "u1", "trigger_type": "subscribe", "function_id": "demo::echo", "worker_name": "demo",
                         "config": {"topic": "news"}, "config_summary": "{\"topic\":\"news\"}"});
    assert_eq!(list, json!({"registered_triggers": [summary]}));
    let info = ask(w, "engine::registered-triggers::info", json!({"id": "u1"})).await;
    assert_eq!(info["metadata"], json!({"m": 1}));
    assert_eq!(info["trigger"]["id"], "subscribe");
    assert_eq!(info["function"]["function_id"], "demo::echo");
    assert!(info.get("config_summary").is_none());
    assert_eq!(
        fails(w, "engine::registered-triggers::info", json!({"id": "x"})).await,
        "NOT_FOUND"
    );
}

#[tokio::test]
async fn parked_triggers_are_listed_with_their_reason() {
    let (broker, mut worker) = setup().await;
    let w = &mut worker;
    w.bind("a-typo", "subscribed", "demo::echo", r#"{"topic":"news"}"#);
    w.bind("b-bad", "subscribe", "demo::echo", "{}");
    w.binding_error().await;
    let plain = ask(w, "engine::registered-triggers::list", json!({})).await;
    assert_eq!(plain["registered_triggers"].as_array().unwrap().len(), 1);
    let all = ask(w, "engine::registered-triggers::list", json!({"include_parked": true})).await;
    let all = all["registered_triggers"].as_array().unwrap();
    let ids: Vec<_> = all.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a-typo", "b-bad", "u1"]);
    assert_eq!(all[0]["parked"]["code"], "trigger_type_not_found");
    assert!(all[0]["parked"]["message"].as_str().unwrap().contains("`subscribed`"));
    assert_eq!(all[1]["parked"]["code"], "trigger_registration_failed");
    assert!(all[1]["parked"]["message"].as_str().unwrap().contains("`topic`"));
    assert!(all[2].get("parked").is_none());
    let info = ask(w, "engine::registered-triggers::info", json!({"id": "a-typo"})).await;
    assert_eq!(info["parked"]["code"], "trigger_type_not_found");
    assert_eq!(
        (&info["trigger"], &info["function"]["function_id"]),
        (&Value::Null, &json!("demo::echo"))
    );
    // The registration of the trigger type activates the trigger.
    let mut provider = Worker::named(&broker, "provider").await;
    provider.trigger_type("subscribed");
    provider.bound().await;
    let info = ask(w, "engine::registered-triggers::info", json!({"id": "a-typo"})).await;
    assert!(info.get("parked").is_none());
}

#[tokio::test]
async fn workers_are_listed_and_described() {
    let (broker, mut worker) = setup().await;
    let _browser = Worker::connect(&broker).await;
    let w = &mut worker;
    let list = ask(w, "engine::workers::list", json!({"status": "connected"})).await;
    let mut one = list["workers"][0].clone();
    assert_eq!(
        list["workers"].as_array().unwrap().len(),
        1,
        "workers without process id are omitted"
    );
    assert!(one["connected_at_ms"].as_u64().unwrap() > 0);
    one["connected_at_ms"] = json!(0);
    assert_eq!(
        one,
        json!({"active_invocations": 0, "connected_at_ms": 0, "description": null, "function_count": 1,
               "id": w.id.to_string(), "ip_address": null, "isolation": null, "name": "demo", "namespace": "default",
               "os": null, "runtime": "rust", "status": "connected", "version": "1"})
    );
    let list =
        ask(w, "engine::workers::list", json!({"runtime": "engine", "search": "pubsub"})).await;
    assert_eq!(list["workers"][0]["isolation"], "in-process");
    let info = ask(w, "engine::workers::info", json!({"name": "demo"})).await;
    assert_eq!((&info["worker"]["pid"], &info["worker"]["internal"]), (&json!(7), &json!(false)));
    assert_eq!(info["functions"][0]["function_id"], "demo::echo");
    assert_eq!(info["registered_triggers"][0]["id"], "u1");
    let info = ask(w, "engine::workers::info", json!({"name": "iii-pubsub"})).await;
    assert_eq!(info["functions"][0]["function_id"], "publish");
    assert_eq!(info["trigger_types"][0]["id"], "subscribe");
    assert_eq!(fails(w, "engine::workers::info", json!({"name": "x"})).await, "NOT_FOUND");
}

#[tokio::test]
async fn triggers_can_be_registered_by_function() {
    let (broker, mut worker) = setup().await;
    let w = &mut worker;
    let wrong = json!({"trigger_type": "subscribe", "function_id": "demo::echo"});
    assert_eq!(fails(w, "engine::register_trigger", wrong).await, "trigger_registration_failed");
    assert_eq!(broker.bindings().len(), 1);
    let right = json!({"trigger_type": "subscribe", "function_id": "demo::echo", "config": {"topic": "x"}, "metadata": 5});
    let made = ask(w, "engine::register_trigger", right).await;
    w.void("publish", r#"{"topic":"x","data":1}"#);
    assert_eq!(w.called().await.metadata.unwrap().as_str(), "5");
    let removed = ask(w, "engine::unregister_trigger", json!({"id": made["id"]})).await;
    assert_eq!(removed, json!({"removed": true}));
    let mut other = Worker::named(&broker, "other").await;
    let removed = ask(&mut other, "engine::unregister_trigger", json!({"id": "u1"})).await;
    assert_eq!(removed, json!({"removed": false}), "it belongs to another worker");
}

#[tokio::test]
async fn register_trigger_waits_for_the_provider() {
    let (broker, mut worker) = setup().await;
    let mut provider = Worker::named(&broker, "provider").await;
    provider.trigger_type("mail");
    provider.nothing_else().await;
    let id =
        worker.start("engine::register_trigger", r#"{"trigger_type":"mail","function_id":"f"}"#);
    let registration = provider.bound().await;
    worker.nothing_else().await;
    provider.send(Message::TriggerRegistrationResult(Box::new(
        iii_wire::protocol::TriggerRegistrationResult {
            id: registration.id.clone(),
            trigger_type: registration.trigger_type.clone(),
            function_id: registration.function_id.clone(),
            error: Some(ErrorBody::new("trigger_registration_failed", "no such box")),
        },
    )));
    assert_eq!(worker.answer_to(id).await.unwrap_err().message, "no such box");
}

#[tokio::test(start_paused = true)]
async fn changes_fire_triggers() {
    let (broker, mut worker) = setup().await;
    worker.bind("w", events::WORKERS_AVAILABLE, "demo::echo", "{}");
    worker.nothing_else().await;
    let other = Worker::connect(&broker).await;
    let event: Value = worker.called().await.data.parse().unwrap();
    assert_eq!(event, json!({"event": "worker_connected", "worker_id": other.id.to_string()}));
    drop(other);
    let event: Value = worker.called().await.data.parse().unwrap();
    assert_eq!(event["event"], "worker_disconnected");
    worker.unbind("w");
    worker.bind("f", events::FUNCTIONS_AVAILABLE, "demo::echo", "{}");
    worker.function("demo::new");
    let event: Value = worker.called().await.data.parse().unwrap();
    assert_eq!(event["event"], "functions_changed");
    let new =
        event["functions"].as_array().unwrap().iter().find(|one| one["function_id"] == "demo::new");
    assert_eq!(
        new.unwrap(),
        &json!({"function_id": "demo::new", "namespace": "default", "worker_name": "demo"})
    );
}
