//! Tests of what subscribers receive.

use iii::testing::StreamMessage;

use super::*;

fn said(room: &str, text: &str) -> Said {
    Said { room: room.into(), from: "Ada".into(), text: text.into() }
}

#[iii::test]
async fn subscribers_receive_the_messages_of_their_room(iii: Harness) {
    iii.call::<say>(said("lobby", "hello")).await.unwrap();
    let mut lobby = iii.subscribe::<Message>("chat", "lobby").await;
    let hello = Message { number: 1, from: "Ada".into(), text: "hello".into() };
    assert_eq!(lobby.received().await, [StreamMessage::Sync(vec![hello])]);

    #[derive(Serialize)]
    struct Body {
        from: &'static str,
        text: &'static str,
    }
    let body = Body { from: "Bob", text: "hi" };
    assert_eq!(iii.http().post("/rooms/lobby").json(&body).send().await.status(), 201);
    iii.call::<typing>(Typing { room: "lobby".into(), who: "Ada".into() }).await.unwrap();
    iii.call::<say>(said("kitchen", "is there tea?")).await.unwrap();
    let heard = lobby.received().await;
    let hi = Message { number: 2, from: "Bob".into(), text: "hi".into() };
    assert_eq!(heard[0], StreamMessage::Create { item: "m000002".into(), data: hi });
    assert!(matches!(&heard[1], StreamMessage::Event { kind, .. } if kind == "typing"));
    assert_eq!(heard.len(), 2, "nothing from the kitchen");
}

#[iii::test]
async fn the_robot_replies_once(iii: Harness) {
    let mut lobby = iii.subscribe::<Message>("chat", "lobby").await;
    iii.call::<say>(said("lobby", "robot, who are you?")).await.unwrap();
    let heard = lobby.received().await;
    assert_eq!(heard.len(), 3, "the snapshot, the question and the reply: {heard:?}");
    let messages = iii.stream::<Message>("chat").list("lobby").await.unwrap();
    assert_eq!(messages[1].text, "I am only a robot, Ada.");
    assert_eq!(iii.calls::<robot>().await.len(), 2);
}

#[iii::test]
async fn private_rooms_reject_subscribers(iii: Harness) {
    let mut room = iii.subscribe::<Message>("chat", "private-1").await;
    assert_eq!(room.next().await, Some(StreamMessage::Unauthorized));
    iii.call::<say>(said("private-1", "nobody hears this")).await.unwrap();
    assert!(room.received().await.is_empty());
}
