//! Owns the checks of state and configuration, and the operations that state and streams are updated with.

use serde_json::{json, Value};

use crate::kit::{checks, Kit};

checks! {
    "state/values" => values;
    "state/lists" => lists;
    "state/update" => update;
    "configuration/values" => configuration_values;
    "configuration/lists" => configuration_lists;
    "configuration/errors" => configuration_errors;
}

/// Two objects in one.
pub fn with(place: &Value, more: Value) -> Value {
    let mut all = place.clone();
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// Sends every operation through one function; `start` stores a value in the same place.
pub async fn check_update(kit: &Kit, function: &str, place: &Value, start: (&str, &str)) {
    // A value with a number, a text, a list and an object.
    let value = json!({"n": 1, "t": "a", "l": [1], "o": {"x": 1}, "gone": 1});
    kit.call(start.0, with(place, json!({start.1: value}))).await;
    let ops = json!([
        {"type": "set", "path": "s", "value": "x"},
        {"type": "increment", "path": "n", "by": 4},
        {"type": "decrement", "path": "n", "by": 2},
        {"type": "append", "path": "t", "value": "b"},
        {"type": "append", "path": ["l"], "value": 2},
        {"type": "merge", "path": ["o", "deep"], "value": {"y": 2}},
        {"type": "merge", "value": {"top": true}},
        {"type": "remove", "path": "gone"},
    ]);
    let end = json!({"n": 3, "t": "ab", "l": [1, 2], "o": {"x": 1, "deep": {"y": 2}}, "s": "x", "top": true});
    let updated = kit.call(function, with(place, json!({"ops": ops}))).await;
    assert_eq!(updated, json!({"old_value": value, "new_value": end}));
    // Operations that cannot be done, around one that can.
    let bad_ops = json!([
        {"type": "increment", "path": "t", "by": 1},
        {"type": "merge", "path": "o", "value": 7},
        {"type": "set", "path": "fine", "value": 1},
        {"type": "append", "path": "o", "value": 1},
    ]);
    let updated = kit.call(function, with(place, json!({"ops": bad_ops}))).await;
    let errors = updated["errors"].as_array().unwrap();
    let errors: Vec<_> = errors.iter().map(|error| json!([error["op_index"], error["code"]])).collect();
    let wanted = [
        json!([0, "increment.not_number"]),
        json!([1, "merge.value.not_an_object"]),
        json!([3, "append.type_mismatch"]),
    ];
    assert_eq!(errors, wanted);
    assert_eq!(updated["new_value"], with(&end, json!({"fine": 1})));
}

async fn values(kit: &mut Kit) {
    let place = json!({"scope": "rs", "key": "k"});
    assert_eq!(kit.call("state::get", place.clone()).await, Value::Null);
    let set = kit.call("state::set", with(&place, json!({"value": {"n": 1}}))).await;
    assert_eq!(set, json!({"old_value": null, "new_value": {"n": 1}}));
    let set = kit.call("state::set", with(&place, json!({"value": [2]}))).await;
    assert_eq!(set, json!({"old_value": {"n": 1}, "new_value": [2]}));
    assert_eq!(kit.call("state::get", place.clone()).await, json!([2]));
    assert_eq!(kit.call("state::delete", place.clone()).await, json!([2]));
    assert_eq!(kit.call("state::delete", place).await, Value::Null);
}

async fn lists(kit: &mut Kit) {
    for key in ["a", "b"] {
        kit.call("state::set", json!({"scope": "rs-list", "key": key, "value": key})).await;
    }
    assert_eq!(kit.call("state::list", json!({"scope": "rs-list"})).await, json!(["a", "b"]));
    let groups = kit.call("state::list_groups", json!({})).await;
    assert!(groups["groups"].as_array().unwrap().contains(&json!("rs-list")), "{groups}");
}

async fn update(kit: &mut Kit) {
    check_update(kit, "state::update", &json!({"scope": "rs", "key": "ops"}), ("state::set", "value")).await;
    let ops = json!([{"type": "increment", "path": "n", "by": 2}]);
    let updated = kit.call("state::update", json!({"scope": "rs", "key": "new", "ops": ops})).await;
    assert_eq!(updated, json!({"old_value": null, "new_value": {"n": 2}}));
    let unknown = json!({"scope": "rs", "key": "ops", "ops": [{"type": "twist"}]});
    kit.refused("deserialization_error", "state::update", unknown).await;
}

async fn configuration_values(kit: &mut Kit) {
    let schema = json!({"type": "object", "properties": {"port": {"type": "integer"}}, "required": ["port"]});
    let entry = json!({"id": "rs", "name": "Rs", "description": "d", "schema": schema, "metadata": {"m": 1}});
    let value = json!({"port": 1});
    let registered = kit.call("configuration::register", with(&entry, json!({"initial_value": value}))).await;
    assert_eq!(registered, with(&entry, json!({"value": value})));
    let raw = json!({"port": "${INTEROP_UNSET:3111}"});
    let set = kit.call("configuration::set", json!({"id": "rs", "value": raw})).await;
    assert_eq!(set, json!({"old_value": value, "new_value": raw}));
    let expanded = kit.call("configuration::get", json!({"id": "rs"})).await;
    assert_eq!(expanded, json!({"id": "rs", "value": {"port": 3111}}));
    assert_eq!(kit.call("configuration::get", json!({"id": "rs", "raw": true})).await["value"], raw);
}

async fn configuration_lists(kit: &mut Kit) {
    let entry = kit.call("configuration::schema", json!({"id": "rs"})).await;
    assert_eq!(json!([entry["id"], entry["schema"]["required"]]), json!(["rs", ["port"]]));
    let all = kit.call("configuration::list", json!({})).await;
    assert!(all["configurations"].as_array().unwrap().contains(&entry), "{all}");
}

async fn configuration_errors(kit: &mut Kit) {
    kit.refused("SCHEMA_INVALID", "configuration::set", json!({"id": "rs", "value": {}})).await;
    kit.refused("NOT_REGISTERED", "configuration::set", json!({"id": "rs-none", "value": {}})).await;
    kit.refused("NOT_FOUND", "configuration::get", json!({"id": "rs-none"})).await;
    let entry = json!({"id": "No Id", "name": "n", "description": "d", "schema": {}});
    kit.refused("INVALID_ID", "configuration::register", entry).await;
}
