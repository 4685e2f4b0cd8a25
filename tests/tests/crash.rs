//! An engine that is killed under load, again and again: what it has acknowledged is there when it comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use iii_tests::{Peer, Program, Seed, within};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart-under-test");

/// The topics of the load, and what becomes of their messages.
const TOPICS: [&str; 4] = [WAITING, WORKED_ON, RETRIED, GIVEN_UP];
/// Nobody is subscribed: they wait.
const WAITING: &str = "load.waiting";
/// Its function never answers: they are being worked on.
const WORKED_ON: &str = "load.worked-on";
/// Its function fails again and again: they wait for their next attempts.
const RETRIED: &str = "load.retried";
/// Its function fails for good: they are dead letters.
const GIVEN_UP: &str = "load.given-up";
/// The named queue, whose calls are failed as well.
const QUEUE: &str = "default";

/// How many write at the same time.
const WRITERS: u64 = 4;

/// How often the engine is killed; `III_TEST_ROUNDS` says otherwise.
fn rounds() -> u64 {
    let said = std::env::var("III_TEST_ROUNDS").ok();
    said.map_or(12, |text| text.parse().expect("III_TEST_ROUNDS is a number"))
}

/// What the engine has acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    states: BTreeSet<u64>,
    items: BTreeSet<u64>,
    /// The last value of the configuration.
    configuration: u64,
    /// By topic or queue.
    messages: BTreeMap<&'static str, BTreeSet<u64>>,
}

impl Acknowledged {
    /// Makes the nth change of each kind. `None`: the engine is gone.
    async fn write(&mut self, peer: &mut Peer, n: u64) -> Option<()> {
        let key = n.to_string();
        let state = json!({"scope": "s", "key": key, "value": n});
        peer.try_call("state::set", state).await?.expect("the write is taken");
        self.states.insert(n);
        let item = json!({"stream_name": "c", "group_id": "g", "item_id": key, "data": n});
        peer.try_call("stream::set", item).await?.expect("the write is taken");
        self.items.insert(n);
        if n.is_multiple_of(WRITERS) {
            // One writer only, so that its values grow.
            let value = json!({"id": "load", "value": n});
            peer.try_call("configuration::set", value).await?.expect("the write is taken");
            self.configuration = n;
        }
        for topic in TOPICS {
            let message = json!({"topic": topic, "data": n});
            peer.try_call("iii::durable::publish", message).await?.expect("it is taken");
            self.messages.entry(topic).or_default().insert(n);
        }
        let call = json!({"queue": QUEUE, "function_id": "load::queued", "data": n});
        peer.try_call("engine::queue::enqueue", call).await?.expect("it is taken");
        self.messages.entry(QUEUE).or_default().insert(n);
        Some(())
    }

    /// Takes in what another writer has.
    fn merge(&mut self, mut other: Self) {
        self.states.append(&mut other.states);
        self.items.append(&mut other.items);
        self.configuration = self.configuration.max(other.configuration);
        for (topic, mut numbers) in other.messages {
            self.messages.entry(topic).or_default().append(&mut numbers);
        }
    }

    /// Checks that all of it is there.
    async fn check(&self, peer: &mut Peer, round: u64) {
        let states = peer.call("state::list", json!({"scope": "s"})).await.unwrap();
        assert!(numbers(&states).is_superset(&self.states), "round {round}: states");
        let group = json!({"stream_name": "c", "group_id": "g"});
        let items = peer.call("stream::list", group).await.unwrap();
        assert!(numbers(&items).is_superset(&self.items), "round {round}: items");
        let value = peer.call("configuration::get", json!({"id": "load"})).await.unwrap();
        let value = value["value"].as_u64().expect("a number");
        assert!(value >= self.configuration, "round {round}: {value} of {}", self.configuration);
        for topic in TOPICS {
            let stats = peer.call("engine::queue::topic_stats", json!({"topic": topic})).await;
            let stats = stats.unwrap();
            let count = |name: &str| stats[name].as_u64().expect("a number");
            let sent = self.messages.get(topic).map_or(0, BTreeSet::len) as u64;
            // Those that were worked on wait again: nobody is subscribed yet.
            assert!(count("depth") + count("dlq_depth") >= sent, "round {round}, {topic}: {stats}");
        }
    }
}

fn numbers(values: &Value) -> BTreeSet<u64> {
    values.as_array().expect("a list").iter().filter_map(Value::as_u64).collect()
}

/// Lets a worker subscribe to all topics but the one that nobody listens to.
async fn subscribe(peer: &mut Peer, topics: &[&str], retries: &dyn Fn(&str) -> u32) {
    for topic in topics {
        let function = format!("load::{topic}");
        peer.function(&function).await;
        let config = json!({"topic": topic, "queue_config": {
            "maxRetries": retries(topic), "backoffType": "fixed", "backoffDelayMs": 20,
        }});
        peer.bind(topic, "durable:subscriber", &function, config).await;
    }
    peer.function("load::queued").await;
}

/// Works on messages badly until the engine is gone: does not answer, or fails.
async fn work_badly(mut peer: Peer) -> BTreeSet<String> {
    let mut worked_on = BTreeSet::new();
    while let Some(call) = peer.next().await {
        let Some(function) = call["function_id"].as_str() else { continue };
        if call["type"] != "invokefunction" {
            continue;
        }
        worked_on.insert(function.to_owned());
        if function.ends_with(WORKED_ON) {
            continue;
        }
        let failure = json!({
            "type": "invocationresult", "invocation_id": call["invocation_id"],
            "function_id": function, "error": {"code": "load/bad", "message": "on purpose"},
        });
        if !peer.try_send(failure).await {
            break;
        }
    }
    worked_on
}

/// Starts the program on its directory.
async fn start(directory: &str) -> (Program, String) {
    let variables = [
        ("III_WORKER_PORT", "0"),
        ("III_HTTP_PORT", "0"),
        ("III_STREAM_PORT", "0"),
        ("III_DATA_DIR", directory),
    ];
    let mut program = Program::start(PROGRAM, &variables);
    let url = format!("ws://{}", program.address("workers").await);
    (program, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let mut seed = Seed::new();
    let directory = std::env::temp_dir().join(format!("iii-crash-{}", std::process::id()));
    let path = directory.to_str().unwrap();
    let mut acknowledged = Acknowledged::default();
    let mut worked_on = BTreeSet::new();
    for round in 0..rounds() {
        let (program, url) = start(path).await;
        let mut observer = Peer::named(&url, "observer").await;
        if round == 0 {
            let configuration = json!({
                "id": "load", "name": "Load", "description": "", "schema": {"type": "integer"},
                "initial_value": 0,
            });
            observer.call("configuration::register", configuration).await.unwrap();
        }
        acknowledged.check(&mut observer, round).await;
        let mut worker = Peer::named(&url, "worker").await;
        let retries = |topic: &str| if topic == GIVEN_UP { 0 } else { 1_000_000 };
        subscribe(&mut worker, &TOPICS[1..], &retries).await;
        let working = tokio::spawn(work_badly(worker));
        let mut writing = tokio::task::JoinSet::new();
        for part in 0..WRITERS {
            let mut writer = Peer::named(&url, &format!("writer-{part}")).await;
            writing.spawn(async move {
                let mut written = Acknowledged::default();
                let mut n = round * 1_000_000 + part;
                while written.write(&mut writer, n).await.is_some() {
                    n += WRITERS;
                }
                written
            });
        }
        // Any moment: from the first writes on to the midst of retries.
        tokio::time::sleep(Duration::from_millis(30 + seed.below(270))).await;
        program.signal("KILL").await;
        program.ended().await;
        writing.join_all().await.into_iter().for_each(|one| acknowledged.merge(one));
        worked_on.append(&mut working.await.expect("the worker ends with the engine"));
    }
    assert!(acknowledged.messages[WAITING].len() > 20, "there was some load");
    assert_eq!(worked_on.len(), 4, "each function had its share: {worked_on:?}");
    everything_comes(path, acknowledged).await;
    std::fs::remove_dir_all(directory).unwrap();
}

/// Works on all messages well; what was given up is tried again. Every one that was acknowledged comes.
async fn everything_comes(path: &str, acknowledged: Acknowledged) {
    let (program, url) = start(path).await;
    let mut observer = Peer::named(&url, "observer").await;
    acknowledged.check(&mut observer, u64::MAX).await;
    let mut dead = BTreeSet::new();
    for offset in (0..).step_by(1_000) {
        let page = json!({"topic": GIVEN_UP, "offset": offset, "limit": 1_000});
        let page = observer.call("engine::queue::dlq_messages", page).await.unwrap();
        let page = page.as_array().expect("a list");
        dead.extend(page.iter().filter_map(|one| one["payload"].as_u64()));
        if page.len() < 1_000 {
            break;
        }
    }
    assert!(!dead.is_empty(), "some were given up");
    for queue in [GIVEN_UP, QUEUE] {
        observer.call("iii::queue::redrive", json!({"queue": queue})).await.unwrap();
    }
    let mut worker = Peer::named(&url, "worker").await;
    subscribe(&mut worker, &TOPICS, &|_| 0).await;
    let mut missing = acknowledged.messages;
    within("all messages", async {
        while missing.values().any(|left| !left.is_empty()) {
            let call = worker.serve(json!(null)).await;
            let function = call["function_id"].as_str().expect("an id");
            let topic = function.strip_prefix("load::").expect("ours");
            let topic = if topic == "queued" { QUEUE } else { topic };
            let n = call["data"].as_u64().expect("a number");
            if let Some(left) = missing.get_mut(topic) {
                left.remove(&n);
            }
        }
    })
    .await;
    program.signal("KILL").await;
    program.ended().await;
}
