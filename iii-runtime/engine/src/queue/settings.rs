//! Settings of named queues and their defaults; [`QueueLimits`](crate::QueueLimits) has the limits of all queues.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::policy::{BackoffKind, DeliveryPolicy};

/// The named queue that always exists.
pub(crate) const DEFAULT_QUEUE: &str = "default";
/// The default number of delivery attempts of named queues and subscribers.
pub(super) const DEFAULT_ATTEMPTS: u32 = 3;
/// The default number of messages in flight.
pub(super) const DEFAULT_CONCURRENCY: usize = 10;
/// The default delay before the first redelivery, in milliseconds.
pub(super) const DEFAULT_BACKOFF_MS: u64 = 1000;
/// The maximum length of the name of a topic or queue, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 1024;

/// The settings of all queues.
#[derive(Debug, Clone)]
pub(crate) struct QueueSettings {
    /// The named queues. `default` is added if it is missing.
    pub(crate) queues: BTreeMap<String, NamedQueue>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { queues: BTreeMap::from([(DEFAULT_QUEUE.to_owned(), NamedQueue::default())]) }
    }
}

impl QueueSettings {
    /// Validates the settings.
    ///
    /// # Errors
    ///
    /// Describes the first invalid setting.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (name, queue) in &self.queues {
            let no_group = queue.message_group_field.as_ref().is_none_or(|field| field.is_empty());
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                return Err(format!(
                    "the name of a queue must have 1 to {MAX_NAME_BYTES} bytes: `{name}`"
                ));
            }
            if queue.kind == QueueKind::Fifo && no_group {
                return Err(format!("the fifo queue `{name}` requires `message_group_field`"));
            }
            if queue.concurrency == 0 {
                return Err(format!("the `concurrency` of the queue `{name}` must be at least 1"));
            }
            if queue.max_retries == 0 {
                return Err(format!("the `max_retries` of the queue `{name}` must be at least 1"));
            }
            if queue.max_priority.is_some() != queue.priority_field.is_some() {
                return Err(format!(
                    "the queue `{name}` requires both `max_priority` and `priority_field`, or neither"
                ));
            }
        }
        Ok(())
    }
}

/// The ordering of a named queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// Deliveries start in order and run concurrently.
    #[default]
    Standard,
    /// Delivers the messages of a group one at a time; groups run concurrently.
    Fifo,
}

/// The settings of a named queue ([protocol 5.4](iii_wire::protocol#s5-4), [11.3](iii_wire::protocol#s11-3)).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamedQueue {
    /// The ordering. Default `standard`.
    #[serde(rename = "type")]
    pub kind: QueueKind,
    /// The total number of delivery attempts of a message. Default 3.
    pub max_retries: u32,
    /// The maximum number of messages in flight; of a FIFO queue, of groups. Default 10.
    pub concurrency: usize,
    /// The field of the data that holds the group of a message. Required for a FIFO queue.
    pub message_group_field: Option<String>,
    /// The highest priority, 1 to 255. Requires `priority_field`.
    pub max_priority: Option<u8>,
    /// The field of the data that holds the priority of a message, an integer. Higher priorities are delivered first.
    pub priority_field: Option<String>,
    /// The delay before the first redelivery, in milliseconds. Doubles with each attempt. Default 1000.
    pub backoff_ms: u64,
    /// Accepted for compatibility with existing files and ignored: this engine does not poll.
    pub poll_interval_ms: Option<u64>,
}

impl Default for NamedQueue {
    fn default() -> Self {
        Self {
            kind: QueueKind::Standard,
            max_retries: DEFAULT_ATTEMPTS,
            concurrency: DEFAULT_CONCURRENCY,
            message_group_field: None,
            max_priority: None,
            priority_field: None,
            backoff_ms: DEFAULT_BACKOFF_MS,
            poll_interval_ms: None,
        }
    }
}

impl NamedQueue {
    /// Returns the delivery policy of the queue.
    pub(super) fn policy(&self) -> DeliveryPolicy {
        DeliveryPolicy {
            fifo: self.kind == QueueKind::Fifo,
            concurrency: self.concurrency.max(1),
            max_attempts: self.max_retries.max(1),
            backoff: Duration::from_millis(self.backoff_ms),
            backoff_kind: BackoffKind::Exponential,
            attempt_timeout: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_settings_are_rejected() {
        let ungrouped_fifo = NamedQueue { kind: QueueKind::Fifo, ..NamedQueue::default() };
        let no_concurrency = NamedQueue { concurrency: 0, ..NamedQueue::default() };
        let no_attempts = NamedQueue { max_retries: 0, ..NamedQueue::default() };
        let no_priority_field = NamedQueue { max_priority: Some(5), ..NamedQueue::default() };
        for (queue, word) in [
            (ungrouped_fifo, "message_group_field"),
            (no_concurrency, "concurrency"),
            (no_attempts, "max_retries"),
            (no_priority_field, "priority_field"),
        ] {
            let queues = BTreeMap::from([("jobs".to_owned(), queue)]);
            let error = QueueSettings { queues }.check().unwrap_err();
            assert!(error.contains("`jobs`") && error.contains(word), "{error}");
        }
        QueueSettings::default().check().unwrap();
    }

    #[test]
    fn named_queue_deserializes_from_the_keys_of_the_file() {
        let text = r#"{"type":"fifo","max_retries":2,"concurrency":2,"message_group_field":"order_id",
            "max_priority":9,"priority_field":"urgent","backoff_ms":200,"poll_interval_ms":50}"#;
        let queue: NamedQueue = serde_json::from_str(text).unwrap();
        assert_eq!((queue.kind, queue.max_retries, queue.backoff_ms), (QueueKind::Fifo, 2, 200));
        assert!(serde_json::from_str::<NamedQueue>(r#"{"retries":1}"#).is_err());
        let queue: NamedQueue = serde_json::from_str("{}").unwrap();
        assert_eq!(queue, NamedQueue::default());
    }
}
