//! Publish/subscribe: delivers each message of a topic once to every subscriber ([protocol 5.5](iii_wire::protocol#s5-5), [6.5](iii_wire::protocol#s6-5)).

use std::sync::{Arc, Mutex};

use serde::Deserialize;

use super::broker::{Broker, Request};
use super::provider::{Binding, BuiltIn, Call, Provider, TriggerTypeInfo, refused, schema};
use super::trigger_index::TriggerIndex;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::sync::lock;

/// Configuration of a `subscribe` trigger.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct SubscribeConfig {
    /// The topic. Matched exactly.
    topic: Option<String>,
}

/// The input of `publish`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct PublishInput {
    /// The topic.
    topic: String,
    /// The payload that each subscriber receives. Default: null.
    #[serde(default)]
    data: Payload,
}

/// The provider of the trigger type `subscribe` and of the function `publish`.
pub(crate) struct PubSub {
    broker: Broker,
    subscribers: Mutex<TriggerIndex<Arc<Binding>>>,
}

impl PubSub {
    /// A provider without subscribers.
    pub(crate) fn new(broker: Broker) -> Self {
        Self { broker, subscribers: Mutex::default() }
    }

    fn publish(&self, input: &PublishInput, call: &Call) -> Result<Option<()>, ErrorBody> {
        if input.topic.is_empty() {
            return Err(ErrorBody::new(code::TOPIC_NOT_SET, "`publish` requires a topic"));
        }
        let subscribers: Vec<_> = lock(&self.subscribers).get(&input.topic).cloned().collect();
        for binding in subscribers {
            self.broker.fire(Request {
                traceparent: call.traceparent.clone(),
                baggage: call.baggage.clone(),
                ..Request::fired(&binding, input.data.clone())
            });
        }
        Ok(None)
    }
}

impl Provider for PubSub {
    fn name(&self) -> &'static str {
        "iii-pubsub"
    }

    fn description(&self) -> &'static str {
        "Publishes messages to all subscribers of a topic."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        vec![TriggerTypeInfo {
            id: "subscribe",
            description: "Fires for each message published to a topic.",
            config_schema: schema::<SubscribeConfig>(),
            request_schema: None,
        }]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        vec![BuiltIn::sync(
            "publish",
            "Publishes a message to all subscribers of a topic.",
            move |input: PublishInput, call| self.publish(&input, &call),
        )]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: SubscribeConfig = binding.config()?;
        let topic = config.topic.filter(|topic| !topic.is_empty());
        let topic = topic.ok_or_else(|| refused("a `subscribe` trigger requires `topic`"))?;
        lock(&self.subscribers).insert(topic, binding.id.clone(), binding.clone());
        Ok(())
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        lock(&self.subscribers).remove(&binding.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::{Worker, broker, json, with_provider};

    async fn setup() -> (Broker, Worker) {
        let broker = broker();
        with_provider(&broker, PubSub::new(broker.clone()));
        let mut worker = Worker::named(&broker, "w").await;
        worker.function("p::a");
        worker.function("p::b");
        worker.nothing_else().await;
        (broker, worker)
    }

    #[tokio::test]
    async fn each_subscriber_receives_each_message_once() {
        let (_broker, mut worker) = setup().await;
        worker.bind("s1", "subscribe", "p::a", r#"{"topic":"news"}"#);
        worker.bind("s2", "subscribe", "p::b", r#"{"topic":"news"}"#);
        worker.bind("s2", "subscribe", "p::b", r#"{"topic":"news"}"#);
        worker.bind("s3", "subscribe", "p::b", r#"{"topic":"other"}"#);
        let id = worker.start("publish", r#"{"topic":"news","data":{"n" : 1}}"#);
        let (one, two) = (worker.called().await, worker.called().await);
        assert_eq!((one.function_id.as_str(), two.function_id.as_str()), ("p::a", "p::b"));
        assert_eq!(one.data.as_str(), r#"{"n" : 1}"#);
        assert_eq!((one.metadata.clone(), one.caller), (Some(json(r#"{"m":1}"#)), None));
        assert_eq!(worker.answer_to(id).await, Ok(None));
        worker.answer(&one, Err(ErrorBody::new("x", "dropped")));
        worker.nothing_else().await;
    }

    #[tokio::test]
    async fn message_data_cannot_forge_a_caller() {
        let (_broker, mut worker) = setup().await;
        worker.bind("s1", "subscribe", "p::a", r#"{"topic":"news"}"#);
        let data = r#"{"topic":"news","data":{"a":1,"_caller_worker_id":"forged"}}"#;
        worker.void("publish", data);
        let call = worker.called().await;
        assert_eq!((call.data.as_str(), call.caller), (r#"{"a":1}"#, None));
    }

    #[tokio::test]
    async fn unsubscribing_does_not_affect_other_subscribers() {
        let (_broker, mut worker) = setup().await;
        worker.bind("s1", "subscribe", "p::a", r#"{"topic":"news"}"#);
        worker.bind("s2", "subscribe", "p::b", r#"{"topic":"news"}"#);
        worker.unbind("s1");
        let id = worker.start("publish", r#"{"topic":"news"}"#);
        let call = worker.called().await;
        assert_eq!(call.function_id, "p::b");
        assert!(call.data.is_null());
        worker.answer_to(id).await.unwrap();
        worker.nothing_else().await;
    }

    #[tokio::test]
    async fn missing_topic_is_rejected() {
        let (_broker, mut worker) = setup().await;
        for config in ["{}", r#"{"topic":""}"#, r#"{"topic":7}"#] {
            worker.bind("s1", "subscribe", "p::a", config);
            let error = worker.binding_error().await.error.unwrap();
            assert_eq!(error.code, "trigger_registration_failed");
        }
        let error = worker.call("publish", r#"{"topic":"","data":1}"#).await.unwrap_err();
        assert_eq!(error.code, "topic_not_set");
        let error = worker.call("publish", "null").await.unwrap_err();
        assert_eq!(error.code, "deserialization_error");
    }
}
