//! Owns the checks of streams: items, the stream WebSocket, who may join, and streams that a worker keeps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use iii_helpers::stream::{
    StreamDeleteInput, StreamDeleteResult, StreamGetInput, StreamListGroupsInput, StreamListInput, StreamSetInput,
    StreamSetResult, StreamUpdateInput, StreamUpdateResult,
};
use iii_sdk::helpers::create_stream;
use iii_sdk::{Error, IStream};
use serde_json::{json, Value};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{connect_async, MaybeTlsStream, WebSocketStream};

use crate::kit::{checks, plain, variable, Heard, Kit};
use crate::stores::{check_update, with};

checks! {
    "streams/items" => items;
    "streams/lists" => lists;
    "streams/update" => update;
    "streams/socket" => socket;
    "triggers/stream-join-leave" => join_and_leave;
    "streams/custom-store" => custom_store;
}

async fn items(kit: &mut Kit) {
    let place = json!({"stream_name": "rs", "group_id": "g", "item_id": "a"});
    assert_eq!(kit.call("stream::get", place.clone()).await, Value::Null);
    let set = kit.call("stream::set", with(&place, json!({"data": {"n": 1}}))).await;
    assert_eq!(set, json!({"old_value": null, "new_value": {"n": 1}}));
    assert_eq!(kit.call("stream::get", place.clone()).await, json!({"n": 1}));
    assert_eq!(kit.call("stream::delete", place.clone()).await, json!({"old_value": {"n": 1}}));
    assert_eq!(kit.call("stream::delete", place).await, json!({"old_value": null}));
}

async fn lists(kit: &mut Kit) {
    for (group, item) in [("g", "a"), ("g", "b"), ("h", "a")] {
        let place = json!({"stream_name": "rs-list", "group_id": group, "item_id": item, "data": item});
        kit.call("stream::set", place).await;
    }
    let group = json!({"stream_name": "rs-list", "group_id": "g"});
    assert_eq!(kit.call("stream::list", group).await, json!(["a", "b"]));
    let groups = kit.call("stream::list_groups", json!({"stream_name": "rs-list"})).await;
    assert_eq!(groups, json!(["g", "h"]));
    let all = kit.call("stream::list_all", json!({})).await;
    let streams = all["stream"].as_array().unwrap();
    assert!(streams.contains(&json!({"id": "rs-list", "groups": ["g", "h"]})), "{all}");
    assert_eq!(all["count"], streams.len());
}

async fn update(kit: &mut Kit) {
    let place = json!({"stream_name": "rs", "group_id": "g", "item_id": "ops"});
    check_update(kit, "stream::update", &place, ("stream::set", "data")).await;
}

/// A client of the stream WebSocket (protocol.md#s8).
struct Subscriber(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Subscriber {
    async fn open() -> Self {
        Self(connect_async(variable("INTEROP_STREAMS")).await.expect("the engine listens").0)
    }

    async fn send(&mut self, kind: &str, subscription: &str, group: &str, item: Option<&str>) {
        let place = json!({
            "subscriptionId": subscription, "streamName": "rs-live", "groupId": group, "id": item,
        });
        let text = json!({"type": kind, "data": place}).to_string();
        self.0.send(Message::text(text)).await.expect("the engine reads");
    }

    /// The next message: its item and its event.
    async fn next(&mut self) -> Value {
        let message = tokio::time::timeout(Duration::from_secs(20), self.0.next()).await.expect("a message in time");
        let text = message.expect("an open socket").expect("a message").into_text().expect("text");
        let message: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(message["type"], "stream");
        json!([message["id"], message["event"]])
    }
}

async fn socket(kit: &mut Kit) {
    let place = json!({"stream_name": "rs-live", "group_id": "g"});
    let set = async |item: &str, n: i64| {
        kit.call("stream::set", with(&place, json!({"item_id": item, "data": {"n": n}}))).await;
    };
    set("a", 1).await;
    let mut subscriber = Subscriber::open().await;
    subscriber.send("join", "s1", "g", None).await;
    assert_eq!(subscriber.next().await, json!([null, {"type": "sync", "data": [{"n": 1}]}]));
    set("b", 2).await;
    assert_eq!(subscriber.next().await, json!(["b", {"type": "create", "data": {"n": 2}}]));
    let ops = json!({"item_id": "b", "ops": [{"type": "set", "path": "n", "value": 3}]});
    kit.call("stream::update", with(&place, ops)).await;
    assert_eq!(subscriber.next().await, json!(["b", {"type": "update", "data": {"n": 3}}]));
    kit.call("stream::delete", with(&place, json!({"item_id": "b"}))).await;
    assert_eq!(subscriber.next().await, json!(["b", {"type": "delete", "data": {"n": 3}}]));
    kit.call("stream::send", with(&place, json!({"id": "a", "type": "typing", "data": {"u": 1}}))).await;
    let event = json!({"type": "event", "event": {"type": "typing", "data": {"u": 1}}});
    assert_eq!(subscriber.next().await, json!(["a", event]));
    // After the end of the subscription only the other one, of a single item, gets anything.
    subscriber.send("leave", "s1", "g", None).await;
    subscriber.send("join", "s2", "g", Some("a")).await;
    assert_eq!(subscriber.next().await, json!(["a", {"type": "sync", "data": {"n": 1}}]));
    set("b", 4).await;
    set("a", 5).await;
    assert_eq!(subscriber.next().await, json!(["a", {"type": "update", "data": {"n": 5}}]));
}

async fn join_and_leave(kit: &mut Kit) {
    let joined = Heard::default();
    let join = plain({
        let joined = joined.clone();
        move |data| {
            if data["stream_name"] != "rs-live" {
                return Value::Null;
            }
            let unauthorized = data["group_id"] == "secret";
            joined.add(json!([data["subscription_id"], data["group_id"], data["id"]]), None);
            json!({"unauthorized": unauthorized})
        }
    });
    kit.serve("rs::join", join).await;
    let left = kit.hear("rs::leave").await;
    let on_join = kit.bind("stream:join", "rs::join", json!({})).await;
    let on_leave = kit.bind("stream:leave", "rs::leave", json!({})).await;
    let mut subscriber = Subscriber::open().await;
    subscriber.send("join", "s1", "secret", None).await;
    assert_eq!(subscriber.next().await[1], json!({"type": "unauthorized"}));
    subscriber.send("join", "s2", "g", Some("a")).await;
    assert_eq!(subscriber.next().await[1], json!({"type": "sync", "data": {"n": 5}}));
    assert_eq!(joined.now(), [json!(["s1", "secret", null]), json!(["s2", "g", "a"])]);
    // A socket that closes leaves what it has joined.
    drop(subscriber);
    let left = left.wait("the leave", |one| one["stream_name"] == "rs-live").await;
    assert_eq!(left["subscription_id"], "s2");
    kit.unbind(on_join, "stream:join", "rs::join").await;
    kit.unbind(on_leave, "stream:leave", "rs::leave").await;
}

/// A stream that a worker keeps.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<BTreeMap<String, BTreeMap<String, Value>>>>);

#[async_trait::async_trait]
impl IStream for Shelf {
    async fn get(&self, input: StreamGetInput) -> Result<Option<Value>, Error> {
        let groups = self.0.lock().unwrap();
        Ok(groups.get(&input.group_id).and_then(|group| group.get(&input.item_id)).cloned())
    }

    async fn set(&self, input: StreamSetInput) -> Result<Option<StreamSetResult>, Error> {
        let mut groups = self.0.lock().unwrap();
        let old_value = groups.entry(input.group_id).or_default().insert(input.item_id, input.data.clone());
        Ok(Some(StreamSetResult { old_value, new_value: input.data }))
    }

    async fn delete(&self, input: StreamDeleteInput) -> Result<StreamDeleteResult, Error> {
        let mut groups = self.0.lock().unwrap();
        let old_value = groups.get_mut(&input.group_id).and_then(|group| group.remove(&input.item_id));
        Ok(StreamDeleteResult { old_value })
    }

    async fn list(&self, input: StreamListInput) -> Result<Vec<Value>, Error> {
        let groups = self.0.lock().unwrap();
        Ok(groups.get(&input.group_id).map(|group| group.values().cloned().collect()).unwrap_or_default())
    }

    async fn list_groups(&self, _: StreamListGroupsInput) -> Result<Vec<String>, Error> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    async fn update(&self, _: StreamUpdateInput) -> Result<Option<StreamUpdateResult>, Error> {
        Err("the SDK does not register it".into())
    }
}

async fn custom_store(kit: &mut Kit) {
    let shelf = Shelf::default();
    create_stream(&kit.one, "rs-shelf", shelf.clone());
    for name in ["get", "set", "delete", "list", "list_groups"] {
        kit.known(&format!("stream::{name}(rs-shelf)")).await;
    }
    let changes = kit.hear("rs::shelf-changed").await;
    kit.bind("stream", "rs::shelf-changed", json!({"stream_name": "rs-shelf"})).await;
    let place = json!({"stream_name": "rs-shelf", "group_id": "g", "item_id": "a"});
    let set = kit.call("stream::set", with(&place, json!({"data": 1}))).await;
    assert_eq!(set, json!({"old_value": null, "new_value": 1}));
    let set = kit.call("stream::set", with(&place, json!({"data": 2}))).await;
    assert_eq!(set, json!({"old_value": 1, "new_value": 2}));
    assert_eq!(shelf.0.lock().unwrap()["g"]["a"], 2);
    assert_eq!(kit.call("stream::get", place.clone()).await, 2);
    assert_eq!(kit.call("stream::list", place.clone()).await, json!([2]));
    assert_eq!(kit.call("stream::list_groups", place.clone()).await, json!(["g"]));
    assert_eq!(kit.call("stream::delete", place).await, json!({"old_value": 2}));
    assert!(shelf.0.lock().unwrap()["g"].is_empty());
    let changes = changes.all("the changes", 3).await;
    let kinds: Vec<_> = changes.iter().map(|change| &change["event"]["type"]).collect();
    assert_eq!(kinds, ["create", "update", "delete"]);
}
