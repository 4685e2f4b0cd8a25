//! Who works on messages: a subscription with its config, or the workers of a named queue.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::policy::{Growth, Policy};
use super::settings::{ATTEMPTS, BACKOFF_MS, CONCURRENCY, NAME_BYTES};
use crate::condition::Condition;
use crate::provider::{Binding, refused};
use iii_wire::protocol::{ErrorBody, Payload};

/// The key that tells the metadata of our own workers from that of others.
const MARK: &str = "iii:trigger";

/// The config of a `durable:subscriber` binding.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct SubscriberConfig {
    /// The topic, exactly.
    topic: Option<String>,
    /// A function that is asked first; `false` skips the message.
    condition_function_id: Option<String>,
    /// How messages are worked on.
    queue_config: Option<QueueConfig>,
}

/// How messages are worked on.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
struct QueueConfig {
    /// `fifo`: one message at a time, in order, retries in place. Anything else: several at a time.
    r#type: Option<String>,
    /// How often a failed message is tried again. Default 2.
    max_retries: Option<u32>,
    /// How many messages are worked on at the same time. Default 10.
    concurrency: Option<usize>,
    /// The pause before the first retry, in milliseconds. Default 1000.
    backoff_delay_ms: Option<u64>,
    /// `exponential`: the pause doubles with each retry, the default. `fixed`: it stays.
    backoff_type: Option<String>,
    /// How long after its publication a message may be delivered, in seconds. Default 0.
    delay_seconds: Option<u64>,
    /// How long an attempt may take before it counts as failed, in seconds. Default: as long as it likes.
    visibility_timeout: Option<u64>,
    /// Refused: messages of a topic have no priority. Named queues have.
    max_priority: Option<u64>,
}

/// Who works on the messages of a lane.
#[derive(Debug)]
pub(super) struct Consumer {
    /// How.
    pub(super) policy: Policy,
    /// The binding; `None`: a named queue, whose messages say what to invoke.
    pub(super) subscription: Option<Subscription>,
}

/// A binding that works on the messages of a topic.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The binding.
    pub(super) binding: Arc<Binding>,
    /// Asked first.
    pub(super) condition: Condition,
    /// How long a message waits after its publication.
    pub(super) delay: Duration,
    /// What follows the number of the attempt in the metadata, if the metadata can take one.
    marked: Option<String>,
}

impl Consumer {
    /// Reads a binding. Its topic, and who it is. `most_jobs` run at the same time, whatever it asks for.
    ///
    /// # Errors
    ///
    /// Code `trigger_registration_failed` if the config cannot be used.
    pub(super) fn read(
        binding: &Arc<Binding>,
        most_jobs: usize,
    ) -> Result<(String, Self), ErrorBody> {
        let config: SubscriberConfig = binding.config()?;
        let kind = &binding.trigger_type;
        let topic = config.topic.filter(|topic| !topic.is_empty());
        let topic = topic.ok_or_else(|| refused(format!("a `{kind}` trigger needs `topic`")))?;
        if topic.len() > NAME_BYTES {
            return Err(refused(format!("a topic has at most {NAME_BYTES} bytes")));
        }
        let own = config.queue_config.unwrap_or_default();
        let growth = match own.backoff_type.as_deref() {
            None | Some("exponential") => Growth::Exponential,
            Some("fixed") => Growth::Fixed,
            Some(other) => {
                return Err(refused(format!(
                    "`backoffType` is `exponential` or `fixed`, not `{other}`"
                )));
            }
        };
        if own.max_priority.is_some() {
            return Err(refused(
                "messages of a topic have no priority, so `maxPriority` means nothing here: leave it out, or use a \
                 named queue with `max_priority` and `priority_field`",
            ));
        }
        if own.concurrency == Some(0) || own.visibility_timeout == Some(0) {
            return Err(refused("`concurrency` and `visibilityTimeout` must be at least 1"));
        }
        let policy = Policy {
            grouped: own.r#type.as_deref() == Some("fifo"),
            concurrency: own.concurrency.unwrap_or(CONCURRENCY).min(most_jobs),
            attempts: own.max_retries.map_or(ATTEMPTS, |retries| retries.saturating_add(1)),
            backoff: Duration::from_millis(own.backoff_delay_ms.unwrap_or(BACKOFF_MS)),
            growth,
            limit: own.visibility_timeout.map(Duration::from_secs),
        };
        let subscription = Subscription {
            binding: binding.clone(),
            condition: Condition {
                condition_function_id: config.condition_function_id.map(Into::into),
            },
            delay: Duration::from_secs(own.delay_seconds.unwrap_or(0)),
            marked: binding.metadata.as_ref().and_then(marked),
        };
        Ok((topic, Self { policy, subscription: Some(subscription) }))
    }

    /// The pause between publication and delivery.
    pub(super) fn delay(&self) -> Duration {
        self.subscription.as_ref().map_or(Duration::ZERO, |subscription| subscription.delay)
    }
}

impl Subscription {
    /// The binding's metadata; that of our own workers also says which attempt this is.
    pub(super) fn metadata(&self, attempt: u32) -> Option<Payload> {
        match &self.marked {
            Some(rest) => Some(Payload::from_built(format!(r#"{{"attempt":{attempt},{rest}"#))),
            None => self.binding.metadata.clone(),
        }
    }
}

/// The text of marked metadata from its first field on; `None`: it has no mark.
fn marked(metadata: &Payload) -> Option<String> {
    if !metadata.is_object() {
        return None;
    }
    let fields = metadata.fields().ok()?;
    if !fields.iter().any(|(name, _)| name == MARK) {
        return None;
    }
    let kept = fields.iter().filter(|(name, _)| name != "attempt");
    let texts: Vec<String> = kept
        .map(|(name, value)| format!("{}:{}", serde_json::Value::from(name.as_ref()), value.get()))
        .collect();
    Some(format!("{}}}", texts.join(",")))
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
    fn the_attempt_is_added_to_our_own_metadata_only() {
        let of = |metadata| {
            let (_, consumer) =
                Consumer::read(&binding(r#"{"topic":"t"}"#, metadata), 100).unwrap();
            consumer.subscription.unwrap().metadata(2).unwrap().as_str().to_owned()
        };
        assert_eq!(
            of(r#"{"iii:trigger":{"type":"queue","id":"t"},"value":{"a":1.50},"attempt":9}"#),
            r#"{"attempt":2,"iii:trigger":{"type":"queue","id":"t"},"value":{"a":1.50}}"#
        );
        for other in [r#"{"a":{"iii:trigger":1}}"#, "[1]", r#""iii:trigger""#, "{}"] {
            assert_eq!(of(other), other);
        }
    }

    #[test]
    fn configs_have_defaults_and_limits() {
        let read = |config| Consumer::read(&binding(config, "{}"), 100);
        let (topic, consumer) = read(r#"{"topic":"t","queue_config":null}"#).unwrap();
        let policy = consumer.policy;
        assert_eq!((topic.as_str(), policy.attempts, policy.concurrency), ("t", 3, 10));
        assert_eq!((policy.backoff, policy.grouped), (Duration::from_secs(1), false));
        let (_, consumer) = read(
            r#"{"topic":"t","queue_config":{"type":"fifo","maxRetries":0,"concurrency":5,"backoffDelayMs":7,
                "backoffType":"fixed","delaySeconds":3,"visibilityTimeout":4,"other":1}}"#,
        )
        .unwrap();
        assert_eq!(consumer.delay(), Duration::from_secs(3));
        let policy = consumer.policy;
        assert_eq!((policy.attempts, policy.grouped, policy.growth), (1, true, Growth::Fixed));
        assert_eq!(policy.limit, Some(Duration::from_secs(4)));
        for (config, word) in [
            ("{}", "topic"),
            (r#"{"topic":""}"#, "topic"),
            (r#"{"topic":5}"#, "cannot be read"),
            (r#"{"topic":"t","queue_config":{"maxPriority":1}}"#, "maxPriority"),
            (r#"{"topic":"t","queue_config":{"backoffType":"odd"}}"#, "backoffType"),
            (r#"{"topic":"t","queue_config":{"concurrency":0}}"#, "concurrency"),
        ] {
            let error = read(config).unwrap_err();
            assert_eq!(error.code, "trigger_registration_failed");
            assert!(error.message.contains(word), "{config}: {error}");
        }
    }
}
