//! Owns the checks of durable topics: copies, order, retries, messages that were given up, and what lists tell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use iii_sdk::Error;
use serde_json::{json, Value};

use crate::kit::{checks, handler, plain, until, until_is, Heard, Kit};

checks! {
    "queues/durable" => durable;
    "queues/fifo" => fifo;
    "queues/dead-letter" => dead_letter;
    "queues/redrive" => redrive;
    "queues/condition" => condition;
    "queues/lists" => lists;
}

/// A function that fails until it is open: what it got, and what was given up.
#[derive(Default)]
pub struct Closed {
    tried: Heard,
    open: Arc<AtomicBool>,
    letters: Vec<Value>,
}

async fn publish(kit: &Kit, topic: &str, data: Value) {
    kit.call("iii::durable::publish", json!({"topic": topic, "data": data})).await;
}

fn numbers(items: &[Value]) -> Vec<i64> {
    items.iter().map(|item| item["n"].as_i64().unwrap()).collect()
}

fn sorted(items: &[Value]) -> Vec<i64> {
    let mut numbers = numbers(items);
    numbers.sort();
    numbers
}

async fn durable(kit: &mut Kit) {
    let both = [kit.hear("rs::durable").await, kit.hear("rs::durable-too").await];
    for function in ["rs::durable", "rs::durable-too"] {
        kit.bind("durable:subscriber", function, json!({"topic": "rs.orders"})).await;
    }
    for n in 0..50 {
        publish(kit, "rs.orders", json!({"n": n})).await;
    }
    for heard in both {
        assert_eq!(sorted(&heard.all("all copies", 50).await), (0..50).collect::<Vec<_>>());
    }
}

async fn fifo(kit: &mut Kit) {
    let (done, tried) = (Heard::default(), Heard::default());
    let in_order = handler({
        let (done, tried) = (done.clone(), tried.clone());
        move |data, _| {
            tried.add(data.clone(), None);
            let fails = data["n"] == 3 && numbers(&tried.now()).iter().filter(|n| **n == 3).count() == 1;
            if !fails {
                done.add(data, None);
            }
            async move { if fails { Err("again".into()) } else { Ok(Value::Null) } }
        }
    });
    kit.serve("rs::in-order", in_order).await;
    let settings = json!({"type": "fifo", "maxRetries": 2, "backoffDelayMs": 20});
    let config = json!({"topic": "rs.order", "queue_config": settings});
    kit.bind("durable:subscriber", "rs::in-order", config).await;
    for n in 0..20 {
        publish(kit, "rs.order", json!({"n": n})).await;
    }
    assert_eq!(numbers(&done.all("all of them", 20).await), (0..20).collect::<Vec<_>>());
    assert_eq!(tried.len(), 21);
}

async fn dead_letter(kit: &mut Kit) {
    let tried = kit.closed.tried.clone();
    let closed = handler({
        let (tried, open) = (tried.clone(), kit.closed.open.clone());
        move |data, _| {
            tried.add(data, None);
            let open = open.load(Ordering::SeqCst);
            async move { if open { Ok(Value::Null) } else { Err(Error::from("closed")) } }
        }
    });
    kit.serve("rs::closing", closed).await;
    let settings = json!({"maxRetries": 1, "backoffDelayMs": 10});
    kit.bind("durable:subscriber", "rs::closing", json!({"topic": "rs.closed", "queue_config": settings})).await;
    for n in 0..3 {
        publish(kit, "rs.closed", json!({"n": n})).await;
    }
    let topic = json!({"topic": "rs.closed"});
    let given_up = || async {
        let stats = kit.attempt("engine::queue::topic_stats", topic.clone()).await?;
        Ok((stats["dlq_depth"] == 3).then_some(()))
    };
    until("the dead letters", given_up).await;
    assert_eq!(sorted(&tried.now()), [0, 0, 1, 1, 2, 2]);
    let letters = kit.call("engine::queue::dlq_messages", topic).await;
    let letters = letters.as_array().unwrap().clone();
    assert_eq!(sorted(&letters.iter().map(|one| one["payload"].clone()).collect::<Vec<_>>()), [0, 1, 2]);
    assert!(letters[0]["error"].as_str().unwrap().contains("invocation_failed"), "{letters:?}");
    kit.closed.letters = letters;
}

async fn redrive(kit: &mut Kit) {
    let Closed { tried, open, letters } = &kit.closed;
    open.store(true, Ordering::SeqCst);
    let letter = |n: usize| json!({"queue": "rs.closed", "message_id": letters[n]["id"]});
    assert_eq!(kit.call("iii::queue::discard_message", letter(0)).await["redriven"], 1);
    assert_eq!(kit.call("iii::queue::redrive_message", letter(1)).await["redriven"], 1);
    let redriven = kit.call("iii::queue::redrive", json!({"queue": "rs.closed"})).await;
    assert_eq!(redriven, json!({"queue": "rs.closed", "redriven": 1}));
    until_is("the redriven", || tried.len() == 8).await;
    assert_eq!(kit.call("engine::queue::dlq_messages", json!({"topic": "rs.closed"})).await, json!([]));
}

async fn condition(kit: &mut Kit) {
    kit.serve("rs::wanted", plain(|data| json!(data["n"].as_i64().unwrap() > 1))).await;
    let heard = kit.hear("rs::if-wanted").await;
    let config = json!({
        "topic": "rs.if", "condition_function_id": "rs::wanted", "queue_config": {"type": "fifo"},
    });
    kit.bind("durable:subscriber", "rs::if-wanted", config).await;
    for n in [1, 2] {
        publish(kit, "rs.if", json!({"n": n})).await;
    }
    assert_eq!(heard.all("the wanted one", 1).await, [json!({"n": 2})]);
}

async fn lists(kit: &mut Kit) {
    let topics = kit.call("engine::queue::list_topics", json!({})).await;
    let topic = |name: &str| {
        let topic = topics.as_array().unwrap().iter().find(|topic| topic["name"] == name);
        topic.unwrap_or_else(|| panic!("{name} is not in {topics}"))
    };
    assert_eq!(topic("rs.orders")["subscriber_count"], 2);
    for name in ["default", "jobs", "lanes"] {
        topic(name);
    }
    let stats = kit.call("engine::queue::topic_stats", json!({"topic": "rs.orders"})).await;
    assert_eq!(stats["depth"], 0);
    kit.refused("topic_not_set", "iii::durable::publish", json!({"topic": "", "data": 1})).await;
}
