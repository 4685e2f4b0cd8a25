//! Tests of the functions, variables, schemas and triggers of configurations.

use super::*;
use crate::broker::testing::{Worker, broker, json, with_provider};
use crate::store::Store;

async fn setup() -> (Broker, Worker) {
    let broker = broker();
    let variables = |name: &str| (name == "PORT").then(|| "8080".to_owned());
    let table = Store::in_memory().table("configuration");
    let provider = Configurations::with_variables(broker.clone(), table, Box::new(variables));
    with_provider(&broker, provider);
    let mut worker = Worker::named(&broker, "w").await;
    worker.function("c::on");
    worker.nothing_else().await;
    (broker, worker)
}

async fn ok(worker: &mut Worker, function: &str, input: &str) -> String {
    worker.call(function, input).await.unwrap().unwrap().as_str().to_owned()
}

async fn code(worker: &mut Worker, function: &str, input: &str) -> String {
    worker.call(function, input).await.unwrap_err().code
}

const APP: &str = r#"{"id":"my-app","name":"My app","description":"d","schema":{"type":"object","properties":{"port":{"type":"integer"}}},"initial_value":{"port":"${PORT}","z":1.50,"a":"${A:x}y"},"metadata":{"team":1}}"#;

#[tokio::test]
async fn configuration_is_registered_read_and_set() {
    let (_broker, mut worker) = setup().await;
    let w = &mut worker;
    let entry = ok(w, "configuration::register", APP).await;
    assert_eq!(
        entry,
        r#"{"id":"my-app","name":"My app","description":"d","schema":{"type":"object","properties":{"port":{"type":"integer"}}},"value":{"port":"${PORT}","z":1.50,"a":"${A:x}y"},"metadata":{"team":1}}"#
    );
    let get = r#"{"id":"my-app"}"#;
    assert_eq!(
        ok(w, "configuration::get", get).await,
        r#"{"id":"my-app","value":{"port":8080,"z":1.50,"a":"xy"}}"#
    );
    let raw = ok(w, "configuration::get", r#"{"id":"my-app","raw":true}"#).await;
    assert!(raw.contains("${PORT}"), "{raw}");
    let set = r#"{"id":"my-app","value":{"port":"${PORT}"}}"#;
    assert_eq!(
        ok(w, "configuration::set", set).await,
        r#"{"old_value":{"port":"${PORT}","z":1.50,"a":"${A:x}y"},"new_value":{"port":"${PORT}"}}"#
    );
    let again = r#"{"id":"my-app","name":"n","description":"d","schema":null}"#;
    assert!(
        ok(w, "configuration::register", again).await.contains(r#""value":{"port":"${PORT}"}"#)
    );
    ok(w, "configuration::register", r#"{"id":"a","name":"A","description":"","schema":true}"#)
        .await;
    assert_eq!(
        ok(w, "configuration::list", "{}").await,
        r#"{"configurations":[{"id":"a","name":"A","description":"","schema":true},{"id":"my-app","name":"n","description":"d","schema":null}]}"#
    );
    assert_eq!(
        ok(w, "configuration::schema", r#"{"id":"a"}"#).await,
        r#"{"id":"a","name":"A","description":"","schema":true}"#
    );
    assert_eq!(ok(w, "configuration::get", r#"{"id":"a"}"#).await, r#"{"id":"a","value":null}"#);
}

#[tokio::test]
async fn failures_have_error_codes() {
    let (_broker, mut worker) = setup().await;
    let w = &mut worker;
    for id in ["", "A", "a b", "ä", &"x".repeat(65)] {
        let input = format!(r#"{{"id":"{id}","name":"n","description":"d","schema":true}}"#);
        assert_eq!(code(w, "configuration::register", &input).await, "INVALID_ID");
    }
    let bad = r#"{"id":"a","name":"n","description":"d","schema":{"type":"x"}}"#;
    assert_eq!(code(w, "configuration::register", bad).await, "SCHEMA_INVALID");
    let misfit =
        r#"{"id":"a","name":"n","description":"d","schema":{"type":"string"},"initial_value":1}"#;
    assert_eq!(code(w, "configuration::register", misfit).await, "SCHEMA_INVALID");
    assert_eq!(code(w, "configuration::set", r#"{"id":"a","value":1}"#).await, "NOT_REGISTERED");
    assert_eq!(code(w, "configuration::get", r#"{"id":"a"}"#).await, "NOT_FOUND");
    assert_eq!(code(w, "configuration::schema", r#"{"id":"a"}"#).await, "NOT_FOUND");
    assert_eq!(code(w, "configuration::set", r#"{"id":"a"}"#).await, "deserialization_error");
    ok(w, "configuration::register", APP).await;
    let set = |value: &str| format!(r#"{{"id":"my-app","value":{value}}}"#);
    assert_eq!(code(w, "configuration::set", &set(r#"{"port":"x"}"#)).await, "SCHEMA_INVALID");
    // A value with an unset variable is not validated yet.
    ok(w, "configuration::set", &set(r#"{"port":"${LATER}"}"#)).await;
    assert_eq!(code(w, "configuration::get", r#"{"id":"my-app"}"#).await, "EXPAND_FAILED");
    // A new schema may invalidate the stored value.
    ok(w, "configuration::set", &set(r#"{"port":1}"#)).await;
    let other = r#"{"id":"my-app","name":"n","description":"d","schema":{"type":"string"}}"#;
    ok(w, "configuration::register", other).await;
    assert_eq!(code(w, "configuration::get", r#"{"id":"my-app"}"#).await, "SCHEMA_INVALID");
}

#[tokio::test]
async fn changes_fire_matching_triggers() {
    let (_broker, mut worker) = setup().await;
    worker.bind("all", "configuration", "c::on", "{}");
    let other = r#"{"configuration_id":"other"}"#;
    worker.bind("other", "configuration", "c::on", other);
    let deleted = r#"{"event_types":["configuration:deleted"]}"#;
    worker.bind("deleted", "configuration", "c::on", deleted);
    worker.void("configuration::register", APP);
    let call = worker.called().await;
    assert_eq!(
        call.data.as_str(),
        r#"{"type":"configuration","event_type":"configuration:registered","id":"my-app","name":"My app","description":"d","schema":{"type":"object","properties":{"port":{"type":"integer"}}},"old_value":null,"new_value":{"port":8080,"z":1.50,"a":"xy"},"metadata":{"team":1}}"#
    );
    assert_eq!(call.metadata, Some(json(r#"{"m":1}"#)));
    worker.answer(&call, Ok(None));
    worker.nothing_else().await;
    worker.void("configuration::set", r#"{"id":"my-app","value":{"port":1}}"#);
    let call = worker.called().await;
    for fact in [
        r#""event_type":"configuration:updated""#,
        r#""old_value":{"port":8080"#,
        r#""new_value":{"port":1}"#,
    ] {
        assert!(call.data.as_str().contains(fact), "{:?}", call.data);
    }
    worker.answer(&call, Ok(None));
    worker.unbind("all");
    worker.void("configuration::set", r#"{"id":"my-app","value":{"port":2}}"#);
    worker.nothing_else().await;
}
