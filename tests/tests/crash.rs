//! An engine that is killed under load: what it has acknowledged is there when it comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use iii_tests::{Peer, Program};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart-under-test");

/// How often the engine is killed.
const ROUNDS: u64 = 8;

/// What the engine has acknowledged.
#[derive(Default)]
struct Acknowledged {
    states: BTreeSet<u64>,
    items: BTreeSet<u64>,
    messages: BTreeSet<u64>,
}

/// Writes states, stream items and queue messages until the engine is gone.
async fn write(mut peer: Peer, from: u64, mut acknowledged: Acknowledged) -> Acknowledged {
    for n in from.. {
        let state = json!({"scope": "s", "key": n.to_string(), "value": n});
        let item =
            json!({"stream_name": "c", "group_id": "g", "item_id": n.to_string(), "data": n});
        let message = json!({"topic": "nobody.listens", "data": n});
        match peer.try_call("state::set", state).await {
            Some(answer) => drop(answer.expect("the write is taken")),
            None => break,
        }
        acknowledged.states.insert(n);
        match peer.try_call("stream::set", item).await {
            Some(answer) => drop(answer.expect("the write is taken")),
            None => break,
        }
        acknowledged.items.insert(n);
        match peer.try_call("iii::durable::publish", message).await {
            Some(answer) => drop(answer.expect("the message is taken")),
            None => break,
        }
        acknowledged.messages.insert(n);
    }
    acknowledged
}

fn numbers(values: &Value) -> BTreeSet<u64> {
    values.as_array().expect("a list").iter().filter_map(Value::as_u64).collect()
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = std::env::temp_dir().join(format!("iii-crash-{}", std::process::id()));
    let variables = [
        ("III_WORKER_PORT", "0"),
        ("III_HTTP_PORT", "0"),
        ("III_STREAM_PORT", "0"),
        ("III_DATA_DIR", directory.to_str().unwrap()),
    ];
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let mut program = Program::start(PROGRAM, &variables);
        let url = format!("ws://{}", program.address("workers").await);
        let peer = Peer::connect(&url).await;
        let writing = tokio::spawn(write(peer, round * 1_000_000, acknowledged));
        // Each round is killed somewhere else.
        tokio::time::sleep(Duration::from_millis(40 + 37 * round)).await;
        program.signal("KILL").await;
        program.ended().await;
        acknowledged = writing.await.expect("the writer ends with the engine");

        let mut program = Program::start(PROGRAM, &variables);
        let url = format!("ws://{}", program.address("workers").await);
        let mut peer = Peer::connect(&url).await;
        let states = peer.call("state::list", json!({"scope": "s"})).await.unwrap();
        assert!(numbers(&states).is_superset(&acknowledged.states), "round {round}");
        let group = json!({"stream_name": "c", "group_id": "g"});
        let items = peer.call("stream::list", group).await.unwrap();
        assert!(numbers(&items).is_superset(&acknowledged.items), "round {round}");
        let topic = json!({"topic": "nobody.listens"});
        let stats = peer.call("engine::queue::topic_stats", topic).await.unwrap();
        let depth = stats["depth"].as_u64().expect("a number");
        assert!(depth >= acknowledged.messages.len() as u64, "round {round}: {stats}");
        program.signal("KILL").await;
        program.ended().await;
    }
    assert!(acknowledged.messages.len() > 20, "there was some load");

    // The first subscriber gets every message that was acknowledged.
    let mut program = Program::start(PROGRAM, &variables);
    let url = format!("ws://{}", program.address("workers").await);
    let mut peer = Peer::connect(&url).await;
    peer.call("engine::workers::register", json!({"name": "late", "pid": 1})).await.unwrap();
    peer.send(json!({"type": "registerfunction", "id": "late::f"})).await;
    peer.send(json!({
        "type": "registertrigger", "id": "late", "trigger_type": "durable:subscriber",
        "function_id": "late::f", "config": {"topic": "nobody.listens"},
    }))
    .await;
    let mut missing = acknowledged.messages;
    while !missing.is_empty() {
        let call = peer.next_of("invokefunction").await;
        missing.remove(&call["data"].as_u64().expect("a number"));
        peer.send(json!({
            "type": "invocationresult", "invocation_id": call["invocation_id"],
            "function_id": "late::f", "result": {},
        }))
        .await;
    }
    program.signal("KILL").await;
    program.ended().await;
    std::fs::remove_dir_all(directory).unwrap();
}
