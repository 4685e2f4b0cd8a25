//! Queues: durable topics and named queues with retries and dead letters ([protocol 4.5](iii_wire::protocol#s4-5), [5.3](iii_wire::protocol#s5-3), [5.4](iii_wire::protocol#s5-4), [6.5](iii_wire::protocol#s6-5)).

mod admin;
mod backlog;
mod consumer;
mod delivery_queue;
mod dispatch;
mod manager;
mod policy;
mod record;
mod recovery;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::broker::Broker;
use super::provider::{Binding, BuiltIn, Call, ComponentHealth, Provider, TriggerTypeInfo, schema};
use super::store::Store;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};

use manager::QueueManager;
use record::MessageRecord;
pub(crate) use settings::QueueSettings;
pub use settings::{NamedQueue, QueueKind};

/// The input of `iii::durable::publish`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct DurablePublishInput {
    /// The topic.
    topic: String,
    /// The payload that each subscriber receives. Default: null.
    #[serde(default)]
    data: Payload,
}

/// The input of `engine::queue::enqueue` ([protocol 4.5](iii_wire::protocol#s4-5)).
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct EnqueueInput {
    /// The named queue.
    queue: String,
    /// The function that the queue invokes.
    function_id: String,
    /// The payload that the function receives. Default: null.
    #[serde(default)]
    data: Payload,
    /// The id of the message, a UUID. The queue ignores a message whose id it already has. Default: a random id.
    #[serde(rename = "messageReceiptId")]
    receipt: Option<String>,
    /// W3C trace context.
    traceparent: Option<String>,
    /// W3C baggage.
    baggage: Option<String>,
    /// The namespace of the function. Default: `default`.
    namespace: Option<String>,
    /// The metadata that the function receives.
    metadata: Option<Payload>,
}

/// The output of `engine::queue::enqueue`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct EnqueueOutput {
    /// The id of the message.
    #[serde(rename = "messageReceiptId")]
    receipt: String,
}

/// The provider of durable topics and named queues.
pub(crate) struct Queues {
    manager: Arc<QueueManager>,
}

impl Queues {
    /// Opens the queues in `store`. Deliveries of stored messages resume: of named queues at once, of topics when their
    /// functions are bound.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub(crate) fn new(broker: Broker, store: &Store, settings: QueueSettings) -> Self {
        Self { manager: recovery::recover(broker, store.table("queue"), settings) }
    }

    /// Returns the number of messages of a topic or named queue that are in flight.
    #[cfg(feature = "testing")]
    pub(crate) fn in_flight(&self, name: &str) -> usize {
        self.manager.queues(name).iter().map(|queue| queue.in_flight()).sum()
    }

    /// Sets whether each message is delivered once more after it was acknowledged.
    #[cfg(feature = "testing")]
    pub(crate) fn deliver_twice(&self, twice: bool) {
        self.manager.deliver_twice.store(twice, Ordering::Relaxed);
    }

    /// The functions that publish and enqueue messages.
    fn publish_functions(&self) -> Vec<BuiltIn> {
        let manager = || self.manager.clone();
        vec![
            BuiltIn::typed(
                "iii::durable::publish",
                "Publishes a message to a durable topic, with at-least-once delivery to each subscriber.",
                {
                    let manager = manager();
                    move |input: DurablePublishInput, call| publish(manager.clone(), input, call)
                },
            ),
            BuiltIn::typed("engine::queue::enqueue", "Enqueues an invocation in a named queue.", {
                let manager = manager();
                move |input: EnqueueInput, _| enqueue(manager.clone(), input)
            }),
        ]
    }

    /// The functions that redrive and discard dead letters.
    fn dead_letter_functions(&self) -> Vec<BuiltIn> {
        let manager = || self.manager.clone();
        vec![
            BuiltIn::typed(
                "iii::queue::redrive",
                "Redrives all dead letters of a queue or topic.",
                {
                    let manager = manager();
                    move |input: admin::RedriveInput, _| admin::redrive(manager.clone(), input)
                },
            ),
            BuiltIn::typed("iii::queue::redrive_message", "Redrives one dead letter.", {
                let manager = manager();
                move |input: admin::DeadLetterInput, _| {
                    admin::redrive_message(manager.clone(), input)
                }
            }),
            BuiltIn::typed("iii::queue::discard_message", "Discards one dead letter.", {
                let manager = manager();
                move |input: admin::DeadLetterInput, _| {
                    admin::discard_message(manager.clone(), input)
                }
            }),
        ]
    }

    /// The functions that inspect topics, queues and dead letters.
    fn inspection_functions(&self) -> Vec<BuiltIn> {
        let manager = || self.manager.clone();
        vec![
            BuiltIn::sync("engine::queue::list_topics", "Lists topics and named queues.", {
                let manager = manager();
                move |_: Payload, _| Ok(Some(admin::list_topics(&manager)))
            }),
            BuiltIn::sync(
                "engine::queue::topic_stats",
                "Returns the number of messages and consumers of a topic or named queue.",
                {
                    let manager = manager();
                    move |input: admin::TopicStatsInput, _| admin::topic_stats(&manager, input)
                },
            ),
            BuiltIn::sync(
                "engine::queue::dlq_topics",
                "Lists topics and named queues with their number of dead letters.",
                {
                    let manager = manager();
                    move |_: Payload, _| Ok(Some(admin::dlq_topics(&manager)))
                },
            ),
            BuiltIn::raw::<_, Vec<admin::DeadLetterSchema>, _>(
                "engine::queue::dlq_messages",
                "Lists the dead letters of a topic or named queue.",
                {
                    let manager = manager();
                    move |input: admin::DeadLettersInput| admin::dlq_messages(&manager, &input)
                },
            ),
        ]
    }
}

/// Publishes a message. Returns when all copies are durable.
async fn publish(
    manager: Arc<QueueManager>,
    input: DurablePublishInput,
    call: Call,
) -> Result<Option<()>, ErrorBody> {
    if input.topic.is_empty() {
        return Err(ErrorBody::new(
            code::TOPIC_NOT_SET,
            "`iii::durable::publish` requires a topic",
        ));
    }
    if input.topic.len() > settings::MAX_NAME_BYTES {
        let text = format!("a topic must have at most {} bytes", settings::MAX_NAME_BYTES);
        return Err(ErrorBody::new(code::INVALID_ARGUMENT, text));
    }
    let record = MessageRecord {
        traceparent: call.traceparent.map(Into::into),
        baggage: call.baggage.map(Into::into),
        ..MessageRecord::new(&input.data)
    };
    for pending in manager.publish(&input.topic, &record)? {
        pending.await.map_err(|error| error.to_body(code::QUEUE_WRITE_FAILED))?;
    }
    Ok(None)
}

/// Enqueues an invocation in a named queue. Returns when the message is durable.
async fn enqueue(
    manager: Arc<QueueManager>,
    input: EnqueueInput,
) -> Result<Option<EnqueueOutput>, ErrorBody> {
    let id = match &input.receipt {
        None => Uuid::new_v4(),
        Some(receipt) => receipt.parse().map_err(|_| {
            ErrorBody::new(code::INVALID_ARGUMENT, "`messageReceiptId` must be a UUID")
        })?,
    };
    if input.function_id.is_empty() {
        return Err(ErrorBody::new(code::INVALID_ARGUMENT, "`function_id` must not be empty"));
    }
    let record = MessageRecord {
        function_id: Some(input.function_id.as_str().into()),
        namespace: input.namespace.as_deref().map(Into::into),
        metadata: input.metadata.as_ref().map(Payload::as_raw),
        traceparent: input.traceparent.map(Into::into),
        baggage: input.baggage.map(Into::into),
        ..MessageRecord::new(&input.data)
    };
    if let Some(pending) = manager.enqueue(&input.queue, id, &record, &input.data)? {
        pending.await.map_err(|error| error.to_body(code::QUEUE_WRITE_FAILED))?;
    }
    Ok(Some(EnqueueOutput { receipt: id.to_string() }))
}

impl Provider for Queues {
    fn name(&self) -> &'static str {
        "iii-queue"
    }

    fn description(&self) -> &'static str {
        "Durable topics and named queues with retries and dead letters."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        // One of the SDKs uses the second name.
        ["durable:subscriber", "queue"]
            .map(|id| TriggerTypeInfo {
                id,
                description: "Fires for each message of a durable topic, until the message is acknowledged.",
                config_schema: schema::<consumer::SubscriberConfig>(),
                request_schema: None,
            })
            .into()
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        let mut functions = self.publish_functions();
        functions.extend(self.dead_letter_functions());
        functions.extend(self.inspection_functions());
        functions
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.manager.bind(binding)
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        self.manager.unbind(&binding.id);
    }

    fn health(&self) -> Option<ComponentHealth> {
        Some(admin::health(&self.manager))
    }

    fn before_stop(&self) {
        self.manager.ending.store(true, Ordering::Release);
    }

    fn stop(&self) {
        self.before_stop();
        self.manager.tasks.abort();
    }
}
