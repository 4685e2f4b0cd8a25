//! The quickstart as a program: over HTTP, over a raw WebSocket, in a fleet, and stopped by signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use iii_tests::{Peer, Program, request, try_request, until};
use serde_json::json;

const QUICKSTART: &str = env!("CARGO_BIN_EXE_quickstart-under-test");
const FREE_PORTS: [(&str, &str); 3] =
    [("III_WORKER_PORT", "0"), ("III_HTTP_PORT", "0"), ("III_STREAM_PORT", "0")];

#[tokio::test]
async fn the_quickstart_does_what_the_readme_says() {
    let mut program = Program::start(QUICKSTART, &FREE_PORTS);
    for part in [
        "is ready on the engine in this process",
        "orders::create    http POST /orders",
        "orders::get       http GET /orders/:id",
        "orders::report    cron */10 * * * * *",
        "orders::announce  subscribe orders.created",
        "in memory",
    ] {
        program.line(part).await;
    }
    let http = program.address("http").await;

    let order = r#"{"sku":"tea","quantity":2}"#;
    let created = request(http, "POST", "/orders", Some(order)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let expected = json!({"id": 1, "sku": "tea", "quantity": 2});
    assert_eq!(created.json(), expected);
    let read = request(http, "GET", "/orders/1", None).await;
    assert_eq!((read.status, read.json()), (200, expected));

    // Publishing reaches the subscriber, and the cron function logs.
    program.line("order 1 is for 2 tea").await;
    program.line("1 orders so far").await;

    let bad = request(http, "POST", "/orders", Some(r#"{"sku":"tea","quantity":"x"}"#)).await;
    assert_eq!(bad.status, 400, "{bad:?}");
    assert_eq!(bad.json()["error"]["code"], "invalid_payload");
    assert_eq!(bad.json()["error"]["details"]["field"], "quantity");
    let missing = request(http, "POST", "/orders", Some("{}")).await;
    assert_eq!(missing.json()["error"]["details"]["field"], "sku", "{missing:?}");
    let broken = request(http, "POST", "/orders", Some("{")).await;
    assert_eq!(broken.status, 400, "{broken:?}");
    let text = request(http, "POST", "/orders", None).await;
    assert_eq!(text.status, 400, "{text:?}");
    let empty = request(http, "POST", "/orders", Some(r#"{"sku":"tea","quantity":0}"#)).await;
    assert_eq!((empty.status, empty.json()["error"]["code"].as_str()), (422, Some("orders/empty")));
    let unknown = request(http, "GET", "/orders/7", None).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert_eq!(unknown.json()["error"]["code"], "orders/not-found");
    assert_eq!(unknown.json()["error"]["details"], json!({"id": 7}));
    let word = request(http, "GET", "/orders/seven", None).await;
    assert_eq!(word.status, 400, "{word:?}");
    assert_eq!(word.json()["error"]["details"]["field"], "id");
    assert_eq!(request(http, "GET", "/nothing", None).await.status, 404);
    assert_eq!(request(http, "DELETE", "/orders/1", None).await.status, 405);

    program.signal("INT").await;
    let (status, lines) = program.ended().await;
    assert!(status.success(), "{status}");
    assert!(!lines.iter().any(|line| line.contains("panicked")), "{lines:#?}");
}

#[tokio::test]
async fn other_workers_connect_to_the_engine_in_the_program() {
    let mut program = Program::start(QUICKSTART, &FREE_PORTS);
    let http = program.address("http").await;
    let workers = program.address("workers").await;
    let mut peer = Peer::connect(&format!("ws://{workers}")).await;
    assert_eq!(peer.next().await.unwrap()["type"], "workerregistered");
    let registered = peer.call("engine::workers::register", json!({"name": "raw", "pid": 1})).await;
    assert_eq!(registered.unwrap(), json!({"success": true}));

    // A call to a declared function, and what it answers when it fails.
    let order = json!({"sku": "tea", "quantity": 2});
    let created = peer.call("orders::create", order).await.unwrap();
    assert_eq!(created["id"], 1, "a direct caller gets the value itself");
    let error = peer.call("orders::get", json!({"id": 9})).await.unwrap_err();
    assert_eq!(error["code"], "orders/not-found");
    assert_eq!(error["details"], json!({"id": 9}));
    let error = peer.call("orders::nothing", json!({})).await.unwrap_err();
    assert_eq!(error["code"], "function_not_found");

    // Discovery shows the declarations with their schemas.
    let info = peer.call("engine::functions::info", json!({"function_id": "orders::get"})).await;
    let info = info.unwrap();
    assert_eq!(info["description"], "Reads an order.");
    assert_eq!(info["request_schema"]["required"], json!(["id"]));
    assert_eq!(info["registered_triggers"][0]["trigger_type"], "http");

    // A trigger of the raw worker, and its removal.
    peer.send(json!({"type": "registerfunction", "id": "raw::hello"})).await;
    peer.send(json!({
        "type": "registertrigger", "id": "raw-1", "trigger_type": "http", "function_id": "raw::hello",
        "config": {"api_path": "/raw/:name"},
    }))
    .await;
    // Bad registrations are answered, and harm nobody.
    for config in [json!({}), json!({"api_path": "/a/*rest"}), json!({"api_path": "/orders/:key"})]
    {
        peer.send(json!({
            "type": "registertrigger", "id": "raw-2", "trigger_type": "http",
            "function_id": "raw::hello", "config": config,
        }))
        .await;
        let refused = peer.next_of("triggerregistrationresult").await;
        assert_eq!(refused["error"]["code"], "trigger_registration_failed", "{config}: {refused}");
    }
    let asking = tokio::spawn(request(http, "GET", "/raw/ada?x=1", None));
    let call = peer.next_of("invokefunction").await;
    assert_eq!(call["data"]["path_params"], json!({"name": "ada"}));
    assert_eq!(call["data"]["query_params"], json!({"x": "1"}));
    peer.send(json!({
        "type": "invocationresult", "invocation_id": call["invocation_id"],
        "function_id": "raw::hello", "result": {"body": {"hello": "ada"}},
    }))
    .await;
    let answer = asking.await.unwrap();
    assert_eq!((answer.status, answer.json()), (200, json!({"hello": "ada"})));

    // A worker that dies in the middle of a request.
    let asking = tokio::spawn(request(http, "GET", "/raw/ada", None));
    peer.next_of("invokefunction").await;
    peer.crash();
    let answer = asking.await.unwrap();
    assert!(answer.status >= 500, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "invocation_stopped");
    assert_eq!(request(http, "GET", "/orders/1", None).await.status, 200);
}

#[tokio::test]
async fn the_same_program_joins_an_engine_that_runs_elsewhere() {
    let engine = iii::engine::Engine::builder()
        .worker_port(0)
        .http_port(0)
        .stream_port(0)
        .start()
        .await
        .unwrap();
    let http = engine.http_addr().unwrap();
    let url = format!("ws://{}", engine.worker_addr().unwrap());
    let mut program = Program::start(QUICKSTART, &[("III_URL", &url)]);
    program.line(&format!("is ready on {url}")).await;
    let order = r#"{"sku":"tea","quantity":2}"#;
    assert_eq!(request(http, "POST", "/orders", Some(order)).await.status, 201);
    program.line("order 1 is for 2 tea").await;

    // A second copy is told that its name is taken, and leaves.
    let second = Program::start(QUICKSTART, &[("III_URL", &url)]);
    let (status, lines) = second.ended().await;
    assert_eq!(status.code(), Some(i32::from(iii::lifecycle::exit::REJECTED)));
    assert!(lines.iter().any(|line| line.contains("III_WORKER_NAME")), "{lines:?}");
    // Under another name its functions are taken.
    let variables = [("III_URL", url.as_str()), ("III_WORKER_NAME", "second")];
    let (status, lines) = Program::start(QUICKSTART, &variables).ended().await;
    assert_eq!(status.code(), Some(i32::from(iii::lifecycle::exit::REJECTED)));
    let taken = |line: &String| line.contains("`orders::get` belongs to another worker");
    assert!(lines.iter().any(taken), "{lines:?}");
    // In a namespace of its own it could serve, but for the routes, which are the engine's.
    assert_eq!(request(http, "GET", "/orders/1", None).await.status, 200);

    program.signal("TERM").await;
    assert!(program.ended().await.0.success());
}

#[tokio::test]
async fn a_stopped_engine_brings_its_workers_back() {
    let engine = iii::engine::Engine::builder()
        .worker_port(0)
        .http_port(0)
        .stream_port(0)
        .start()
        .await
        .unwrap();
    let workers = engine.worker_addr().unwrap();
    let url = format!("ws://{workers}");
    let mut program = Program::start(QUICKSTART, &[("III_URL", &url)]);
    program.line("is ready").await;
    engine.stop().await;
    drop(engine);
    program.line("connecting to").await;
    let engine = iii::engine::Engine::builder()
        .worker_port(workers.port())
        .http_port(0)
        .stream_port(0)
        .start()
        .await
        .unwrap();
    program.line("again").await;
    program.line("connected to").await;
    let http = engine.http_addr().unwrap();
    assert_eq!(request(http, "GET", "/orders/1", None).await.status, 404);
}

#[tokio::test]
async fn a_taken_port_is_a_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let variables =
        [("III_WORKER_PORT", "0"), ("III_STREAM_PORT", "0"), ("III_HTTP_PORT", port.as_str())];
    let (status, lines) = Program::start(QUICKSTART, &variables).ended().await;
    assert_eq!(status.code(), Some(i32::from(iii::lifecycle::exit::UNAVAILABLE)));
    let text = lines.join("\n");
    assert!(text.contains(&port) && text.contains("III_HTTP_PORT"), "{text}");
}

#[tokio::test]
async fn a_bad_setting_is_a_clear_error() {
    // A file is no directory.
    let file = std::env::current_exe().unwrap();
    let file = file.to_str().unwrap();
    let (wrong, unusable) =
        (iii::lifecycle::exit::MISCONFIGURED, iii::lifecycle::exit::UNAVAILABLE);
    for (name, value, code) in [
        ("III_URL", "http://x", wrong),
        ("III_HTTP_PORT", "x", wrong),
        ("III_DATA_DIR", file, unusable),
    ] {
        let mut variables = FREE_PORTS.to_vec();
        variables.push((name, value));
        let (status, lines) = Program::start(QUICKSTART, &variables).ended().await;
        assert_eq!(status.code(), Some(i32::from(code)), "{name}");
        assert!(lines.iter().any(|line| line.starts_with("error: ")), "{lines:?}");
    }
}

#[tokio::test]
async fn a_data_directory_keeps_what_is_stored() {
    let directory = std::env::temp_dir().join(format!("iii-data-{}", std::process::id()));
    let mut variables = FREE_PORTS.to_vec();
    variables.push(("III_DATA_DIR", directory.to_str().unwrap()));
    let place = json!({"scope": "s", "key": "k", "value": [1]});
    for round in 0..2 {
        let mut program = Program::start(QUICKSTART, &variables);
        program.line(&format!("stores   in {}", directory.display())).await;
        let address = program.address("workers").await;
        let mut peer = Peer::connect(&format!("ws://{address}")).await;
        let kept = peer.call("state::get", place.clone()).await.unwrap();
        assert_eq!(kept, if round == 0 { json!(null) } else { json!([1]) });
        peer.call("state::set", place.clone()).await.unwrap();
        program.signal("KILL").await;
        program.ended().await;
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_is_tried_again_until_a_signal() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("ws://{nobody}");
    let mut program = Program::start(QUICKSTART, &[("III_URL", &url)]);
    program.line("the engine cannot be reached").await;
    program.line("again in").await;
    program.line("waiting for the engine").await;
    program.signal("TERM").await;
    let (status, _): (_, Vec<String>) = program.ended().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_stop_under_load_answers_every_request() {
    let mut program = Program::start(QUICKSTART, &FREE_PORTS);
    let http = program.address("http").await;
    let order = r#"{"sku":"tea","quantity":2}"#;
    assert_eq!(request(http, "POST", "/orders", Some(order)).await.status, 201);
    let answered = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for _ in 0..16 {
        let answered = answered.clone();
        clients.push(tokio::spawn(async move {
            // A connection that comes too late is closed without a byte; one that was taken gets its answer.
            while let Ok(answer) = try_request(http, "GET", "/orders/1", None).await {
                let Some(answer) = answer else { continue };
                assert_eq!(answer.status, 200, "{answer:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    until("some load", || answered.load(Ordering::Relaxed) > 200).await;
    program.signal("TERM").await;
    for client in clients {
        client.await.expect("every request that was taken is answered with 200");
    }
    let (status, lines) = program.ended().await;
    assert!(status.success(), "{status}: {lines:?}");
}
