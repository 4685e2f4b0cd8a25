//! Messages of a stream, as functions and subscribers receive them ([protocol 8.3](iii_wire::protocol#s8-3)).

use super::group::StreamGroup;
use crate::store::json_string;
use iii_wire::protocol::{ErrorBody, Payload};

/// The event that a message reports.
pub(super) enum MessageEvent<'a> {
    /// An item was created.
    Create(&'a Payload),
    /// An item was replaced.
    Update(&'a Payload),
    /// An item was removed; this is its last value.
    Delete(&'a Payload),
    /// A custom event of `stream::send`, which is not stored.
    Custom {
        /// The type of the event.
        event_type: &'a str,
        /// The data of the event.
        data: &'a Payload,
    },
    /// The snapshot at the start of a subscription: the items, or the item, as JSON.
    Sync(&'a str),
    /// A subscription was rejected. The error is absent if a `stream:join` function rejected it.
    Unauthorized(Option<&'a ErrorBody>),
}

/// A message of a stream. The JSON is built once for all recipients.
#[derive(Debug)]
pub(super) struct StreamMessage {
    /// The JSON without its closing brace.
    json_prefix: String,
    /// Whether the message reports a change of stored items.
    pub(super) is_change: bool,
}

impl StreamMessage {
    /// Builds a message. `now_ms` is in milliseconds since 1970.
    pub(super) fn new(
        now_ms: u64,
        group: &StreamGroup,
        item: Option<&str>,
        event: &MessageEvent<'_>,
    ) -> Self {
        let (is_change, event) = match event {
            MessageEvent::Create(data) => (true, event_json("create", data.as_str())),
            MessageEvent::Update(data) => (true, event_json("update", data.as_str())),
            MessageEvent::Delete(data) => (true, event_json("delete", data.as_str())),
            MessageEvent::Sync(data) => (false, event_json("sync", data)),
            MessageEvent::Custom { event_type, data } => {
                let (event_type, data) = (json_string(event_type), data.as_str());
                let inner = format!(r#"{{"type":{event_type},"data":{data}}}"#);
                (false, format!(r#"{{"type":"event","event":{inner}}}"#))
            }
            MessageEvent::Unauthorized(None) => (false, r#"{"type":"unauthorized"}"#.to_owned()),
            MessageEvent::Unauthorized(Some(error)) => {
                let (code, message) = (json_string(&error.code), json_string(&error.message));
                let error = format!(r#"{{"code":{code},"message":{message}}}"#);
                (false, format!(r#"{{"type":"unauthorized","error":{error}}}"#))
            }
        };
        let item = item.map_or_else(|| "null".to_owned(), json_string);
        let json_prefix = format!(
            r#"{{"type":"stream","timestamp":{now_ms},"streamName":{},"groupId":{},"id":{item},"event":{event}"#,
            json_string(&group.stream),
            json_string(&group.group),
        );
        Self { json_prefix, is_change }
    }

    /// Returns the payload for functions.
    pub(super) fn payload(&self) -> Payload {
        Payload::from_built(format!("{}}}", self.json_prefix))
    }

    /// Returns the JSON for a subscriber, which also names the subscription.
    pub(super) fn json_for(&self, subscription: &str) -> String {
        format!(r#"{},"subscriptionId":{}}}"#, self.json_prefix, json_string(subscription))
    }

    /// Returns the size of the message, in bytes.
    pub(super) fn len(&self) -> usize {
        self.json_prefix.len()
    }
}

fn event_json(event_type: &str, data: &str) -> String {
    format!(r#"{{"type":"{event_type}","data":{data}}}"#)
}
