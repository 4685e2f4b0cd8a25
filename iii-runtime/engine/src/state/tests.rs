//! Tests of state: functions, update operations and triggers.

use serde_json::{Value, json};

use super::*;
use crate::broker::Broker;
use crate::broker::testing::{Worker, broker, json as payload, with_provider};
use crate::store::Store;

async fn setup() -> (Broker, Worker) {
    setup_with(StateSettings::default()).await
}

async fn setup_with(settings: StateSettings) -> (Broker, Worker) {
    let broker = broker();
    let table = Store::in_memory().table("state");
    with_provider(&broker, StateProvider::new(broker.clone(), table, settings));
    let mut worker = Worker::named(&broker, "w").await;
    worker.function("s::on");
    worker.function("s::if");
    worker.nothing_else().await;
    (broker, worker)
}

async fn call(worker: &mut Worker, function: &str, input: Value) -> Option<Value> {
    let result = worker.call(function, &input.to_string()).await.unwrap();
    result.map(|result| result.parse().unwrap())
}

fn at(key: &str) -> Value {
    json!({"scope": "gold", "key": key})
}

#[tokio::test]
async fn values_are_stored_verbatim() {
    let (_broker, mut worker) = setup().await;
    let w = &mut worker;
    assert_eq!(call(w, "state::get", at("none")).await, None);
    let set = json!({"scope": "gold", "key": "k1", "value": {"a": 1}, "_x": 0});
    assert_eq!(
        call(w, "state::set", set).await,
        Some(json!({"old_value": null, "new_value": {"a": 1}}))
    );
    let alias = json!({"scope": "gold", "key": "k1", "data": 2});
    assert_eq!(
        call(w, "state::set", alias).await,
        Some(json!({"old_value": {"a": 1}, "new_value": 2}))
    );
    let odd = r#"{"scope":"gold","key":"k2","value":{"b":1.50,"a":1}}"#;
    w.call("state::set", odd).await.unwrap();
    let read = w.call("state::get", r#"{"scope":"gold","key":"k2"}"#).await.unwrap().unwrap();
    assert_eq!(read.as_str(), r#"{"b":1.50,"a":1}"#);
    let list = call(w, "state::list", json!({"scope": "gold"})).await;
    assert_eq!(list, Some(json!([2, {"a": 1, "b": 1.5}])));
    assert_eq!(call(w, "state::list", json!({"scope": "empty"})).await, Some(json!([])));
    assert_eq!(call(w, "state::list_groups", json!({})).await, Some(json!({"groups": ["gold"]})));
    assert_eq!(call(w, "state::delete", at("k1")).await, Some(json!(2)));
    assert_eq!(call(w, "state::delete", at("k1")).await, None);
    for (function, input) in
        [("state::set", r#"{"scope":"gold"}"#), ("state::get", "{}"), ("state::list", "null")]
    {
        let error = w.call(function, input).await.unwrap_err();
        assert_eq!(error.code, "deserialization_error");
    }
}

#[tokio::test]
async fn stored_null_is_a_value() {
    let (_broker, mut worker) = setup().await;
    let set = r#"{"scope":"gold","key":"n","value":null}"#;
    assert_eq!(
        worker.call("state::set", set).await.unwrap().unwrap(),
        payload(r#"{"old_value":null,"new_value":null}"#)
    );
    let read = worker.call("state::get", r#"{"scope":"gold","key":"n"}"#).await.unwrap();
    assert_eq!(read, Some(Payload::null()));
}

#[tokio::test]
async fn triggers_fire_in_the_order_of_changes() {
    let (_broker, mut worker) = setup().await;
    worker.bind("s1", "state", "s::on", r#"{"scope":"gold"}"#);
    worker.bind("s2", "state", "s::on", r#"{"scope":"gold","key":"other"}"#);
    for n in 1..=3 {
        worker.void("state::set", &format!(r#"{{"scope":"gold","key":"k","value":{n}}}"#));
    }
    worker.void("state::delete", r#"{"scope":"gold","key":"k"}"#);
    worker.void("state::delete", r#"{"scope":"gold","key":"k"}"#);
    let expected = [
        ("state:created", "null", "1"),
        ("state:updated", "1", "2"),
        ("state:updated", "2", "3"),
        ("state:deleted", "3", "null"),
    ];
    for (event, old, new) in expected {
        let call = worker.called().await;
        let text = format!(
            r#"{{"type":"state","event_type":"{event}","scope":"gold","key":"k","old_value":{old},"new_value":{new}}}"#
        );
        assert_eq!(call.data.as_str(), text);
        assert_eq!(call.metadata, Some(payload(r#"{"m":1}"#)));
        // The next event of this key waits until the function has finished.
        worker.nothing_else().await;
        worker.answer(&call, Ok(None));
    }
    worker.nothing_else().await;
    worker.void("state::set", r#"{"scope":"gold","key":"k","value":4}"#);
    assert!(worker.called().await.data.as_str().contains("state:created"));
}

#[tokio::test]
async fn condition_function_filters_events() {
    let (_broker, mut worker) = setup().await;
    worker.bind("s1", "state", "s::on", r#"{"condition_function_id":"s::if"}"#);
    worker.void("state::set", r#"{"scope":"a","key":"k","value":1}"#);
    let asked = worker.called().await;
    assert_eq!(asked.function_id, "s::if");
    worker.answer(&asked, Ok(Some(payload("false"))));
    worker.void("state::set", r#"{"scope":"a","key":"k","value":2}"#);
    let asked = worker.called().await;
    assert_eq!(asked.function_id, "s::if");
    worker.answer(&asked, Ok(None));
    assert_eq!(worker.called().await.function_id, "s::on");
}

/// Applies operations. Returns the new value and the codes of the failed operations.
fn apply(old: Option<Value>, ops: Value) -> (Value, Vec<String>) {
    let ops: Vec<UpdateOp> = serde_json::from_value(ops).unwrap();
    let old = old.map(Payload::from);
    let (new, errors) = update::apply(old.as_ref(), &ops).unwrap();
    (new.parse().unwrap(), errors.into_iter().map(|error| error.code).collect())
}

fn applied(old: Option<Value>, ops: Value) -> Value {
    let (new, errors) = apply(old, ops);
    assert!(errors.is_empty(), "{errors:?}");
    new
}

#[allow(clippy::needless_pass_by_value)] // keeps the calls short
fn failure_code(old: Value, op: Value) -> String {
    let (new, errors) = apply(Some(old.clone()), json!([op]));
    assert_eq!(new, old, "a failed operation changes nothing");
    errors.into_iter().next().expect("the operation fails")
}

#[test]
fn operations_update_parts_of_a_value() {
    assert_eq!(
        applied(
            Some(json!({"a": 2})),
            json!([
                {"type": "set", "path": "b", "value": [1]},
                {"type": "increment", "path": "a", "by": 5},
                {"type": "decrement", "path": "a", "by": 1},
                {"type": "append", "path": "b", "value": 2},
                {"type": "merge", "path": "c", "value": {"d": 1}},
                {"type": "remove", "path": "absent"},
            ])
        ),
        json!({"a": 6, "b": [1, 2], "c": {"d": 1}})
    );
    assert_eq!(
        applied(None, json!([{"type": "increment", "path": "n", "by": 1}])),
        json!({"n": 1})
    );
    assert_eq!(applied(None, json!([])), json!({}));
    assert_eq!(applied(None, json!([{"type": "decrement", "path": "", "by": 3}])), json!(-3));
    assert_eq!(
        applied(Some(json!(1.5)), json!([{"type": "increment", "path": "", "by": 1}])),
        json!(2.5)
    );
    assert_eq!(applied(Some(json!(1)), json!([{"type": "remove", "path": ""}])), Value::Null);
    assert_eq!(applied(Some(json!(1)), json!([{"type": "set", "path": ""}])), Value::Null);
    assert_eq!(
        applied(None, json!([{"type": "set", "path": "a.b", "value": 1}])),
        json!({"a.b": 1})
    );
}

#[test]
fn merge_and_append_create_missing_parents_and_values() {
    let merge = json!([{"type": "merge", "path": ["a", "b"], "value": {"k": 1}}]);
    assert_eq!(applied(Some(json!({"a": 7})), merge), json!({"a": {"b": {"k": 1}}}));
    let append =
        |path: Value, value: Value| json!([{"type": "append", "path": path, "value": value}]);
    assert_eq!(applied(None, append(json!("t"), json!("x"))), json!({"t": "x"}));
    assert_eq!(applied(None, append(json!("t"), json!(1))), json!({"t": [1]}));
    assert_eq!(applied(None, append(json!(["a", "t"]), json!("x"))), json!({"a": {"t": ["x"]}}));
    assert_eq!(
        applied(Some(json!({"t": "x"})), append(json!("t"), json!("y"))),
        json!({"t": "xy"})
    );
    assert_eq!(applied(None, append(json!(""), json!("x"))), json!("x"));
    assert_eq!(applied(Some(json!([1])), append(Value::Null, json!(2))), json!([1, 2]));
}

#[test]
fn failed_operations_have_distinct_codes() {
    let object = json!({"s": "x", "n": 1, "max": i64::MAX, "umax": u64::MAX});
    let text = json!("str");
    for op in ["set", "remove"] {
        let code = failure_code(text.clone(), json!({"type": op, "path": "n"}));
        assert_eq!(code, format!("{op}.target_not_object"));
    }
    for op in ["increment", "decrement"] {
        let run = |old: &Value, path: &str| {
            failure_code(old.clone(), json!({"type": op, "path": path, "by": 1}))
        };
        assert_eq!(run(&text, "n"), format!("{op}.target_not_object"));
        assert_eq!(run(&text, ""), format!("{op}.not_number"));
        assert_eq!(run(&object, "s"), format!("{op}.not_number"));
        assert_eq!(run(&object, "__proto__"), format!("{op}.path.proto_polluted"));
        assert_eq!(run(&object, &"x".repeat(257)), format!("{op}.path.segment_too_long"));
    }
    assert_eq!(
        failure_code(object.clone(), json!({"type": "increment", "path": "umax", "by": 1})),
        "increment.not_number"
    );
    let append = |path: Value, value: Value| {
        failure_code(object.clone(), json!({"type": "append", "path": path, "value": value}))
    };
    assert_eq!(append(json!("n"), json!(1)), "append.type_mismatch");
    assert_eq!(append(json!("s"), json!(1)), "append.type_mismatch");
    assert_eq!(append(json!([]), json!(1)), "append.type_mismatch");
    assert_eq!(append(json!(["s", "x"]), json!(1)), "append.target_not_object");
    assert_eq!(append(json!(["a", ""]), json!(1)), "append.path.empty_segment");
    assert_eq!(append(json!(vec!["a"; 33]), json!(1)), "append.path.too_deep");
    let merge =
        |value: Value| failure_code(object.clone(), json!({"type": "merge", "value": value}));
    assert_eq!(merge(json!(1)), "merge.value.not_an_object");
    assert_eq!(merge(json!({"a": {"constructor": 1}})), "merge.value.proto_polluted");
    let many: Value =
        (0..1025).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(merge(many), "merge.value.too_many_keys");
    let deep = (0..17).fold(json!(1), |inner, _| json!({"k": inner}));
    assert_eq!(merge(deep), "merge.value.too_deep");
    assert_eq!(
        failure_code(text, json!({"type": "merge", "value": {}})),
        "merge.target_not_object"
    );
}

#[tokio::test]
async fn failed_operations_are_reported_in_the_output() {
    let (_broker, mut worker) = setup().await;
    let input = json!({"scope": "gold", "key": "k", "ops": [
        {"type": "set", "path": "s", "value": "x"},
        {"type": "increment", "path": "s", "by": 1},
        {"type": "set", "path": "n", "value": 1},
    ]});
    let result = call(&mut worker, "state::update", input).await.unwrap();
    assert_eq!(result["old_value"], Value::Null);
    assert_eq!(result["new_value"], json!({"s": "x", "n": 1}));
    assert_eq!(result["errors"][0]["op_index"], 1);
    assert_eq!(result["errors"][0]["code"], "increment.not_number");
    for ops in [r#"[{"type":"bogus","path":"x"}]"#, r#"[{"type":"increment","path":"x","by":"1"}]"#]
    {
        let input = format!(r#"{{"scope":"gold","key":"k","ops":{ops}}}"#);
        let error = worker.call("state::update", &input).await.unwrap_err();
        assert_eq!(error.code, "deserialization_error");
    }
}

#[tokio::test]
async fn failed_update_keeps_the_value() {
    let (_broker, mut worker) = setup().await;
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let set = format!(r#"{{"scope":"s","key":"k","value":{deep}}}"#);
    worker.call("state::set", &set).await.unwrap();
    let ops = r#"{"scope":"s","key":"k","ops":[{"type":"append","value":1}]}"#;
    assert_eq!(worker.call("state::update", ops).await.unwrap_err().code, "UPDATE_ERROR");
    let kept = worker.call("state::get", r#"{"scope":"s","key":"k"}"#).await.unwrap().unwrap();
    assert_eq!(kept.as_str(), deep);
}

#[tokio::test]
async fn value_beyond_the_size_limit_is_rejected() {
    let settings = StateSettings { max_value_bytes: Some(10), ..StateSettings::default() };
    let (_broker, mut worker) = setup_with(settings).await;
    let set = |value: &str| format!(r#"{{"scope":"s","key":"k","value":{value}}}"#);
    worker.call("state::set", &set(r#""12345678""#)).await.unwrap();
    let error = worker.call("state::set", &set(r#""123456789""#)).await.unwrap_err();
    assert_eq!(error.code, "VALUE_TOO_LARGE");
    let ops = r#"{"scope":"s","key":"k","ops":[{"type":"append","value":"9"}]}"#;
    assert_eq!(worker.call("state::update", ops).await.unwrap_err().code, "VALUE_TOO_LARGE");
    let kept = worker.call("state::get", r#"{"scope":"s","key":"k"}"#).await.unwrap().unwrap();
    assert_eq!(kept.as_str(), r#""12345678""#);
}

#[tokio::test]
async fn triggers_can_be_disabled() {
    let settings = StateSettings { triggers_enabled: false, ..StateSettings::default() };
    let (_broker, mut worker) = setup_with(settings).await;
    worker.bind("s1", "state", "s::on", "{}");
    worker.call("state::set", r#"{"scope":"s","key":"k","value":1}"#).await.unwrap();
    worker.nothing_else().await;
}

#[tokio::test]
async fn changes_are_rejected_while_too_many_events_are_pending() {
    let (_broker, mut worker) = setup().await;
    worker.bind("s1", "state", "s::on", "{}");
    let set = |n: usize| format!(r#"{{"scope":"s","key":"k","value":{n}}}"#);
    worker.void("state::set", &set(0));
    worker.called().await;
    for n in 1..65_536 {
        worker.void("state::set", &set(n));
        // The connection limits the messages in flight.
        if n % 1000 == 0 {
            worker.nothing_else().await;
        }
    }
    let refused = worker.call("state::set", &set(0)).await;
    assert_eq!(refused.unwrap_err().code, "overloaded");
}
