//! F7 to F10: what becomes of registrations that the engine does not take, or not yet.

use std::time::Duration;

use iii::prelude::*;
use iii::{
    code,
    lifecycle::{Backoff, Conflict},
};
use iii_tests::{FakeEngine, Peer, Program, Script, engine, until, within, worker_url};
use serde_json::{Value, json};

use super::{TOKEN, WORKER, idle, started};

const QUICKSTART: &str = env!("CARGO_BIN_EXE_quickstart-under-test");

#[iii::function(id = "faults::on-mail")]
#[iii::trigger("faults-mail", config = json!({"box": "in"}))]
async fn on_mail() {}

/// A trigger whose type nobody provides is named at the start, and fires once somebody does.
#[tokio::test]
async fn f07_a_trigger_without_a_provider_is_told_at_the_start() {
    let engine = engine().await;
    let mut app = App::new();
    app.url(worker_url(&engine)).function::<on_mail>();
    let running = app.start().await.unwrap();
    let waiting: Vec<&str> = running.waiting().collect();
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert!(waiting[0].contains("no one provides the trigger type `faults-mail`"), "{waiting:?}");
    assert!(*running.ready().borrow(), "that is no reason not to serve");
    let mut provider = Peer::named(&worker_url(&engine), "mail").await;
    let provides = json!({"type": "registertriggertype", "id": "faults-mail", "description": "m"});
    provider.send(provides).await;
    assert_eq!(provider.next_of("registertrigger").await["config"], json!({"box": "in"}));
}

/// A refusal that comes after the start is logged with the place of the declaration, and the worker is not ready.
#[tokio::test]
async fn f07_a_late_refusal_names_the_declaration() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    let (running, script) = started(&engine, app.function::<on_mail>()).await;
    let Script { mut peer, messages } = script;
    let trigger = messages.iter().find(|m| m["type"] == "registertrigger").unwrap();
    let mut ready = running.ready();
    assert!(*ready.borrow_and_update());
    peer.send(json!({
        "type": "triggerregistrationresult", "id": trigger["id"], "trigger_type": "faults-mail",
        "function_id": "faults::on-mail", "error": {"code": "mail/no-box", "message": "no box"},
    }))
    .await;
    within("the refusal", ready.wait_for(|ready| !ready)).await.unwrap();
    let refused = running.refused();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains("no box (mail/no-box)"), "{refused:?}");
    assert!(refused[0].contains("registration.rs:"), "{refused:?}");
}

/// The same, as the log of a program shows it.
#[tokio::test]
async fn f07_a_late_refusal_is_in_the_log() {
    let engine = FakeEngine::start().await;
    let mut program = Program::start(QUICKSTART, &[("III_URL", &engine.url())]);
    let Script { mut peer, messages } = engine.accept_and_confirm(WORKER, TOKEN).await;
    program.line("is ready on").await;
    let trigger = messages.iter().find(|m| m["trigger_type"] == "http").unwrap();
    peer.send(json!({
        "type": "triggerregistrationresult", "id": trigger["id"], "trigger_type": "http",
        "function_id": trigger["function_id"], "error": {"code": "route/taken", "message": "taken"},
    }))
    .await;
    let line = program.line("was refused: taken (route/taken)").await;
    assert!(line.contains("`http` trigger of `orders::"), "{line}");
    program.line("main.rs:").await;
}

/// A call to a function that does not exist fails with a code; one that waits for nothing says so in its name and type.
#[tokio::test]
async fn f08_calls_to_nobody_fail_with_a_code() {
    let engine = engine().await;
    let mut app = App::new();
    app.url(worker_url(&engine)).function::<idle>();
    let running = app.start().await.unwrap();
    let client = running.client();
    let error = client.call_raw::<Value>("faults::nobody", &()).await.unwrap_err();
    assert_eq!((error.code(), error.status()), (code::FUNCTION_NOT_FOUND, 404));
    let error = client.enqueue_raw("no-such-queue", "faults::nobody", &()).await.unwrap_err();
    assert_eq!(error.code(), "enqueue_error");
    // By the protocol a call that waits for nothing hears of nothing: its result is `()`, and no value of anybody.
    let (): () = client.send_raw("faults::nobody", &()).await.unwrap();
}

/// The same function twice is one, and two functions with one id are a report with both places, before anything connects.
#[tokio::test]
async fn f09_an_id_that_is_there_twice_is_reported() {
    mod again {
        #[iii::function(id = iii_tests_again::ID)]
        pub(super) async fn idle_again() {}
        mod iii_tests_again {
            pub(super) const ID: &str = "faults::idle";
        }
    }
    let mut app = App::new();
    assert_eq!(app.function::<idle>().function::<idle>().catalogue().unwrap().entries().len(), 1);
    app.function::<again::idle_again>();
    let error = app.start().await.unwrap_err();
    assert_eq!(error.code(), code::INVALID_CATALOGUE);
    assert!(error.message().contains("`faults::idle` is declared 2 times"), "{error}");
    assert_eq!(error.message().matches(".rs:").count(), 2, "{error}");
}

#[iii::function(id = "faults::owned")]
#[iii::trigger(http, path = "/faults/owned")]
async fn owned(name: State<String>) -> String {
    name.to_string()
}

/// Asks often, so that a test need not wait.
fn soon() -> Backoff {
    let (initial, max) = (Duration::from_millis(5), Duration::from_millis(20));
    Backoff { initial, max, ..Backoff::default() }
}

/// A second worker with an id of the first one does not start, and says where the declaration is.
#[tokio::test]
async fn f10_a_taken_id_ends_the_start() {
    let engine = engine().await;
    let start = async |name: &str| {
        let mut app = App::new();
        app.url(worker_url(&engine)).name(name).state(name.to_owned());
        app.function::<owned>().start().await
    };
    let _first = start("first").await.unwrap();
    let error = start("second").await.unwrap_err();
    assert_eq!(error.code(), code::REGISTRATION_REJECTED);
    assert!(error.message().contains("`faults::owned` belongs to another worker"), "{error}");
    assert!(error.message().contains("registration.rs:"), "{error}");
}

/// A second worker that may wait serves the rest, and takes over, with its triggers, when the first one leaves.
#[tokio::test]
async fn f10_a_waiting_worker_takes_over() {
    let engine = engine().await;
    let start = async |name: &str| {
        let mut app = App::new();
        app.url(worker_url(&engine)).name(name).state(name.to_owned());
        app.on_conflict(Conflict::Warn).backoff(soon());
        app.function::<owned>().start().await
    };
    let mut first = start("first").await.unwrap();
    let second = start("second").await.unwrap();
    assert!(*second.ready().borrow(), "a new version is ready before the old one leaves");
    let note: Vec<&str> = second.waiting().collect();
    assert_eq!(note.len(), 1, "{note:?}");
    assert!(note[0].contains("is taken over when that one leaves"), "{note:?}");
    let client = second.client();
    assert_eq!(client.call::<owned>(()).await.unwrap(), "first");
    let http = engine.http_addr().unwrap();
    let asked = iii_tests::request(http, "GET", "/faults/owned", None).await;
    assert_eq!((asked.status, asked.json()), (200, json!("first")));

    first.drain().await.unwrap();
    assert_eq!(client.call::<owned>(()).await.unwrap(), "second", "at once: it stood by");
    within("the route", async {
        loop {
            let asked = iii_tests::request(http, "GET", "/faults/owned", None).await;
            if asked.status == 200 {
                assert_eq!(asked.json(), "second");
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    assert!(second.refused().is_empty());
}

/// Where no one stands by, as on the official engine, the worker asks again until the id is free.
#[tokio::test]
async fn f10_a_lost_id_is_asked_for_again() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.url(engine.url()).function::<owned>().function::<idle>().state("x".to_owned());
    app.on_conflict(Conflict::Warn).backoff(soon());
    let mut refusals = 0;
    let serving = async {
        let mut peer = engine.accept(WORKER, TOKEN).await;
        while let Some(message) = peer.next().await {
            match message["type"].as_str() {
                Some("registerfunction") if message["id"] == "faults::owned" => {
                    if refusals == 4 {
                        // Free now: nothing is said, as the protocol has it.
                        refusals += 1;
                        continue;
                    }
                    refusals += 1;
                    peer.send(json!({
                        "type": "registrationrejected", "code": "FUNCTION_NAMESPACE_CONFLICT",
                        "namespace": "default", "function_id": "faults::owned",
                        "owner_worker_id": TOKEN,
                    }))
                    .await;
                }
                Some("registertrigger") => {
                    assert_eq!(refusals, 5, "what fires the function comes when it is ours");
                    assert_eq!(message["function_id"], "faults::owned");
                    return;
                }
                Some("invokefunction") => {
                    let id = &message["invocation_id"];
                    peer.send(json!({
                        "type": "invocationresult", "invocation_id": id, "result": {},
                        "function_id": message["function_id"],
                    }))
                    .await;
                }
                _ => {}
            }
        }
        panic!("the worker goes on");
    };
    let (running, ()) = within("the id", async { tokio::join!(app.start(), serving) }).await;
    running.unwrap();
}

/// A worker that loses an id while it was away is thrown out by default, and its process can end.
#[tokio::test]
async fn f10_an_id_that_is_lost_later_ends_the_worker() {
    let engine = FakeEngine::start().await;
    let mut app = App::new();
    app.backoff(soon());
    let (mut running, Script { mut peer, .. }) = started(&engine, app.function::<idle>()).await;
    let ready = running.ready();
    peer.send(json!({
        "type": "registrationrejected", "code": "FUNCTION_NAMESPACE_CONFLICT",
        "namespace": "default", "function_id": "faults::idle", "owner_worker_id": TOKEN,
    }))
    .await;
    let error = within("the end", running.left()).await.unwrap_err();
    assert_eq!(error.code(), code::EVICTED);
    assert!(error.message().contains("`faults::idle` belongs to another worker"), "{error}");
    assert!(error.message().contains("main.rs:"), "{error}");
    until("it is not ready", || !*ready.borrow()).await;
    assert_eq!(iii::lifecycle::exit::of(&error), iii::lifecycle::exit::EVICTED);
}
