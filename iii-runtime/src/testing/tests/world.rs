//! State, streams, subscribers and logs.

use serde_json::json;

use super::worker::*;
use crate::prelude::*;
use crate::testing::StreamMessage;
use crate::{Payload, Update};

fn order(id: u64) -> Order {
    Order { id, sku: "tea".into(), quantity: 1 }
}

#[iii::test(only(on_state))]
async fn state_has_types(iii: Harness) -> iii::Result<()> {
    let carts = iii.state::<Order>("carts");
    assert_eq!(carts.get("a").await?, None);
    let change = carts.set("a", &order(1)).await?;
    assert_eq!((change.old_value, change.new_value), (None, Some(order(1))));
    let update = Update::new().increment("quantity", 4).increment("sku", 1).set("id", &7);
    let change = carts.update("a", update).await?;
    let after = Order { quantity: 5, ..order(7) };
    assert_eq!((change.old_value, change.new_value), (Some(order(1)), Some(after.clone())));
    assert_eq!(change.errors[0].code, "increment.not_number");
    carts.set("b", &order(2)).await?;
    assert_eq!(carts.list().await?, [after.clone(), order(2)]);
    assert_eq!(iii.client().state_scopes().await?, ["carts"]);
    assert_eq!(carts.delete("a").await?, Some(after));
    assert_eq!(carts.delete("a").await?, None);
    let heard: Vec<_> = iii.calls::<on_state>().await.iter().map(|one| one.input()).collect();
    assert_eq!(heard.len(), 4);
    assert_eq!(heard[0].new_value, Some(order(1)));
    Ok(())
}

#[iii::test(only(may_join))]
async fn streams_have_types_and_subscribers(iii: Harness) -> iii::Result<()> {
    let chat = iii.stream::<String>("chat");
    chat.set("room", "m1", &"hello".to_owned()).await?;
    let mut room = iii.subscribe::<String>("chat", "room").await;
    let mut first = iii.subscribe_item::<String>("chat", "room", "m1").await;
    let mut secret = iii.subscribe::<String>("chat", "secret").await;
    assert_eq!(room.next().await, Some(StreamMessage::Sync(vec!["hello".to_owned()])));
    assert_eq!(first.received().await, [StreamMessage::Sync(vec!["hello".to_owned()])]);
    assert_eq!(secret.received().await, [StreamMessage::Unauthorized]);

    chat.set("room", "m2", &"bye".to_owned()).await?;
    chat.update("room", "m1", Update::new().append("", "!")).await?;
    chat.send("room", "typing", &json!({"who": "Ada"})).await?;
    assert_eq!(chat.delete("room", "m2").await?, Some("bye".to_owned()));
    assert_eq!(chat.delete("room", "m2").await?, None);
    let (m1, m2) = ("m1".to_owned(), "m2".to_owned());
    let update = StreamMessage::Update { item: m1, data: "hello!".to_owned() };
    assert_eq!(
        room.received().await,
        [
            StreamMessage::Create { item: m2.clone(), data: "bye".to_owned() },
            update.clone(),
            StreamMessage::Event {
                kind: "typing".to_owned(),
                data: Payload::from(json!({"who": "Ada"}))
            },
            StreamMessage::Delete { item: m2, data: "bye".to_owned() },
        ]
    );
    assert_eq!(first.received().await, [update]);
    assert_eq!(chat.get("room", "m1").await?, Some("hello!".to_owned()));
    assert_eq!(chat.list("room").await?, ["hello!"]);
    assert_eq!(chat.list_groups().await?, ["room"]);
    room.leave().await;
    assert!(secret.received().await.is_empty());
    Ok(())
}

#[iii::test(only(double))]
async fn the_log_is_there(iii: Harness) -> iii::Result<()> {
    iii.call_raw::<()>("engine::log::info", &json!({"message": "first", "data": {"a": 1}})).await?;
    iii.advance(std::time::Duration::from_secs(1)).await;
    iii.call_raw::<()>("engine::log::error", &json!({"message": "second"})).await?;
    let logs = iii.logs().await;
    assert_eq!((logs[0].body.as_str(), logs[1].body.as_str()), ("first", "second"));
    assert_eq!((&logs[0].attributes["a"], logs[1].severity_text.as_str()), (&json!(1), "ERROR"));
    assert_eq!(logs[1].timestamp_unix_nano - logs[0].timestamp_unix_nano, 1_000_000_000);
    Ok(())
}
