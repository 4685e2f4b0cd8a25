//! The official Rust SDK against the embedded engine: `scenario` or `serve`.

// The trigger functions are deprecated in favour of what the engine does not offer; workers still use them.
#![allow(deprecated)]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use iii_sdk::protocol::{RegisterTriggerInput, TriggerRequest};
use iii_sdk::{
    register_worker, Error, IIIClient, InitOptions, RegisterFunction, RegisterTriggerType,
};
use iii_sdk::trigger::{Trigger, TriggerConfig, TriggerHandler};
use serde_json::{json, Value};

const DEADLINE: Duration = Duration::from_secs(20);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn connect(name: &str, namespace: Option<&str>) -> IIIClient {
    let options = InitOptions {
        metadata: Some(iii_sdk::runtime::WorkerMetadata { name: name.into(), ..Default::default() }),
        namespace: namespace.map(Into::into),
        ..Default::default()
    };
    register_worker(&variable("III_URL"), options)
}

async fn call(worker: &IIIClient, function: &str, payload: Value) -> Result<Value, Error> {
    worker.trigger(TriggerRequest::new(function, payload)).await
}

async fn call_in(worker: &IIIClient, space: &str, function: &str, data: Value) -> Result<Value, Error> {
    worker.trigger(TriggerRequest::new(function, data).namespace(space)).await
}

fn bind(worker: &IIIClient, kind: &str, function: &str, config: Value) -> Trigger {
    let input = RegisterTriggerInput::new(kind.to_owned(), function.to_owned(), config);
    worker.register_trigger(input).expect("the binding is sent")
}

fn ok(name: &str) {
    println!("ok rust {name}");
}

fn refused(code: &str, found: Result<Value, Error>) -> String {
    match found {
        Err(Error::Remote { code: found, message, .. }) if found == code => message,
        other => panic!("expected {code}, got {other:?}"),
    }
}

/// Waits for a condition; a function that is not there yet counts as no.
async fn until<F: Future<Output = Result<Option<Value>, Error>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> Value {
    let end = Instant::now() + DEADLINE;
    loop {
        match condition().await {
            Ok(Some(found)) => return found,
            Ok(None) => {}
            Err(Error::Remote { code, .. }) if code == "function_not_found" => {}
            Err(error) => panic!("{what}: {error}"),
        }
        assert!(Instant::now() < end, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What handlers got.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Value>>>);

impl Heard {
    fn function(&self, worker: &IIIClient, id: &str) {
        let heard = self.clone();
        let handler = move |data: Value| {
            heard.0.lock().unwrap().push(data);
            async { Ok::<_, Error>(Value::Null) }
        };
        worker.register_function(id, RegisterFunction::new_async(handler));
    }

    fn find(&self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        self.0.lock().unwrap().iter().find(|item| wanted(item)).cloned()
    }

    async fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, || async { Ok(self.find(&wanted)) }).await
    }
}

/// A trigger type of our own.
#[derive(Clone, Default)]
struct Bell(Arc<Mutex<BTreeMap<String, TriggerConfig>>>);

#[async_trait::async_trait]
impl TriggerHandler for Bell {
    async fn register_trigger(&self, config: TriggerConfig) -> Result<(), Error> {
        self.0.lock().unwrap().insert(config.id.clone(), config);
        Ok(())
    }

    async fn unregister_trigger(&self, config: TriggerConfig) -> Result<(), Error> {
        self.0.lock().unwrap().remove(&config.id);
        Ok(())
    }
}

async fn scenario() {
    let (one, two) = (connect("rust-one", None), connect("rust-two", None));
    let (heard, ticks, changes) = (Heard::default(), Heard::default(), Heard::default());

    one.register_function(
        "rs::plain",
        RegisterFunction::new(|data: Value| -> Result<Value, Error> {
            Ok(json!({"sum": data["a"].as_i64().unwrap() + data["b"].as_i64().unwrap()}))
        }),
    );
    let caller = one.clone();
    one.register_function(
        "rs::later",
        RegisterFunction::new_async(move |data: Value| {
            let caller = caller.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let answer = call(&caller, "rs::twice", data).await?;
                Ok::<_, Error>(json!({"later": answer["n"]}))
            }
        }),
    );
    one.register_function(
        "rs::fails",
        RegisterFunction::new_async(|_: Value| async {
            Err::<Value, _>(Error::Remote {
                code: "shop/closed".into(),
                message: "no such thing".into(),
                stacktrace: None,
            })
        }),
    );
    one.register_function(
        "rs::item",
        RegisterFunction::new_async(|request: Value| async move {
            let id = &request["path_params"]["id"];
            let body = json!({"id": id, "q": request["query_params"]["q"]});
            Ok::<_, Error>(json!({"status_code": 201, "headers": {"x-from": "rust"}, "body": body}))
        }),
    );
    heard.function(&one, "rs::heard");
    ticks.function(&one, "rs::tick");
    changes.function(&one, "rs::changed");
    two.register_function(
        "rs::twice",
        RegisterFunction::new(|data: Value| -> Result<Value, Error> {
            Ok(json!({"n": 2 * data["n"].as_i64().unwrap()}))
        }),
    );

    let two = &two;
    let sum = || async { call(two, "rs::plain", json!({"a": 1, "b": 2})).await.map(Some) };
    assert_eq!(until("the function", sum).await, json!({"sum": 3}));
    ok("a plain function");
    until("the other function", || async { call(&one, "rs::twice", json!({"n": 0})).await.map(Some) }).await;
    assert_eq!(call(two, "rs::later", json!({"n": 21})).await.unwrap(), json!({"later": 42}));
    ok("an async function that calls back");

    let order = call(two, "orders::create", json!({"sku": "tea", "quantity": 2})).await.unwrap();
    assert_eq!((&order["sku"], &order["quantity"]), (&json!("tea"), &json!(2)));
    assert_eq!(call(two, "orders::get", json!({"id": order["id"]})).await.unwrap(), order);
    refused("orders/not-found", call(two, "orders::get", json!({"id": 999_999})).await);
    refused("invalid_payload", call(two, "orders::create", json!({"sku": "tea"})).await);
    refused("function_not_found", call(two, "rs::nothing", json!({})).await);
    ok("functions of the quickstart and their error codes");

    let message = refused("shop/closed", call(two, "rs::fails", json!({})).await);
    assert!(message.contains("no such thing"), "{message}");
    ok("an error of a handler");

    bind(&one, "http", "rs::item", json!({"api_path": "/rs/items/:id", "http_method": "GET"}));
    until("the route", || async {
        let (status, head, body) = get("/rs/items/7?q=x").await;
        if status == 404 {
            return Ok(None);
        }
        assert_eq!((status, head.contains("x-from: rust")), (201, true), "{head}");
        assert_eq!(body, json!({"id": "7", "q": "x"}));
        Ok(Some(body))
    })
    .await;
    ok("an http trigger with a path parameter");

    bind(&one, "subscribe", "rs::heard", json!({"topic": "rs.news"}));
    until("the message", || async {
        call(two, "publish", json!({"topic": "rs.news", "data": {"n": 1}})).await?;
        Ok(heard.find(|item| *item == json!({"n": 1})))
    })
    .await;
    ok("subscribe and publish");

    bind(&one, "state", "rs::changed", json!({"scope": "rs"}));
    until("the binding", || async {
        call(two, "state::set", json!({"scope": "rs", "key": "probe", "value": 1})).await?;
        Ok(changes.find(|_| true))
    })
    .await;
    let place = json!({"scope": "rs", "key": "k"});
    let with = |key: &str, value: Value| {
        let mut place = place.clone();
        place[key] = value;
        place
    };
    assert_eq!(call(two, "state::get", place.clone()).await.unwrap(), Value::Null);
    let set = call(two, "state::set", with("value", json!({"n": 1}))).await.unwrap();
    assert_eq!(set, json!({"old_value": null, "new_value": {"n": 1}}));
    let ops = json!([{"type": "increment", "path": "n", "by": 4}, {"type": "set", "path": "s", "value": "x"}]);
    let updated = call(two, "state::update", with("ops", ops)).await.unwrap();
    assert_eq!(updated["new_value"], json!({"n": 5, "s": "x"}));
    assert_eq!(call(two, "state::get", place.clone()).await.unwrap(), json!({"n": 5, "s": "x"}));
    assert_eq!(call(two, "state::delete", place.clone()).await.unwrap(), json!({"n": 5, "s": "x"}));
    for kind in ["state:created", "state:updated", "state:deleted"] {
        changes.wait(kind, |event| event["key"] == "k" && event["event_type"] == kind).await;
    }
    ok("state and its trigger");

    let tick = bind(&one, "cron", "rs::tick", json!({"expression": "* * * * * *"}));
    assert_eq!(ticks.wait("a tick", |_| true).await["trigger"], "cron");
    tick.unregister();
    ok("cron");

    let bell = Bell::default();
    bind(two, "rs-bell", "rs::heard", json!({"tune": "ding"}));
    one.register_trigger_type(RegisterTriggerType::new("rs-bell", "Rings.", bell.clone()));
    let count = |wanted: usize| {
        let bell = bell.clone();
        move || {
            let count = bell.0.lock().unwrap().len();
            async move { Ok((count == wanted).then_some(Value::Null)) }
        }
    };
    until("the binding", count(1)).await;
    let bound = bell.0.lock().unwrap().values().next().unwrap().clone();
    assert_eq!((bound.function_id.as_str(), bound.config), ("rs::heard", json!({"tune": "ding"})));
    call(two, "rs::heard", json!({"rang": 1})).await.unwrap();
    heard.wait("the ring", |item| item["rang"] == 1).await;
    let second = bind(two, "rs-bell", "rs::heard", json!({"tune": "dong"}));
    until("a second binding", count(2)).await;
    second.unregister();
    until("its end", count(1)).await;
    ok("a trigger type of its own");

    let apart = connect("rust-apart", Some("apart"));
    apart.register_function(
        "rs::where",
        RegisterFunction::new(|_: Value| -> Result<Value, Error> { Ok(json!("apart")) }),
    );
    let found = || async { call_in(two, "apart", "rs::where", json!({})).await.map(Some) };
    assert_eq!(until("the namespace", found).await, json!("apart"));
    refused("function_not_found", call(two, "rs::where", json!({})).await);
    let sum = call_in(&apart, "default", "rs::plain", json!({"a": 2, "b": 3})).await.unwrap();
    assert_eq!(sum, json!({"sum": 5}));
    ok("a namespace");

    apart.shutdown_async().await;
    two.shutdown_async().await;
    one.shutdown_async().await;
    ok("a proper end");
}

async fn serve() {
    let worker = connect("rust-server", None);
    let caller = worker.clone();
    worker.register_function(
        "relay::rust",
        RegisterFunction::new_async(move |data: Value| {
            let caller = caller.clone();
            async move {
                let route = data["route"].as_array().cloned().unwrap_or_default();
                let Some((next, rest)) = route.split_first() else {
                    let order = json!({"sku": "rust", "quantity": 1});
                    let order = call(&caller, "orders::create", order).await?;
                    return Ok(json!({"by": ["rust"], "order": order}));
                };
                let answer = call(&caller, next.as_str().unwrap(), json!({"route": rest})).await?;
                let mut by = vec![json!("rust")];
                by.extend(answer["by"].as_array().cloned().unwrap_or_default());
                Ok::<_, Error>(json!({"by": by, "order": answer["order"]}))
            }
        }),
    );
    worker.register_function(
        "alive::rust",
        RegisterFunction::new(|_: Value| -> Result<Value, Error> {
            Ok(json!({"status_code": 200, "body": "rust"}))
        }),
    );
    bind(&worker, "http", "alive::rust", json!({"api_path": "/alive/rust"}));
    println!("serving rust");
    std::future::pending::<()>().await;
}

/// A request by hand: the head in lower case and the JSON body.
async fn get(path: &str) -> (u16, String, Value) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let addr = variable("INTEROP_HTTP").trim_start_matches("http://").to_owned();
    let mut socket = tokio::net::TcpStream::connect(&addr).await.expect("the engine listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("the engine reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("the engine answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).unwrap().parse().expect("a status");
    (status, head.to_ascii_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::main]
async fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("scenario") => scenario().await,
        Some("serve") => serve().await,
        other => panic!("scenario or serve, not {other:?}"),
    }
}
