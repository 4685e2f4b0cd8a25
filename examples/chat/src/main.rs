//! A chat: messages are items of a stream, rooms are its groups, and whoever is subscribed to a room hears of each
//! message at once. A gate keeps strangers out of private rooms.
//!
//! `cargo run -p chat` serves subscribers on port 3112, and takes messages over HTTP:
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
    /// The room; from HTTP, the path has it.
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

/// Says something in a room.
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

/// Tells a room that somebody is typing. Nothing is kept of it.
#[iii::function(id = "chat::typing")]
#[iii::trigger(http, method = "POST", path = "/rooms/:room/typing")]
async fn typing(typing: Typing, client: Client) -> iii::Result<()> {
    client.stream::<Message>("chat").send(&typing.room, "typing", &typing.who).await
}

/// Answers whoever asks the robot.
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

/// Who wants to hear what.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Joining {
    stream_name: String,
    group_id: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Verdict {
    unauthorized: bool,
}

/// Keeps everybody out of private rooms.
#[iii::function(id = "chat::admit")]
#[iii::trigger("stream:join", config = ())]
async fn admit(joining: Joining) -> Verdict {
    Verdict { unauthorized: joining.group_id.starts_with("private-") }
}

#[iii::main]
async fn main() {}
