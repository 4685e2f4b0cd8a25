//! Access rules over sockets: who gets in, what guests may call and register, and that nobody waits for a slow hook.

use iii::App;
use iii::engine::{Access, Engine, EngineBuilder, FunctionFilter, WorkerListener};
use iii_tests::{Peer, within};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Two listeners as in a file: the first for workers that may do everything, the second for guests.
const TWO: &str = r#"
workers:
  - name: iii-pubsub
  - name: iii-worker-manager
    config: { port: 0 }
  - name: iii-worker-manager
    config:
      port: 0
      rbac:
        auth_function_id: gate::auth
        expose_functions:
          - match("api::*")
          - { metadata: { public: true } }
          - match("engine::*")
          - match("guest-*")
          - match("publish")
        on_function_registration_function_id: gate::fn
        on_trigger_registration_function_id: gate::trigger
"#;

async fn connected(addr: std::net::SocketAddr, query: &str) -> Peer {
    Peer::connect(&format!("ws://{addr}/{query}")).await
}

async fn announced(mut peer: Peer, name: &str) -> Peer {
    peer.next_of("workerregistered").await;
    peer.call("engine::workers::register", json!({"name": name, "pid": 1})).await.unwrap();
    peer
}

/// Answers a call.
async fn answer(peer: &mut Peer, call: &Value, result: Value) {
    peer.send(json!({
        "type": "invocationresult", "invocation_id": call["invocation_id"],
        "function_id": call["function_id"], "result": result,
    }))
    .await;
}

/// The worker that guards the guests' listener. What it does with `gate::fn` of `slow` is left to the test.
async fn gate(engine: &Engine) -> mpsc::UnboundedReceiver<(Value, mpsc::UnboundedSender<Value>)> {
    let mut peer = announced(connected(engine.worker_addrs()[0], "").await, "gate").await;
    for id in ["gate::auth", "gate::fn", "gate::trigger", "api::echo", "admin::secret"] {
        peer.send(json!({"type": "registerfunction", "id": id})).await;
    }
    peer.send(json!({"type": "registerfunction", "id": "open::f", "metadata": {"public": true}}))
        .await;
    peer.call("engine::functions::list", json!({})).await.unwrap();
    let (held, holding) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (later, mut answers) = mpsc::unbounded_channel::<(Value, Value)>();
        loop {
            let call = tokio::select! {
                call = peer.next() => match call {
                    Some(call) => call,
                    None => return,
                },
                Some((call, result)) = answers.recv() => {
                    answer(&mut peer, &call, result).await;
                    continue;
                }
            };
            let data = call["data"].clone();
            let result = match call["function_id"].as_str().unwrap_or_default() {
                "gate::auth" => match data["query_params"]["token"][0].as_str() {
                    Some("ann+1") => json!({
                        "context": {"user": "ann"}, "function_registration_prefix": "guest-ann",
                        "forbidden_functions": ["api::forbidden"],
                        "allowed_trigger_types": ["subscribe"],
                    }),
                    _ => Value::Null,
                },
                "gate::fn" if data["function_id"] == "slow" => {
                    let (sender, mut receiver) = mpsc::unbounded_channel();
                    let (later, held_call) = (later.clone(), call.clone());
                    tokio::spawn(async move {
                        if let Some(result) = receiver.recv().await {
                            let _ = later.send((held_call, result));
                        }
                    });
                    held.send((data, sender)).unwrap();
                    continue;
                }
                "gate::fn" if data["function_id"] == "own::refused" => json!(false),
                "gate::fn" => {
                    assert_eq!(data["context"], json!({"user": "ann"}));
                    json!({"description": "seen by the hook"})
                }
                "gate::trigger" => json!({"config": {"topic": "rewritten"}}),
                _ => json!({"data": data}),
            };
            answer(&mut peer, &call, result).await;
        }
    });
    holding
}

async fn engine() -> Engine {
    EngineBuilder::from_yaml(TWO).unwrap().start().await.expect("free ports")
}

async fn guest(engine: &Engine) -> Peer {
    announced(connected(engine.worker_addrs()[1], "?token=ann%2B1").await, "guest").await
}

#[tokio::test]
async fn who_is_not_let_in_is_told_and_the_close_has_a_code() {
    let engine = engine().await;
    let _gate = gate(&engine).await;
    assert_eq!(engine.worker_addr(), Some(engine.worker_addrs()[0]));
    for path in ["", "otel", "?token=wrong"] {
        let mut anonymous = connected(engine.worker_addrs()[1], path).await;
        let error = anonymous.next_of("error").await;
        assert_eq!(error["error"]["code"], "AUTH_ERROR", "{path}");
        // Python comes back only after a code that is no proper end.
        assert_eq!(anonymous.close_code().await, Some(4401), "{path}");
    }
    guest(&engine).await;
}

#[tokio::test]
async fn a_guest_calls_what_is_exposed_and_nothing_else() {
    let engine = engine().await;
    let _gate = gate(&engine).await;
    let mut guest = guest(&engine).await;
    let echoed = guest.call("api::echo", json!([1])).await.unwrap();
    assert_eq!(echoed["data"], json!([1]));
    assert!(guest.call("open::f", json!([])).await.is_ok(), "exposed by its metadata");
    for hidden in ["admin::secret", "gate::auth", "api::forbidden", "nowhere::f"] {
        let error = guest.call(hidden, json!({})).await.unwrap_err();
        assert_eq!(error["code"], "FORBIDDEN", "{hidden}");
    }
    // The other listener has no rules, and so has whoever connects in this process.
    let mut worker = announced(connected(engine.worker_addrs()[0], "").await, "worker").await;
    assert!(worker.call("admin::secret", json!([])).await.is_ok());
    // Channels are made by guests, and opened without the token: their key is enough.
    let made = guest.call("engine::channels::create", json!({})).await.unwrap();
    let (id, key) = (made["reader"]["channel_id"].as_str(), made["reader"]["access_key"].as_str());
    let path = format!("ws/channels/{}?key={}&dir=read", id.unwrap(), key.unwrap());
    connected(engine.worker_addrs()[1], &path).await;
}

#[tokio::test]
async fn registrations_get_the_prefix_and_what_the_hook_says() {
    let engine = engine().await;
    let _gate = gate(&engine).await;
    let mut guest = guest(&engine).await;
    guest.send(json!({"type": "registerfunction", "id": "f", "description": "mine"})).await;
    let info = guest.call("engine::functions::info", json!({"function_id": "f"})).await.unwrap();
    assert_eq!(info["function_id"], "guest-ann::f");
    assert_eq!(info["description"], "seen by the hook");

    guest.send(json!({"type": "registerfunction", "id": "own::refused"})).await;
    let rejected = guest.next_of("registrationrejected").await;
    // SDKs give up over any other code.
    assert_eq!(rejected["code"], "FUNCTION_NAMESPACE_CONFLICT");
    assert_eq!(rejected["function_id"], "own::refused");
    assert_eq!(rejected["error"]["code"], "FORBIDDEN");

    let bind = |id: &str, kind: &str, function: &str| {
        json!({"type": "registertrigger", "id": id, "trigger_type": kind, "function_id": function,
               "config": {"topic": "asked for"}})
    };
    guest.send(bind("no", "cron", "f")).await;
    let refused = guest.next_of("triggerregistrationresult").await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("no"), &json!("FORBIDDEN")));
    guest.send(bind("t", "subscribe", "f")).await;
    let mut caller = announced(connected(engine.worker_addrs()[0], "").await, "caller").await;
    guest.call("engine::registered-triggers::list", json!({})).await.unwrap();
    caller.call("publish", json!({"topic": "rewritten", "data": "hi"})).await.unwrap();
    let call = guest.next_of("invokefunction").await;
    assert_eq!((&call["function_id"], &call["data"]), (&json!("f"), &json!("hi")));
}

#[tokio::test]
async fn a_slow_hook_holds_up_nobody() {
    let engine = engine().await;
    let mut held = gate(&engine).await;
    let mut guest = guest(&engine).await;
    guest.send(json!({"type": "registerfunction", "id": "first"})).await;
    guest.send(json!({"type": "registerfunction", "id": "slow"})).await;
    guest.send(json!({"type": "registerfunction", "id": "after"})).await;
    let (_, decide) = within("the hook", held.recv()).await.unwrap();
    // Its calls are answered, and it answers calls.
    assert!(guest.call("api::echo", json!([])).await.is_ok());
    let mut caller = announced(connected(engine.worker_addrs()[0], "").await, "caller").await;
    let asked = tokio::spawn(async move {
        let answer = caller.call("guest-ann::first", json!({})).await;
        (caller, answer)
    });
    let call = guest.next_of("invokefunction").await;
    answer(&mut guest, &call, json!("answered")).await;
    let (mut caller, answered) = asked.await.unwrap();
    assert_eq!(answered.unwrap(), "answered");
    let early = caller.call("guest-ann::after", json!({})).await.unwrap_err();
    assert_eq!(early["code"], "function_not_found", "it waits for the one before it");
    decide.send(json!({})).unwrap();
    let asked = json!({"function_ids": ["slow", "after"]});
    let info = guest.call("engine::functions::info", asked).await.unwrap();
    assert_eq!(info["functions"][0]["function_id"], "guest-ann::slow");
    assert_eq!(info["functions"][1]["function_id"], "guest-ann::after");
}

#[tokio::test]
async fn middleware_sees_calls_and_rewrites_answers() {
    let rules = Access::new().expose(FunctionFilter::matching("api::*"));
    let mut builder = Engine::builder();
    builder
        .http_port(0)
        .stream_port(0)
        .listener(WorkerListener::new().port(0))
        .listener(WorkerListener::new().port(0).access(rules).middleware("gate::check"));
    let engine = builder.start().await.unwrap();
    let mut gate = announced(connected(engine.worker_addrs()[0], "").await, "gate").await;
    gate.send(json!({"type": "registerfunction", "id": "gate::check"})).await;
    gate.call("engine::functions::list", json!({})).await.unwrap();
    let mut guest = announced(connected(engine.worker_addrs()[1], "").await, "guest").await;
    let asked = tokio::spawn(async move { guest.call("api::f", json!({"a": 1})).await });
    let call = gate.next_of("invokefunction").await;
    assert_eq!(
        call["data"],
        json!({"function_id": "api::f", "payload": {"a": 1}, "action": null, "context": {},
               "namespace": "default"})
    );
    answer(&mut gate, &call, json!("instead")).await;
    assert_eq!(asked.await.unwrap().unwrap(), "instead");
}

/// Greets.
#[iii::function(id = "own::greet")]
#[iii::trigger(subscribe, topic = "asked for")]
async fn greet() -> String {
    "hello".to_owned()
}

/// Is refused by the hook.
#[iii::function(id = "own::refused")]
async fn refused() {}

#[tokio::test]
async fn a_worker_of_ours_is_a_guest_like_any_other() {
    let engine = engine().await;
    let _gate = gate(&engine).await;
    let url = format!("ws://{}/?token=ann%2B1", engine.worker_addrs()[1]);
    let mut app = App::new();
    app.url(url.clone()).function::<greet>();
    let running = within("the start", app.start()).await.unwrap();
    assert_eq!(running.waiting().count(), 0);
    let mut caller = announced(connected(engine.worker_addrs()[0], "").await, "caller").await;
    assert_eq!(caller.call("guest-ann::own::greet", json!({})).await.unwrap(), "hello");

    let mut app = App::new();
    app.url(url).name("other").function::<refused>();
    let error = within("the start", app.start()).await.unwrap_err();
    assert_eq!(error.code(), iii::code::REGISTRATION_REJECTED);
    assert!(error.message().contains("`own::refused` was refused"), "{error}");
    assert!(error.message().contains("FORBIDDEN"), "{error}");
}

#[tokio::test]
async fn a_worker_of_ours_asks_again_unless_there_is_no_use() {
    let rules = Access::new().auth_function("gate::auth");
    let rules = rules.expose(FunctionFilter::matching("own::*"));
    let mut builder = Engine::builder();
    builder
        .http_port(0)
        .stream_port(0)
        .listener(WorkerListener::new().port(0))
        .listener(WorkerListener::new().port(0).access(rules));
    let engine = builder.start().await.unwrap();
    let mut gate = announced(connected(engine.worker_addrs()[0], "").await, "gate").await;
    gate.send(json!({"type": "registerfunction", "id": "gate::auth"})).await;
    gate.call("engine::functions::list", json!({})).await.unwrap();
    let url = format!("ws://{}", engine.worker_addrs()[1]);
    let start = || {
        let mut app = App::new();
        app.url(url.clone()).function::<greet>();
        tokio::spawn(async move { app.start().await })
    };

    // An answer that is none may be another one later; here it is.
    let started = start();
    for result in [Value::Null, json!({})] {
        let call = gate.next_of("invokefunction").await;
        answer(&mut gate, &call, result).await;
    }
    within("the start", started).await.unwrap().unwrap();

    // A no for good is one.
    let started = start();
    let call = gate.next_of("invokefunction").await;
    gate.send(json!({
        "type": "invocationresult", "invocation_id": call["invocation_id"],
        "function_id": call["function_id"],
        "error": {"code": "no", "message": "your token is no longer valid", "retryable": false},
    }))
    .await;
    let error = within("the start", started).await.unwrap().unwrap_err();
    assert_eq!(error.code(), iii::code::CONNECT_FAILED);
    assert!(error.message().contains("your token is no longer valid"), "{error}");
}
