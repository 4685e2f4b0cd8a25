//! The kind `queue`: a message of a durable topic invokes the function, at least once (protocol section 5.3).

use std::time::Duration;

use serde::Serialize;

use super::{Binding, TriggerKind, FunctionRef, id_of};

/// What a `queue` trigger is told. The function gets the message as its payload.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// The topic.
    pub topic: &'static str,
    /// Asked first; `false` skips the message.
    pub condition: Option<FunctionRef>,
    /// The order of work. Default: the engine's, which is concurrent.
    pub mode: Option<QueueMode>,
    /// How often a failed message is tried again. Default: the engine's, which is 2: three attempts.
    pub max_retries: Option<u32>,
    /// How many messages are worked on at the same time. Default: the engine's, which is 10.
    pub concurrency: Option<u32>,
    /// The pause before the first retry; it doubles with each. Default: the engine's, which is 1 s.
    pub backoff: Option<Duration>,
}

/// The order in which messages are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueMode {
    /// Several at the same time, in no order.
    Concurrent,
    /// One after the other, in order.
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
        let said = queue.mode.is_some()
            || queue.max_retries.is_some()
            || queue.concurrency.is_some()
            || backoff.is_some();
        let config = Config {
            topic: queue.topic,
            condition_function_id: id_of(&queue.condition),
            queue_config: said.then_some(queue_config),
        };
        Binding::new(TriggerKind::Queue, &config, queue.topic).with_condition(queue.condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_has_the_names_of_the_wire() {
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
