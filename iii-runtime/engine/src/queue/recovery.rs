//! Recovery of queues from the store when the engine starts, and the stored records of topic subscriptions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::consumer::Consumer;
use super::delivery_queue::{DeliveryQueue, QueueUsage, Subscriber};
use super::manager::{QueueManager, QueueRegistry};
use super::policy::DeliveryPolicy;
use super::record::{self, MessageRecord, QueuePosition};
use super::settings::{DEFAULT_QUEUE, NamedQueue, QueueSettings};
use crate::broker::Broker;
use crate::store::{StoreError, Table};
use crate::tasks::Tasks;
use iii_wire::protocol::{FunctionId, Namespace, Payload};

// Each delivery queue has a scope of its own in the table, with a record for each message. One more scope has a record
// for each subscription.

/// The scope of the records of subscriptions.
const SUBSCRIPTIONS_SCOPE: &str = "lanes";
/// The prefix of the scope of a subscription's messages.
const SUBSCRIPTION_SCOPE_PREFIX: &str = "topic:";
/// The prefix of the scope of a named queue's messages.
const NAMED_QUEUE_SCOPE_PREFIX: &str = "queue:";

/// The stored form of a subscription to a topic. Without a function, it awaits the first subscriber.
#[derive(Serialize, Deserialize)]
struct SubscriptionRecord<'a> {
    topic: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<Namespace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function_id: Option<FunctionId>,
}

/// Returns the scope of the subscription with this number.
pub(super) fn subscription_scope(number: u64) -> Arc<str> {
    format!("{SUBSCRIPTION_SCOPE_PREFIX}{number}").into()
}

/// Writes the record of a subscription. Must be called before any of its messages is written.
///
/// # Errors
///
/// If the store cannot be written.
pub(super) fn write_subscription(
    table: &Table,
    scope: &str,
    topic: &str,
    subscriber: Option<&Subscriber>,
) -> Result<(), StoreError> {
    let record = SubscriptionRecord {
        topic: topic.into(),
        namespace: subscriber.map(|(namespace, _)| namespace.clone()),
        function_id: subscriber.map(|(_, function_id)| function_id.clone()),
    };
    let json = Payload::new(&record).map_err(|error| StoreError(error.to_string()))?;
    record::insert(table, SUBSCRIPTIONS_SCOPE, scope, &json).map(drop)
}

/// Removes the record of a subscription that has no messages. Failures are logged.
pub(super) fn remove_subscription(table: &Table, scope: &str) {
    if let Err(error) = record::remove(table, SUBSCRIPTIONS_SCOPE, scope) {
        tracing::error!("the record of a subscription cannot be removed: {error}");
    }
}

/// Recovers the stored queues and adds the configured ones. Starts the dispatchers of named queues.
pub(super) fn recover(
    broker: Broker,
    table: Table,
    mut settings: QueueSettings,
) -> Arc<QueueManager> {
    settings.queues.entry(DEFAULT_QUEUE.to_owned()).or_default();
    let mut registry = QueueRegistry::default();
    let total_usage = Arc::new(QueueUsage::default());
    let mut recovery = Recovery {
        table: &table,
        total_usage: &total_usage,
        now_ms: broker.clock().unix_millis(),
        last_seq: 0,
    };
    recovery.subscriptions(&mut registry);
    let named_queues = recovery.named_queues(&mut registry, &settings);
    let last_seq = AtomicU64::new(recovery.last_seq);
    let limits = broker.limits().queues.clone();
    let manager = Arc::new(QueueManager {
        broker,
        limits,
        table,
        settings,
        started: Instant::now(),
        ending: AtomicBool::new(false),
        tasks: Tasks::default(),
        registry: Mutex::new(registry),
        total_usage,
        last_seq,
        #[cfg(feature = "testing")]
        deliver_twice: AtomicBool::new(false),
    });
    for (queue, mut policy) in named_queues {
        policy.concurrency = policy.concurrency.min(manager.limits.concurrency);
        if queue.attach(None, Consumer { policy, subscription: None }) {
            manager.start_dispatcher(&queue);
        }
    }
    manager
}

/// Reads subscriptions and messages from the store.
struct Recovery<'a> {
    table: &'a Table,
    total_usage: &'a Arc<QueueUsage>,
    /// The current time, in milliseconds since 1970.
    now_ms: u64,
    /// The highest sequence number so far.
    last_seq: u64,
}

impl Recovery<'_> {
    /// Recovers the delivery queues of all topics.
    fn subscriptions(&mut self, registry: &mut QueueRegistry) {
        for (scope, json) in self.table.list(SUBSCRIPTIONS_SCOPE) {
            let number = scope.strip_prefix(SUBSCRIPTION_SCOPE_PREFIX);
            let number = number.and_then(|number| number.parse().ok());
            let record = json.parse_borrowed::<SubscriptionRecord<'_>>();
            let (Some(number), Ok(record)) = (number, record) else {
                tracing::error!("the stored subscription `{scope}` cannot be read and is skipped");
                continue;
            };
            let topic = registry.topics.entry(record.topic.into_owned()).or_default();
            let queue =
                DeliveryQueue::new(scope.into(), topic.usage.clone(), self.total_usage.clone());
            if let Some(subscriber) = record.namespace.zip(record.function_id) {
                let _ = queue.subscriber.set(subscriber);
            }
            self.messages(&queue, None);
            topic.queues.push(Arc::new(queue));
            registry.last_subscription = registry.last_subscription.max(number);
            registry.subscriptions += 1;
        }
    }

    /// Recovers the configured named queues, and those that only have stored messages. Returns them with their policies.
    fn named_queues(
        &mut self,
        registry: &mut QueueRegistry,
        settings: &QueueSettings,
    ) -> Vec<(Arc<DeliveryQueue>, DeliveryPolicy)> {
        let mut all: BTreeMap<String, NamedQueue> = settings.queues.clone();
        for scope in self.table.scopes() {
            if let Some(name) = scope.strip_prefix(NAMED_QUEUE_SCOPE_PREFIX)
                && !all.contains_key(name)
            {
                tracing::warn!(
                    "the queue `{name}` has messages but is not configured: the default settings apply"
                );
                all.insert(name.to_owned(), NamedQueue::default());
            }
        }
        let mut named_queues = Vec::with_capacity(all.len());
        for (name, queue_settings) in &all {
            let scope = format!("{NAMED_QUEUE_SCOPE_PREFIX}{name}");
            let queue = DeliveryQueue::new(scope.into(), Arc::default(), self.total_usage.clone());
            self.messages(&queue, Some((name, queue_settings)));
            let queue = Arc::new(queue);
            registry.named_queues.insert(name.clone(), queue.clone());
            named_queues.push((queue, queue_settings.policy()));
        }
        named_queues
    }

    /// Recovers the messages of a queue: its backlog, the messages that were in flight, and its dead letters.
    fn messages(&mut self, queue: &DeliveryQueue, named: Option<(&str, &NamedQueue)>) {
        let mut dead_letters = Vec::new();
        for (key, json) in self.table.list(&queue.scope) {
            let (Ok(id), Ok(record)) = (key.parse::<Uuid>(), MessageRecord::parse(&json)) else {
                tracing::error!(
                    "the message `{key}` of the queue `{}` cannot be read and is skipped",
                    queue.scope
                );
                continue;
            };
            self.last_seq = self.last_seq.max(record.seq);
            let bytes = record::counted_size(&json, None);
            let mut message = record::restored_message(id, &record, bytes, self.now_ms);
            if let Some((name, settings)) = named {
                // Messages that were enqueued before the queue was configured as FIFO have no group.
                let data = json.part(record.data);
                let position = QueuePosition::of_data(name, settings, &data).unwrap_or_default();
                message.bytes = record::counted_size(&json, position.group.as_deref());
                (message.group, message.priority) = (position.group, position.priority);
            }
            match record.dead_since {
                Some(time) => dead_letters.push((time, message)),
                None => queue.restore(message),
            }
        }
        dead_letters.sort_by_key(|(time, message)| (*time, message.seq));
        for (_, message) in dead_letters {
            queue.restore_dead_letter(message);
        }
    }
}
