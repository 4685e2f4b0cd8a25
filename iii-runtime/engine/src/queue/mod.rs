//! Queues: durable topics and named queues, whose messages are tried until they succeed or are given up (protocol
//! sections 4.5, 5.3, 5.4 and 6.5).
//!
//! `keeper` has a lane for each function that is subscribed to a topic and for each named queue, and puts messages in;
//! a `lane` has the messages that wait, by `line`, that run, and that were given up; `work` is its task. The store has
//! a `record` of each message, and everything comes back from there by `load`. Nothing is polled: a task sleeps until
//! a message comes, a job ends, or a retry is due.

mod admin;
mod consumer;
mod keeper;
mod lane;
mod line;
mod load;
mod policy;
mod record;
mod settings;
mod work;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::broker::Broker;
use super::provider::{Binding, BuiltIn, Call, Health, Provider, TriggerTypeInfo, schema};
use super::store::Store;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};

use keeper::Keeper;
use record::Record;
pub(crate) use settings::QueueSettings;
pub use settings::{NamedQueue, QueueKind};

/// The code of a message that could not be stored.
const WRITE_FAILED: &str = "queue_write_failed";
/// For how long after the start a message that was there before waits for a function that is not there yet.
const RESTART_GRACE: Duration = Duration::from_secs(30);
/// The least pause between two looks for such a function, and before a failed write is tried again.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before a failed write is tried again: after that one it is given up.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);

/// The input of `iii::durable::publish`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Publish {
    /// The topic.
    topic: String,
    /// What each subscriber gets, as it is. Absent: null.
    #[serde(default)]
    data: Payload,
}

/// The input of `engine::queue::enqueue` (protocol section 4.5).
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Enqueue {
    /// The named queue.
    queue: String,
    /// The function that the queue invokes.
    function_id: String,
    /// What the function gets, as it is. Absent: null.
    #[serde(default)]
    data: Payload,
    /// The id of the message, a UUID. A queue takes each id once while it has it. Absent: a new one.
    #[serde(rename = "messageReceiptId")]
    receipt: Option<String>,
    /// W3C trace context.
    traceparent: Option<String>,
    /// W3C baggage.
    baggage: Option<String>,
    /// The namespace of the function. Absent: `default`.
    namespace: Option<String>,
    /// The metadata that the function gets.
    metadata: Option<Payload>,
}

/// The answer of `engine::queue::enqueue`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Receipt {
    /// The id of the message.
    #[serde(rename = "messageReceiptId")]
    receipt: String,
}

/// The provider of durable topics and named queues.
pub(crate) struct Queues {
    keeper: Arc<Keeper>,
}

impl Queues {
    /// Queues that are kept in `store`. What it has of an earlier run goes on: named queues at once, topics when their
    /// functions are bound. Must be made inside a Tokio runtime.
    pub(crate) fn new(broker: Broker, store: &Store, settings: QueueSettings) -> Self {
        Self { keeper: load::load(broker, store.table("queue"), settings) }
    }

    /// How many messages of a topic or a named queue are being worked on.
    #[cfg(feature = "testing")]
    pub(crate) fn in_flight(&self, name: &str) -> usize {
        self.keeper.lanes(name).iter().map(|lane| lane.running()).sum()
    }

    /// Whether each message is worked on once more after it succeeded.
    #[cfg(feature = "testing")]
    pub(crate) fn deliver_twice(&self, twice: bool) {
        self.keeper.twice.store(twice, Ordering::Relaxed);
    }
}

/// Publishes a message; done when it is stored.
async fn publish(keeper: Arc<Keeper>, input: Publish, call: Call) -> Result<Option<()>, ErrorBody> {
    if input.topic.is_empty() {
        return Err(ErrorBody::new("topic_not_set", "`iii::durable::publish` needs a topic"));
    }
    if input.topic.len() > settings::NAME_BYTES {
        let text = format!("a topic has at most {} bytes", settings::NAME_BYTES);
        return Err(ErrorBody::new(code::INVALID_ARGUMENT, text));
    }
    let record = Record {
        traceparent: call.traceparent.map(Into::into),
        baggage: call.baggage.map(Into::into),
        ..Record::new(&input.data)
    };
    let copies = keeper.publish(&input.topic, &record)?;
    for copy in copies {
        copy.await.map_err(|error| error.to_body(WRITE_FAILED))?;
    }
    Ok(None)
}

/// Puts a call into a named queue; done when it is stored.
async fn enqueue(keeper: Arc<Keeper>, input: Enqueue) -> Result<Option<Receipt>, ErrorBody> {
    let id = match &input.receipt {
        None => Uuid::new_v4(),
        Some(receipt) => receipt.parse().map_err(|_| {
            ErrorBody::new(code::INVALID_ARGUMENT, "`messageReceiptId` must be a UUID")
        })?,
    };
    if input.function_id.is_empty() {
        return Err(ErrorBody::new(code::INVALID_ARGUMENT, "`function_id` must not be empty"));
    }
    let record = Record {
        function_id: Some(input.function_id.as_str().into()),
        namespace: input.namespace.as_deref().map(Into::into),
        metadata: input.metadata.as_ref().map(Payload::as_raw),
        traceparent: input.traceparent.map(Into::into),
        baggage: input.baggage.map(Into::into),
        ..Record::new(&input.data)
    };
    if let Some(stored) = keeper.enqueue(&input.queue, id, &record, &input.data)? {
        stored.await.map_err(|error| error.to_body(WRITE_FAILED))?;
    }
    Ok(Some(Receipt { receipt: id.to_string() }))
}

impl Provider for Queues {
    fn name(&self) -> &'static str {
        "iii-queue"
    }

    fn description(&self) -> &'static str {
        "Keep messages until a function has worked on them: durable topics and named queues."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        // The second name is what one of the SDKs asks for.
        ["durable:subscriber", "queue"]
            .map(|id| TriggerTypeInfo {
                id,
                description: "Fires for each message of a durable topic, until it succeeds.",
                config_schema: schema::<consumer::SubscriberConfig>(),
                request_schema: None,
            })
            .into()
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        let keeper = || self.keeper.clone();
        let (a, b, c, d, e) = (keeper(), keeper(), keeper(), keeper(), keeper());
        let (f, g, h, i) = (keeper(), keeper(), keeper(), keeper());
        vec![
            BuiltIn::typed(
                "iii::durable::publish",
                "Publishes a message that each subscriber gets at least once.",
                move |input: Publish, call| publish(a.clone(), input, call),
            ),
            BuiltIn::typed(
                "engine::queue::enqueue",
                "Puts a call into a named queue.",
                move |input: Enqueue, _| enqueue(b.clone(), input),
            ),
            BuiltIn::typed(
                "iii::queue::redrive",
                "Tries all given-up messages of a queue or topic again.",
                move |input: admin::Redrive, _| admin::redrive(c.clone(), input),
            ),
            BuiltIn::typed(
                "iii::queue::redrive_message",
                "Tries one given-up message again.",
                move |input: admin::OneMessage, _| admin::one(d.clone(), input, false),
            ),
            BuiltIn::typed(
                "iii::queue::discard_message",
                "Forgets one given-up message.",
                move |input: admin::OneMessage, _| admin::one(e.clone(), input, true),
            ),
            BuiltIn::sync(
                "engine::queue::list_topics",
                "Lists topics and named queues.",
                move |_: Payload, _| Ok(Some(admin::list_topics(&f))),
            ),
            BuiltIn::sync(
                "engine::queue::topic_stats",
                "Says how much a topic or a named queue holds.",
                move |input: admin::OfTopic, _| admin::topic_stats(&g, input),
            ),
            BuiltIn::sync(
                "engine::queue::dlq_topics",
                "Says where messages were given up, and how many.",
                move |_: Payload, _| Ok(Some(admin::dlq_topics(&h))),
            ),
            BuiltIn::raw::<_, Vec<admin::DeadMessageShape>, _>(
                "engine::queue::dlq_messages",
                "Lists the given-up messages of a topic or a named queue.",
                move |input: admin::Page| admin::dlq_messages(&i, &input),
            ),
        ]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.keeper.bind(binding)
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        self.keeper.unbind(&binding.id);
    }

    fn health(&self) -> Option<Health> {
        Some(admin::health(&self.keeper))
    }

    fn ending(&self) {
        self.keeper.ending.store(true, Ordering::Release);
    }

    fn stop(&self) {
        self.ending();
        self.keeper.tasks.abort();
    }
}
