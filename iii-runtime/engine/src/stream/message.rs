//! What is told of a stream, to functions and to subscribers alike (protocol section 8.3).

use serde_json::Value;

use super::place::Place;
use iii_wire::protocol::{ErrorBody, Payload};

/// What happened.
pub(super) enum Event<'a> {
    /// An item is new.
    Create(&'a Payload),
    /// An item was replaced.
    Update(&'a Payload),
    /// An item was removed; this is what it was.
    Delete(&'a Payload),
    /// Somebody sent an event that is not kept.
    Sent {
        /// Its type.
        kind: &'a str,
        /// Its data.
        data: &'a Payload,
    },
    /// A subscription begins: these are the items, or the item, as JSON.
    Sync(&'a str),
    /// A subscription was refused; an error says why if it was not the function's decision.
    Unauthorized(Option<&'a ErrorBody>),
}

/// A message about a stream. The text is written once, whoever gets it.
#[derive(Debug)]
pub(super) struct Message {
    /// The JSON text without its last brace.
    open: String,
    /// It tells of a change of what is kept.
    pub(super) is_change: bool,
}

impl Message {
    /// Writes a message. `now` is in milliseconds since 1970.
    pub(super) fn new(now: u64, place: &Place, item: Option<&str>, event: &Event<'_>) -> Self {
        let (is_change, event) = match event {
            Event::Create(data) => (true, data_of("create", data.as_str())),
            Event::Update(data) => (true, data_of("update", data.as_str())),
            Event::Delete(data) => (true, data_of("delete", data.as_str())),
            Event::Sync(data) => (false, data_of("sync", data)),
            Event::Sent { kind, data } => {
                let inner = format!(r#"{{"type":{},"data":{}}}"#, quoted(kind), data.as_str());
                (false, format!(r#"{{"type":"event","event":{inner}}}"#))
            }
            Event::Unauthorized(None) => (false, r#"{"type":"unauthorized"}"#.to_owned()),
            Event::Unauthorized(Some(error)) => {
                let (code, message) = (quoted(&error.code), quoted(&error.message));
                let error = format!(r#"{{"code":{code},"message":{message}}}"#);
                (false, format!(r#"{{"type":"unauthorized","error":{error}}}"#))
            }
        };
        let item = item.map_or_else(|| "null".to_owned(), quoted);
        let open = format!(
            r#"{{"type":"stream","timestamp":{now},"streamName":{},"groupId":{},"id":{item},"event":{event}"#,
            quoted(&place.stream),
            quoted(&place.group),
        );
        Self { open, is_change }
    }

    /// As functions get it.
    pub(super) fn payload(&self) -> Payload {
        Payload::from_built(format!("{}}}", self.open))
    }

    /// As a subscriber gets it: it also says for which subscription it is.
    pub(super) fn text_for(&self, subscription: &str) -> String {
        format!(r#"{},"subscriptionId":{}}}"#, self.open, quoted(subscription))
    }

    /// How long it is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

fn data_of(kind: &str, data: &str) -> String {
    format!(r#"{{"type":"{kind}","data":{data}}}"#)
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
