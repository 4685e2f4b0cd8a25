//! Each kind, in each form, and what it tells the engine.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused)]

use iii::trigger::{Middleware, MiddlewareRequest};
use iii::Payload;
use iii::catalogue::Declared;

const TOPIC: &str = "constant";

mod checks {
    use super::{Middleware, MiddlewareRequest, Payload};

    #[iii::function(id = "checks::open")]
    pub(crate) fn open(_event: Payload) -> iii::Result<bool> {
        Ok(true)
    }

    #[iii::function(id = "checks::auth")]
    pub(crate) async fn auth(_request: MiddlewareRequest) -> Middleware {
        Middleware::Continue
    }
}

#[iii::function(id = "kinds::all")]
#[iii::trigger(http, path = "/")]
#[iii::trigger(http, path = "/", method = "DELETE", condition = checks::open, middleware = [checks::auth])]
#[iii::trigger("http", path = "/:a/b/")]
#[iii::trigger("http", config = ())]
#[iii::trigger(cron, "0 0 9 * * *", condition = checks::open)]
#[iii::trigger("cron", expression = "0 0 9 * * * 2030")]
#[iii::trigger(queue, topic = TOPIC)]
#[iii::trigger(
    queue,
    topic = "t",
    mode = "concurrent",
    max_retries = 3,
    concurrency = 5,
    backoff = "1s 500ms",
    condition = checks::open,
    metadata = [1, 2],
)]
#[iii::trigger(subscribe, topic = "t")]
#[iii::trigger(state)]
#[iii::trigger(state, scope = "s", key = "k", condition = checks::open)]
#[iii::trigger(stream, name = "n")]
#[iii::trigger(stream, name = "n", group = "g", item = "i", condition = checks::open)]
#[iii::trigger(log)]
#[iii::trigger(log, level = "warn", metadata = "m")]
#[iii::trigger(stream_join)]
#[iii::trigger("stream:leave", metadata = 1)]
#[iii::trigger(trace)]
#[iii::trigger(trace, service = "s", status = "error")]
#[iii::trigger(configuration)]
#[iii::trigger(configuration, id = "c", changes = ["updated", "deleted"], condition = checks::open)]
#[iii::trigger(functions_available)]
#[iii::trigger("engine::workers-available")]
#[iii::trigger("webhook", config = std::collections::BTreeMap::from([("url", "/hook")]))]
async fn all(payload: Payload) -> Payload {
    payload
}

fn main() {
    let declared = all::descriptor();
    let bindings = declared.triggers.iter().map(|trigger| {
        let binding = (trigger.binding)();
        let metadata = binding.metadata.map(|metadata| metadata.as_str().to_owned());
        (binding.kind.as_str().to_owned(), binding.config.as_str().to_owned(), metadata)
    });
    let expected = [
        ("http", r#"{"api_path":"/","http_method":"GET"}"#, None),
        (
            "http",
            r#"{"api_path":"/","http_method":"DELETE","condition_function_id":"checks::open","middleware_function_ids":["checks::auth"]}"#,
            None,
        ),
        ("http", r#"{"api_path":"/:a/b/","http_method":"GET"}"#, None),
        ("http", "null", None),
        ("cron", r#"{"expression":"0 0 9 * * *","condition_function_id":"checks::open"}"#, None),
        ("cron", r#"{"expression":"0 0 9 * * * 2030"}"#, None),
        ("durable:subscriber", r#"{"topic":"constant"}"#, None),
        (
            "durable:subscriber",
            r#"{"topic":"t","condition_function_id":"checks::open","queue_config":{"type":"concurrent","maxRetries":3,"concurrency":5,"backoffDelayMs":1500}}"#,
            Some("[1,2]"),
        ),
        ("subscribe", r#"{"topic":"t"}"#, None),
        ("state", "{}", None),
        (
            "state",
            r#"{"scope":"s","key":"k","condition_function_id":"checks::open"}"#,
            None,
        ),
        ("stream", r#"{"stream_name":"n"}"#, None),
        (
            "stream",
            r#"{"stream_name":"n","group_id":"g","item_id":"i","condition_function_id":"checks::open"}"#,
            None,
        ),
        ("log", r#"{"level":"all"}"#, None),
        ("log", r#"{"level":"warn"}"#, Some("\"m\"")),
        ("stream:join", "{}", None),
        ("stream:leave", "{}", Some("1")),
        ("trace", "{}", None),
        ("trace", r#"{"service_name":"s","status":"error"}"#, None),
        ("configuration", "{}", None),
        (
            "configuration",
            r#"{"configuration_id":"c","event_types":["configuration:updated","configuration:deleted"],"condition_function_id":"checks::open"}"#,
            None,
        ),
        ("engine::functions-available", "{}", None),
        ("engine::workers-available", "{}", None),
        ("webhook", r#"{"url":"/hook"}"#, None),
    ];
    assert_eq!(declared.triggers.len(), expected.len());
    for ((kind, config, metadata), expected) in bindings.zip(expected) {
        assert_eq!((kind.as_str(), config.as_str(), metadata.as_deref()), expected);
    }
}
