//! What the store remembers of lanes, and how the queues of an earlier run come back from it.
//!
//! The table has a scope for each lane, with a record for each copy of a message, and a scope with a record for each
//! lane of a topic.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::consumer::Consumer;
use super::keeper::{Book, Keeper};
use super::lane::{Lane, Target, Usage};
use super::record::{self, Record};
use super::settings::{DEFAULT_QUEUE, NamedQueue, QueueSettings};
use crate::broker::Broker;
use crate::store::{StoreError, Table};
use crate::tasks::Tasks;
use iii_wire::protocol::{FunctionId, Namespace, Payload};

/// The scope of the records of lanes.
const LANES: &str = "lanes";
/// What the scope of a topic's lane begins with.
const TOPIC_SCOPE: &str = "topic:";
/// What the scope of a named queue begins with.
const QUEUE_SCOPE: &str = "queue:";

/// The record of a lane of a topic.
#[derive(Serialize, Deserialize)]
struct LaneRecord<'a> {
    topic: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<Namespace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function_id: Option<FunctionId>,
}

/// The scope of the topic lane with this number.
pub(super) fn scope_of(number: u64) -> Arc<str> {
    format!("{TOPIC_SCOPE}{number}").into()
}

/// Writes the record of a lane. It is in the store before any message of the lane.
///
/// # Errors
///
/// If the store cannot be written.
pub(super) fn write_lane(
    table: &Table,
    scope: &str,
    topic: &str,
    target: Option<&Target>,
) -> Result<(), StoreError> {
    let record = LaneRecord {
        topic: topic.into(),
        namespace: target.map(|target| target.0.clone()),
        function_id: target.map(|target| target.1.clone()),
    };
    let text = Payload::new(&record).map_err(|error| StoreError(error.to_string()))?;
    record::insert(table, LANES, scope, &text).map(drop)
}

/// Removes the record of a lane without messages.
pub(super) fn remove_lane(table: &Table, scope: &str) {
    if let Err(error) = record::remove(table, LANES, scope) {
        tracing::error!("the record of a queue cannot be removed: {error}");
    }
}

/// The queues that the store remembers, and the named ones of the settings. Named queues begin at once.
pub(super) fn load(broker: Broker, table: Table, mut settings: QueueSettings) -> Arc<Keeper> {
    settings.queues.entry(DEFAULT_QUEUE.to_owned()).or_default();
    let mut book = Book::default();
    let total = Arc::new(Usage::default());
    let mut loader = Loader { table: &table, now: broker.clock().unix_millis(), last_seq: 0 };
    for (scope, text) in table.list(LANES) {
        let number = scope.strip_prefix(TOPIC_SCOPE).and_then(|number| number.parse().ok());
        let (Some(number), Ok(record)) = (number, text.parse_borrowed::<LaneRecord<'_>>()) else {
            tracing::error!("the store has a queue `{scope}` that cannot be read: it is left out");
            continue;
        };
        let topic = book.topics.entry(record.topic.into_owned()).or_default();
        let lane = Lane::new(scope.into(), topic.usage.clone(), total.clone());
        if let Some(target) = record.namespace.zip(record.function_id) {
            let _ = lane.target.set(target);
        }
        loader.fill(&lane, None);
        topic.lanes.push(Arc::new(lane));
        book.last_lane = book.last_lane.max(number);
        book.lanes += 1;
    }
    let mut queues: BTreeMap<String, NamedQueue> = settings.queues.clone();
    for scope in table.scopes() {
        if let Some(name) = scope.strip_prefix(QUEUE_SCOPE)
            && !queues.contains_key(name)
        {
            tracing::warn!("the queue `{name}` has messages and no settings: the usual ones serve");
            queues.insert(name.to_owned(), NamedQueue::default());
        }
    }
    for (name, queue) in &queues {
        let scope = format!("{QUEUE_SCOPE}{name}");
        let lane = Lane::new(scope.into(), Arc::default(), total.clone());
        loader.fill(&lane, Some((name, queue)));
        book.queues.insert(name.clone(), Arc::new(lane));
    }
    let last_seq = AtomicU64::new(loader.last_seq);
    let named: Vec<_> =
        book.queues.iter().map(|(name, lane)| (name.clone(), lane.clone())).collect();
    let limits = broker.limits().queues.clone();
    let keeper = Arc::new(Keeper {
        broker,
        limits,
        table,
        settings,
        started: Instant::now(),
        ending: AtomicBool::new(false),
        tasks: Tasks::default(),
        book: Mutex::new(book),
        total,
        last_seq,
        #[cfg(feature = "testing")]
        twice: AtomicBool::new(false),
    });
    for (name, lane) in named {
        let mut policy = queues.get(&name).cloned().unwrap_or_default().policy();
        policy.concurrency = policy.concurrency.min(keeper.limits.concurrency);
        if lane.join(None, Consumer { policy, subscription: None }) {
            keeper.start(&lane);
        }
    }
    keeper
}

/// Finds the messages of lanes.
struct Loader<'a> {
    table: &'a Table,
    now: u64,
    last_seq: u64,
}

impl Loader<'_> {
    /// Puts the messages of a lane into it: those that wait, those that ran, and those that were given up.
    fn fill(&mut self, lane: &Lane, queue: Option<(&str, &NamedQueue)>) {
        let mut dead = Vec::new();
        for (key, text) in self.table.list(&lane.scope) {
            let (Ok(id), Ok(record)) = (key.parse::<Uuid>(), Record::read(&text)) else {
                tracing::error!(
                    "the queue `{}` has a message `{key}` that cannot be read",
                    lane.scope
                );
                continue;
            };
            self.last_seq = self.last_seq.max(record.seq);
            let mut message = record::restore(id, &record, record::weight(&text, None), self.now);
            if let Some((name, queue)) = queue {
                // A message that came before the settings asked for groups is in a group of its own kind.
                let data = text.part(record.data);
                let place = record::place(name, queue, &data).unwrap_or_default();
                (message.group, message.priority) = place;
                message.bytes = record::weight(&text, message.group.as_deref());
            }
            match record.dead {
                Some(at) => dead.push((at, message)),
                None => lane.restore(message, false),
            }
        }
        dead.sort_by_key(|(at, message)| (*at, message.seq));
        for (_, message) in dead {
            lane.restore(message, true);
        }
    }
}
