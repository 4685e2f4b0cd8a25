//! Message records: the stored form of each message of a delivery queue.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use uuid::Uuid;

use super::backlog::{GroupId, QueuedMessage};
use super::settings::NamedQueue;
use crate::provider::to_payload;
use crate::store::{PendingWrite, StoreError, Table};
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, FunctionId, Namespace, Payload};

/// Memory that a message needs in addition to its record and its group, in bytes: keys, indexes and backlog entries.
/// BrokerMetrics as 510 with a million small messages, and rounded up so that the limits hold.
const OVERHEAD: usize = 640;

/// The maximum length of a stored error, in bytes.
const MAX_ERROR_BYTES: usize = 4096;

/// The stored form of a message. Times are in milliseconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MessageRecord<'a> {
    /// The sequence number among all messages.
    pub(super) seq: u64,
    /// The number of failed attempts.
    pub(super) attempts: u32,
    /// The earliest delivery.
    #[serde(default, rename = "due", skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<u64>,
    /// When the message became a dead letter.
    #[serde(default, rename = "dead", skip_serializing_if = "Option::is_none")]
    pub(super) dead_since: Option<u64>,
    /// The error of the last attempt: `code: message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Cow<'a, str>>,
    /// The function to invoke, in a named queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) function_id: Option<FunctionId>,
    /// The namespace of that function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<Namespace>,
    /// The metadata of the invocation, in a named queue.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a RawValue>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<Cow<'a, str>>,
    /// W3C baggage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) baggage: Option<Cow<'a, str>>,
    /// The data, byte for byte as it was published.
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
}

impl<'a> MessageRecord<'a> {
    /// The record of a new message.
    pub(super) fn new(data: &'a Payload) -> Self {
        Self {
            seq: 0,
            attempts: 0,
            not_before: None,
            dead_since: None,
            error: None,
            function_id: None,
            namespace: None,
            metadata: None,
            traceparent: None,
            baggage: None,
            data: data.as_raw(),
        }
    }

    /// Returns the approximate size of the message, in bytes.
    pub(super) fn estimated_size(&self) -> usize {
        self.data.get().len() + self.metadata.map_or(0, |metadata| metadata.get().len()) + OVERHEAD
    }

    /// Returns a copy without the error, for another subscriber.
    pub(super) fn copy(&self) -> MessageRecord<'_> {
        MessageRecord {
            error: None,
            function_id: self.function_id.clone(),
            namespace: self.namespace.clone(),
            traceparent: self.traceparent.as_deref().map(Cow::Borrowed),
            baggage: self.baggage.as_deref().map(Cow::Borrowed),
            ..*self
        }
    }

    /// Parses a stored record.
    ///
    /// # Errors
    ///
    /// If the JSON is not a message record.
    pub(super) fn parse(json: &'a Payload) -> Result<Self, StoreError> {
        json.parse_borrowed()
            .map_err(|error| StoreError(format!("invalid message record: {error}")))
    }

    /// Serializes the record.
    ///
    /// # Errors
    ///
    /// Code `serialization_error`. Does not occur: all parts are strings, numbers or JSON.
    pub(super) fn to_json(&self) -> Result<Payload, ErrorBody> {
        to_payload(self)
    }

    /// Sets the error of the last attempt to `code: message`, truncated to [`MAX_ERROR_BYTES`].
    pub(super) fn set_error(&mut self, error: &ErrorBody) {
        let mut text = format!("{}: {}", error.code, error.message);
        if text.len() > MAX_ERROR_BYTES {
            let end = (0..=MAX_ERROR_BYTES).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        self.error = Some(text.into());
    }
}

/// Returns the size of a message that counts against the limits, in bytes.
pub(super) fn counted_size(record: &Payload, group: Option<&str>) -> usize {
    record.as_str().len() + group.map_or(0, str::len) + OVERHEAD
}

/// Inserts a record.
///
/// # Errors
///
/// If the store cannot be written.
pub(super) fn insert(
    table: &Table,
    scope: &str,
    key: &str,
    record: &Payload,
) -> Result<PendingWrite, StoreError> {
    let changed = table.change(scope, key, &mut |_| Ok(Some(record.clone())), &mut |_| {});
    changed.map(|(_, pending)| pending)
}

/// Updates the record of a message. Does nothing if the record was removed.
///
/// # Errors
///
/// If the store cannot be written, or the record cannot be parsed.
pub(super) fn update(
    table: &Table,
    scope: &str,
    id: Uuid,
    mut update: impl FnMut(&mut MessageRecord<'_>),
) -> Result<PendingWrite, StoreError> {
    let mut update_json = |old: Option<&Payload>| {
        let Some(old) = old else { return Ok(None) };
        let mut record = MessageRecord::parse(old)?;
        update(&mut record);
        record.to_json().map(Some).map_err(|error| StoreError(error.message))
    };
    let changed = table.change(scope, &id.to_string(), &mut update_json, &mut |_| {});
    changed.map(|(_, pending)| pending)
}

/// Removes a record.
///
/// # Errors
///
/// If the store cannot be written.
pub(super) fn remove(table: &Table, scope: &str, key: &str) -> Result<PendingWrite, StoreError> {
    let changed = table.change(scope, key, &mut |_| Ok(None), &mut |_| {});
    changed.map(|(_, pending)| pending)
}

/// The part of the delivery order that the data of a message determines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct QueuePosition {
    /// The message group.
    pub(super) group: GroupId,
    /// The priority.
    pub(super) priority: u8,
}

impl QueuePosition {
    /// Reads the group and the priority of a message in a named queue from its data.
    ///
    /// # Errors
    ///
    /// Code `message_group_missing` if the queue is a FIFO queue and the data has no group.
    pub(super) fn of_data(
        queue_name: &str,
        queue: &NamedQueue,
        data: &Payload,
    ) -> Result<Self, ErrorBody> {
        let group_field = queue.message_group_field.as_deref().filter(|_| queue.policy().fifo);
        let priority = queue.max_priority.zip(queue.priority_field.as_deref());
        if group_field.is_none() && priority.is_none() {
            return Ok(Self::default());
        }
        let fields = if data.is_object() { data.fields().unwrap_or_default() } else { Vec::new() };
        let value = |name: &str| {
            let found = fields.iter().rev().find(|(field, _)| field == name);
            found.map(|(_, value)| value.get()).filter(|value| *value != "null")
        };
        let group = match group_field {
            None => None,
            Some(field) => match value(field) {
                Some(value) => Some(Arc::from(value)),
                None => {
                    return Err(ErrorBody::new(
                        code::MESSAGE_GROUP_MISSING,
                        format!(
                            "a message of the fifo queue `{queue_name}` must have its group in the field `{field}` \
                             of its data"
                        ),
                    ));
                }
            },
        };
        let priority = priority.and_then(|(max, field)| {
            let priority: i64 = value(field)?.parse().ok()?;
            u8::try_from(priority.clamp(0, i64::from(max))).ok()
        });
        Ok(Self { group, priority: priority.unwrap_or(0) })
    }
}

/// Builds the queued message of a recovered record. `now_ms` is in milliseconds since 1970.
pub(super) fn restored_message(
    id: Uuid,
    record: &MessageRecord<'_>,
    bytes: usize,
    now_ms: u64,
) -> QueuedMessage {
    let remaining = record.not_before.map(|time| time.saturating_sub(now_ms)).filter(|ms| *ms > 0);
    QueuedMessage {
        id,
        seq: record.seq,
        attempts: record.attempts,
        priority: 0,
        bytes,
        not_before: remaining.map(|ms| Instant::now() + Duration::from_millis(ms)),
        group: None,
        restored: true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::QueueKind;
    use super::*;
    use crate::broker::testing::json;

    #[test]
    fn record_keeps_the_data_verbatim_and_truncates_errors() {
        let data = json(r#"{"b":1.50,"a":[]}"#);
        let json = MessageRecord::new(&data).to_json().unwrap();
        assert_eq!(json.as_str(), r#"{"seq":0,"attempts":0,"data":{"b":1.50,"a":[]}}"#);
        let mut record = MessageRecord::parse(&json).unwrap();
        record.set_error(&ErrorBody::new("c", "ü".repeat(5000)));
        let error = record.error.unwrap();
        assert!(error.starts_with("c: ü") && error.len() <= MAX_ERROR_BYTES, "{}", error.len());
    }

    #[test]
    fn group_and_priority_are_read_from_the_data() {
        let queue = NamedQueue {
            kind: QueueKind::Fifo,
            message_group_field: Some("order".to_owned()),
            max_priority: Some(9),
            priority_field: Some("urgent".to_owned()),
            ..NamedQueue::default()
        };
        let position = |data| {
            let position = QueuePosition::of_data("q", &queue, &json(data));
            position.map(|position| (position.group.unwrap(), position.priority))
        };
        assert_eq!(position(r#"{"order":7,"urgent":3}"#).unwrap(), ("7".into(), 3));
        assert_eq!(position(r#"{"order":"7","urgent":300}"#).unwrap(), (r#""7""#.into(), 9));
        assert_eq!(position(r#"{"order":"7","urgent":"x"}"#).unwrap().1, 0);
        for data in ["1", "{}", r#"{"order":null}"#] {
            assert_eq!(position(data).unwrap_err().code, "message_group_missing");
        }
        let standard = QueuePosition::of_data("q", &NamedQueue::default(), &json("1"));
        assert_eq!(standard.unwrap(), QueuePosition::default());
    }
}
