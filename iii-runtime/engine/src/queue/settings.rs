//! How named queues work on their messages: settings and their defaults. How much all queues may keep is in
//! [`QueueLimits`](crate::QueueLimits).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::policy::{Growth, Policy};

/// The queue that is always there.
pub(crate) const DEFAULT_QUEUE: &str = "default";
/// Attempts of a message whose settings do not say how many, and of a subscriber likewise.
pub(super) const ATTEMPTS: u32 = 3;
/// Messages that are worked on at the same time, where the settings do not say how many.
pub(super) const CONCURRENCY: usize = 10;
/// The pause before the first retry, in milliseconds, where the settings do not say how long.
pub(super) const BACKOFF_MS: u64 = 1000;
/// How long the name of a topic may be, in bytes.
pub(super) const NAME_BYTES: usize = 1024;

/// The settings of all queues.
#[derive(Debug, Clone)]
pub(crate) struct QueueSettings {
    /// The named queues. `default` is added if it is not among them.
    pub(crate) queues: BTreeMap<String, NamedQueue>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { queues: BTreeMap::from([(DEFAULT_QUEUE.to_owned(), NamedQueue::default())]) }
    }
}

impl QueueSettings {
    /// Looks for settings that cannot work.
    ///
    /// # Errors
    ///
    /// The first one, in words for whoever wrote it.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, queue) in &self.queues {
            let no_group = queue.message_group_field.as_ref().is_none_or(|field| field.is_empty());
            if name.is_empty() || name.len() > NAME_BYTES {
                return Err(format!("the name of a queue has 1 to {NAME_BYTES} bytes: `{name}`"));
            }
            if queue.kind == QueueKind::Fifo && no_group {
                return Err(format!(
                    "the queue `{name}` is a fifo, so it needs `message_group_field`"
                ));
            }
            if queue.concurrency == 0 {
                return Err(format!("the `concurrency` of the queue `{name}` must be at least 1"));
            }
            if queue.max_retries == 0 {
                return Err(format!("the `max_retries` of the queue `{name}` must be at least 1"));
            }
            if queue.max_priority.is_some() != queue.priority_field.is_some() {
                return Err(format!(
                    "the queue `{name}` needs both `max_priority` and `priority_field`, or neither"
                ));
            }
        }
        Ok(())
    }
}

/// The order in which a named queue works on its messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// Several messages at the same time, begun in their order.
    #[default]
    Standard,
    /// The messages of a group one after the other, groups beside each other.
    Fifo,
}

/// How a named queue works on its messages (protocol sections 5.4 and 11.3).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamedQueue {
    /// The order of work. Default `standard`.
    #[serde(rename = "type")]
    pub kind: QueueKind,
    /// How often a message is tried in all. Default 3.
    pub max_retries: u32,
    /// How many messages, of a fifo how many groups, are worked on at the same time. Default 10.
    pub concurrency: usize,
    /// The field of the data whose value is the group of a message. A fifo needs it.
    pub message_group_field: Option<String>,
    /// The highest priority, 1 to 255. Needs `priority_field`.
    pub max_priority: Option<u8>,
    /// The field of the data whose value is the priority of a message: a whole number, the highest first.
    pub priority_field: Option<String>,
    /// The pause before the first retry, in milliseconds; it doubles with each. Default 1000.
    pub backoff_ms: u64,
    /// Read for files that have it. Nothing is polled here.
    pub poll_interval_ms: Option<u64>,
}

impl Default for NamedQueue {
    fn default() -> Self {
        Self {
            kind: QueueKind::Standard,
            max_retries: ATTEMPTS,
            concurrency: CONCURRENCY,
            message_group_field: None,
            max_priority: None,
            priority_field: None,
            backoff_ms: BACKOFF_MS,
            poll_interval_ms: None,
        }
    }
}

impl NamedQueue {
    /// How its messages are worked on.
    pub(super) fn policy(&self) -> Policy {
        Policy {
            grouped: self.kind == QueueKind::Fifo,
            concurrency: self.concurrency.max(1),
            attempts: self.max_retries.max(1),
            backoff: Duration::from_millis(self.backoff_ms),
            growth: Growth::Exponential,
            limit: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_found() {
        let fifo = NamedQueue { kind: QueueKind::Fifo, ..NamedQueue::default() };
        let none = NamedQueue { concurrency: 0, ..NamedQueue::default() };
        let never = NamedQueue { max_retries: 0, ..NamedQueue::default() };
        let half = NamedQueue { max_priority: Some(5), ..NamedQueue::default() };
        for (queue, word) in [
            (fifo, "message_group_field"),
            (none, "concurrency"),
            (never, "max_retries"),
            (half, "priority_field"),
        ] {
            let queues = BTreeMap::from([("jobs".to_owned(), queue)]);
            let error = QueueSettings { queues }.check().unwrap_err();
            assert!(error.contains("`jobs`") && error.contains(word), "{error}");
        }
        QueueSettings::default().check().unwrap();
    }

    #[test]
    fn a_named_queue_has_the_keys_of_the_file() {
        let text = r#"{"type":"fifo","max_retries":2,"concurrency":2,"message_group_field":"order_id",
            "max_priority":9,"priority_field":"urgent","backoff_ms":200,"poll_interval_ms":50}"#;
        let queue: NamedQueue = serde_json::from_str(text).unwrap();
        assert_eq!((queue.kind, queue.max_retries, queue.backoff_ms), (QueueKind::Fifo, 2, 200));
        assert!(serde_json::from_str::<NamedQueue>(r#"{"retries":1}"#).is_err());
        let queue: NamedQueue = serde_json::from_str("{}").unwrap();
        assert_eq!(queue, NamedQueue::default());
    }
}
