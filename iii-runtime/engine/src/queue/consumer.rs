//! Consumers of a delivery queue: triggers that are subscribed to a topic, and the consumer of a named queue.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::policy::{BackoffKind, DeliveryPolicy};
use super::settings::{DEFAULT_ATTEMPTS, DEFAULT_BACKOFF_MS, DEFAULT_CONCURRENCY, MAX_NAME_BYTES};
use crate::condition::ConditionalBinding;
use crate::provider::{Binding, refused};
use crate::store::json_string;
use iii_wire::protocol::{ErrorBody, Payload};

/// The metadata key that only workers of this project set.
const TRIGGER_METADATA_KEY: &str = "iii:trigger";

/// Configuration of a `durable:subscriber` trigger.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct SubscriberConfig {
    /// The topic. Matched exactly.
    topic: Option<String>,
    /// A function that is called first; `false` skips the message.
    condition_function_id: Option<String>,
    /// How messages are delivered.
    queue_config: Option<QueueConfig>,
}

/// How messages are delivered.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct QueueConfig {
    /// `fifo`: delivers one message at a time, in order; a redelivery holds back later messages. Any other value: delivers
    /// messages concurrently.
    r#type: Option<String>,
    /// The maximum number of redeliveries of a failed message. Default 2.
    max_retries: Option<u32>,
    /// The maximum number of messages in flight. Default 10.
    concurrency: Option<usize>,
    /// The delay before the first redelivery, in milliseconds. Default 1000.
    backoff_delay_ms: Option<u64>,
    /// `exponential`: the delay doubles with each redelivery, the default. `fixed`: it stays constant.
    backoff_type: Option<String>,
    /// The delay between publication and delivery, in seconds. Default 0.
    delay_seconds: Option<u64>,
    /// The time after which an unacknowledged attempt has failed, in seconds. Default: unlimited.
    visibility_timeout: Option<u64>,
    /// Rejected: messages of a topic have no priority. Messages of named queues do.
    max_priority: Option<u64>,
}

/// A consumer of a delivery queue.
#[derive(Debug)]
pub(super) struct Consumer {
    /// How messages are delivered.
    pub(super) policy: DeliveryPolicy,
    /// The subscribed trigger; `None` for a named queue, whose messages specify the function.
    pub(super) subscription: Option<TopicSubscription>,
}

/// A trigger that is subscribed to a topic.
#[derive(Debug)]
pub(super) struct TopicSubscription {
    /// The trigger and its condition.
    pub(super) trigger: ConditionalBinding,
    /// The delay between publication and delivery.
    delay: Duration,
    /// The JSON that follows the `attempt` field in the metadata; `None` if the metadata gets no such field.
    metadata_suffix: Option<String>,
}

impl Consumer {
    /// Parses the config of a trigger. Returns the topic and the consumer, which has at most `max_concurrency` messages in
    /// flight.
    ///
    /// # Errors
    ///
    /// Code `trigger_registration_failed` if the config is invalid.
    pub(super) fn from_binding(
        binding: &Arc<Binding>,
        max_concurrency: usize,
    ) -> Result<(String, Self), ErrorBody> {
        let config: SubscriberConfig = binding.config()?;
        let kind = &binding.trigger_type;
        let topic = config.topic.filter(|topic| !topic.is_empty());
        let topic = topic.ok_or_else(|| refused(format!("a `{kind}` trigger requires `topic`")))?;
        if topic.len() > MAX_NAME_BYTES {
            return Err(refused(format!("a topic must have at most {MAX_NAME_BYTES} bytes")));
        }
        let queue_config = config.queue_config.unwrap_or_default();
        let subscription = TopicSubscription {
            trigger: ConditionalBinding::new(binding, config.condition_function_id),
            delay: Duration::from_secs(queue_config.delay_seconds.unwrap_or(0)),
            metadata_suffix: binding.metadata.as_ref().and_then(metadata_suffix),
        };
        let policy = queue_config.policy(max_concurrency)?;
        Ok((topic, Self { policy, subscription: Some(subscription) }))
    }

    /// Returns the delay between publication and delivery.
    pub(super) fn delivery_delay(&self) -> Duration {
        self.subscription.as_ref().map_or(Duration::ZERO, |subscription| subscription.delay)
    }
}

impl QueueConfig {
    fn policy(&self, max_concurrency: usize) -> Result<DeliveryPolicy, ErrorBody> {
        let backoff_kind = match self.backoff_type.as_deref() {
            None | Some("exponential") => BackoffKind::Exponential,
            Some("fixed") => BackoffKind::Fixed,
            Some(other) => {
                return Err(refused(format!(
                    "`backoffType` must be `exponential` or `fixed`, not `{other}`"
                )));
            }
        };
        if self.max_priority.is_some() {
            return Err(refused(
                "messages of a topic have no priority: remove `maxPriority`, or use a named queue with `max_priority` \
                 and `priority_field`",
            ));
        }
        if self.concurrency == Some(0) || self.visibility_timeout == Some(0) {
            return Err(refused("`concurrency` and `visibilityTimeout` must be at least 1"));
        }
        let max_attempts = self.max_retries.map(|retries| retries.saturating_add(1));
        Ok(DeliveryPolicy {
            fifo: self.r#type.as_deref() == Some("fifo"),
            concurrency: self.concurrency.unwrap_or(DEFAULT_CONCURRENCY).min(max_concurrency),
            max_attempts: max_attempts.unwrap_or(DEFAULT_ATTEMPTS),
            backoff: Duration::from_millis(self.backoff_delay_ms.unwrap_or(DEFAULT_BACKOFF_MS)),
            backoff_kind,
            attempt_timeout: self.visibility_timeout.map(Duration::from_secs),
        })
    }
}

impl TopicSubscription {
    /// Returns the metadata of the trigger. Metadata of a worker of this project gets the number of the attempt.
    pub(super) fn metadata(&self, attempt: u32) -> Option<Payload> {
        match &self.metadata_suffix {
            Some(suffix) => Some(Payload::from_built(format!(r#"{{"attempt":{attempt},{suffix}"#))),
            None => self.trigger.binding.metadata.clone(),
        }
    }
}

/// Returns the JSON of the fields of metadata that has the key [`TRIGGER_METADATA_KEY`], up to the closing brace.
fn metadata_suffix(metadata: &Payload) -> Option<String> {
    if !metadata.is_object() {
        return None;
    }
    let fields = metadata.fields().ok()?;
    if !fields.iter().any(|(name, _)| name == TRIGGER_METADATA_KEY) {
        return None;
    }
    let fields: Vec<String> = fields
        .iter()
        .filter(|(name, _)| name != "attempt")
        .map(|(name, value)| format!("{}:{}", json_string(name), value.get()))
        .collect();
    Some(format!("{}}}", fields.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::json;

    fn binding(config: &str, metadata: &str) -> Arc<Binding> {
        Arc::new(Binding {
            id: "t".into(),
            trigger_type: "queue".into(),
            function_id: "f".into(),
            namespace: "default".into(),
            config: json(config),
            metadata: Some(json(metadata)),
            home: "default".into(),
            provider_namespace: None,
            owner: None,
        })
    }

    #[test]
    fn attempt_is_added_only_to_metadata_of_our_own_workers() {
        let delivered = |metadata| {
            let binding = binding(r#"{"topic":"t"}"#, metadata);
            let (_, consumer) = Consumer::from_binding(&binding, 100).unwrap();
            consumer.subscription.unwrap().metadata(2).unwrap().as_str().to_owned()
        };
        let metadata =
            r#"{"iii:trigger":{"type":"queue","id":"t"},"value":{"a":1.50},"attempt":9}"#;
        assert_eq!(
            delivered(metadata),
            r#"{"attempt":2,"iii:trigger":{"type":"queue","id":"t"},"value":{"a":1.50}}"#
        );
        for other in [r#"{"a":{"iii:trigger":1}}"#, "[1]", r#""iii:trigger""#, "{}"] {
            assert_eq!(delivered(other), other);
        }
    }

    #[test]
    fn config_has_defaults_and_is_validated() {
        let parse = |config| Consumer::from_binding(&binding(config, "{}"), 100);
        let (topic, consumer) = parse(r#"{"topic":"t","queue_config":null}"#).unwrap();
        let policy = consumer.policy;
        assert_eq!((topic.as_str(), policy.max_attempts, policy.concurrency), ("t", 3, 10));
        assert_eq!((policy.backoff, policy.fifo), (Duration::from_secs(1), false));
        let (_, consumer) = parse(
            r#"{"topic":"t","queue_config":{"type":"fifo","maxRetries":0,"concurrency":5,"backoffDelayMs":7,
                "backoffType":"fixed","delaySeconds":3,"visibilityTimeout":4,"other":1}}"#,
        )
        .unwrap();
        assert_eq!(consumer.delivery_delay(), Duration::from_secs(3));
        let policy = consumer.policy;
        assert_eq!((policy.max_attempts, policy.fifo), (1, true));
        assert_eq!(policy.backoff_kind, BackoffKind::Fixed);
        assert_eq!(policy.attempt_timeout, Some(Duration::from_secs(4)));
        for (config, word) in [
            ("{}", "topic"),
            (r#"{"topic":""}"#, "topic"),
            (r#"{"topic":5}"#, "is invalid"),
            (r#"{"topic":"t","queue_config":{"maxPriority":1}}"#, "maxPriority"),
            (r#"{"topic":"t","queue_config":{"backoffType":"odd"}}"#, "backoffType"),
            (r#"{"topic":"t","queue_config":{"concurrency":0}}"#, "concurrency"),
        ] {
            let error = parse(config).unwrap_err();
            assert_eq!(error.code, "trigger_registration_failed");
            assert!(error.message.contains(word), "{config}: {error}");
        }
    }
}
