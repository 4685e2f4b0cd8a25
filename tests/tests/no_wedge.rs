//! What one client does must not harm the others: each way in which a client could wedge an engine, by its number.

use std::time::Duration;

use iii::engine::{EngineBuilder, Limits};
use iii_tests::{Peer, engine, engine_with, request, within, worker};
use serde_json::json;

#[tokio::test]
async fn a01_a_path_that_cannot_be_served_is_refused_and_the_next_one_is_served() {
    let engine = engine().await;
    let mut peer = worker(&engine, "web").await;
    peer.send(json!({"type": "registerfunction", "id": "web::f"})).await;
    for (at, path) in ["/a/*rest", "/a/:", "/a/:x/:x"].iter().enumerate() {
        peer.bind(&format!("bad-{at}"), "http", "web::f", json!({"api_path": path})).await;
        let refused = peer.next_of("triggerregistrationresult").await;
        assert_eq!(refused["error"]["code"], "trigger_registration_failed", "{path}: {refused}");
    }
    peer.bind("good", "http", "web::f", json!({"api_path": "/a/:x"})).await;
    // Calls and registrations of one connection are handled in order.
    peer.call("engine::functions::list", json!({})).await.unwrap();
    let asked = tokio::spawn(request(engine.http_addr().unwrap(), "GET", "/a/1", None));
    peer.serve(json!({"body": "served"})).await;
    assert_eq!(asked.await.unwrap().json(), "served");
}

#[tokio::test]
async fn a02_a_stream_trigger_without_a_name_is_refused_and_the_connection_lives_on() {
    let engine = engine().await;
    let mut peer = worker(&engine, "chat").await;
    for config in [json!({}), json!(null), json!({"stream_name": ""}), json!(7)] {
        peer.bind("s", "stream", "chat::f", config.clone()).await;
        let refused = peer.next_of("triggerregistrationresult").await;
        assert_eq!(refused["error"]["code"], "trigger_registration_failed", "{config}: {refused}");
    }
    let item = json!({"stream_name": "c", "group_id": "g", "item_id": "i", "data": 1});
    assert_eq!(peer.call("stream::set", item).await.unwrap()["new_value"], 1);
}

#[tokio::test]
async fn a03_one_subscriber_that_leaves_takes_nobody_along() {
    let engine = engine().await;
    let (mut stays, mut leaves) = (worker(&engine, "stays").await, worker(&engine, "leaves").await);
    for (peer, name) in [(&mut stays, "stays"), (&mut leaves, "leaves")] {
        peer.send(json!({"type": "registerfunction", "id": format!("{name}::f")})).await;
        peer.bind(name, "subscribe", &format!("{name}::f"), json!({"topic": "news"})).await;
        peer.call("engine::functions::list", json!({})).await.unwrap();
    }
    leaves.send(json!({"type": "unregistertrigger", "id": "leaves"})).await;
    let news = json!({"topic": "news", "data": "hi"});
    leaves.call("publish", news).await.unwrap();
    assert_eq!(stays.serve(json!(null)).await["data"], "hi");
}

#[tokio::test]
async fn a04_nobody_takes_the_id_of_a_built_in_function() {
    let engine = engine().await;
    let mut thief = worker(&engine, "thief").await;
    thief.send(json!({"type": "registerfunction", "id": "state::get"})).await;
    let rejected = thief.next_of("registrationrejected").await;
    assert_eq!(rejected["code"], "FUNCTION_NAMESPACE_CONFLICT");
    thief.crash();
    let mut peer = worker(&engine, "honest").await;
    let place = json!({"scope": "s", "key": "k", "value": 1});
    peer.call("state::set", place.clone()).await.unwrap();
    assert_eq!(peer.call("state::get", place).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a05_a_subscriber_that_never_reads_delays_no_other() {
    const CHANGES: u64 = 5_000;
    let engine = engine_with(|builder| {
        let mut limits = Limits::default();
        limits.streams.queue_bytes = 1 << 20;
        builder.limits(limits)
    })
    .await;
    let url = format!("ws://{}", engine.stream_addr().unwrap());
    let join = json!({"type": "join", "data": {
        "subscriptionId": "s", "streamName": "chat", "groupId": "room",
    }});
    let (mut slow, mut quick) = (Peer::connect(&url).await, Peer::connect(&url).await);
    for subscriber in [&mut slow, &mut quick] {
        subscriber.send(join.clone()).await;
        assert_eq!(subscriber.next().await.unwrap()["event"]["type"], "sync");
    }
    let mut writer = worker(&engine, "writer").await;
    let (seen, mut progress) = tokio::sync::watch::channel(0);
    let writing = tokio::spawn(async move {
        // So much that no buffer of the machine holds it for the one that does not read.
        let filling = "x".repeat(4_000);
        for n in 0..CHANGES {
            let data = json!({"n": n, "filling": filling});
            let item =
                json!({"stream_name": "chat", "group_id": "room", "item_id": "i", "data": data});
            writer.call("stream::set", item).await.unwrap();
            // The one that reads is to keep up, however busy the machine is.
            progress.wait_for(|seen| seen + 100 > n).await.unwrap();
        }
    });
    for n in 0..CHANGES {
        assert_eq!(quick.next().await.expect("it is not ended")["event"]["data"]["n"], n);
        seen.send_replace(n);
    }
    writing.await.unwrap();
    assert_eq!(slow.ended().await.code, Some(1013), "it may come back later");
}

#[tokio::test]
async fn a06_a_provider_that_never_answers_holds_up_nobody() {
    let engine = engine().await;
    let mut provider = worker(&engine, "provider").await;
    provider
        .send(json!({"type": "registertriggertype", "id": "mail", "description": "mail"}))
        .await;
    provider.call("engine::functions::list", json!({})).await.unwrap();
    let mut peer = worker(&engine, "peer").await;
    for at in 0..200 {
        peer.bind(&format!("m{at}"), "mail", "peer::f", json!({"at": at})).await;
    }
    // The provider reads nothing, and the worker's own messages go on.
    assert!(peer.call("state::list_groups", json!({})).await.is_ok());
    peer.send(json!({"type": "registerfunction", "id": "peer::f"})).await;
    let known = peer.call("engine::functions::info", json!({"function_id": "peer::f"})).await;
    assert_eq!(known.unwrap()["function_id"], "peer::f");
}

/// An open socket to the engine on which nobody reads or answers, as of a machine that lost its power.
async fn half_open(engine: &iii::engine::Engine, name: &str) -> tokio::net::TcpStream {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(engine.worker_addr().unwrap()).await.unwrap();
    let head = "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 101");
    let announce = json!({
        "type": "invokefunction", "function_id": "engine::workers::register",
        "data": {"name": name, "pid": 1},
    });
    let function = json!({"type": "registerfunction", "id": format!("{name}::f")});
    for message in [announce, function] {
        let text = message.to_string();
        // One masked frame, with a mask of zeros (RFC 6455, section 5.2).
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        let mut frame = vec![0x81, 0xfe, length[0], length[1], 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        socket.write_all(&frame).await.unwrap();
    }
    socket
}

#[tokio::test]
async fn a07_a_half_open_connection_is_given_up_and_its_names_are_free_again() {
    let engine = engine_with(|builder| {
        let mut limits = Limits::default();
        limits.workers.ping = Duration::from_millis(100);
        limits.workers.silence = Duration::from_millis(1_500);
        builder.limits(limits)
    })
    .await;
    let socket = half_open(&engine, "twin").await;
    let mut observer = worker(&engine, "observer").await;
    let mut known = async || {
        let asked = json!({"function_id": "twin::f"});
        observer.call("engine::functions::info", asked).await.is_ok()
    };
    within("the function", async { while !known().await {} }).await;
    // The observer answers pings while it waits for its answers, so it stays.
    within("the end of the function", async { while known().await {} }).await;
    let mut twin = worker(&engine, "twin").await;
    twin.function("twin::f").await;
    twin.settled().await;
    observer.start("twin::f", json!(1)).await;
    assert_eq!(twin.serve(json!(2)).await["data"], 1);
    drop(socket);
}

#[tokio::test]
async fn a08_a_connection_has_quotas_and_those_of_others_are_their_own() {
    let engine = engine_with(|builder| {
        let mut limits = Limits::default();
        (limits.workers.calls, limits.workers.functions, limits.workers.triggers) = (3, 2, 2);
        (limits.workers.trigger_types, limits.channels.per_connection) = (1, 2);
        limits.workers.registration_bytes = 8 << 10;
        limits.workers.ownerless_triggers = 1;
        builder.limits(limits)
    })
    .await;
    let mut idle = worker(&engine, "idle").await;
    idle.function("idle::f").await;
    idle.settled().await;
    let mut greedy = worker(&engine, "greedy").await;

    for _ in 0..3 {
        greedy.start("idle::f", json!(null)).await;
    }
    let refused = greedy.call("idle::f", json!(null)).await.unwrap_err();
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("overloaded"), &json!(true)));
    for _ in 0..3 {
        idle.serve(json!(1)).await;
    }
    for _ in 0..3 {
        greedy.next_of("invocationresult").await;
    }

    for n in 0..3 {
        greedy.function(&format!("greedy::{n}")).await;
    }
    let rejected = greedy.next_of("registrationrejected").await;
    let id = json!("greedy::2");
    assert_eq!((&rejected["error"]["code"], &rejected["function_id"]), (&json!("overloaded"), &id));
    let large = json!({"topic": "x".repeat(10_000)});
    greedy.bind("large", "subscribe", "greedy::0", large).await;
    for n in 0..3 {
        greedy.bind(&format!("t{n}"), "subscribe", "greedy::0", json!({"topic": "t"})).await;
    }
    for id in ["large", "t2"] {
        let refused = greedy.next_of("triggerregistrationresult").await;
        assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!("overloaded"), &json!(id)));
    }
    for n in 0..2 {
        let kind = json!({"type": "registertriggertype", "id": format!("k{n}"), "description": ""});
        greedy.send(kind).await;
    }
    assert_eq!(greedy.next_of("registrationrejected").await["error"]["code"], "overloaded");
    for n in 0..3 {
        let made = greedy.call("engine::channels::create", json!({})).await;
        assert_eq!(made.is_ok(), n < 2);
        if let Err(error) = made {
            assert_eq!(error["code"], "overloaded");
        }
    }

    let trigger = json!({
        "trigger_type": "subscribe", "function_id": "greedy::0", "config": {"topic": "t"},
    });
    let made = greedy.call("engine::register_trigger", trigger.clone()).await.unwrap();
    let refused = greedy.call("engine::register_trigger", trigger.clone()).await.unwrap_err();
    assert_eq!(refused["code"], "overloaded", "{refused}");
    greedy.call("engine::unregister_trigger", made).await.unwrap();
    greedy.call("engine::register_trigger", trigger).await.unwrap();

    // What was given back can be had again, and others have theirs.
    greedy.send(json!({"type": "unregisterfunction", "id": "greedy::1"})).await;
    greedy.function("greedy::2").await;
    let info = greedy.call("engine::functions::info", json!({"function_id": "greedy::2"})).await;
    assert_eq!(info.unwrap()["function_id"], "greedy::2");
    let mut other = worker(&engine, "other").await;
    other.function("other::f").await;
    other.call("engine::channels::create", json!({})).await.unwrap();
    other.start("idle::f", json!(7)).await;
    assert_eq!(idle.serve(json!(1)).await["data"], 7);
}

#[tokio::test]
async fn a09_a_body_beyond_the_limit_is_refused() {
    let engine = engine_with(|builder| builder.http_body_limit(100)).await;
    let mut peer = worker(&engine, "web").await;
    let route = json!({"api_path": "/in", "http_method": "POST"});
    peer.bind("in", "http", "web::f", route).await;
    peer.call("engine::functions::list", json!({})).await.unwrap();
    let body = format!("\"{}\"", "x".repeat(200));
    let refused = request(engine.http_addr().unwrap(), "POST", "/in", Some(&body)).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "payload_too_large");
}

#[tokio::test]
async fn a10_the_limit_of_http_requests_is_that_of_the_whole_server() {
    let engine = engine_with(|builder| builder.http_concurrency(2)).await;
    let addr = engine.http_addr().unwrap();
    let mut web = worker(&engine, "web").await;
    web.function("web::f").await;
    for path in ["/a", "/b", "/c"] {
        web.bind(path, "http", "web::f", json!({"api_path": path})).await;
    }
    web.settled().await;
    let first = tokio::spawn(request(addr, "GET", "/a", None));
    let second = tokio::spawn(request(addr, "GET", "/b", None));
    let calls = [web.next_of("invokefunction").await, web.next_of("invokefunction").await];
    // Another route, and one that is not there: both are refused.
    for path in ["/c", "/nowhere"] {
        let refused = request(addr, "GET", path, None).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.json()["error"]["code"], "overloaded");
        assert!(refused.head.contains("\r\nretry-after: "), "{refused:?}");
    }
    for call in &calls {
        web.answer(call, json!({"body": "late"})).await;
    }
    assert_eq!(first.await.unwrap().json(), "late");
    assert_eq!(second.await.unwrap().json(), "late");
    let third = tokio::spawn(request(addr, "GET", "/c", None));
    web.serve(json!({"body": "next"})).await;
    assert_eq!(third.await.unwrap().json(), "next");
}

#[tokio::test]
async fn a11_a_broken_edit_of_the_file_changes_nothing_in_a_running_engine() {
    let text = "# Mine.\nregistration_namespace_grace_ms: 100\nworkers:\n- name: iii-worker-manager\n  \
        config: {port: 0}\n- {name: iii-http, config: {port: 0}}\n- {name: iii-state}\n- {name: configuration}\n";
    let path = std::env::temp_dir().join(format!("iii-a11-{}.yaml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let engine = EngineBuilder::from_file(&path).unwrap().start().await.unwrap();
    let mut peer = worker(&engine, "web").await;
    peer.function("web::f").await;
    peer.bind("a", "http", "web::f", json!({"api_path": "/a"})).await;
    peer.settled().await;
    let work = async |peer: &mut Peer, n: u64| {
        let state = json!({"scope": "s", "key": "k", "value": n});
        peer.call("state::set", state.clone()).await.unwrap();
        assert_eq!(peer.call("state::get", state).await.unwrap(), n);
        let configuration = json!({
            "id": "mine", "name": "", "description": "", "schema": null, "initial_value": n,
        });
        peer.call("configuration::register", configuration).await.unwrap();
        let asked = tokio::spawn(request(engine.http_addr().unwrap(), "GET", "/a", None));
        peer.serve(json!({"body": n})).await;
        assert_eq!(asked.await.unwrap().json(), n);
    };
    work(&mut peer, 1).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "the engine never writes it");
    let broken = "workers: [\n  - name: {";
    std::fs::write(&path, broken).unwrap();
    for n in 0..50 {
        work(&mut peer, n).await;
    }
    std::fs::remove_file(&path).unwrap();
    work(&mut peer, 2).await;
    engine.stop().await;
    assert!(!path.exists());
}

#[test]
fn a12_a_variable_that_is_not_set_is_an_error_that_names_it() {
    let error =
        EngineBuilder::from_yaml("workers:\n  - name: ${NO_SUCH_VARIABLE_HERE}\n").unwrap_err();
    assert_eq!(error.code(), iii::code::INVALID_CONFIGURATION);
    assert!(error.message().contains("NO_SUCH_VARIABLE_HERE"), "{error}");
    assert!(error.message().contains("line 2"), "{error}");
}
