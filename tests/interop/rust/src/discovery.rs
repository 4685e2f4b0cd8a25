//! Owns the checks of what the engine tells of functions, trigger types, bindings and workers, and of logs.

use serde_json::{json, Value};

use crate::kit::{checks, plain, Kit};

checks! {
    "discovery/functions" => functions;
    "discovery/trigger-types" => trigger_types;
    "discovery/bindings" => bindings;
    "discovery/register-trigger" => register_trigger;
    "discovery/workers" => workers;
    "observability/logs" => logs;
}

/// Whether a list has an entry with this field.
fn has(list: &Value, field: &str, wanted: &str) -> bool {
    list.as_array().unwrap().iter().any(|one| one[field] == wanted)
}

async fn functions(kit: &mut Kit) {
    let function = plain(|_| json!(1))
        .description("Described.")
        .metadata(json!({"team": "rs"}))
        .request_format(json!({"type": "object"}))
        .response_format(json!({"type": "integer"}));
    kit.serve("rs::described", function).await;
    let listed = kit.call("engine::functions::list", json!({"prefix": "rs::described"})).await;
    let summary = json!({
        "function_id": "rs::described", "namespace": "default", "worker_name": "rust-one",
        "description": "Described.", "metadata": {"team": "rs"},
    });
    assert_eq!(listed["functions"], json!([summary]));
    let detail = kit.call("engine::functions::info", json!({"function_id": "rs::described"})).await;
    assert_eq!(
        json!([detail["request_schema"], detail["response_schema"], detail["registered_triggers"]]),
        json!([{"type": "object"}, {"type": "integer"}, []])
    );
    let ids = json!({"function_ids": ["rs::described", "rs::none"]});
    let both = kit.call("engine::functions::info", ids).await;
    assert_eq!(both["functions"][1], json!({"function_id": "rs::none", "error": "not_found"}));
    kit.refused("NOT_FOUND", "engine::functions::info", json!({"function_id": "rs::none"})).await;
}

async fn trigger_types(kit: &mut Kit) {
    let listed = kit.call("engine::triggers::list", json!({})).await;
    let wanted = [
        "http", "cron", "durable:subscriber", "subscribe", "state", "stream", "stream:join", "stream:leave", "log",
        "configuration", "rs-bell",
    ];
    for id in wanted {
        assert!(has(&listed["triggers"], "id", id), "{id}");
    }
    let bell = kit.call("engine::triggers::info", json!({"id": "rs-bell"})).await;
    let told = json!([bell["worker_name"], bell["description"], bell["instance_count"]]);
    assert_eq!(told, json!(["rust-two", "Rings.", 1]));
    let http = kit.call("engine::triggers::info", json!({"id": "http"})).await;
    assert!(http["configuration_schema"]["properties"].is_object(), "{http}");
}

async fn bindings(kit: &mut Kit) {
    let binding = &kit.bindings("rs-bell", "rs::rung").await[0];
    assert_eq!(json!([binding["worker_name"], binding["config"]]), json!(["rust-one", {"tune": "ding"}]));
    let detail = kit.call("engine::registered-triggers::info", json!({"id": binding["id"]})).await;
    assert_eq!(
        json!([detail["metadata"], detail["trigger"]["id"], detail["function"]["function_id"]]),
        json!([{"who": "rs"}, "rs-bell", "rs::rung"])
    );
}

async fn register_trigger(kit: &mut Kit) {
    let heard = kit.hear("rs::by-function").await;
    let binding = json!({
        "trigger_type": "subscribe", "function_id": "rs::by-function", "config": {"topic": "rs.by-function"},
    });
    let id = json!({"id": kit.call("engine::register_trigger", binding).await["id"]});
    kit.call("publish", json!({"topic": "rs.by-function", "data": 1})).await;
    heard.wait("the message", |_| true).await;
    for removed in [true, false] {
        let answer = kit.call("engine::unregister_trigger", id.clone()).await;
        assert_eq!(answer, json!({"removed": removed}));
    }
}

async fn workers(kit: &mut Kit) {
    let listed = kit.call("engine::workers::list", json!({})).await;
    let listed = &listed["workers"];
    let mine = listed.as_array().unwrap().iter().find(|worker| worker["name"] == "rust-one").unwrap();
    let told = json!([mine["runtime"], mine["namespace"], mine["status"]]);
    assert_eq!(told, json!(["rust", "default", "connected"]));
    assert!(has(listed, "name", "interop-worker"), "{listed}");
    let info = kit.call("engine::workers::info", json!({"name": "rust-one"})).await;
    assert!(has(&info["functions"], "function_id", "rs::sum"), "{info}");
    assert!(has(&info["registered_triggers"], "function_id", "rs::rung"), "{info}");
    let info = kit.call("engine::workers::info", json!({"name": "rust-two"})).await;
    assert_eq!(info["trigger_types"][0]["id"], "rs-bell");
}

async fn logs(kit: &mut Kit) {
    for level in ["trace", "debug", "info", "warn", "error"] {
        let record = json!({"message": format!("rs {level}"), "service_name": "rs-logs"});
        kit.call(&format!("engine::log::{level}"), record).await;
    }
    let listed = kit.call("engine::logs::list", json!({"severity_min": 13})).await;
    let logs = listed["logs"].as_array().unwrap().iter().filter(|log| log["service_name"] == "rs-logs");
    let mut bodies: Vec<_> = logs.map(|log| log["body"].as_str().unwrap()).collect();
    bodies.sort();
    assert_eq!(bodies, ["rs error", "rs warn"]);
}
