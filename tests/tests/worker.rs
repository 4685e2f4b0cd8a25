//! A worker against a scripted engine: what it sends, in which order, and what happens when things go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use iii::prelude::*;
use iii::{Running, code};
use iii_tests::{FakeEngine, Peer, Script, confirm, within};
use serde_json::{Value, json};
use tokio::sync::Notify;

const WORKER: &str = "6a0c1c0e-0f5b-4d55-9f1a-6d3a3f0f8a11";
const TOKEN: &str = "0b8f3b0e-7f0b-4a55-8d46-0f7b6f0c2a01";
const CALL: &str = "7bf22097-7be4-48e5-a329-5a504bc71e09";

#[derive(Serialize, Deserialize, JsonSchema)]
struct Pair {
    a: u32,
    b: u32,
}

/// Adds two numbers.
#[iii::function(id = "test::add", metadata = json!({"team": "math"}))]
#[iii::trigger(http, path = "/add/:a/:b")]
#[iii::trigger(subscribe, topic = "pairs", metadata = "mine")]
async fn add(pair: Pair) -> u32 {
    pair.a + pair.b
}

#[iii::function(id = "test::panic")]
async fn panics() {
    panic!("the inside of the worker");
}

#[iii::function(id = "test::panic-plain")]
fn panics_plainly() {
    panic!("the inside of the worker");
}

#[iii::function(id = "test::slow", timeout = "50ms")]
async fn slow() {
    std::future::pending::<()>().await;
}

/// Lets a test hold a handler.
#[derive(Default)]
struct Gate {
    entered: Notify,
    open: Notify,
}

#[iii::function(id = "test::gated")]
async fn gated(gate: State<Arc<Gate>>) -> &'static str {
    gate.entered.notify_one();
    gate.open.notified().await;
    "done"
}

#[iii::function(id = "test::blocks")]
fn blocks(open: State<Open>) {
    while !open.0.0.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the thread that blocks may go on.
struct Open(Arc<AtomicBool>);

/// How many handlers run, and how many did at the most.
#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[iii::function(id = "test::two-at-a-time", concurrency = 2)]
async fn two_at_a_time(busy: State<Arc<Busy>>) {
    let now = busy.now.fetch_add(1, Ordering::SeqCst) + 1;
    busy.most.fetch_max(now, Ordering::SeqCst);
    // Gives every other handler the chance to run.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    busy.now.fetch_sub(1, Ordering::SeqCst);
}

#[iii::function(id = "test::calls")]
async fn calls(client: Client, context: Context) -> iii::Result<Value> {
    let answer: Value = client.call_raw("other::function", &json!({"x": 1})).await?;
    Ok(json!({"answer": answer, "caller": context.caller().map(|c| c.worker_id.to_string())}))
}

async fn started(engine: &FakeEngine, app: &mut App) -> (Running, Script) {
    let (running, script) =
        tokio::join!(app.url(engine.url()).start(), engine.accept_and_confirm(WORKER, TOKEN));
    (running.expect("the worker starts"), script)
}

async fn invoke(peer: &mut Peer, function_id: &str, data: Value) {
    invoke_as(peer, CALL, function_id, data).await;
}

async fn invoke_as(peer: &mut Peer, id: &str, function_id: &str, data: Value) {
    peer.send(json!({
        "type": "invokefunction", "invocation_id": id, "function_id": function_id, "data": data,
    }))
    .await;
}

#[tokio::test]
async fn a_worker_introduces_itself_and_registers_functions_before_triggers() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.function::<add>().name("adder").namespace("math");
    let (_running, script) = started(&engine, &mut app).await;
    let kinds: Vec<&str> = script.messages.iter().map(|m| m["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "invokefunction",
            "registerfunction",
            "registertrigger",
            "registertrigger",
            "invokefunction",
            "invokefunction"
        ]
    );
    let announced = &script.messages[0];
    assert_eq!(announced["function_id"], "engine::workers::register");
    assert_eq!(announced["data"]["name"], "adder");
    assert_eq!(announced["data"]["namespace"], "math");
    assert_eq!(announced["data"]["runtime"], "rust");
    assert_eq!(announced["data"]["pid"], std::process::id());

    let function = &script.messages[1];
    assert_eq!(function["id"], "test::add");
    assert_eq!(function["description"], "Adds two numbers.");
    assert_eq!(function["metadata"], json!({"team": "math"}));
    assert_eq!(function["request_format"]["properties"]["a"]["type"], "integer");
    assert_eq!(function["response_format"]["type"], "integer");

    let triggers = &script.messages[2..4];
    let http = triggers.iter().find(|m| m["trigger_type"] == "http").unwrap();
    assert_eq!(http["config"], json!({"api_path": "/add/:a/:b", "http_method": "GET"}));
    assert_eq!(http["namespace"], "math");
    let mark = json!({"type": "http", "id": http["id"]});
    assert_eq!(http["metadata"], json!({"iii:trigger": mark}));
    let subscribe = triggers.iter().find(|m| m["trigger_type"] == "subscribe").unwrap();
    assert_eq!(subscribe["config"], json!({"topic": "pairs"}));
    assert_eq!(subscribe["metadata"]["value"], "mine");
}

#[tokio::test]
async fn calls_are_answered_with_results_and_coded_errors() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.function::<add>().function::<panics>().function::<panics_plainly>().function::<slow>();
    let (_running, Script { mut peer, .. }) = started(&engine, &mut app).await;

    let data = json!({"_caller_worker_id": WORKER, "a": 1, "b": 2});
    invoke(&mut peer, "test::add", data).await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["invocation_id"], CALL);
    assert_eq!(answer["function_id"], "test::add");
    assert_eq!(answer["result"], 3);

    for (function, data, code, status) in [
        ("test::add", json!({"a": 1, "b": "x"}), code::INVALID_PAYLOAD, Some(400)),
        ("test::add", json!(null), code::INVALID_PAYLOAD, Some(400)),
        ("test::panic", json!({}), code::PANIC, None),
        ("test::panic-plain", json!({}), code::PANIC, None),
        ("test::slow", json!({}), code::TIMEOUT, Some(504)),
        ("test::nobody", json!({}), code::FUNCTION_NOT_FOUND, Some(404)),
    ] {
        invoke(&mut peer, function, data.clone()).await;
        let answer = peer.next_of("invocationresult").await;
        let error = &answer["error"];
        assert_eq!(error["code"], code, "{function} {data}: {answer}");
        assert_eq!(error["status"].as_u64(), status, "{answer}");
        assert!(!error.to_string().contains("inside of the worker"), "{answer}");
        assert!(error["stacktrace"].is_null(), "{answer}");
    }
    invoke(&mut peer, "test::add", json!({"a": 1, "b": "x"})).await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["error"]["details"]["field"], "b", "{answer}");
}

#[tokio::test]
async fn an_http_request_becomes_a_payload_and_a_response() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (_running, Script { mut peer, messages }) = started(&engine, app.function::<add>()).await;
    let trigger = messages.iter().find(|m| m["trigger_type"] == "http").unwrap();
    let mut request = json!({
        "type": "invokefunction", "invocation_id": CALL, "function_id": "test::add",
        "metadata": trigger["metadata"],
        "data": {"method": "GET", "path": "/add/:a/:b", "path_params": {"a": "1", "b": "2"},
                 "query_params": {}, "headers": {}, "body": null},
    });
    peer.send(request.clone()).await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["result"], json!({"status_code": 200, "body": 3}));

    request["data"]["path_params"]["a"] = json!("one");
    peer.send(request).await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["result"]["status_code"], 400, "{answer}");
    let error = &answer["result"]["body"]["error"];
    assert_eq!(error["code"], code::INVALID_PAYLOAD);
    assert_eq!(error["details"]["field"], "a");
}

#[tokio::test]
async fn a_blocking_function_stops_nobody_else() {
    let engine = FakeEngine::start().await;
    let open = Arc::new(AtomicBool::new(false));
    let mut app = App::new();
    app.state(Open(open.clone())).function::<blocks>().function::<add>();
    let (_running, Script { mut peer, .. }) = started(&engine, &mut app).await;
    invoke(&mut peer, "test::blocks", json!({})).await;
    let second = "7bf22097-7be4-48e5-a329-5a504bc71e0a";
    invoke_as(&mut peer, second, "test::add", json!({"a": 1, "b": 2})).await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!((&answer["invocation_id"], &answer["result"]), (&json!(second), &json!(3)));
    open.store(true, Ordering::Release);
    assert_eq!(peer.next_of("invocationresult").await["invocation_id"], CALL);
}

#[tokio::test]
async fn a_function_runs_no_more_often_than_it_says() {
    let engine = FakeEngine::start().await;
    let busy = Arc::new(Busy::default());
    let mut app = App::new();
    app.state(busy.clone()).function::<two_at_a_time>();
    let (_running, Script { mut peer, .. }) = started(&engine, &mut app).await;
    for n in 0..10 {
        let id = format!("7bf22097-7be4-48e5-a329-{n:012x}");
        invoke_as(&mut peer, &id, "test::two-at-a-time", json!({})).await;
    }
    for _ in 0..10 {
        assert!(peer.next_of("invocationresult").await["error"].is_null());
    }
    assert_eq!(busy.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_handler_calls_other_functions_and_the_trace_goes_with_it() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (_running, Script { mut peer, .. }) = started(&engine, app.function::<calls>()).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    peer.send(json!({
        "type": "invokefunction", "invocation_id": CALL, "function_id": "test::calls",
        "data": {"_caller_worker_id": WORKER}, "traceparent": trace,
    }))
    .await;
    let call = peer.next_of("invokefunction").await;
    assert_eq!(call["function_id"], "other::function");
    assert_eq!(call["data"], json!({"x": 1}));
    assert_eq!(call["traceparent"], trace);
    peer.send(json!({
        "type": "invocationresult", "invocation_id": call["invocation_id"],
        "function_id": "other::function", "result": [1],
    }))
    .await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["result"], json!({"answer": [1], "caller": WORKER}));
}

#[tokio::test]
async fn a_lost_link_fails_calls_at_once_and_the_worker_comes_back_as_itself() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (running, Script { mut peer, messages }) = started(&engine, app.function::<add>()).await;
    let client = running.client();
    let in_flight = tokio::spawn({
        let client = client.clone();
        async move { client.call_raw::<Value>("other::function", &()).await }
    });
    peer.next_of("invokefunction").await;
    peer.crash();
    let error = within("the call to fail", in_flight).await.unwrap().unwrap_err();
    assert_eq!(error.code(), code::CONNECTION_LOST);

    // Made while there is no link: this one waits, that one gives up before there is one.
    let gave_up = client.call_raw::<Value>("gave::up", &()).timeout(Duration::from_millis(1)).await;
    assert_eq!(gave_up.unwrap_err().code(), code::NOT_CONNECTED);
    let waits = tokio::spawn(async move { client.call_raw::<u8>("other::function", &()).await });

    let again = engine.accept_and_confirm("6a0c1c0e-0f5b-4d55-9f1a-6d3a3f0f8a12", TOKEN).await;
    let reattach =
        json!({"type": "reattach", "previous_worker_id": WORKER, "reattach_token": TOKEN});
    assert_eq!(again.messages[0], reattach);
    let registered = |messages: &[Value]| -> Vec<Value> {
        let kinds = ["registerfunction", "registertrigger"];
        let is = |m: &&Value| kinds.contains(&m["type"].as_str().unwrap_or_default());
        messages.iter().filter(is).cloned().collect()
    };
    assert_eq!(registered(&again.messages), registered(&messages), "everything once, unchanged");

    let Script { mut peer, messages } = again;
    let is_call = |m: &Value| m["function_id"] == "other::function";
    let call = match messages.into_iter().find(is_call) {
        Some(call) => call,
        None => peer.next_of("invokefunction").await,
    };
    assert_eq!(call["function_id"], "other::function", "a call that was given up is not sent");
    peer.send(json!({
        "type": "invocationresult", "invocation_id": call["invocation_id"],
        "function_id": "other::function", "result": 7,
    }))
    .await;
    assert_eq!(within("the call", waits).await.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn a_dropped_call_is_forgotten_and_a_late_answer_harms_nobody() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (running, Script { mut peer, .. }) = started(&engine, app.function::<add>()).await;
    let client = running.client();
    let late = client.call_raw::<Value>("late", &()).timeout(Duration::from_millis(20)).await;
    assert_eq!(late.unwrap_err().code(), code::TIMEOUT);
    let call = peer.next_of("invokefunction").await;
    peer.send(json!({
        "type": "invocationresult", "invocation_id": call["invocation_id"],
        "function_id": "late", "result": 1,
    }))
    .await;
    invoke(&mut peer, "test::add", json!({"a": 1, "b": 2})).await;
    assert_eq!(peer.next_of("invocationresult").await["result"], 3);
}

#[tokio::test]
async fn a_drain_takes_back_what_is_registered_and_answers_what_runs() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let gate = Arc::new(Gate::default());
    app.state(gate.clone()).function::<gated>().function::<add>();
    let (mut running, Script { mut peer, .. }) = started(&engine, &mut app).await;
    invoke(&mut peer, "test::gated", json!({})).await;
    within("the handler", gate.entered.notified()).await;

    let draining = tokio::spawn(async move { running.drain().await });
    let mut taken_back = Vec::new();
    loop {
        let message = peer.next().await.expect("the worker waits for its handler");
        match message["type"].as_str().unwrap() {
            "ping" => break,
            kind => taken_back.push(kind.to_owned()),
        }
    }
    let expected =
        ["unregistertrigger", "unregistertrigger", "unregisterfunction", "unregisterfunction"];
    assert_eq!(taken_back, expected);
    // What the engine had sent before it knew is still served.
    let second = "7bf22097-7be4-48e5-a329-5a504bc71e0a";
    invoke_as(&mut peer, second, "test::add", json!({"a": 1, "b": 2})).await;
    assert_eq!(peer.next_of("invocationresult").await["result"], 3);
    peer.send(json!({"type": "pong"})).await;
    gate.open.notify_one();
    let answer = peer.next_of("invocationresult").await;
    assert_eq!((&answer["invocation_id"], &answer["result"]), (&json!(CALL), &json!("done")));
    assert_eq!(peer.next().await, None);
    within("the drain", draining).await.unwrap().unwrap();
}

#[tokio::test]
async fn after_the_grace_period_what_runs_is_answered_with_a_code() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.state(Arc::new(Gate::default())).function::<gated>().grace(Duration::from_millis(20));
    let (mut running, Script { mut peer, .. }) = started(&engine, &mut app).await;
    invoke(&mut peer, "test::gated", json!({})).await;
    let client = running.client();
    let draining = tokio::spawn(async move { running.drain().await });
    peer.next_of("ping").await;
    peer.send(json!({"type": "pong"})).await;
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["error"]["code"], code::SHUTTING_DOWN, "{answer}");
    let error = within("the drain", draining).await.unwrap().unwrap_err();
    assert_eq!(error.code(), code::GRACE_EXCEEDED);
    let error = client.call_raw::<Value>("any", &()).await.unwrap_err();
    assert_eq!(error.code(), code::SHUTTING_DOWN);
}

#[tokio::test]
async fn a_stop_at_once_answers_what_runs_and_waits_for_nothing() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.state(Arc::new(Gate::default())).function::<gated>();
    let (mut running, Script { mut peer, .. }) = started(&engine, &mut app).await;
    invoke(&mut peer, "test::gated", json!({})).await;
    // Nobody answers the ping of the drain: only the second word ends it.
    let leaving = async {
        let draining = running.drain();
        tokio::pin!(draining);
        tokio::select! {
            _ = &mut draining => panic!("a handler still runs"),
            _ = peer.next_of("ping") => {}
        }
    };
    leaving.await;
    running.abort();
    let answer = peer.next_of("invocationresult").await;
    assert_eq!(answer["error"]["code"], code::SHUTTING_DOWN, "{answer}");
    within("the end", running.left()).await.unwrap();
}

#[tokio::test]
async fn a_refused_registration_stops_the_start_and_names_the_declaration() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.function::<add>().url(engine.url());
    let (started, ()) = tokio::join!(app.start(), async {
        let mut peer = engine.accept(WORKER, TOKEN).await;
        while let Some(message) = peer.next().await {
            match message["type"].as_str() {
                Some("invokefunction") => answer_nothing(&mut peer, &message).await,
                Some("registerfunction") => {
                    peer.send(json!({
                        "type": "registrationrejected", "code": "FUNCTION_NAMESPACE_CONFLICT",
                        "namespace": "default", "function_id": "test::add", "owner_worker_id": TOKEN,
                    }))
                    .await;
                }
                Some("registertrigger") if message["trigger_type"] == "http" => {
                    let error = json!({"code": "trigger_registration_failed", "message": "the route is taken"});
                    peer.send(json!({
                        "type": "triggerregistrationresult", "id": message["id"],
                        "trigger_type": "http", "function_id": "test::add", "error": error,
                    }))
                    .await;
                }
                _ => {}
            }
        }
    });
    let error = started.unwrap_err();
    assert_eq!(error.code(), code::REGISTRATION_REJECTED);
    assert!(error.message().contains("`test::add` belongs to another worker"), "{error}");
    assert!(error.message().contains("the route is taken"), "{error}");
    assert!(error.message().contains("worker.rs:"), "{error}");
}

/// Answers a question about registrations with nothing that can be read.
async fn answer_nothing(peer: &mut Peer, message: &Value) {
    peer.send(json!({
        "type": "invocationresult", "invocation_id": message["invocation_id"],
        "function_id": message["function_id"], "result": {},
    }))
    .await;
}

#[tokio::test]
async fn a_taken_worker_name_stops_the_start() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.function::<add>().url(engine.url()).name("adder");
    let (started, ()) = tokio::join!(app.start(), async {
        let mut peer = engine.accept(WORKER, TOKEN).await;
        peer.next_of("invokefunction").await;
        peer.send(json!({
            "type": "registrationrejected", "code": "WORKER_NAMESPACE_CONFLICT",
            "namespace": "default", "worker_name": "adder", "owner_worker_id": TOKEN,
        }))
        .await;
    });
    let error = started.unwrap_err();
    assert_eq!(error.code(), code::REGISTRATION_REJECTED);
    assert!(error.message().contains("`adder`"), "{error}");
}

#[tokio::test]
async fn a_trigger_without_a_provider_waits_and_is_named() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.function::<add>().url(engine.url());
    let (running, _script) = tokio::join!(app.start(), async {
        let peer = engine.accept(WORKER, TOKEN).await;
        confirm(peer, |trigger| trigger["trigger_type"] != "subscribe").await
    });
    let waiting: Vec<String> = running.unwrap().waiting().map(str::to_owned).collect();
    assert_eq!(waiting.len(), 1);
    assert!(waiting[0].contains("`subscribe`"), "{waiting:?}");
}

#[tokio::test]
async fn bad_frames_are_dropped_and_the_connection_lives_on() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (_running, Script { mut peer, .. }) = started(&engine, app.function::<add>()).await;
    for text in [
        "not json",
        r#"{"type":"unheard-of"}"#,
        r#"{"type":"invokefunction","function_id":7}"#,
        r#"{"type":"invokefunction","function_id":"test::add","invocation_id":"no"}"#,
    ] {
        peer.send_text(text).await;
    }
    // A provider that the worker is not.
    peer.send(json!({
        "type": "registertrigger", "id": "t", "trigger_type": "mail", "function_id": "f", "config": {},
    }))
    .await;
    let refusal = peer.next_of("triggerregistrationresult").await;
    assert_eq!(refusal["error"]["code"], "trigger_type_not_found");
    peer.send(json!({"type": "ping"})).await;
    peer.next_of("pong").await;
}

#[tokio::test]
async fn an_engine_that_comes_late_is_waited_for() {
    // A port that is free now, and on which nobody listens yet.
    let addr = FakeEngine::start().await.addr();
    let mut app = App::new();
    app.function::<add>().url(format!("ws://{addr}"));
    let (running, _script) = tokio::join!(app.start(), async {
        let engine = loop {
            match FakeEngine::on(addr).await {
                Ok(engine) => break engine,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        engine.accept_and_confirm(WORKER, TOKEN).await
    });
    running.unwrap();
}
