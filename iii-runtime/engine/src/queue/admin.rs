//! Built-in functions that inspect queues, and redrive and discard dead letters ([protocol 6.5](iii_wire::protocol#s6-5)).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::backlog::QueuedMessage;
use super::delivery_queue::{DeliveryQueue, QueueDepth};
use super::manager::QueueManager;
use super::record::{self, MessageRecord};
use crate::provider::{ComponentHealth, Outcome, to_payload};
use crate::store::{PendingWrite, StoreError};
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::sync::lock;

/// The maximum number of dead letters that one call lists.
const MAX_LISTED: usize = 1000;
/// The number of dead letters that are redriven before the task yields.
const REDRIVE_BATCH: usize = 256;

/// The input of `iii::queue::redrive`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct RedriveInput {
    /// The named queue or topic.
    #[serde(alias = "topic")]
    queue: String,
}

/// The output of `iii::queue::redrive`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct RedriveOutput {
    /// The named queue or topic.
    queue: String,
    /// The number of redriven dead letters.
    redriven: usize,
}

/// The input of `iii::queue::redrive_message` and `iii::queue::discard_message`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct DeadLetterInput {
    /// The named queue or topic.
    #[serde(alias = "topic")]
    queue: String,
    /// The id of a dead letter.
    message_id: String,
}

/// The output of `iii::queue::redrive_message` and `iii::queue::discard_message`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct DeadLetterOutput {
    /// The named queue or topic.
    queue: String,
    /// The id of the dead letter.
    message_id: String,
    /// 1 if the dead letter was found, else 0.
    redriven: usize,
}

/// The input of `engine::queue::topic_stats`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct TopicStatsInput {
    /// The named queue or topic.
    #[serde(alias = "queue")]
    topic: String,
}

/// The input of `engine::queue::dlq_messages`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct DeadLettersInput {
    /// The named queue or topic.
    #[serde(alias = "queue")]
    topic: String,
    /// The number of dead letters to skip. Default 0.
    #[serde(default)]
    offset: usize,
    /// The maximum number of dead letters to return, up to 1000. Default 50.
    #[serde(default = "default_limit")]
    limit: usize,
}

fn default_limit() -> usize {
    50
}

/// A topic or named queue.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct TopicInfo {
    /// The name.
    name: String,
    /// Always `builtin`.
    broker_type: &'static str,
    /// The number of subscribed functions that are bound; of a named queue, its `concurrency`.
    subscriber_count: usize,
}

/// The number of messages and consumers of a topic or named queue.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct TopicStats {
    /// The number of messages that await delivery or redelivery.
    depth: usize,
    /// The number of subscribed functions that are bound; of a named queue, its `concurrency`.
    consumer_count: usize,
    /// The number of dead letters.
    dlq_depth: usize,
    /// Always null.
    config: Option<()>,
}

/// The number of dead letters of a topic or named queue.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct DeadLetterCount {
    /// The topic or named queue.
    topic: String,
    /// `builtin` for a topic, `function_queue` for a named queue.
    broker_type: &'static str,
    /// The number of dead letters.
    message_count: usize,
}

#[derive(Debug, Serialize)]
struct DeadLetter<'a> {
    id: Uuid,
    payload: &'a RawValue,
    error: &'a str,
    failed_at: u64,
    retries: u32,
    size_bytes: usize,
}

/// A dead letter.
#[derive(schemars::JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) struct DeadLetterSchema {
    /// The id of the message.
    id: String,
    /// The data of the message.
    payload: Payload,
    /// The error of the last attempt: `code: message`.
    error: String,
    /// When the message became a dead letter, in seconds since 1970.
    failed_at: u64,
    /// The number of attempts.
    retries: u32,
    /// The size of the stored message, in bytes.
    size_bytes: usize,
}

/// Redrives all dead letters of a queue or topic, the oldest first.
pub(super) async fn redrive(
    manager: Arc<QueueManager>,
    input: RedriveInput,
) -> Result<Option<RedriveOutput>, ErrorBody> {
    let queue_name = non_empty(input.queue, code::QUEUE_NOT_SET)?;
    let (mut redriven, mut last_write) = (0, None);
    for queue in manager.queues(&queue_name) {
        // Only those that exist now: a message that becomes a dead letter again meanwhile is left for the next call.
        for _ in 0..queue.depth().dead_letters {
            let Some(message) = queue.take_oldest_dead_letter() else { break };
            last_write =
                Some(redrive_dead_letter(&manager, &queue, message, code::REDRIVE_FAILED)?);
            redriven += 1;
            if redriven % REDRIVE_BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    if let Some(pending) = last_write {
        pending.await.map_err(|error| error.to_body(code::REDRIVE_FAILED))?;
    }
    Ok(Some(RedriveOutput { queue: queue_name, redriven }))
}

/// Redrives one dead letter.
pub(super) async fn redrive_message(
    manager: Arc<QueueManager>,
    input: DeadLetterInput,
) -> Result<Option<DeadLetterOutput>, ErrorBody> {
    settle_dead_letter(&manager, input, code::REDRIVE_MESSAGE_FAILED, redrive_dead_letter).await
}

/// Discards one dead letter.
pub(super) async fn discard_message(
    manager: Arc<QueueManager>,
    input: DeadLetterInput,
) -> Result<Option<DeadLetterOutput>, ErrorBody> {
    settle_dead_letter(&manager, input, code::DISCARD_MESSAGE_FAILED, discard_dead_letter).await
}

/// Takes one dead letter and passes it to `action` with the error code `code`. Returns when the change is durable.
async fn settle_dead_letter(
    manager: &QueueManager,
    input: DeadLetterInput,
    code: &str,
    action: fn(
        &QueueManager,
        &DeliveryQueue,
        QueuedMessage,
        &str,
    ) -> Result<PendingWrite, ErrorBody>,
) -> Result<Option<DeadLetterOutput>, ErrorBody> {
    let queue_name = non_empty(input.queue, code::QUEUE_NOT_SET)?;
    let message_id = non_empty(input.message_id, code::MESSAGE_ID_NOT_SET)?;
    let id = message_id.parse::<Uuid>().ok();
    let found = id.and_then(|id| {
        let mut queues = manager.queues(&queue_name).into_iter();
        queues.find_map(|queue| queue.take_dead_letter(id).map(|message| (queue, message)))
    });
    let redriven = usize::from(found.is_some());
    if let Some((queue, message)) = found {
        let pending = action(manager, &queue, message, code)?;
        pending.await.map_err(|error| error.to_body(code))?;
    }
    Ok(Some(DeadLetterOutput { queue: queue_name, message_id, redriven }))
}

/// Moves a taken dead letter back to the backlog. If its record cannot be written, it stays a dead letter.
fn redrive_dead_letter(
    manager: &QueueManager,
    queue: &DeliveryQueue,
    message: QueuedMessage,
    code: &str,
) -> Result<PendingWrite, ErrorBody> {
    let written = record::update(&manager.table, &queue.scope, message.id, |record| {
        (record.attempts, record.not_before) = (0, None);
        (record.dead_since, record.error) = (None, None);
    });
    match written {
        Ok(pending) => {
            queue.redrive(message);
            Ok(pending)
        }
        Err(error) => {
            queue.push_dead_letter(message);
            Err(error.to_body(code))
        }
    }
}

/// Discards a taken dead letter. If its record cannot be removed, it stays a dead letter.
fn discard_dead_letter(
    manager: &QueueManager,
    queue: &DeliveryQueue,
    message: QueuedMessage,
    code: &str,
) -> Result<PendingWrite, ErrorBody> {
    match record::remove(&manager.table, &queue.scope, &message.id.to_string()) {
        Ok(pending) => {
            queue.discard(&message);
            Ok(pending)
        }
        Err(error) => {
            queue.push_dead_letter(message);
            Err(error.to_body(code))
        }
    }
}

/// Lists named queues and topics.
pub(super) fn list_topics(manager: &QueueManager) -> Vec<TopicInfo> {
    let info = |name: &String, subscriber_count| TopicInfo {
        name: name.clone(),
        broker_type: "builtin",
        subscriber_count,
    };
    let registry = lock(&manager.registry);
    let queues = registry.named_queues.iter().map(|(name, queue)| info(name, queue.concurrency()));
    // Functions resolve a name that both a queue and a topic have to the queue.
    let topics =
        registry.topics.iter().filter(|(name, _)| !registry.named_queues.contains_key(*name));
    let topics = topics.map(|(name, topic)| info(name, bound_subscribers(&topic.queues)));
    queues.chain(topics).collect()
}

/// Returns the health of all queues.
pub(super) fn health(manager: &QueueManager) -> ComponentHealth {
    let registry = lock(&manager.registry);
    let topics = registry.topics.values().flat_map(|topic| &topic.queues);
    let queues = topics.chain(registry.named_queues.values());
    let depth: QueueDepth = queues.map(|queue| queue.depth()).sum();
    ComponentHealth {
        component: "queues",
        trouble: None,
        details: serde_json::json!({
            "topics": registry.topics.len(),
            "queues": registry.named_queues.len(),
            "waiting": depth.backlog,
            "dead_letters": depth.dead_letters,
        }),
    }
}

/// Returns the number of messages and consumers of a queue or topic.
pub(super) fn topic_stats(
    manager: &QueueManager,
    input: TopicStatsInput,
) -> Result<Option<TopicStats>, ErrorBody> {
    let name = non_empty(input.topic, code::TOPIC_REQUIRED)?;
    let is_named_queue = lock(&manager.registry).named_queues.contains_key(&name);
    let queues = manager.queues(&name);
    let depth: QueueDepth = queues.iter().map(|queue| queue.depth()).sum();
    let consumer_count = match is_named_queue {
        true => queues.iter().map(|queue| queue.concurrency()).sum(),
        false => bound_subscribers(&queues),
    };
    Ok(Some(TopicStats {
        depth: depth.backlog,
        consumer_count,
        dlq_depth: depth.dead_letters,
        config: None,
    }))
}

/// Lists the number of dead letters of each queue and topic.
pub(super) fn dlq_topics(manager: &QueueManager) -> Vec<DeadLetterCount> {
    let count = |topic: &String, broker_type, queues: &[Arc<DeliveryQueue>]| DeadLetterCount {
        topic: topic.clone(),
        broker_type,
        message_count: queues.iter().map(|queue| queue.depth().dead_letters).sum(),
    };
    let registry = lock(&manager.registry);
    let queues = registry.named_queues.iter();
    let queues =
        queues.map(|(name, queue)| count(name, "function_queue", std::slice::from_ref(queue)));
    let topics =
        registry.topics.iter().filter(|(name, _)| !registry.named_queues.contains_key(*name));
    let topics = topics.map(|(name, topic)| count(name, "builtin", &topic.queues));
    queues.chain(topics).collect()
}

/// Lists dead letters, the oldest first.
pub(super) fn dlq_messages(manager: &QueueManager, input: &DeadLettersInput) -> Outcome {
    let topic = non_empty(input.topic.clone(), code::TOPIC_REQUIRED)?;
    let unreadable = |error: StoreError| error.to_body(code::DLQ_MESSAGES_FAILED);
    let (mut offset, mut remaining) = (input.offset, input.limit.min(MAX_LISTED));
    let mut records = Vec::new();
    for queue in manager.queues(&topic) {
        let ids = queue.dead_letter_ids(offset, remaining);
        offset = offset.saturating_sub(queue.depth().dead_letters);
        remaining -= ids.len();
        for id in ids {
            // The record of a dead letter that was discarded meanwhile is gone.
            if let Some(json) = manager.table.get(&queue.scope, &id.to_string()) {
                records.push((id, json));
            }
        }
    }
    let mut dead_letters = Vec::with_capacity(records.len());
    for (id, json) in &records {
        let record = MessageRecord::parse(json).map_err(unreadable)?;
        dead_letters.push(to_payload(&DeadLetter {
            id: *id,
            payload: record.data,
            error: record.error.as_deref().unwrap_or_default(),
            failed_at: record.dead_since.unwrap_or(0) / 1000,
            retries: record.attempts,
            size_bytes: json.as_str().len(),
        })?);
    }
    to_payload(&dead_letters).map(Some)
}

/// Returns how many of these queues have consumers.
fn bound_subscribers(queues: &[Arc<DeliveryQueue>]) -> usize {
    queues.iter().filter(|queue| queue.has_consumers()).count()
}

/// Returns `name`, or an error with this code if it is empty.
fn non_empty(name: String, code: &str) -> Result<String, ErrorBody> {
    match name.is_empty() {
        true => Err(ErrorBody::new(code, "the name must not be empty")),
        false => Ok(name),
    }
}
