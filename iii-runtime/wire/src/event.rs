//! Events that both the engine, in its schemas, and the worker, in its handlers, name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::{FunctionId, Namespace, Payload};

/// The event of a `stream` trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamEvent<T> {
    /// When it happened, in milliseconds since the Unix epoch.
    pub timestamp: u64,
    /// The stream.
    pub stream_name: String,
    /// The group.
    pub group_id: String,
    /// The item, for events about one item.
    pub id: Option<String>,
    /// The change.
    pub event: StreamChange<T>,
}

impl<T> StreamEvent<T> {
    /// Creates the event of an item with the timestamp 0, for unit tests and direct calls.
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

/// A change of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum StreamChange<T> {
    /// An item was created.
    Create {
        /// The item.
        data: T,
    },
    /// An item was replaced.
    Update {
        /// The new value of the item.
        data: T,
    },
    /// An item was removed.
    Delete {
        /// The last value of the item.
        data: T,
    },
    /// An event was sent to the group.
    Event {
        /// The event.
        event: StreamMessage,
    },
}

/// An event that was sent to a group of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamMessage {
    /// Its type, chosen by the sender.
    pub r#type: String,
    /// The data.
    #[serde(default)]
    pub data: serde_json::Value,
}

/// A function as listed by the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionSummary {
    /// The id of the function.
    #[schemars(with = "String")]
    pub function_id: FunctionId,
    /// Its namespace.
    #[serde(default)]
    #[schemars(with = "String")]
    pub namespace: Namespace,
    /// The name of the worker that serves it, or the first segment of the function id if the worker has no name.
    #[serde(default)]
    pub worker_name: String,
    /// What the function does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The metadata that its worker registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Payload>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_deserialized() {
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
