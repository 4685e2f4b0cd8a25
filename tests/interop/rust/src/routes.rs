//! Owns the checks of the http trigger: methods, parts of a request, answers, conditions, middleware, streaming.

use std::sync::Arc;

use iii_sdk::channel::{ChannelReader, ChannelWriter, StreamChannelRef};
use iii_sdk::protocol::RegisterTriggerInput;
use iii_sdk::Error;
use serde_json::{json, Value};
use tokio::sync::Notify;

use crate::kit::{checks, fetch, get, handler, http, plain, variable, Kit};

checks! {
    "http/methods" => methods;
    "http/parts" => parts;
    "http/answer" => answer;
    "http/error" => error;
    "http/condition" => condition;
    "http/middleware" => middleware;
    "http/upload" => upload;
    "http/stream" => stream;
    "http/sse" => sse;
    "http/metadata" => metadata;
}

/// A ref in a payload. This SDK leaves opening to the handler.
fn channel(payload: &Value, field: &str) -> StreamChannelRef {
    serde_json::from_value(payload[field].clone()).expect("a ref of a channel")
}

pub fn reader(payload: &Value, field: &str) -> ChannelReader {
    ChannelReader::new(&variable("III_URL"), &channel(payload, field))
}

pub fn writer(payload: &Value, field: &str) -> ChannelWriter {
    ChannelWriter::new(&variable("III_URL"), &channel(payload, field))
}

async fn methods(kit: &mut Kit) {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    let method = plain(|request| json!({"headers": {"x-method": request["method"]}, "body": null}));
    kit.serve("rs::method", method).await;
    for method in methods {
        kit.bind("http", "rs::method", json!({"api_path": "/rs/methods", "http_method": method})).await;
    }
    for method in methods {
        let (status, headers, _) = fetch(http(method, "/rs/methods")).await;
        assert_eq!((status, headers["x-method"].to_str().unwrap()), (200, method));
    }
}

async fn parts(kit: &mut Kit) {
    let parts = plain(|request| {
        json!({"body": {
            "id": request["path_params"]["id"], "q": request["query_params"]["q"],
            "x": request["headers"]["x-one"], "path": request["path"],
            "trigger": request["trigger"]["type"], "body": request["body"],
        }})
    });
    kit.serve("rs::parts", parts).await;
    kit.bind("http", "rs::parts", json!({"api_path": "rs/parts/:id", "http_method": "post"})).await;
    let request = http("POST", "/rs/parts/7?q=a%20b").header("X-One", "1").json(&json!({"n": [1]}));
    let (status, _, body) = fetch(request).await;
    let told = json!({
        "id": "7", "q": "a b", "x": "1", "path": "rs/parts/:id", "trigger": "http", "body": {"n": [1]},
    });
    assert_eq!((status, body), (200, told));
}

async fn answer(kit: &mut Kit) {
    let headers = json!({"x-from": "rust", "content-type": "text/plain"});
    let made = plain(move |_| json!({"status_code": 201, "headers": headers, "body": "made"}));
    kit.serve("rs::answer", made).await;
    let binding = kit.bind("http", "rs::answer", json!({"api_path": "/rs/answer"})).await;
    let (status, headers, body) = fetch(http("GET", "/rs/answer")).await;
    assert_eq!((status, body), (201, json!("made")));
    assert_eq!((&headers["x-from"], &headers["content-type"]), (&"rust".parse().unwrap(), &"text/plain".parse().unwrap()));
    kit.serve("rs::no-answer", plain(|_| Value::Null)).await;
    kit.bind("http", "rs::no-answer", json!({"api_path": "/rs/no-answer"})).await;
    assert_eq!(get("/rs/no-answer").await.0, 204);
    assert_eq!(fetch(http("POST", "/rs/answer")).await.0, 405);
    kit.unbind(binding, "http", "rs::answer").await;
    assert_eq!(get("/rs/answer").await.0, 404);
}

async fn error(kit: &mut Kit) {
    let fails = |error: fn() -> Error| handler(move |_, _| async move { Err(error()) });
    kit.serve("rs::http-fails", fails(|| "no such thing".into())).await;
    kit.bind("http", "rs::http-fails", json!({"api_path": "/rs/fails"})).await;
    let (status, body) = get("/rs/fails").await;
    assert_eq!((status, &body["error"]["code"]), (500, &json!("invocation_failed")));
    assert!(body["error"]["message"].as_str().unwrap().contains("no such thing"), "{body}");
}

async fn condition(kit: &mut Kit) {
    kit.serve("rs::http-open", plain(|request| json!(request["query_params"]["open"] == "1"))).await;
    kit.serve("rs::http-door", plain(|_| json!({"body": "in"}))).await;
    let config = json!({"api_path": "/rs/door", "condition_function_id": "rs::http-open"});
    kit.bind("http", "rs::http-door", config).await;
    assert_eq!(get("/rs/door?open=1").await, (200, json!("in")));
    let (status, body) = get("/rs/door").await;
    assert_eq!((status, &body["error"]["code"]), (422, &json!("CONDITION_NOT_MET")));
}

async fn middleware(kit: &mut Kit) {
    let seen = kit.hear("rs::audit").await;
    let auth = plain(|data| match data["request"]["headers"]["authorization"].as_str() {
        Some("yes") => json!({"action": "continue"}),
        _ => json!({"action": "respond", "response": {
            "status_code": 401, "body": {"error": "who?"}, "headers": {"x-auth": "rs"},
        }}),
    });
    kit.serve("rs::auth", auth).await;
    kit.serve("rs::inner", plain(|_| json!({"body": "inner"}))).await;
    let config = json!({"api_path": "/rs/inner", "middleware_function_ids": ["rs::auth", "rs::audit"]});
    kit.bind("http", "rs::inner", config).await;
    let (status, headers, body) = fetch(http("GET", "/rs/inner")).await;
    assert_eq!((status, headers["x-auth"].to_str().unwrap(), body), (401, "rs", json!({"error": "who?"})));
    assert_eq!(seen.len(), 0);
    let (status, _, body) = fetch(http("GET", "/rs/inner").header("authorization", "yes")).await;
    assert_eq!((status, body), (200, json!("inner")));
    let seen = &seen.now()[0];
    assert_eq!((&seen["phase"], &seen["request"]["method"]), (&json!("preHandler"), &json!("GET")));
}

async fn upload(kit: &mut Kit) {
    let upload = handler(|request, _| async move {
        let body = reader(&request, "request_body").read_all().await?;
        Ok(json!({"body": {"bytes": body.len(), "first": body.first(), "last": body.last()}}))
    });
    kit.serve("rs::upload", upload).await;
    kit.bind("http", "rs::upload", json!({"api_path": "/rs/upload", "http_method": "PUT"})).await;
    let body: Vec<u8> = (0..300_000).map(|n| (n % 251) as u8).collect();
    let last = body[body.len() - 1];
    let request = http("PUT", "/rs/upload").header("content-type", "application/octet-stream").body(body);
    let (status, _, answer) = fetch(request).await;
    assert_eq!((status, answer), (200, json!({"bytes": 300_000, "first": 0, "last": last})));
    // JSON comes twice: as the body, and through the channel.
    let (status, _, answer) = fetch(http("PUT", "/rs/upload").json(&"x".repeat(2_000_000))).await;
    assert_eq!((status, answer), (200, json!({"bytes": 2_000_002, "first": 34, "last": 34})));
}

async fn stream(kit: &mut Kit) {
    let stream = handler(|request, _| async move {
        let response = writer(&request, "response");
        response.send_message(r#"{"type":"set_status","status_code":206}"#).await?;
        response.send_message(r#"{"type":"set_headers","headers":{"x-from":"rust"}}"#).await?;
        for n in 0..4 {
            response.write(&[n; 100_000]).await?;
        }
        response.close().await?;
        Ok(Value::Null)
    });
    kit.serve("rs::stream", stream).await;
    kit.bind("http", "rs::stream", json!({"api_path": "/rs/stream"})).await;
    let answer = http("GET", "/rs/stream").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-from"]), (206, &"rust".parse().unwrap()));
    let body = answer.bytes().await.unwrap();
    assert!(body == (0..4).flat_map(|n| [n; 100_000]).collect::<Vec<u8>>());
}

async fn sse(kit: &mut Kit) {
    let read = Arc::new(Notify::new());
    let events = handler({
        let read = read.clone();
        move |request, _| {
            let read = read.clone();
            async move {
                let response = writer(&request, "response");
                let headers = r#"{"type":"set_headers","headers":{"content-type":"text/event-stream"}}"#;
                response.send_message(headers).await?;
                response.write(b"event: first\ndata: 1\n\n").await?;
                // The second is not written before the client has read the first.
                read.notified().await;
                response.write(b"event: second\ndata: 2\n\n").await?;
                response.close().await?;
                Ok(Value::Null)
            }
        }
    });
    kit.serve("rs::events", events).await;
    kit.bind("http", "rs::events", json!({"api_path": "/rs/events"})).await;
    let mut answer = http("GET", "/rs/events").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while let Some(chunk) = answer.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        if text == "event: first\ndata: 1\n\n" {
            read.notify_one();
        }
    }
    assert_eq!(text, "event: first\ndata: 1\n\nevent: second\ndata: 2\n\n");
}

async fn metadata(kit: &mut Kit) {
    kit.serve("rs::tagged", handler(|_, metadata| async move { Ok(json!({"body": metadata})) })).await;
    let input = RegisterTriggerInput::new("http", "rs::tagged", json!({"api_path": "/rs/tagged"}));
    kit.bind_with(input.with_metadata(json!({"tag": "rs"}))).await;
    assert_eq!(get("/rs/tagged").await, (200, json!({"tag": "rs"})));
}
