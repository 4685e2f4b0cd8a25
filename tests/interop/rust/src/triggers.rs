//! Owns the checks of the built-in trigger types, except http and those of queues and of stream sockets.

use iii_sdk::protocol::RegisterTriggerInput;
use serde_json::{json, Value};

use crate::kit::{checks, connect, plain, Kit};

checks! {
    "triggers/cron" => cron;
    "triggers/subscribe" => subscribe;
    "triggers/state" => state;
    "triggers/stream" => stream;
    "triggers/log" => log;
    "triggers/configuration" => configuration;
    "triggers/functions-available" => functions_available;
    "triggers/workers-available" => workers_available;
}

fn with_metadata(kind: &str, function: &str, config: Value, metadata: Value) -> RegisterTriggerInput {
    RegisterTriggerInput::new(kind, function, config).with_metadata(metadata)
}

async fn cron(kit: &mut Kit) {
    let ticks = kit.hear("rs::tick").await;
    let config = json!({"expression": "* * * * * *"});
    let binding = kit.bind_with(with_metadata("cron", "rs::tick", config, json!({"k": 1}))).await;
    let tick = ticks.wait("a tick", |_| true).await;
    assert_eq!((&tick["trigger"], ticks.metadata()), (&json!("cron"), Some(json!({"k": 1}))));
    assert!(tick["scheduled_time"].as_str().unwrap().ends_with("+00:00"), "{tick}");
    kit.unbind(binding, "cron", "rs::tick").await;
}

async fn subscribe(kit: &mut Kit) {
    let (first, second) = (kit.hear("rs::news").await, kit.hear("rs::news-too").await);
    let binding = kit.bind("subscribe", "rs::news", json!({"topic": "rs.news"})).await;
    kit.bind("subscribe", "rs::news-too", json!({"topic": "rs.news"})).await;
    kit.call("publish", json!({"topic": "rs.news", "data": {"n": 1}})).await;
    for heard in [&first, &second] {
        assert_eq!(heard.wait("the news", |_| true).await, json!({"n": 1}));
    }
    kit.unbind(binding, "subscribe", "rs::news").await;
    kit.call("publish", json!({"topic": "rs.news", "data": {"n": 2}})).await;
    second.wait("more news", |item| *item == json!({"n": 2})).await;
    assert_eq!(first.len(), 1);
    kit.refused("topic_not_set", "publish", json!({"topic": "", "data": 1})).await;
}

async fn state(kit: &mut Kit) {
    let (changes, one_key) = (kit.hear("rs::changed").await, kit.hear("rs::changed-key").await);
    kit.serve("rs::even", plain(|event| json!(event["new_value"].as_i64().unwrap_or(0) % 2 == 0))).await;
    let evens = kit.hear("rs::evens").await;
    kit.bind_with(with_metadata("state", "rs::changed", json!({"scope": "rs-t"}), json!({"m": 1}))).await;
    kit.bind("state", "rs::changed-key", json!({"scope": "rs-t", "key": "b"})).await;
    kit.bind("state", "rs::evens", json!({"scope": "rs-t", "condition_function_id": "rs::even"})).await;
    for (key, value) in [("a", 1), ("a", 2), ("b", 3)] {
        kit.call("state::set", json!({"scope": "rs-t", "key": key, "value": value})).await;
    }
    kit.call("state::delete", json!({"scope": "rs-t", "key": "a"})).await;
    let all = changes.all("the changes", 4).await;
    let event = |event: &Value| json!([event["event_type"], event["old_value"], event["new_value"]]);
    let of_a: Vec<_> = all.iter().filter(|one| one["key"] == "a").map(event).collect();
    let wanted =
        [json!(["state:created", null, 1]), json!(["state:updated", 1, 2]), json!(["state:deleted", 2, null])];
    assert_eq!(of_a, wanted);
    assert_eq!(json!([all[0]["type"], all[0]["scope"], changes.metadata()]), json!(["state", "rs-t", {"m": 1}]));
    assert_eq!(one_key.wait("the key", |_| true).await["new_value"], 3);
    let evens = evens.all("the even ones", 2).await;
    assert_eq!([&evens[0]["new_value"], &evens[1]["new_value"]], [&json!(2), &Value::Null]);
    assert_eq!(one_key.len(), 1);
}

async fn stream(kit: &mut Kit) {
    let (changes, one_item) = (kit.hear("rs::item").await, kit.hear("rs::item-one").await);
    let config = json!({"stream_name": "rs-ts", "group_id": "g"});
    kit.bind_with(with_metadata("stream", "rs::item", config, json!({"m": 2}))).await;
    kit.bind("stream", "rs::item-one", json!({"stream_name": "rs-ts", "item_id": "b"})).await;
    let calls = [
        ("stream::set", json!({"group_id": "g", "item_id": "a", "data": {"n": 1}})),
        ("stream::update", json!({
            "group_id": "g", "item_id": "a", "ops": [{"type": "increment", "path": "n", "by": 1}],
        })),
        ("stream::set", json!({"group_id": "h", "item_id": "a", "data": {}})),
        ("stream::delete", json!({"group_id": "g", "item_id": "a"})),
        ("stream::send", json!({"group_id": "g", "type": "typing", "data": {"u": 1}})),
        ("stream::set", json!({"group_id": "g", "item_id": "b", "data": {"n": 9}})),
    ];
    for (function, mut input) in calls {
        input["stream_name"] = json!("rs-ts");
        kit.call(function, input).await;
    }
    let events = changes.all("the changes", 5).await;
    let short: Vec<_> = events[..3].iter().map(|one| json!([one["event"]["type"], one["event"]["data"]])).collect();
    assert_eq!(short, [json!(["create", {"n": 1}]), json!(["update", {"n": 2}]), json!(["delete", {"n": 2}])]);
    assert_eq!(events[3]["event"], json!({"type": "event", "event": {"type": "typing", "data": {"u": 1}}}));
    let first = &events[0];
    assert_eq!(
        json!([first["streamName"], first["groupId"], first["id"], changes.metadata()]),
        json!(["rs-ts", "g", "a", {"m": 2}])
    );
    assert_eq!(one_item.wait("the item", |_| true).await["id"], "b");
}

async fn log(kit: &mut Kit) {
    let warnings = kit.hear("rs::warned").await;
    let binding = kit.bind("log", "rs::warned", json!({"level": "warn"})).await;
    kit.call("engine::log::info", json!({"message": "quiet", "service_name": "rs"})).await;
    let loud = json!({"message": "loud", "data": {"a": 1}, "service_name": "rs"});
    kit.call("engine::log::warn", loud).await;
    let record = warnings.wait("the record", |record| record["service_name"] == "rs").await;
    assert_eq!(
        json!([record["body"], record["severity_text"], record["attributes"]]),
        json!(["loud", "WARN", {"a": 1}])
    );
    kit.unbind(binding, "log", "rs::warned").await;
}

async fn configuration(kit: &mut Kit) {
    let events = kit.hear("rs::configured").await;
    let config = json!({"configuration_id": "rs-t", "event_types": ["configuration:updated"]});
    kit.bind("configuration", "rs::configured", config).await;
    let entry = json!({
        "id": "rs-t", "name": "Rs", "description": "d", "schema": {"type": "object"}, "initial_value": {"a": 1},
    });
    kit.call("configuration::register", entry).await;
    kit.call("configuration::set", json!({"id": "rs-t", "value": {"a": 2}})).await;
    let event = events.wait("the event", |event| event["new_value"] == json!({"a": 2})).await;
    assert_eq!(
        json!([event["type"], event["event_type"], event["id"], event["old_value"]]),
        json!(["configuration", "configuration:updated", "rs-t", {"a": 1}])
    );
}

async fn functions_available(kit: &mut Kit) {
    let changes = kit.hear("rs::functions").await;
    kit.bind("engine::functions-available", "rs::functions", json!({})).await;
    kit.serve("rs::brand-new", plain(|_| json!(1))).await;
    let listed = |change: &Value| {
        change["functions"].as_array().unwrap().iter().any(|one| one["function_id"] == "rs::brand-new")
    };
    assert_eq!(changes.wait("the function", listed).await["event"], "functions_changed");
}

async fn workers_available(kit: &mut Kit) {
    let events = kit.hear("rs::workers").await;
    kit.bind("engine::workers-available", "rs::workers", json!({})).await;
    let third = connect("rust-third", None);
    let came = events.wait("a worker", |event| event["event"] == "worker_metadata_updated").await;
    third.shutdown_async().await;
    let gone = json!({"event": "worker_disconnected", "worker_id": came["worker_id"]});
    events.wait("its end", |event| *event == gone).await;
}
