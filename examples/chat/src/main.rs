//! A chat over a stream: messages are its items, rooms are its groups, and private rooms reject subscribers.
//!
//! `cargo run -p chat` serves subscribers on port 3112, and accepts messages over HTTP:
//!
//! ```sh
//! curl -d '{"from":"Ada","text":"hello"}' localhost:3111/rooms/lobby
//! ```

#[cfg(test)]
mod tests;

use iii::Update;
use iii::prelude::*;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Said {
    /// The room; a path parameter over HTTP.
    room: String,
    from: String,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Message {
    number: u64,
    from: String,
    text: String,
}

/// Posts a message to a room.
#[iii::function(id = "chat::say")]
#[iii::trigger(http, method = "POST", path = "/rooms/:room")]
async fn say(said: Said, client: Client) -> iii::Result<Created<Message>> {
    let count = client.state::<u64>("chat.count");
    let count = count.update(&said.room, Update::new().increment("", 1)).await?;
    let number = count.new_value.unwrap_or(1);
    let message = Message { number, from: said.from, text: said.text };
    client.stream("chat").set(&said.room, &format!("m{number:06}"), &message).await?;
    Ok(Created(message))
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Typing {
    room: String,
    who: String,
}

/// Notifies a room that somebody is typing. The event is not stored.
#[iii::function(id = "chat::typing")]
#[iii::trigger(http, method = "POST", path = "/rooms/:room/typing")]
async fn typing(typing: Typing, client: Client) -> iii::Result<()> {
    client.stream::<Message>("chat").send(&typing.room, "typing", &typing.who).await
}

/// Replies to messages that address the robot.
#[iii::function(id = "chat::robot")]
#[iii::trigger(stream, name = "chat")]
async fn robot(event: StreamEvent<Message>, client: Client) -> iii::Result<()> {
    if let StreamChange::Create { data } = event.event
        && data.text.starts_with("robot, ")
    {
        let text = format!("I am only a robot, {}.", data.from);
        client.send::<say>(Said { room: event.group_id, from: "robot".into(), text }).await?;
    }
    Ok(())
}

/// A subscription request.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Joining {
    stream_name: String,
    group_id: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Verdict {
    unauthorized: bool,
}

/// Rejects subscriptions to private rooms.
#[iii::function(id = "chat::admit")]
#[iii::trigger("stream:join", config = ())]
async fn admit(joining: Joining) -> Verdict {
    Verdict { unauthorized: joining.group_id.starts_with("private-") }
}

#[iii::main]
async fn main() {}
