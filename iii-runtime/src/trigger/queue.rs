//! The kind `queue`: a message of a durable topic invokes the function at least once ([protocol 5.3](crate::protocol#s5-3)).

use std::time::Duration;

use serde::Serialize;

use super::{Binding, FunctionRef, TriggerKind, condition_id};

/// Configuration of a `queue` trigger. The payload of the function is the message.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// The topic.
    pub topic: &'static str,
    /// Evaluated first; `false` skips the message.
    pub condition: Option<FunctionRef>,
    /// The processing order. Default: that of the engine, which is concurrent.
    pub mode: Option<QueueMode>,
    /// The maximum number of retries of a failed message. Default: that of the engine, which is 2, so three attempts.
    pub max_retries: Option<u32>,
    /// The maximum number of messages in flight. Default: that of the engine, which is 10.
    pub concurrency: Option<u32>,
    /// The delay before the first retry, doubled for each further one. Default: that of the engine, which is 1 s.
    pub backoff: Option<Duration>,
}

/// The order in which messages are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueMode {
    /// Concurrently, without an order.
    Concurrent,
    /// One at a time, in order.
    Fifo,
}

impl From<Queue> for Binding {
    fn from(queue: Queue) -> Self {
        #[derive(Serialize)]
        struct Config<'a> {
            topic: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            condition_function_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            queue_config: Option<QueueConfig>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct QueueConfig {
            #[serde(skip_serializing_if = "Option::is_none")]
            r#type: Option<QueueMode>,
            #[serde(skip_serializing_if = "Option::is_none")]
            max_retries: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            concurrency: Option<u32>,
            #[serde(skip_serializing_if = "Option::is_none")]
            backoff_delay_ms: Option<u64>,
        }
        let backoff = queue.backoff.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        let queue_config = QueueConfig {
            r#type: queue.mode,
            max_retries: queue.max_retries,
            concurrency: queue.concurrency,
            backoff_delay_ms: backoff,
        };
        let has_queue_config = queue.mode.is_some()
            || queue.max_retries.is_some()
            || queue.concurrency.is_some()
            || backoff.is_some();
        let config = Config {
            topic: queue.topic,
            condition_function_id: condition_id(&queue.condition),
            queue_config: has_queue_config.then_some(queue_config),
        };
        Binding::new(TriggerKind::Queue, &config, queue.topic).with_condition(queue.condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_has_the_wire_format() {
        let plain = Binding::from(Queue { topic: "t", ..Queue::default() });
        assert_eq!(plain.config.as_str(), r#"{"topic":"t"}"#);
        let full = Binding::from(Queue {
            topic: "t",
            mode: Some(QueueMode::Fifo),
            max_retries: Some(3),
            concurrency: Some(5),
            backoff: Some(Duration::from_secs(1)),
            condition: None,
        });
        assert_eq!(
            full.config.as_str(),
            r#"{"topic":"t","queue_config":{"type":"fifo","maxRetries":3,"concurrency":5,"backoffDelayMs":1000}}"#
        );
    }
}
