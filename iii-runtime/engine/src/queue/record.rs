//! The record of one copy of a message: what the store keeps of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use uuid::Uuid;

use super::line::Message;
use super::settings::NamedQueue;
use crate::provider::to_payload;
use crate::store::{PendingWrite, StoreError, Table};
use iii_wire::protocol::{ErrorBody, FunctionId, Namespace, Payload};

/// What a message weighs in memory beside its record and its group, in bytes: keys, indexes and places in lines. With a
/// million small messages it was 510; a little more, so that the bounds hold.
const OVERHEAD: usize = 640;

/// How much of an error is kept, in bytes.
const ERROR_BYTES: usize = 4096;

/// One copy of a message. Times are milliseconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record<'a> {
    /// Its place in time among all messages.
    pub(super) seq: u64,
    /// The failed attempts so far.
    pub(super) attempts: u32,
    /// Not before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<u64>,
    /// When it was given up, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead: Option<u64>,
    /// How the last attempt failed: code and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Cow<'a, str>>,
    /// The function to invoke, in a named queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) function_id: Option<FunctionId>,
    /// The namespace of that function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<Namespace>,
    /// The metadata of the call, in a named queue.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a RawValue>,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<Cow<'a, str>>,
    /// W3C baggage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) baggage: Option<Cow<'a, str>>,
    /// The data, as it came.
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
}

impl<'a> Record<'a> {
    /// A new message.
    pub(super) fn new(data: &'a Payload) -> Self {
        Self {
            seq: 0,
            attempts: 0,
            due: None,
            dead: None,
            error: None,
            function_id: None,
            namespace: None,
            metadata: None,
            traceparent: None,
            baggage: None,
            data: data.as_raw(),
        }
    }

    /// What it will weigh, about.
    pub(super) fn size(&self) -> usize {
        self.data.get().len() + self.metadata.map_or(0, |metadata| metadata.get().len()) + OVERHEAD
    }

    /// The same message once more.
    pub(super) fn again(&self) -> Record<'_> {
        Record {
            error: None,
            function_id: self.function_id.clone(),
            namespace: self.namespace.clone(),
            traceparent: self.traceparent.as_deref().map(Cow::Borrowed),
            baggage: self.baggage.as_deref().map(Cow::Borrowed),
            ..*self
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub(super) fn read(text: &'a Payload) -> Result<Self, StoreError> {
        text.parse_borrowed().map_err(|error| StoreError(format!("no record: {error}")))
    }

    /// The record as it is kept.
    ///
    /// # Errors
    ///
    /// Code `serialization_error`, which does not happen: all parts are text or JSON.
    pub(super) fn write(&self) -> Result<Payload, ErrorBody> {
        to_payload(self)
    }

    /// Notes how an attempt failed, as `code: message`.
    pub(super) fn failed(&mut self, error: &ErrorBody) {
        let mut text = format!("{}: {}", error.code, error.message);
        if text.len() > ERROR_BYTES {
            let end = (0..=ERROR_BYTES).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        self.error = Some(text.into());
    }
}

/// What a message counts against the bounds.
pub(super) fn weight(record: &Payload, group: Option<&str>) -> usize {
    record.as_str().len() + group.map_or(0, str::len) + OVERHEAD
}

/// Puts a new record in.
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
    let done = table.change(scope, key, &mut |_| Ok(Some(record.clone())), &mut |_| {});
    done.map(|(_, committed)| committed)
}

/// Changes a record; one that is gone stays so.
///
/// # Errors
///
/// If the store cannot be written, or the record cannot be read.
pub(super) fn update(
    table: &Table,
    scope: &str,
    id: Uuid,
    mut alter: impl FnMut(&mut Record<'_>),
) -> Result<PendingWrite, StoreError> {
    let mut decide = |old: Option<&Payload>| {
        let Some(old) = old else { return Ok(None) };
        let mut record = Record::read(old)?;
        alter(&mut record);
        record.write().map(Some).map_err(|error| StoreError(error.message))
    };
    let done = table.change(scope, &id.to_string(), &mut decide, &mut |_| {});
    done.map(|(_, committed)| committed)
}

/// Removes a record.
///
/// # Errors
///
/// If the store cannot be written.
pub(super) fn remove(table: &Table, scope: &str, key: &str) -> Result<PendingWrite, StoreError> {
    let done = table.change(scope, key, &mut |_| Ok(None), &mut |_| {});
    done.map(|(_, committed)| committed)
}

/// Where a message belongs in a named queue, by its data: its group and its priority.
///
/// # Errors
///
/// Code `message_group_missing` if a fifo cannot tell its group.
pub(super) fn place(
    name: &str,
    queue: &NamedQueue,
    data: &Payload,
) -> Result<(Option<Arc<str>>, u8), ErrorBody> {
    let group_field = queue.message_group_field.as_deref().filter(|_| queue.policy().grouped);
    let priority = queue.max_priority.zip(queue.priority_field.as_deref());
    if group_field.is_none() && priority.is_none() {
        return Ok((None, 0));
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
                    "message_group_missing",
                    format!(
                        "the queue `{name}` keeps the order of each group, and the data has no field `{field}` that \
                         names its group"
                    ),
                ));
            }
        },
    };
    let priority = priority.and_then(|(max, field)| {
        let wanted: i64 = value(field)?.parse().ok()?;
        u8::try_from(wanted.clamp(0, i64::from(max))).ok()
    });
    Ok((group, priority.unwrap_or(0)))
}

/// The message of a record that was found in the store, and when it was given up, if it was.
pub(super) fn restore(id: Uuid, record: &Record<'_>, bytes: usize, now_ms: u64) -> Message {
    let left = record.due.map(|due| due.saturating_sub(now_ms)).filter(|left| *left > 0);
    Message {
        id,
        seq: record.seq,
        attempts: record.attempts,
        priority: 0,
        bytes,
        due: left.map(|left| Instant::now() + Duration::from_millis(left)),
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
    fn a_record_keeps_the_data_as_it_came() {
        let data = json(r#"{"b":1.50,"a":[]}"#);
        let text = Record::new(&data).write().unwrap();
        assert_eq!(text.as_str(), r#"{"seq":0,"attempts":0,"data":{"b":1.50,"a":[]}}"#);
        let mut record = Record::read(&text).unwrap();
        record.failed(&ErrorBody::new("c", "ü".repeat(5000)));
        let error = record.error.unwrap();
        assert!(error.starts_with("c: ü") && error.len() <= ERROR_BYTES, "{}", error.len());
    }

    #[test]
    fn group_and_priority_come_from_the_data() {
        let queue = NamedQueue {
            kind: QueueKind::Fifo,
            message_group_field: Some("order".to_owned()),
            max_priority: Some(9),
            priority_field: Some("urgent".to_owned()),
            ..NamedQueue::default()
        };
        let of = |data| place("q", &queue, &json(data)).map(|(group, n)| (group.unwrap(), n));
        assert_eq!(of(r#"{"order":7,"urgent":3}"#).unwrap(), ("7".into(), 3));
        assert_eq!(of(r#"{"order":"7","urgent":300}"#).unwrap(), (r#""7""#.into(), 9));
        assert_eq!(of(r#"{"order":"7","urgent":"x"}"#).unwrap().1, 0);
        for data in ["1", "{}", r#"{"order":null}"#] {
            assert_eq!(of(data).unwrap_err().code, "message_group_missing");
        }
        let plain = NamedQueue::default();
        assert_eq!(place("q", &plain, &json("1")).unwrap(), (None, 0));
    }
}
