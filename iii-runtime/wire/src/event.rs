//! Events that both sides name: the engine in its schemas, the worker in its handlers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::{FunctionId, Namespace, Payload};

/// The event of a `stream` trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamEvent<T> {
    /// When it happened, in milliseconds since the start of 1970 in UTC.
    pub timestamp: u64,
    /// The stream.
    pub stream_name: String,
    /// The group.
    pub group_id: String,
    /// The item, if the event is about one.
    pub id: Option<String>,
    /// What happened.
    pub event: StreamChange<T>,
}

impl<T> StreamEvent<T> {
    /// The event of an item, for unit tests and direct calls. It happens at the start of 1970.
    pub fn of_item(
        stream: impl Into<String>,
        group: impl Into<String>,
        item: impl Into<String>,
        event: StreamChange<T>,
    ) -> Self {
        Self {
            timestamp: 0,
            stream_name: stream.into(),
            group_id: group.into(),
            id: Some(item.into()),
            event,
        }
    }
}

/// What happened to a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StreamChange<T> {
    /// An item is new.
    Create {
        /// The item.
        data: T,
    },
    /// An item was replaced.
    Update {
        /// The item as it is now.
        data: T,
    },
    /// An item was removed.
    Delete {
        /// The item as it was.
        data: T,
    },
    /// Somebody sent an event to the group.
    Event {
        /// The event.
        event: StreamMessage,
    },
}

/// An event that somebody sent to a group of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamMessage {
    /// Its type, chosen by the sender.
    pub r#type: String,
    /// Its data.
    #[serde(default)]
    pub data: serde_json::Value,
}

/// A function, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionSummary {
    /// Its id.
    #[schemars(with = "String")]
    pub function_id: FunctionId,
    /// The partition it is in.
    #[serde(default)]
    #[schemars(with = "String")]
    pub namespace: Namespace,
    /// The worker that serves it: its name, else the first part of the function's id.
    #[serde(default)]
    pub worker_name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What its worker says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Payload>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_the_engine_are_read() {
        let read = |event: &str| -> StreamEvent<u8> {
            let text = format!(
                r#"{{"type":"stream","timestamp":1,"streamName":"chat","groupId":"room1","id":"m1","event":{event}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        assert_eq!(read(r#"{"type":"create","data":7}"#).event, StreamChange::Create { data: 7 });
        let sent = read(r#"{"type":"event","event":{"type":"typing","data":{"u":1}}}"#);
        assert!(matches!(sent.event, StreamChange::Event { event } if event.r#type == "typing"));
    }
}
