//! A worker of this framework beside the official SDKs: functions for their scenarios, and its part of the mixed run.

use std::sync::Mutex;

use iii::channel::{ChannelMessage, ChannelReader, ChannelWriter};
use iii::prelude::*;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

/// What the triggers and queues of the mixed run have brought, by kind.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(&'static str, Payload)>>);

impl Heard {
    fn add(&self, kind: &'static str, data: Payload) {
        self.0.lock().expect("no handler panics with the lock").push((kind, data));
    }

    fn of(&self, wanted: &str) -> Vec<Payload> {
        let all = self.0.lock().expect("no handler panics with the lock");
        all.iter().filter(|(kind, _)| *kind == wanted).map(|(_, data)| data.clone()).collect()
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Terms {
    a: i64,
    b: i64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Sum {
    sum: i64,
}

/// Adds.
#[iii::function(id = "ours::add")]
fn add(terms: Terms) -> Sum {
    Sum { sum: terms.a + terms.b }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Aside {
    n: i64,
}

/// Gives back what came beside the payload.
#[iii::function(id = "ours::aside")]
fn aside(input: Aside, Metadata(aside): Metadata<Value>) -> Value {
    json!({"n": input.n, "aside": aside})
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Why {
    why: String,
}

#[derive(Debug, iii::Error)]
enum Refusal {
    #[error("refused: {why}", code = "ours/refused", status = 409)]
    Refused { why: String },
}

/// Always refuses.
#[iii::function(id = "ours::refuse")]
#[iii::trigger(http, method = "POST", path = "/ours/refuse")]
fn refuse(input: Why) -> Result<(), Refusal> {
    Err(Refusal::Refused { why: input.why })
}

/// A call to make for somebody else.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Errand {
    function_id: String,
    payload: Value,
    /// Put it into this queue instead.
    queue: Option<String>,
}

/// Calls a function for the caller.
#[iii::function(id = "do::ours")]
async fn run_errand(errand: Errand, client: Client) -> iii::Result<Payload> {
    match errand.queue {
        None => client.call_raw(errand.function_id, &errand.payload).await,
        Some(queue) => {
            let receipt = client.enqueue_raw(queue, errand.function_id, &errand.payload).await?;
            Payload::new(&receipt).map_err(iii::Error::from)
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Relay {
    route: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Relayed {
    by: Vec<String>,
}

/// Calls the next of the route, and adds its own name to those that come back.
#[iii::function(id = "relay::ours")]
async fn relay(mut relay: Relay, client: Client) -> iii::Result<Relayed> {
    let mut by = vec!["ours".to_owned()];
    if !relay.route.is_empty() {
        let next = relay.route.remove(0);
        let rest: Relayed = client.call_raw(next, &relay).await?;
        by.extend(rest.by);
    }
    Ok(Relayed { by })
}

/// Says that the worker is there.
#[iii::function(id = "alive::ours")]
#[iii::trigger(http, path = "/alive/ours")]
fn alive() -> &'static str {
    "ours"
}

#[iii::function(id = "note::ours")]
fn job(data: Payload, heard: State<Heard>) {
    heard.add("job", data);
}

#[iii::function(id = "news::ours")]
#[iii::trigger(subscribe, topic = "mixed.news")]
fn news(data: Payload, heard: State<Heard>) {
    heard.add("news", data);
}

#[iii::function(id = "order::ours")]
#[iii::trigger(queue, topic = "mixed.orders")]
fn order(data: Payload, heard: State<Heard>) {
    heard.add("order", data);
}

#[iii::function(id = "changed::ours")]
#[iii::trigger(state, scope = "mixed")]
fn changed(event: Payload, heard: State<Heard>) {
    heard.add("state", event);
}

#[iii::function(id = "item::ours")]
#[iii::trigger(stream, name = "mixed")]
#[iii::trigger(stream, name = "shelf-python")]
#[iii::trigger(stream, name = "shelf-node")]
#[iii::trigger(stream, name = "shelf-rust")]
fn item(event: Payload, heard: State<Heard>) {
    heard.add("item", event);
}

/// Bound to the trigger types of the SDKs' workers.
#[iii::function(id = "rung::ours")]
#[iii::trigger("bell-python", config = Tune { tune: "ours" })]
#[iii::trigger("bell-node", config = Tune { tune: "ours" })]
#[iii::trigger("bell-rust", config = Tune { tune: "ours" })]
fn rung(data: Payload, heard: State<Heard>) {
    heard.add("rung", data);
}

#[derive(Debug, Serialize)]
struct Tune {
    tune: &'static str,
}

/// The bytes that go through channels.
fn pattern() -> Vec<u8> {
    (0..=250).cycle().take(300_000).collect()
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Source {
    into: ChannelWriter,
    texts: Vec<String>,
}

/// Writes the texts and the bytes.
#[iii::function(id = "source::ours")]
async fn source(Source { mut into, texts }: Source) -> iii::Result<()> {
    for text in texts {
        into.send(text).await?;
    }
    into.write_all(&pattern()).await?;
    into.finish().await
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Pipe {
    from: ChannelReader,
    into: ChannelWriter,
}

/// Writes what it reads.
#[iii::function(id = "pipe::ours")]
async fn pipe(Pipe { mut from, mut into }: Pipe) -> iii::Result<()> {
    while let Some(message) = from.message().await? {
        into.send(message).await?;
    }
    into.finish().await
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Sink {
    from: ChannelReader,
}

/// Reads everything, and tells whether it is what was written.
#[iii::function(id = "sink::ours")]
async fn sink(Sink { mut from }: Sink) -> iii::Result<Value> {
    let (mut texts, mut bytes) = (Vec::new(), Vec::new());
    while let Some(message) = from.message().await? {
        match message {
            ChannelMessage::Text(text) => texts.push(text),
            ChannelMessage::Binary(piece) => bytes.extend_from_slice(&piece),
        }
    }
    Ok(json!({"intact": bytes == pattern(), "texts": texts}))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Kind {
    kind: String,
}

/// What was heard of a kind.
#[iii::function(id = "heard::ours")]
fn heard(wanted: Kind, heard: State<Heard>) -> Vec<Payload> {
    heard.of(&wanted.kind)
}

#[iii::main]
async fn main(app: &mut App) -> iii::Result<()> {
    app.state(Heard::default()).name("interop-worker");
    Ok(())
}
