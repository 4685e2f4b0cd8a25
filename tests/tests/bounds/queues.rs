//! Very long queues, full ones, and quick ones.

use std::time::{Duration, Instant};

use iii::engine::Limits;
use iii_tests::{Peer, Program, engine, engine_with, worker};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart-under-test");

/// Calls that are sent before their answers are waited for.
const WINDOW: u64 = 1_000;
/// Memory of the engine for one small message that waits, in bytes.
const MEMORY: u64 = 1 << 10;
/// The longest time for the answer to another caller meanwhile. Generous: other tests run beside this one.
const ANSWER: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// `III_TEST_MESSAGES` says how many messages; 50,000 without it in a build without optimisations.
fn wanted() -> u64 {
    let said = std::env::var("III_TEST_MESSAGES").ok();
    let usual = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    said.map_or(usual, |text| text.parse().expect("III_TEST_MESSAGES is a number"))
}

async fn publish(peer: &mut Peer, topic: &str, from: u64, to: u64) {
    for n in from..to {
        peer.start("iii::durable::publish", json!({"topic": topic, "data": n})).await;
    }
    for _ in from..to {
        let answer = peer.next_of("invocationresult").await;
        assert!(answer.get("error").is_none(), "{answer}");
    }
}

async fn subscribe(peer: &mut Peer, topic: &str) {
    peer.function("queue::f").await;
    let config = json!({"topic": topic, "queue_config": {"concurrency": WINDOW}});
    peer.bind("queue", "durable:subscriber", "queue::f", config).await;
}

/// Takes so many messages, each once.
async fn drain(peer: &mut Peer, messages: u64) {
    let mut seen = vec![false; usize::try_from(messages).unwrap()];
    for _ in 0..messages {
        let call = peer.next_of("invokefunction").await;
        let n = call["data"].as_u64().and_then(|n| usize::try_from(n).ok()).expect("a number");
        assert!(!std::mem::replace(&mut seen[n], true), "{n} came twice");
        peer.answer(&call, json!(null)).await;
    }
}

async fn depth(peer: &mut Peer, topic: &str) -> Value {
    peer.call("engine::queue::topic_stats", json!({"topic": topic})).await.unwrap()["depth"].clone()
}

/// Calls again and again, and gives the longest time that an answer took.
async fn watch(url: String, mut stop: tokio::sync::oneshot::Receiver<()>) -> Duration {
    let mut peer = Peer::named(&url, "watcher").await;
    let mut longest = Duration::ZERO;
    while stop.try_recv().is_err() {
        let begun = Instant::now();
        peer.call("state::get", json!({"scope": "s", "key": "k"})).await.unwrap();
        longest = longest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn a_very_long_queue_is_filled_and_emptied_while_others_are_served() {
    let ports = [("III_WORKER_PORT", "0"), ("III_HTTP_PORT", "0"), ("III_STREAM_PORT", "0")];
    let mut program = Program::start(PROGRAM, &ports);
    let url = format!("ws://{}", program.address("workers").await);
    let messages = wanted();
    let mut publisher = Peer::named(&url, "publisher").await;
    publish(&mut publisher, "warm", 0, WINDOW).await;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let watching = tokio::spawn(watch(url.clone(), stopped));
    let before = program.memory();

    let begun = Instant::now();
    for from in (0..messages).step_by(usize::try_from(WINDOW).unwrap()) {
        publish(&mut publisher, "long", from, messages.min(from + WINDOW)).await;
    }
    let filled = begun.elapsed();
    assert_eq!(depth(&mut publisher, "long").await, messages);
    if let Some((before, after)) = before.zip(program.memory()) {
        let each = after.saturating_sub(before) / messages;
        eprintln!("{messages} messages: {each} bytes each");
        assert!(each < MEMORY, "{each} bytes for each of {messages} messages");
    }
    // Nobody would answer its pings meanwhile.
    publisher.close().await;
    let begun = Instant::now();
    let mut subscriber = Peer::named(&url, "subscriber").await;
    subscribe(&mut subscriber, "long").await;
    drain(&mut subscriber, messages).await;
    subscriber.settled().await;
    let emptied = begun.elapsed();
    assert_eq!(depth(&mut subscriber, "long").await, 0);
    stop.send(()).unwrap();
    let longest = watching.await.unwrap();
    eprintln!("filled in {filled:?}, emptied in {emptied:?}, longest answer {longest:?}");
    assert!(longest < ANSWER, "an answer took {longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_with_overloaded_and_takes_again_when_there_is_room() {
    let engine = engine_with(|builder| {
        let mut limits = Limits::default();
        (limits.queues.bytes, limits.queues.total_bytes) = (64 << 10, 128 << 10);
        builder.limits(limits)
    })
    .await;
    let mut publisher = worker(&engine, "publisher").await;
    let message = |topic: &str| json!({"topic": topic, "data": "x".repeat(1_000)});
    let mut taken = 0;
    let refused = loop {
        match publisher.call("iii::durable::publish", message("full")).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("overloaded"), &json!(true)));
    assert!((20..64).contains(&taken), "{taken} messages");
    // Others have their own room, up to that of all together.
    publisher.call("iii::durable::publish", message("other")).await.unwrap();
    let mut others = 1;
    while publisher.call("iii::durable::publish", message(&format!("t{others}"))).await.is_ok() {
        others += 1;
    }
    assert!((20..64).contains(&others), "{others} messages");
    let mut subscriber = worker(&engine, "subscriber").await;
    subscribe(&mut subscriber, "full").await;
    for _ in 0..taken {
        subscriber.serve(json!(null)).await;
    }
    subscriber.settled().await;
    publisher.call("iii::durable::publish", message("full")).await.unwrap();
    assert_eq!(subscriber.serve(json!(null)).await["data"], "x".repeat(1_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stderr)]
async fn a_durable_topic_delivers_ten_thousand_messages_a_second() {
    // A build without optimisations may be twenty times slower, since other tests run beside this one.
    const MESSAGES: u64 = if cfg!(debug_assertions) { 10_000 } else { 20_000 };
    let limit = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
    let engine = engine().await;
    let mut publisher = worker(&engine, "publisher").await;
    let mut subscriber = worker(&engine, "subscriber").await;
    subscribe(&mut subscriber, "quick").await;
    subscriber.settled().await;
    let begun = Instant::now();
    let publishing = tokio::spawn(async move {
        for from in (0..MESSAGES).step_by(usize::try_from(WINDOW).unwrap()) {
            publish(&mut publisher, "quick", from, from + WINDOW).await;
        }
    });
    drain(&mut subscriber, MESSAGES).await;
    publishing.await.unwrap();
    let took = begun.elapsed();
    eprintln!("{MESSAGES} messages in {took:?}");
    assert!(took < limit, "{MESSAGES} messages took {took:?}");
}
