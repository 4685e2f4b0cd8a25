//! Tests of streams: functions, triggers and custom streams.

mod sockets;

use serde_json::{Value, json};

use super::*;
use crate::broker::testing::{Worker, broker, json as payload, with_provider};
use crate::store::Store;

async fn setup() -> (Broker, Worker) {
    let broker = broker();
    let table = Store::in_memory().table("stream");
    with_provider(&broker, Streams::new(broker.clone(), table, None));
    let mut worker = Worker::named(&broker, "w").await;
    for id in ["m::on", "m::if"] {
        worker.function(id);
    }
    worker.nothing_else().await;
    (broker, worker)
}

async fn call(worker: &mut Worker, function: &str, input: Value) -> Option<Value> {
    let result = worker.call(function, &input.to_string()).await.unwrap();
    result.map(|result| result.parse().unwrap())
}

fn item(id: &str) -> Value {
    json!({"stream_name": "chat", "group_id": "room", "item_id": id})
}

fn set(id: &str, data: Value) -> Value {
    json!({"stream_name": "chat", "group_id": "room", "item_id": id, "data": data})
}

#[tokio::test]
async fn items_are_stored_updated_and_listed() {
    let (_broker, mut worker) = setup().await;
    let w = &mut worker;
    let made = call(w, "stream::set", set("m1", json!({"t": 1}))).await;
    assert_eq!(made, Some(json!({"old_value": null, "new_value": {"t": 1}})));
    let made = call(w, "stream::set", set("m1", json!({"t": 2}))).await;
    assert_eq!(made, Some(json!({"old_value": {"t": 1}, "new_value": {"t": 2}})));
    assert_eq!(call(w, "stream::get", item("m1")).await, Some(json!({"t": 2})));
    assert_eq!(call(w, "stream::get", item("zz")).await, None);
    let ops = json!([
        {"type": "increment", "path": "t", "by": 1}, {"type": "set", "path": "by", "value": "me"},
        {"type": "increment", "path": "by", "by": 1}
    ]);
    let mut update = item("m1");
    update["ops"] = ops;
    let made = call(w, "stream::update", update).await.unwrap();
    assert_eq!(made["old_value"], json!({"t": 2}));
    assert_eq!(made["new_value"], json!({"t": 3, "by": "me"}));
    assert_eq!(made["errors"][0]["code"], "increment.not_number");
    call(w, "stream::set", set("m0", json!(0))).await;
    let group = json!({"stream_name": "chat", "group_id": "room"});
    let items = call(w, "stream::list", group).await;
    assert_eq!(items, Some(json!([{"t": 3, "by": "me"}, 0])));
    let nothing = json!({"stream_name": "none", "group_id": "none"});
    assert_eq!(call(w, "stream::list", nothing).await, Some(json!([])));
    let odd = json!({"stream_name": "a:b", "group_id": "c:d", "item_id": "e", "data": 1});
    call(w, "stream::set", odd).await;
    let groups = call(w, "stream::list_groups", json!({"stream_name": "a:b"})).await;
    assert_eq!(groups, Some(json!(["c:d"])));
    assert_eq!(
        call(w, "stream::list_all", json!({})).await,
        Some(
            json!({"count": 2, "stream": [{"id": "a:b", "groups": ["c:d"]}, {"id": "chat", "groups": ["room"]}]})
        )
    );
    let gone = call(w, "stream::delete", item("m1")).await;
    assert_eq!(gone, Some(json!({"old_value": {"t": 3, "by": "me"}})));
    assert_eq!(call(w, "stream::delete", item("m1")).await, Some(json!({"old_value": null})));
    let sent = json!({"stream_name": "chat", "group_id": "room", "type": "typing", "data": 1});
    assert_eq!(call(w, "stream::send", sent).await, Some(Value::Null));
    let error = w.call("stream::set", r#"{"stream_name":"chat"}"#).await.unwrap_err();
    assert_eq!(error.code, "deserialization_error");
}

/// Receives and acknowledges the next invocation of the trigger. Returns its payload.
async fn fired(worker: &mut Worker) -> Value {
    let call = worker.called().await;
    assert_eq!(
        (call.function_id.as_str(), &call.metadata),
        ("m::on", &Some(payload(r#"{"m":1}"#)))
    );
    worker.answer(&call, Ok(None));
    call.data.parse().unwrap()
}

#[tokio::test]
async fn triggers_fire_for_each_event_in_their_order() {
    let (_broker, mut worker) = setup().await;
    worker.bind("t", "stream", "m::on", r#"{"stream_name":"chat","group_id":"room","item_id":""}"#);
    // Binding the same id again replaces the trigger.
    worker.bind("t", "stream", "m::on", r#"{"stream_name":"chat","group_id":"room"}"#);
    worker.bind("other", "stream", "m::on", r#"{"stream_name":"chat","item_id":"zz"}"#);
    worker.void("stream::set", &set("m1", json!(1)).to_string());
    worker.void("stream::set", &set("m1", json!(2)).to_string());
    worker.void("stream::delete", &item("m1").to_string());
    worker.void("stream::delete", &item("m1").to_string());
    let mut events = Vec::new();
    for _ in 0..3 {
        let event = fired(&mut worker).await;
        assert_eq!(event["type"], "stream");
        assert!(event["timestamp"].as_u64().unwrap() > 1_600_000_000_000);
        assert_eq!((&event["streamName"], &event["groupId"]), (&json!("chat"), &json!("room")));
        assert_eq!(event["id"], "m1");
        assert!(event.get("subscriptionId").is_none());
        events.push(event["event"].clone());
    }
    assert_eq!(
        events,
        [
            json!({"type": "create", "data": 1}),
            json!({"type": "update", "data": 2}),
            json!({"type": "delete", "data": 2})
        ]
    );
    let sent =
        json!({"stream_name": "chat", "group_id": "room", "type": "typing", "data": {"u": 1}});
    worker.void("stream::send", &sent.to_string());
    let event = fired(&mut worker).await;
    assert_eq!(event["id"], Value::Null);
    let inner = json!({"type": "typing", "data": {"u": 1}});
    assert_eq!(event["event"], json!({"type": "event", "event": inner}));
    worker.unbind("t");
    worker.void("stream::set", &set("m1", json!(1)).to_string());
    worker.nothing_else().await;
}

#[tokio::test]
async fn hanging_function_blocks_only_events_of_its_item() {
    let (_broker, mut worker) = setup().await;
    worker.bind("t", "stream", "m::on", r#"{"stream_name":"chat"}"#);
    worker.void("stream::set", &set("a", json!(1)).to_string());
    let hanging = worker.called().await;
    worker.void("stream::set", &set("a", json!(2)).to_string());
    worker.void("stream::set", &set("b", json!(1)).to_string());
    assert_eq!(fired(&mut worker).await["id"], "b");
    worker.answer(&hanging, Err(ErrorBody::new("x", "failed")));
    let second = fired(&mut worker).await;
    assert_eq!((&second["id"], &second["event"]["data"]), (&json!("a"), &json!(2)));
}

#[tokio::test]
async fn config_is_validated_and_condition_function_filters_events() {
    let (_broker, mut worker) = setup().await;
    for config in ["{}", "null", r#"{"stream_name":""}"#, r#"{"stream_name":7}"#] {
        worker.bind("bad", "stream", "m::on", config);
        let error = worker.binding_error().await.error.unwrap();
        assert_eq!(error.code, "trigger_registration_failed", "{config}");
    }
    let config = r#"{"stream_name":"chat","condition_function_id":"m::if"}"#;
    worker.bind("t", "stream", "m::on", config);
    worker.void("stream::set", &set("m1", json!(1)).to_string());
    let asked = worker.called().await;
    assert_eq!((asked.function_id.as_str(), asked.metadata.as_ref()), ("m::if", None));
    worker.answer(&asked, Ok(Some(payload("false"))));
    worker.void("stream::set", &set("m1", json!(2)).to_string());
    let asked = worker.called().await;
    worker.answer(&asked, Ok(None));
    assert_eq!(fired(&mut worker).await["event"]["data"], 2);
}

#[tokio::test]
async fn custom_stream_is_served_by_its_worker() {
    let (broker, mut provider) = setup().await;
    let mut shop = Worker::in_namespace(&broker, "shop", "shop").await;
    for operation in ["set", "get", "delete", "list", "list_groups"] {
        provider.function(&format!("stream::{operation}(custom)"));
    }
    shop.function("stream::get(custom)");
    shop.nothing_else().await;
    provider.bind("t", "stream", "m::on", r#"{"stream_name":"custom"}"#);
    provider.nothing_else().await;
    let mut caller = Worker::named(&broker, "caller").await;

    let at = r#"{"stream_name":"custom","group_id":"g","item_id":"i"}"#;
    let id = caller.start("stream::get", at);
    let asked = provider.called().await;
    assert_eq!((asked.function_id.as_str(), asked.data.as_str()), ("stream::get(custom)", at));
    provider.answer(&asked, Ok(Some(payload(r#"{"kept":1}"#))));
    assert_eq!(caller.answer_to(id).await.unwrap(), Some(payload(r#"{"kept":1}"#)));

    // A function in the caller's namespace takes precedence.
    let mut m = Worker::invocation("stream::get", at);
    m.namespace = Some("shop".into());
    let id = shop.start_with(m);
    let asked = shop.called().await;
    shop.answer(&asked, Ok(None));
    assert_eq!(shop.answer_to(id).await.unwrap(), None);

    let data = r#"{"stream_name":"custom","group_id":"g","item_id":"i","data":2}"#;
    let id = caller.start("stream::set", data);
    let asked = provider.called().await;
    provider.answer(&asked, Ok(Some(payload(r#"{"old_value":1,"new_value":2}"#))));
    let result = caller.answer_to(id).await.unwrap().unwrap();
    assert_eq!(result.as_str(), r#"{"old_value":1,"new_value":2}"#);
    assert_eq!(fired(&mut provider).await["event"], json!({"type": "update", "data": 2}));

    for (function, input, result) in [
        ("stream::set", data, r#"{"custom":1}"#),
        ("stream::list", at, "{}"),
        ("stream::list_groups", at, "[1]"),
        ("stream::delete", at, "7"),
    ] {
        let id = caller.start(function, input);
        let asked = provider.called().await;
        provider.answer(&asked, Ok(Some(payload(result))));
        assert_eq!(caller.answer_to(id).await.unwrap_err().code, "JSON_ERROR", "{function}");
    }
}

#[tokio::test]
async fn custom_stream_without_update_is_updated_by_get_and_set() {
    let broker = broker();
    let table = Store::in_memory().table("stream");
    let streams = with_provider(&broker, Streams::new(broker.clone(), table, None));
    let mut provider = Worker::named(&broker, "provider").await;
    for id in ["stream::set(custom)", "stream::get(custom)", "m::on"] {
        provider.function(id);
    }
    provider.bind("t", "stream", "m::on", r#"{"stream_name":"custom"}"#);
    provider.nothing_else().await;
    let mut caller = Worker::named(&broker, "caller").await;
    let ops = r#"[{"type":"increment","path":"n","by":1},{"type":"append","path":"n","value":1}]"#;
    let update = format!(r#"{{"stream_name":"custom","group_id":"g","item_id":"i","ops":{ops}}}"#);
    let (first, second) =
        (caller.start("stream::update", &update), caller.start("stream::update", &update));

    let at = r#"{"stream_name":"custom","group_id":"g","item_id":"i"#;
    for (id, before) in [(first, 1), (second, 2)] {
        let asked = provider.called().await;
        assert_eq!(asked.function_id, "stream::get(custom)");
        assert_eq!(asked.data.as_str(), format!("{at}\"}}"));
        // The second update waits for the first.
        provider.nothing_else().await;
        provider.answer(&asked, Ok(Some(payload(&format!(r#"{{"n":{before}}}"#)))));
        let asked = provider.called().await;
        assert_eq!(asked.function_id, "stream::set(custom)");
        let after = before + 1;
        assert_eq!(asked.data.as_str(), format!(r#"{at}","data":{{"n":{after}}}}}"#));
        let made = format!(r#"{{"old_value":{{"n":{before}}},"new_value":{{"n":{after}}}}}"#);
        provider.answer(&asked, Ok(Some(payload(&made))));
        let result: Value = caller.answer_to(id).await.unwrap().unwrap().parse().unwrap();
        assert_eq!(result["old_value"], json!({"n": before}));
        assert_eq!(result["new_value"], json!({"n": after}));
        assert_eq!(result["errors"][0]["code"], "append.type_mismatch");
        let event = provider.called().await;
        let data: Value = event.data.parse().unwrap();
        assert_eq!(data["event"], json!({"type": "update", "data": {"n": after}}));
        provider.answer(&event, Ok(None));
    }
    assert_eq!(streams.item_locks.len(), 0);

    let id = caller.start("stream::update", &update);
    let asked = provider.called().await;
    provider.answer(&asked, Err(ErrorBody::new("db/down", "no")));
    assert_eq!(caller.answer_to(id).await.unwrap_err().code, "db/down");
}
