//! Owns the checks of functions: the kinds of call, metadata, namespaces, and what callers see of errors.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use iii_sdk::protocol::TriggerRequest;
use iii_sdk::{Dispatch, Error, TriggerAction};
use serde_json::{json, Value};

use crate::kit::{call, checks, connect, handler, plain, refused, until, until_is, Kit};

checks! {
    "functions/call" => sum;
    "functions/call-back" => call_back;
    "functions/void" => void;
    "functions/enqueue" => enqueue;
    "functions/enqueue-fifo" => enqueue_fifo;
    "functions/metadata" => metadata;
    "functions/no-payload" => no_payload;
    "functions/large" => large;
    "functions/namespace" => namespace;
    "functions/unregister" => unregister;
    "functions/ours" => ours;
    "errors/handler" => of_handler;
    "errors/not-found" => not_found;
    "errors/payload" => payload;
    "errors/ours" => of_ours;
    "errors/timeout" => timeout;
    "errors/stopped" => stopped;
    "errors/id-taken" => id_taken;
    "errors/name-taken" => name_taken;
}

fn with_action(function: &str, payload: Value, action: TriggerAction) -> TriggerRequest {
    TriggerRequest { action: Some(action), ..TriggerRequest::new(function, payload) }
}

async fn sum(kit: &mut Kit) {
    let add = |data: Value| json!({"sum": data["a"].as_i64().unwrap() + data["b"].as_i64().unwrap()});
    kit.serve("rs::sum", plain(add).description("Adds.")).await;
    assert_eq!(kit.call("rs::sum", json!({"a": 1, "b": 2})).await, json!({"sum": 3}));
}

async fn call_back(kit: &mut Kit) {
    kit.two.register_function("rs::twice", plain(|data| json!({"n": 2 * data["n"].as_i64().unwrap()})));
    until("the other worker", || async { call(&kit.one, "rs::twice", json!({"n": 0})).await.map(Some) }).await;
    let caller = kit.one.clone();
    let later = handler(move |data, _| {
        let caller = caller.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let answer = call(&caller, "rs::twice", data).await?;
            Ok(json!({"later": answer["n"]}))
        }
    });
    kit.serve("rs::later", later).await;
    assert_eq!(kit.call("rs::later", json!({"n": 21})).await, json!({"later": 42}));
}

async fn void(kit: &mut Kit) {
    let heard = kit.hear("rs::void").await;
    let answer = kit.request(with_action("rs::void", json!({"n": 1}), TriggerAction::Void)).await;
    assert_eq!(answer.unwrap(), Value::Null);
    assert_eq!(heard.wait("the call", |_| true).await["n"], 1);
    let answer = kit.request(with_action("rs::nobody", json!({}), TriggerAction::Void)).await;
    assert_eq!(answer.unwrap(), Value::Null);
}

async fn enqueue(kit: &mut Kit) {
    let heard = kit.hear("rs::job").await;
    let action = |queue: &str| TriggerAction::Enqueue { queue: queue.into() };
    let mut receipts = Vec::new();
    for n in 0..20 {
        let answer = kit.request(with_action("rs::job", json!({"n": n}), action("jobs"))).await.unwrap();
        receipts.push(answer["messageReceiptId"].as_str().expect("a receipt").to_owned());
    }
    receipts.sort();
    receipts.dedup();
    assert_eq!(receipts.len(), 20);
    let mut jobs: Vec<_> = heard.all("the jobs", 20).await.iter().map(|job| job["n"].as_i64().unwrap()).collect();
    jobs.sort();
    assert_eq!(jobs, (0..20).collect::<Vec<_>>());
    let answer = kit.request(with_action("rs::job", json!({}), action("rs-none"))).await;
    assert!(refused("enqueue_error", answer).contains("rs-none"));
}

async fn enqueue_fifo(kit: &mut Kit) {
    type Jobs = Arc<Mutex<Vec<Value>>>;
    let (done, tried) = (Jobs::default(), Jobs::default());
    let stumbles = json!({"lane": "a", "n": 5});
    let tries = |tried: &Jobs, job: &Value| tried.lock().unwrap().iter().filter(|one| *one == job).count();
    let lane = handler({
        let (done, tried, stumbles) = (done.clone(), tried.clone(), stumbles.clone());
        move |job, _| {
            tried.lock().unwrap().push(job.clone());
            // The first attempt of one in the middle fails; those behind it must wait.
            let fails = job == stumbles && tries(&tried, &job) == 1;
            if !fails {
                done.lock().unwrap().push(job);
            }
            async move { if fails { Err("again".into()) } else { Ok(Value::Null) } }
        }
    });
    kit.serve("rs::lane", lane).await;
    for n in 0..10 {
        for lane in ["a", "b"] {
            let action = TriggerAction::Enqueue { queue: "lanes".into() };
            kit.request(with_action("rs::lane", json!({"lane": lane, "n": n}), action)).await.unwrap();
        }
    }
    until_is("the lanes", || done.lock().unwrap().len() == 20).await;
    for lane in ["a", "b"] {
        let done = done.lock().unwrap();
        let order: Vec<_> = done.iter().filter(|job| job["lane"] == lane).map(|job| job["n"].as_i64().unwrap()).collect();
        assert_eq!(order, (0..10).collect::<Vec<_>>());
    }
    assert_eq!(tries(&tried, &stumbles), 2);
}

async fn metadata(kit: &mut Kit) {
    kit.serve("rs::aside", handler(|_, metadata| async move { Ok(json!({"aside": metadata})) })).await;
    let request = TriggerRequest::new("rs::aside", json!({})).metadata(json!({"tenant": 7}));
    assert_eq!(kit.request(request).await.unwrap(), json!({"aside": {"tenant": 7}}));
    assert_eq!(kit.call("rs::aside", json!({})).await, json!({"aside": null}));
}

async fn no_payload(kit: &mut Kit) {
    kit.serve("rs::got", plain(|data| json!({"got": data}))).await;
    for payload in [Value::Null, json!([1, "a", null])] {
        assert_eq!(kit.call("rs::got", payload.clone()).await, json!({"got": payload}));
    }
}

async fn large(kit: &mut Kit) {
    kit.serve("rs::echo", plain(|data| json!({"text": data["text"]}))).await;
    let text = "ü".repeat(9_000_000);
    let answer = kit.call("rs::echo", json!({"text": text})).await;
    assert!(answer["text"] == *text);
}

async fn namespace(kit: &mut Kit) {
    let apart = connect("rust-apart", Some("apart"));
    apart.register_function("rs::where", plain(|_| json!("apart")));
    let request = || TriggerRequest::new("rs::where", json!({})).namespace("apart");
    let found = until("the namespace", || async { kit.request(request()).await.map(Some) }).await;
    assert_eq!(found, "apart");
    kit.refused("function_not_found", "rs::where", json!({})).await;
    let request = TriggerRequest::new("rs::sum", json!({"a": 2, "b": 3})).namespace("default");
    assert_eq!(apart.trigger(request).await.unwrap(), json!({"sum": 5}));
    // Functions of the engine are found from every namespace.
    call(&apart, "state::set", json!({"scope": "rs-apart", "key": "k", "value": 1})).await.unwrap();
    assert_eq!(call(&apart, "state::get", json!({"scope": "rs-apart", "key": "k"})).await.unwrap(), 1);
    apart.shutdown_async().await;
}

async fn unregister(kit: &mut Kit) {
    let function = kit.serve("rs::brief", plain(|_| json!(1))).await;
    assert_eq!(kit.call("rs::brief", json!({})).await, 1);
    function.unregister();
    until("its end", || async {
        match kit.attempt("rs::brief", json!({})).await {
            Err(Error::Remote { code, .. }) if code == "function_not_found" => Ok(Some(())),
            other => other.map(|_| None),
        }
    })
    .await;
}

async fn ours(kit: &mut Kit) {
    assert_eq!(kit.call("ours::add", json!({"a": 2, "b": 3})).await, json!({"sum": 5}));
    let request = TriggerRequest::new("ours::aside", json!({"n": 1})).metadata(json!({"tenant": "rs"}));
    assert_eq!(kit.request(request).await.unwrap(), json!({"n": 1, "aside": {"tenant": "rs"}}));
    let heard = kit.hear("rs::from-ours").await;
    kit.call("do::ours", json!({"function_id": "rs::from-ours", "payload": {"n": 4}})).await;
    assert_eq!(heard.wait("the call", |_| true).await["n"], 4);
}

async fn of_handler(kit: &mut Kit) {
    // An error with a code keeps it; any other becomes `invocation_failed`.
    let fails = |error: fn() -> Error| handler(move |_, _| async move { Err(error()) });
    let closed =
        || Error::Remote { code: "shop/closed".into(), message: "no such thing".into(), stacktrace: None };
    kit.serve("rs::closed", fails(closed)).await;
    assert!(kit.refused("shop/closed", "rs::closed", json!({})).await.contains("no such thing"));
    kit.serve("rs::fails", fails(|| "no such thing".into())).await;
    assert!(kit.refused("invocation_failed", "rs::fails", json!({})).await.contains("no such thing"));
}

async fn not_found(kit: &mut Kit) {
    assert!(kit.refused("function_not_found", "rs::nothing", json!({})).await.contains("rs::nothing"));
}

async fn payload(kit: &mut Kit) {
    assert!(kit.refused("deserialization_error", "state::get", json!({"scope": "s"})).await.contains("key"));
    kit.refused("deserialization_error", "publish", json!(7)).await;
}

async fn of_ours(kit: &mut Kit) {
    assert!(kit.refused("ours/refused", "ours::refuse", json!({"why": "closed"})).await.contains("closed"));
    kit.refused("invalid_payload", "ours::add", json!({"a": 1})).await;
}

async fn timeout(kit: &mut Kit) {
    let slow = handler(|_, _| async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Value::Null)
    });
    kit.serve("rs::slow", slow).await;
    let request = TriggerRequest { timeout_ms: Some(50), ..TriggerRequest::new("rs::slow", json!({})) };
    let answer = kit.request(request).await;
    assert!(matches!(answer, Err(Error::Timeout)), "{answer:?}");
}

async fn stopped(kit: &mut Kit) {
    let brief = connect("rust-brief", None);
    let (begun, mut beginnings) = tokio::sync::mpsc::unbounded_channel();
    let hang = handler(move |_, _| {
        begun.send(()).expect("the check waits");
        std::future::pending()
    });
    brief.register_function("rs::hang", hang);
    kit.known("rs::hang").await;
    let stop = async {
        beginnings.recv().await.expect("the call");
        brief.shutdown_async().await;
    };
    let (answer, ()) = tokio::join!(kit.attempt("rs::hang", json!({})), stop);
    refused("invocation_stopped", answer);
}

async fn id_taken(kit: &mut Kit) {
    kit.two.register_function("rs::sum", plain(|_| json!({"sum": "mine"})));
    // The answer to a later call comes after the refusal.
    kit.call("engine::workers::list", json!({})).await;
    let request = TriggerRequest::new("rs::sum", json!({"a": 1, "b": 1})).dispatch(Dispatch::Remote);
    assert_eq!(kit.one.trigger(request).await.unwrap(), json!({"sum": 2}));
}

async fn name_taken(kit: &mut Kit) {
    let second = connect("rust-two", None);
    let error = until("the refusal", || async { Ok(second.fatal_error()) }).await;
    match error {
        Error::RegistrationRejected { code, worker_name, .. } => {
            assert_eq!((code.as_str(), worker_name.as_deref()), ("WORKER_NAMESPACE_CONFLICT", Some("rust-two")));
        }
        other => panic!("{other}"),
    }
    second.shutdown_async().await;
    assert_eq!(kit.call("rs::sum", json!({"a": 1, "b": 2})).await, json!({"sum": 3}));
}
