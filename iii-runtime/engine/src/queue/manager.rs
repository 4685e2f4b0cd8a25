//! The queue manager: the delivery queues of all topics and named queues, and how messages are published to them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::backlog::QueuedMessage;
use super::consumer::Consumer;
use super::delivery_queue::{DeliveryQueue, QueueUsage, Subscriber};
use super::dispatch::dispatch;
use super::record::{self, MessageRecord, QueuePosition};
use super::recovery;
use super::settings::QueueSettings;
use crate::broker::Broker;
use crate::limits::QueueLimits;
use crate::provider::{Binding, overloaded, refused};
use crate::store::{PendingWrite, StoreError, Table};
use crate::tasks::Tasks;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload, TriggerId};
use iii_wire::sync::lock;

/// The queues of one engine.
pub(super) struct QueueManager {
    pub(super) broker: Broker,
    pub(super) table: Table,
    pub(super) settings: QueueSettings,
    pub(super) limits: QueueLimits,
    /// When the engine started.
    pub(super) started: Instant,
    /// Set when the engine shuts down: no delivery starts, and failed deliveries do not count.
    pub(super) ending: AtomicBool,
    pub(super) tasks: Tasks,
    pub(super) registry: Mutex<QueueRegistry>,
    pub(super) total_usage: Arc<QueueUsage>,
    pub(super) last_seq: AtomicU64,
    /// Delivers each message once more after it was acknowledged, in tests.
    #[cfg(feature = "testing")]
    pub(super) deliver_twice: AtomicBool,
}

/// The delivery queues by topic and name. Lock order: the registry before any queue.
#[derive(Default)]
pub(super) struct QueueRegistry {
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) named_queues: BTreeMap<String, Arc<DeliveryQueue>>,
    /// The queue that each trigger consumes from.
    pub(super) queue_of_trigger: HashMap<TriggerId, Arc<DeliveryQueue>>,
    pub(super) last_subscription: u64,
    /// The number of delivery queues of all topics.
    pub(super) subscriptions: usize,
}

/// A topic, with a delivery queue for each subscriber.
#[derive(Default)]
pub(super) struct Topic {
    pub(super) usage: Arc<QueueUsage>,
    pub(super) queues: Vec<Arc<DeliveryQueue>>,
}

impl QueueManager {
    /// Returns whether the engine is shutting down.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Returns whether an acknowledged message is delivered again, as after a lost acknowledgement.
    pub(super) fn delivers_twice(&self) -> bool {
        #[cfg(feature = "testing")]
        return self.deliver_twice.load(Ordering::Relaxed);
        #[cfg(not(feature = "testing"))]
        false
    }

    /// Starts the dispatcher of a queue.
    pub(super) fn start_dispatcher(self: &Arc<Self>, queue: &Arc<DeliveryQueue>) {
        self.tasks.spawn(dispatch(self.clone(), queue.clone()));
    }

    /// Publishes a message to each subscriber of a topic. Returns the writes of the copies.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if a limit is reached; `queue_write_failed` if the store cannot be written.
    pub(super) fn publish(
        &self,
        topic_name: &str,
        record: &MessageRecord<'_>,
    ) -> Result<Vec<PendingWrite>, ErrorBody> {
        let mut registry = lock(&self.registry);
        let absence = self.limits.absence;
        if !registry.topics.contains_key(topic_name) {
            let max_topics = self.limits.topics;
            if registry.topics.len() >= max_topics {
                registry.remove_all_expired(&self.table, absence);
            }
            if registry.topics.len() >= max_topics {
                return Err(overloaded(format!("there are already {max_topics} topics")));
            }
        }
        registry.remove_expired(&self.table, topic_name, absence);
        if registry.topics.get(topic_name).is_none_or(|topic| topic.queues.is_empty()) {
            // The first subscriber takes this queue over.
            registry
                .subscription_queue(&self.table, topic_name, None, &self.total_usage)
                .map_err(|error| error.to_body(code::QUEUE_WRITE_FAILED))?;
        }
        let Some(topic) = registry.topics.get(topic_name) else { return Ok(Vec::new()) };
        let present = topic.queues.iter().filter(|queue| !queue.is_detached_for(absence));
        let mut queues: Vec<_> = present.cloned().collect();
        if queues.is_empty() {
            queues.clone_from(&topic.queues);
        }
        let size = record.estimated_size().saturating_mul(queues.len());
        self.check_capacity(topic_name, &topic.usage, queues.len(), size)?;
        let copies = queues
            .iter()
            .map(|queue| self.push(queue, Uuid::new_v4(), record, QueuePosition::default()));
        copies.collect()
    }

    /// Enqueues a message in a named queue. Returns `None` if the queue already has a message with this id.
    ///
    /// # Errors
    ///
    /// Code `queue_not_found`, `message_group_missing`, `overloaded` or `queue_write_failed`.
    pub(super) fn enqueue(
        &self,
        queue_name: &str,
        id: Uuid,
        record: &MessageRecord<'_>,
        data: &Payload,
    ) -> Result<Option<PendingWrite>, ErrorBody> {
        let configured = &self.settings.queues;
        let named_queue = |name: &str| lock(&self.registry).named_queues.get(name).cloned();
        let Some((settings, queue)) = configured.get(queue_name).zip(named_queue(queue_name))
        else {
            let names: Vec<String> = configured.keys().map(|name| format!("`{name}`")).collect();
            let text = format!("there is no queue `{queue_name}`; there are: {}", names.join(", "));
            return Err(ErrorBody::new(code::QUEUE_NOT_FOUND, text));
        };
        let position = QueuePosition::of_data(queue_name, settings, data)?;
        // Held from the checks to the insertion, so that concurrent calls cannot exceed a limit or enqueue an id twice.
        let _registry = lock(&self.registry);
        if self.table.get(&queue.scope, &id.to_string()).is_some() {
            return Ok(None);
        }
        self.check_capacity(queue_name, &queue.usage, 1, record.estimated_size())?;
        self.push(&queue, id, record, position).map(Some)
    }

    /// Checks that messages may be added. The registry is locked.
    fn check_capacity(
        &self,
        name: &str,
        usage: &QueueUsage,
        added_messages: usize,
        added_bytes: usize,
    ) -> Result<(), ErrorBody> {
        let QueueLimits { messages: max_messages, bytes: max_bytes, .. } = self.limits;
        let messages = usage.messages();
        if messages.saturating_add(added_messages) > max_messages {
            return Err(overloaded(format!(
                "`{name}` has {messages} messages; the limit is {max_messages}"
            )));
        }
        let bytes = usage.bytes();
        if bytes.saturating_add(added_bytes) > max_bytes {
            return Err(overloaded(format!(
                "the messages of `{name}` have {bytes} bytes; the limit is {max_bytes}"
            )));
        }
        let (total, max_total) = (self.total_usage.bytes(), self.limits.total_bytes);
        if total.saturating_add(added_bytes) > max_total {
            return Err(overloaded(format!(
                "the messages of all queues have {total} bytes; the limit is {max_total}"
            )));
        }
        Ok(())
    }

    /// Writes the record of a message and adds the message to a queue.
    fn push(
        &self,
        queue: &DeliveryQueue,
        id: Uuid,
        record: &MessageRecord<'_>,
        position: QueuePosition,
    ) -> Result<PendingWrite, ErrorBody> {
        queue.enqueue(|delay| {
            let seq = self.last_seq.fetch_add(1, Ordering::Relaxed) + 1;
            let is_delayed = !delay.is_zero();
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            let not_before =
                is_delayed.then(|| self.broker.clock().unix_millis().saturating_add(delay_ms));
            let json = MessageRecord { seq, not_before, ..record.copy() }.to_json()?;
            let QueuePosition { group, priority } = position;
            let message = QueuedMessage {
                id,
                seq,
                attempts: 0,
                priority,
                bytes: record::counted_size(&json, group.as_deref()),
                not_before: is_delayed.then(|| Instant::now() + delay),
                group,
                restored: false,
            };
            let pending = record::insert(&self.table, &queue.scope, &id.to_string(), &json);
            Ok((message, pending.map_err(|error| error.to_body(code::QUEUE_WRITE_FAILED))?))
        })
    }

    /// Subscribes a trigger to its topic.
    ///
    /// # Errors
    ///
    /// Code `trigger_registration_failed` if the config is invalid, or the limit of subscribers is reached.
    pub(super) fn bind(self: &Arc<Self>, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let (topic, consumer) = Consumer::from_binding(binding, self.limits.concurrency)?;
        let subscriber = (binding.namespace.clone(), binding.function_id.clone());
        let mut registry = lock(&self.registry);
        let queue = self.subscribe(&mut registry, &topic, subscriber)?;
        if let Some(previous) = registry.queue_of_trigger.insert(binding.id.clone(), queue.clone())
            && !Arc::ptr_eq(&previous, &queue)
        {
            previous.detach(&binding.id);
        }
        if queue.attach(Some(binding.id.clone()), consumer) {
            self.start_dispatcher(&queue);
        }
        Ok(())
    }

    /// Returns the delivery queue of a subscriber, and creates it if the subscriber is new.
    fn subscribe(
        &self,
        registry: &mut QueueRegistry,
        topic: &str,
        subscriber: Subscriber,
    ) -> Result<Arc<DeliveryQueue>, ErrorBody> {
        let queues = registry.topics.get(topic).map(|topic| topic.queues.as_slice());
        let queues = queues.unwrap_or_default();
        let existing = queues.iter().find(|queue| queue.subscriber.get() == Some(&subscriber));
        if let Some(queue) = existing {
            return Ok(queue.clone());
        }
        let needs_queue = queues.iter().all(|queue| queue.subscriber.get().is_some());
        let max_subscribers = self.limits.subscribers;
        if needs_queue && registry.subscriptions >= max_subscribers {
            registry.remove_all_expired(&self.table, Duration::ZERO);
        }
        if needs_queue && registry.subscriptions >= max_subscribers {
            return Err(refused(format!("there are already {max_subscribers} subscribers")));
        }
        registry
            .subscription_queue(&self.table, topic, Some(subscriber), &self.total_usage)
            .map_err(|error| refused(format!("the store cannot be written: {error}")))
    }

    /// Unsubscribes a trigger. The backlog of its function is kept.
    pub(super) fn unbind(&self, id: &TriggerId) {
        if let Some(queue) = lock(&self.registry).queue_of_trigger.remove(id) {
            queue.detach(id);
        }
    }

    /// Returns the delivery queue of a named queue or, if there is none with this name, those of a topic.
    pub(super) fn queues(&self, name: &str) -> Vec<Arc<DeliveryQueue>> {
        let registry = lock(&self.registry);
        if let Some(queue) = registry.named_queues.get(name) {
            return vec![queue.clone()];
        }
        registry.topics.get(name).map(|topic| topic.queues.clone()).unwrap_or_default()
    }
}

impl QueueRegistry {
    /// Returns the queue of a topic that has no subscriber yet, or creates one. Assigns it to `subscriber`, if given.
    fn subscription_queue(
        &mut self,
        table: &Table,
        topic_name: &str,
        subscriber: Option<Subscriber>,
        total_usage: &Arc<QueueUsage>,
    ) -> Result<Arc<DeliveryQueue>, StoreError> {
        let mut queues = self.topics.get(topic_name).into_iter().flat_map(|topic| &topic.queues);
        let unassigned = queues.find(|queue| queue.subscriber.get().is_none()).cloned();
        let scope = match &unassigned {
            Some(queue) => queue.scope.clone(),
            None => recovery::subscription_scope(self.last_subscription + 1),
        };
        recovery::write_subscription(table, &scope, topic_name, subscriber.as_ref())?;
        let queue = unassigned.unwrap_or_else(|| {
            self.last_subscription += 1;
            self.subscriptions += 1;
            let topic = self.topics.entry(topic_name.to_owned()).or_default();
            let queue = DeliveryQueue::new(scope, topic.usage.clone(), total_usage.clone());
            let queue = Arc::new(queue);
            topic.queues.push(queue.clone());
            queue
        });
        if let Some(subscriber) = subscriber {
            // Cannot be set already: the registry is locked.
            let _ = queue.subscriber.set(subscriber);
        }
        Ok(queue)
    }

    /// Removes the queues of a topic that are empty and have had no consumers for at least `absence`.
    fn remove_expired(&mut self, table: &Table, topic_name: &str, absence: Duration) {
        let Some(topic) = self.topics.get_mut(topic_name) else { return };
        topic.queues.retain(|queue| {
            let keep = !queue.is_unused() || !queue.is_detached_for(absence);
            if !keep {
                self.subscriptions -= 1;
                recovery::remove_subscription(table, &queue.scope);
            }
            keep
        });
    }

    /// Removes such queues of all topics, and the topics that have no queue left.
    fn remove_all_expired(&mut self, table: &Table, absence: Duration) {
        let names: Vec<String> = self.topics.keys().cloned().collect();
        for name in names {
            self.remove_expired(table, &name, absence);
        }
        self.topics.retain(|_, topic| !topic.queues.is_empty());
    }
}
