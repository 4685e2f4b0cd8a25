//! The functions that look at queues and at messages that were given up (protocol section 6.5).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::keeper::Keeper;
use super::lane::Lane;
use super::line::Message;
use super::record::{self, Record};
use crate::provider::{Health, Outcome, to_payload};
use crate::store::StoreError;
use iii_wire::protocol::ErrorBody;
use iii_wire::sync::lock;

/// How many messages one call lists at most.
const MOST_LISTED: usize = 1000;
/// How many messages are put back before others get a turn.
const BATCH: usize = 256;

/// The input of `iii::queue::redrive`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct Redrive {
    /// A named queue, or a topic.
    #[serde(alias = "topic")]
    queue: String,
}

/// What `iii::queue::redrive` did.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Redriven {
    /// As in the input.
    queue: String,
    /// How many messages will be tried again.
    redriven: usize,
}

/// The input of the functions for one message.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct OneMessage {
    /// A named queue, or a topic.
    #[serde(alias = "topic")]
    queue: String,
    /// The id of a message that was given up.
    message_id: String,
}

/// What became of one message.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct OneDone {
    /// As in the input.
    queue: String,
    /// As in the input.
    message_id: String,
    /// 1 if there was such a message, else 0.
    redriven: usize,
}

/// The input of `engine::queue::topic_stats`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct OfTopic {
    /// A named queue, or a topic.
    #[serde(alias = "queue")]
    topic: String,
}

/// The input of `engine::queue::dlq_messages`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct Page {
    /// A named queue, or a topic.
    #[serde(alias = "queue")]
    topic: String,
    /// How many are skipped. Default 0.
    #[serde(default)]
    offset: usize,
    /// How many follow, at most 1000. Default 50.
    #[serde(default = "usual_limit")]
    limit: usize,
}

fn usual_limit() -> usize {
    50
}

/// A topic or a named queue.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct TopicInfo {
    /// Its name.
    name: String,
    /// Always `builtin`.
    broker_type: &'static str,
    /// The functions that are subscribed and bound now; of a named queue, its `concurrency`.
    subscriber_count: usize,
}

/// What a topic or a named queue holds.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Stats {
    /// Messages that wait, those included that will be tried again.
    depth: usize,
    /// The functions that are subscribed and bound now; of a named queue, its `concurrency`.
    consumer_count: usize,
    /// Messages that were given up.
    dlq_depth: usize,
    /// Always null.
    config: Option<()>,
}

/// How many messages of a topic or a named queue were given up.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct DeadInfo {
    /// The topic or the queue.
    topic: String,
    /// `builtin` for a topic, `function_queue` for a named queue.
    broker_type: &'static str,
    /// How many.
    message_count: usize,
}

/// A message that was given up.
#[derive(Debug, Serialize)]
struct DeadMessage<'a> {
    id: Uuid,
    payload: &'a RawValue,
    error: &'a str,
    failed_at: u64,
    retries: u32,
    size_bytes: usize,
}

/// A message that was given up, for the list of functions.
#[derive(schemars::JsonSchema)]
#[allow(dead_code)]
pub(super) struct DeadMessageShape {
    /// Its id.
    id: String,
    /// Its data.
    payload: iii_wire::protocol::Payload,
    /// How the last attempt failed: `code: message`.
    error: String,
    /// When, in seconds since 1970.
    failed_at: u64,
    /// How often it was tried.
    retries: u32,
    /// What is kept of it, in bytes.
    size_bytes: usize,
}

/// Tries all given-up messages of a queue or topic again, the oldest first.
pub(super) async fn redrive(
    keeper: Arc<Keeper>,
    input: Redrive,
) -> Result<Option<Redriven>, ErrorBody> {
    let queue = named(input.queue, "queue_not_set")?;
    let (mut redriven, mut last) = (0, None);
    for lane in keeper.lanes(&queue) {
        // No more than there are now: one that fails again meanwhile waits for the next time.
        let (_, dead) = lane.depth();
        for _ in 0..dead {
            let Some(message) = lane.exhume(None) else { break };
            last = Some(again(&keeper, &lane, message, "redrive_failed")?);
            redriven += 1;
            if redriven % BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    if let Some(committed) = last {
        committed.await.map_err(|error| error.to_body("redrive_failed"))?;
    }
    Ok(Some(Redriven { queue, redriven }))
}

/// Tries one given-up message again, or forgets it.
pub(super) async fn one(
    keeper: Arc<Keeper>,
    input: OneMessage,
    discard: bool,
) -> Result<Option<OneDone>, ErrorBody> {
    let code = if discard { "discard_message_failed" } else { "redrive_message_failed" };
    let queue = named(input.queue, "queue_not_set")?;
    let message_id = named(input.message_id, "message_id_not_set")?;
    let id = message_id.parse::<Uuid>().ok();
    let found = id.and_then(|id| {
        let mut lanes = keeper.lanes(&queue).into_iter();
        lanes.find_map(|lane| lane.exhume(Some(id)).map(|message| (lane, message)))
    });
    let redriven = usize::from(found.is_some());
    if let Some((lane, message)) = found {
        let committed = if discard {
            match record::remove(&keeper.table, &lane.scope, &message.id.to_string()) {
                Ok(committed) => {
                    lane.forget(&message);
                    committed
                }
                Err(error) => {
                    lane.bury(message);
                    return Err(error.to_body(code));
                }
            }
        } else {
            again(&keeper, &lane, message, code)?
        };
        committed.await.map_err(|error| error.to_body(code))?;
    }
    Ok(Some(OneDone { queue, message_id, redriven }))
}

/// Puts a given-up message back in its turn.
fn again(
    keeper: &Keeper,
    lane: &Lane,
    message: Message,
    code: &str,
) -> Result<crate::store::PendingWrite, ErrorBody> {
    let written = record::update(&keeper.table, &lane.scope, message.id, |record| {
        (record.attempts, record.due, record.dead, record.error) = (0, None, None, None);
    });
    match written {
        Ok(committed) => {
            lane.revive(message);
            Ok(committed)
        }
        Err(error) => {
            lane.bury(message);
            Err(error.to_body(code))
        }
    }
}

/// Lists named queues and topics.
pub(super) fn list_topics(keeper: &Keeper) -> Vec<TopicInfo> {
    let info = |name: &String, subscriber_count| TopicInfo {
        name: name.clone(),
        broker_type: "builtin",
        subscriber_count,
    };
    let book = lock(&keeper.book);
    let queues = book.queues.iter().map(|(name, lane)| info(name, lane.seats().1));
    // A topic with the name of a queue cannot be asked about.
    let topics = book.topics.iter().filter(|(name, _)| !book.queues.contains_key(*name));
    let topics = topics.map(|(name, topic)| info(name, bound(&topic.lanes)));
    queues.chain(topics).collect()
}

/// How much all queues and topics hold together.
pub(super) fn health(keeper: &Keeper) -> Health {
    let book = lock(&keeper.book);
    let lanes = book.topics.values().flat_map(|topic| &topic.lanes).chain(book.queues.values());
    let (waiting, dead) = lanes
        .map(|lane| lane.depth())
        .fold((0, 0), |(waiting, dead), lane| (waiting + lane.0, dead + lane.1));
    Health {
        component: "queues",
        trouble: None,
        details: serde_json::json!({
            "topics": book.topics.len(), "queues": book.queues.len(), "waiting": waiting,
            "dead_letters": dead,
        }),
    }
}

/// What a queue or topic holds.
pub(super) fn topic_stats(keeper: &Keeper, input: OfTopic) -> Result<Option<Stats>, ErrorBody> {
    let topic = named(input.topic, "topic_required")?;
    let is_queue = lock(&keeper.book).queues.contains_key(&topic);
    let lanes = keeper.lanes(&topic);
    let depths: Vec<_> = lanes.iter().map(|lane| lane.depth()).collect();
    let consumer_count =
        if is_queue { lanes.iter().map(|lane| lane.seats().1).sum() } else { bound(&lanes) };
    Ok(Some(Stats {
        depth: depths.iter().map(|(waiting, _)| waiting).sum(),
        consumer_count,
        dlq_depth: depths.iter().map(|(_, dead)| dead).sum(),
        config: None,
    }))
}

/// Lists how many messages were given up where.
pub(super) fn dlq_topics(keeper: &Keeper) -> Vec<DeadInfo> {
    let dead = |lanes: &[Arc<Lane>]| lanes.iter().map(|lane| lane.depth().1).sum();
    let info = |topic: &String, broker_type, message_count| DeadInfo {
        topic: topic.clone(),
        broker_type,
        message_count,
    };
    let book = lock(&keeper.book);
    let queues = book.queues.iter();
    let queues =
        queues.map(|(name, lane)| info(name, "function_queue", dead(std::slice::from_ref(lane))));
    let topics = book.topics.iter().filter(|(name, _)| !book.queues.contains_key(*name));
    let topics = topics.map(|(name, topic)| info(name, "builtin", dead(&topic.lanes)));
    queues.chain(topics).collect()
}

/// Lists messages that were given up, the oldest first.
pub(super) fn dlq_messages(keeper: &Keeper, input: &Page) -> Outcome {
    let topic = named(input.topic.clone(), "topic_required")?;
    let unreadable = |error: StoreError| error.to_body("dlq_messages_failed");
    let (mut skip, mut left) = (input.offset, input.limit.min(MOST_LISTED));
    let mut texts = Vec::new();
    for lane in keeper.lanes(&topic) {
        let ids = lane.dead(skip, left);
        skip = skip.saturating_sub(lane.depth().1);
        left -= ids.len();
        for id in ids {
            // One that was taken away at this moment is not there any more.
            if let Some(text) = keeper.table.get(&lane.scope, &id.to_string()) {
                texts.push((id, text));
            }
        }
    }
    let mut listed = Vec::with_capacity(texts.len());
    for (id, text) in &texts {
        let record = Record::read(text).map_err(unreadable)?;
        listed.push(to_payload(&DeadMessage {
            id: *id,
            payload: record.data,
            error: record.error.as_deref().unwrap_or_default(),
            failed_at: record.dead.unwrap_or(0) / 1000,
            retries: record.attempts,
            size_bytes: text.as_str().len(),
        })?);
    }
    to_payload(&listed).map(Some)
}

/// How many of these lanes somebody works on.
fn bound(lanes: &[Arc<Lane>]) -> usize {
    lanes.iter().filter(|lane| lane.seats().0 > 0).count()
}

/// A name that must not be empty.
fn named(name: String, code: &str) -> Result<String, ErrorBody> {
    match name.is_empty() {
        true => Err(ErrorBody::new(code, "the name must not be empty")),
        false => Ok(name),
    }
}
