//! Streams over sockets: one that a worker keeps, workers that follow it, and what becomes of both when links break.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use iii::engine::Engine;
use iii::prelude::*;
use iii::stream::*;
use iii::{Running, Update, code};
use iii_tests::{Peer, engine, until, within, worker_url};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Line {
    text: String,
    likes: u32,
}

fn line(text: &str, likes: u32) -> Line {
    Line { text: text.to_owned(), likes }
}

/// Items by group and id.
#[derive(Clone, Default)]
struct Chat(Arc<Mutex<BTreeMap<(String, String), Line>>>);

/// Keeps the chat.
#[iii::stream(name = "chat")]
impl iii::StreamStore for Chat {
    type Item = Line;

    async fn get(&self, at: StreamGetInput) -> iii::Result<Option<Line>> {
        Ok(self.0.lock().unwrap().get(&(at.group_id, at.item_id)).cloned())
    }

    async fn set(&self, new: StreamSetInput<Line>) -> iii::Result<StreamSetResult<Line>> {
        let at = (new.group_id, new.item_id);
        let old_value = self.0.lock().unwrap().insert(at, new.data.clone());
        Ok(StreamSetResult { old_value, new_value: new.data })
    }

    async fn delete(&self, at: StreamDeleteInput) -> iii::Result<StreamDeleteResult<Line>> {
        let old_value = self.0.lock().unwrap().remove(&(at.group_id, at.item_id));
        Ok(StreamDeleteResult { old_value })
    }

    async fn list(&self, at: StreamListInput) -> iii::Result<Vec<Line>> {
        let items = self.0.lock().unwrap();
        let group = items.iter().filter(|(key, _)| key.0 == at.group_id);
        Ok(group.map(|(_, line)| line.clone()).collect())
    }

    async fn list_groups(&self, _: StreamListGroupsInput) -> iii::Result<Vec<String>> {
        let items = self.0.lock().unwrap();
        let mut groups: Vec<String> = items.keys().map(|key| key.0.clone()).collect();
        groups.dedup();
        Ok(groups)
    }
}

/// A worker serves something.
#[iii::function(id = "streams::idle")]
async fn idle() {}

async fn keeper(url: &str, chat: &Chat) -> Running {
    let mut app = App::new();
    app.url(url).name("keeper").state(chat.clone()).stream_store::<Chat>();
    app.start().await.unwrap()
}

async fn reader(url: &str) -> Running {
    let mut app = App::new();
    app.url(url).name("reader").function::<idle>().start().await.unwrap()
}

/// A browser at the streams listener.
struct Browser(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Browser {
    async fn joined(engine: &Engine, group: &str) -> Self {
        let url = format!("ws://{}/", engine.stream_addr().unwrap());
        let mut socket = tokio_tungstenite::connect_async(url).await.unwrap().0;
        let data = json!({"subscriptionId": "s", "streamName": "chat", "groupId": group});
        let join = json!({"type": "join", "data": data});
        socket.send(Frame::text(join.to_string())).await.unwrap();
        Self(socket)
    }

    /// The next event: what happened, and to which item.
    async fn next(&mut self) -> (Value, Value) {
        within("an event", async {
            loop {
                if let Frame::Text(text) = self.0.next().await.unwrap().unwrap() {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    return (message["event"].clone(), message["id"].clone());
                }
            }
        })
        .await
    }
}

#[tokio::test]
async fn a_stream_of_a_worker_is_used_by_everybody() {
    let engine = engine().await;
    let url = worker_url(&engine);
    let chat = Chat::default();
    let mut keeper = keeper(&url, &chat).await;
    let reader = reader(&url).await;
    let room = reader.client().stream::<Line>("chat").group("room");
    room.set("m1", &line("hello", 0)).await.unwrap();
    assert_eq!(chat.0.lock().unwrap().len(), 1);

    let mut browser = Browser::joined(&engine, "room").await;
    let picture = json!({"type": "sync", "data": [{"text": "hello", "likes": 0}]});
    assert_eq!(browser.next().await, (picture, Value::Null));
    let mut changes = room.subscribe().await.unwrap();
    let mut peer = Peer::named(&url, "peer").await;
    let at = json!({"stream_name": "chat", "group_id": "room", "item_id": "m1"});
    let mut update = at.clone();
    update["ops"] = json!([
        {"type": "increment", "path": "likes", "by": 1}, {"type": "append", "path": "likes", "value": 1}
    ]);
    let result = peer.call("stream::update", update).await.unwrap();
    assert_eq!(result["old_value"], json!({"text": "hello", "likes": 0}));
    assert_eq!(result["new_value"], json!({"text": "hello", "likes": 1}));
    assert_eq!(result["errors"][0]["code"], "append.type_mismatch");
    assert_eq!(result["errors"][0]["op_index"], 1);
    let data = json!({"type": "update", "data": {"text": "hello", "likes": 1}});
    assert_eq!(browser.next().await, (data, json!("m1")));
    let heard = within("a change", changes.next()).await.unwrap().unwrap();
    assert_eq!(heard.event, StreamChange::Update { data: line("hello", 1) });
    assert_eq!(heard.id.as_deref(), Some("m1"));

    let mut bad = at.clone();
    bad["data"] = json!({"text": 1});
    assert_eq!(peer.call("stream::set", bad).await.unwrap_err()["code"], code::INVALID_PAYLOAD);
    let list = json!({"stream_name": "chat", "group_id": "room"});
    let listed = peer.call("stream::list", list).await.unwrap();
    assert_eq!(listed, json!([{"text": "hello", "likes": 1}]));
    let groups = peer.call("stream::list_groups", json!({"stream_name": "chat"})).await.unwrap();
    assert_eq!(groups, json!(["room"]));
    let info = json!({"function_id": "stream::set(chat)"});
    let info = peer.call("engine::functions::info", info).await.unwrap();
    let schema = info["request_schema"].to_string();
    assert!(schema.contains("likes"), "the schema knows the item: {schema}");
    assert_eq!(info["description"], "Sets an item of the stream. Keeps the chat.");

    let gone = peer.call("stream::delete", at).await.unwrap();
    assert_eq!(gone, json!({"old_value": {"text": "hello", "likes": 1}}));
    assert_eq!(browser.next().await.0["type"], "delete");
    let heard = within("a change", changes.next()).await.unwrap().unwrap();
    assert_eq!(heard.event, StreamChange::Delete { data: line("hello", 1) });

    keeper.drain().await.unwrap();
    assert_eq!(room.get("m1").await.unwrap(), None, "the engine's own store is there again");
}

#[tokio::test]
async fn a_second_keeper_is_refused_at_its_start() {
    let engine = engine().await;
    let url = worker_url(&engine);
    let chat = Chat::default();
    let _keeper = keeper(&url, &chat).await;
    let mut second = App::new();
    second.url(&url).name("second").state(chat.clone()).stream_store::<Chat>();
    let error = second.start().await.unwrap_err();
    assert_eq!(error.code(), code::REGISTRATION_REJECTED);
    let text = error.to_string();
    assert!(text.contains("stream::set(chat)") && text.contains("tests/streams.rs:"), "{text}");
}

#[tokio::test]
async fn listeners_and_lists_come_back_after_a_lost_link_and_end_with_the_worker() {
    let engine = engine().await;
    let url = worker_url(&engine);
    let mut reader = reader(&url).await;
    let client = reader.client();
    let room = client.stream::<Line>("plain").group("room");
    let mut changes = room.subscribe().await.unwrap();
    let dropped = room.subscribe().await.unwrap();
    drop(dropped);
    let mut workers = client.workers().runtime("peer").watch();
    assert_eq!(within("the first list", workers.next()).await.unwrap().unwrap(), []);
    let mut functions = client.functions().prefix("peer::").watch();
    assert_eq!(within("the first list", functions.next()).await.unwrap().unwrap(), []);

    let peer = announced(&url).await;
    let listed = within("a worker", workers.next()).await.unwrap().unwrap();
    assert_eq!(listed[0].name.as_deref(), Some("other"));
    let listed = within("a function", functions.next()).await.unwrap().unwrap();
    assert_eq!(listed[0].function_id, "peer::f");

    let port = engine.worker_addr().unwrap().port();
    engine.stop().await;
    drop((engine, peer));
    let mut again = Engine::builder();
    again.worker_port(port).http_port(0).stream_port(0);
    let again = within("the same port", again.start()).await.unwrap();
    // The lists are asked for again: the peer is not there any more.
    assert_eq!(within("a list", workers.next()).await.unwrap().unwrap(), []);
    assert_eq!(within("a list", functions.next()).await.unwrap().unwrap(), []);
    let missed = within("the link", changes.next()).await.unwrap().unwrap_err();
    assert_eq!(missed.code(), code::EVENTS_MISSED);
    room.set("m1", &line("again", 0)).await.unwrap();
    let heard = within("a change", changes.next()).await.unwrap().unwrap();
    assert_eq!(heard.event, StreamChange::Create { data: line("again", 0) });
    let update = room.update("m1", Update::new().increment("likes", 1)).await.unwrap();
    assert_eq!(update.new_value, Some(line("again", 1)));
    let heard = within("a change", changes.next()).await.unwrap().unwrap();
    assert_eq!(heard.event, StreamChange::Update { data: line("again", 1) });

    // Three are left of four, each registered once.
    let mut watcher = Peer::named(&format!("ws://127.0.0.1:{port}"), "watcher").await;
    assert_eq!(listeners(&mut watcher).await, 3);
    drop(functions);
    within("the end of a trigger", async {
        while listeners(&mut watcher).await > 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    reader.drain().await.unwrap();
    assert!(within("the end", changes.next()).await.is_none());
    within("the end", async { while workers.next().await.is_some() {} }).await;
    let late = room.subscribe().await.unwrap_err();
    assert_eq!(late.code(), code::SHUTTING_DOWN);
    drop(again);
}

/// A worker of another language, which says who it is.
async fn announced(url: &str) -> Peer {
    let mut peer = Peer::connect(url).await;
    peer.next_of("workerregistered").await;
    let identity = json!({"name": "other", "pid": 1, "runtime": "peer"});
    peer.call("engine::workers::register", identity).await.unwrap();
    peer.send(json!({"type": "registerfunction", "id": "peer::f"})).await;
    peer
}

/// How many triggers are bound at run time.
async fn listeners(peer: &mut Peer) -> usize {
    let all = json!({"include_internal": true});
    let all = peer.call("engine::registered-triggers::list", all).await.unwrap();
    let all = all["registered_triggers"].as_array().unwrap();
    all.iter().filter(|one| one["function_id"].as_str().unwrap().starts_with("listener::")).count()
}

#[tokio::test]
async fn a_store_that_lost_its_link_is_asked_again() {
    let first = engine().await;
    let url = worker_url(&first);
    let chat = Chat::default();
    let keeper = keeper(&url, &chat).await;
    let port = first.worker_addr().unwrap().port();
    let client = keeper.client();
    let room = client.stream::<Line>("chat").group("room");
    room.set("m1", &line("hello", 0)).await.unwrap();
    first.stop().await;
    drop(first);
    let mut again = Engine::builder();
    again.worker_port(port).http_port(0).stream_port(0);
    let _again = within("the same port", again.start()).await.unwrap();
    let mut state = client.connection_state();
    let connected = state.wait_for(|state| *state == iii::lifecycle::ConnectionState::Connected);
    drop(within("the link", connected).await.unwrap());
    within("the store", async {
        while room.get("m1").await.ok().flatten().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    room.set("m2", &line("there", 0)).await.unwrap();
    until("the item", || chat.0.lock().unwrap().len() == 2).await;
}
