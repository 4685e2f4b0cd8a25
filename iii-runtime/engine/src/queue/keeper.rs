//! What keeps the queues of one engine: its lanes by topic and name, and how messages get into them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::WRITE_FAILED;
use super::consumer::Consumer;
use super::lane::{Lane, Target, Usage};
use super::line::Message;
use super::record::{self, Record};
use super::settings::QueueSettings;
use super::work::work;
use crate::broker::Broker;
use crate::limits::QueueLimits;
use crate::provider::overloaded;
use crate::provider::{Binding, refused};
use crate::store::{PendingWrite, StoreError, Table};
use crate::tasks::Tasks;
use iii_wire::protocol::{ErrorBody, Payload, TriggerId};
use iii_wire::sync::lock;

/// The queues of one engine.
pub(super) struct Keeper {
    pub(super) broker: Broker,
    pub(super) table: Table,
    pub(super) settings: QueueSettings,
    pub(super) limits: QueueLimits,
    /// When the engine started.
    pub(super) started: Instant,
    /// The engine is about to end: nothing new is begun, and errors are nobody's fault.
    pub(super) ending: AtomicBool,
    pub(super) tasks: Tasks,
    pub(super) book: Mutex<Book>,
    pub(super) total: Arc<Usage>,
    pub(super) last_seq: AtomicU64,
    /// Each message is worked on once more after it succeeded, in tests.
    #[cfg(feature = "testing")]
    pub(super) twice: AtomicBool,
}

/// The lanes. Locked before any of them.
#[derive(Default)]
pub(super) struct Book {
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) queues: BTreeMap<String, Arc<Lane>>,
    /// The lane that each binding works on.
    pub(super) bound: HashMap<TriggerId, Arc<Lane>>,
    pub(super) last_lane: u64,
    /// The lanes of all topics.
    pub(super) lanes: usize,
}

/// The lanes of one topic.
#[derive(Default)]
pub(super) struct Topic {
    pub(super) usage: Arc<Usage>,
    pub(super) lanes: Vec<Arc<Lane>>,
}

impl Keeper {
    /// Whether the engine is about to end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Whether a message that succeeded is worked on once more, as after an answer that was lost.
    pub(super) fn delivers_twice(&self) -> bool {
        #[cfg(feature = "testing")]
        return self.twice.load(Ordering::Relaxed);
        #[cfg(not(feature = "testing"))]
        false
    }

    /// Starts the task of a lane.
    pub(super) fn start(self: &Arc<Self>, lane: &Arc<Lane>) {
        self.tasks.spawn(work(self.clone(), lane.clone()));
    }

    /// Gives each subscriber of a topic its copy. The copies that are on their way to the store.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if a bound is reached; `queue_write_failed` if the store cannot be written.
    pub(super) fn publish(
        &self,
        name: &str,
        record: &Record<'_>,
    ) -> Result<Vec<PendingWrite>, ErrorBody> {
        let mut book = lock(&self.book);
        if !book.topics.contains_key(name) {
            let most = self.limits.topics;
            if book.topics.len() >= most {
                book.dismiss_all(&self.table, self.limits.absence);
            }
            if book.topics.len() >= most {
                return Err(overloaded(format!("there are {most} topics already")));
            }
        }
        book.dismiss(&self.table, name, self.limits.absence);
        let backlog = book.topics.get(name).is_none_or(|topic| topic.lanes.is_empty());
        if backlog {
            // The first subscriber will take this lane over.
            let lane = book.lane(&self.table, name, None, &self.total);
            lane.map_err(|error| error.to_body(WRITE_FAILED))?;
        }
        let Some(topic) = book.topics.get(name) else { return Ok(Vec::new()) };
        let absence = self.limits.absence;
        let mut lanes: Vec<_> =
            topic.lanes.iter().filter(|lane| !lane.is_absent(absence)).cloned().collect();
        if lanes.is_empty() {
            lanes.clone_from(&topic.lanes);
        }
        let size = record.size();
        self.check_capacity(name, &topic.usage, lanes.len(), size.saturating_mul(lanes.len()))?;
        let copies = lanes.iter().map(|lane| self.add(lane, Uuid::new_v4(), record, (None, 0)));
        copies.collect()
    }

    /// Puts a message into a named queue, once for each id.
    ///
    /// # Errors
    ///
    /// Code `queue_not_found`, `message_group_missing`, `overloaded` or `queue_write_failed`.
    pub(super) fn enqueue(
        &self,
        name: &str,
        id: Uuid,
        record: &Record<'_>,
        data: &Payload,
    ) -> Result<Option<PendingWrite>, ErrorBody> {
        let known = &self.settings.queues;
        let Some((queue, lane)) = known
            .get(name)
            .and_then(|queue| Some((queue, lock(&self.book).queues.get(name)?.clone())))
        else {
            let names: Vec<String> = known.keys().map(|name| format!("`{name}`")).collect();
            let text = format!("there is no queue `{name}`; there are: {}", names.join(", "));
            return Err(ErrorBody::new("queue_not_found", text));
        };
        let place = record::place(name, queue, data)?;
        // Two messages at the same moment must not both find room for one.
        let _book = lock(&self.book);
        if self.table.get(&lane.scope, &id.to_string()).is_some() {
            return Ok(None);
        }
        self.check_capacity(name, &lane.usage, 1, record.size())?;
        self.add(&lane, id, record, place).map(Some)
    }

    /// Checks that messages may be added. The book is locked.
    fn check_capacity(
        &self,
        name: &str,
        usage: &Usage,
        copies: usize,
        size: usize,
    ) -> Result<(), ErrorBody> {
        let (messages, bytes) = usage.get();
        let limits = &self.limits;
        if messages.saturating_add(copies) > limits.messages {
            return Err(overloaded(format!(
                "`{name}` keeps {messages} messages, and may keep {}",
                limits.messages
            )));
        }
        if bytes.saturating_add(size) > limits.bytes {
            return Err(overloaded(format!(
                "`{name}` keeps {bytes} bytes, and may keep {}",
                limits.bytes
            )));
        }
        let (_, all) = self.total.get();
        if all.saturating_add(size) > limits.total_bytes {
            let most = limits.total_bytes;
            return Err(overloaded(format!("all queues keep {all} bytes, and may keep {most}")));
        }
        Ok(())
    }

    /// Adds one copy to a lane.
    fn add(
        &self,
        lane: &Lane,
        id: Uuid,
        new: &Record<'_>,
        (group, priority): (Option<Arc<str>>, u8),
    ) -> Result<PendingWrite, ErrorBody> {
        lane.add(|delay| {
            let seq = self.last_seq.fetch_add(1, Ordering::Relaxed) + 1;
            let waits = !delay.is_zero();
            let after = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            let due = waits.then(|| self.broker.clock().unix_millis().saturating_add(after));
            let text = Record { seq, due, ..new.again() }.write()?;
            let message = Message {
                id,
                seq,
                attempts: 0,
                priority,
                bytes: record::weight(&text, group.as_deref()),
                due: waits.then(|| Instant::now() + delay),
                group,
                restored: false,
            };
            let written = record::insert(&self.table, &lane.scope, &id.to_string(), &text);
            Ok((message, written.map_err(|error| error.to_body(WRITE_FAILED))?))
        })
    }

    /// Lets a binding work on its topic.
    ///
    /// # Errors
    ///
    /// Code `trigger_registration_failed` if the config cannot be used, or there are too many subscribers.
    pub(super) fn bind(self: &Arc<Self>, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let (name, consumer) = Consumer::read(binding, self.limits.concurrency)?;
        let target = (binding.namespace.clone(), binding.function_id.clone());
        let mut book = lock(&self.book);
        let lanes = book.topics.get(&name).map(|topic| topic.lanes.as_slice()).unwrap_or_default();
        let own = lanes.iter().find(|lane| lane.target.get() == Some(&target)).cloned();
        let lane = match own {
            Some(lane) => lane,
            None => {
                let is_new = lanes.iter().all(|lane| lane.target.get().is_some());
                let most = self.limits.subscribers;
                if is_new && book.lanes >= most {
                    book.dismiss_all(&self.table, Duration::ZERO);
                }
                if is_new && book.lanes >= most {
                    return Err(refused(format!("there are {most} subscribers already")));
                }
                let lane = book.lane(&self.table, &name, Some(target), &self.total);
                lane.map_err(|error| refused(format!("the store cannot be written: {error}")))?
            }
        };
        if let Some(before) = book.bound.insert(binding.id.clone(), lane.clone())
            && !Arc::ptr_eq(&before, &lane)
        {
            before.leave(&binding.id);
        }
        if lane.join(Some(binding.id.clone()), consumer) {
            self.start(&lane);
        }
        Ok(())
    }

    /// Takes a binding away from its topic. What waits for its function stays.
    pub(super) fn unbind(&self, id: &TriggerId) {
        if let Some(lane) = lock(&self.book).bound.remove(id) {
            lane.leave(id);
        }
    }

    /// The lanes of a named queue or, if there is none of that name, of a topic.
    pub(super) fn lanes(&self, name: &str) -> Vec<Arc<Lane>> {
        let book = lock(&self.book);
        if let Some(lane) = book.queues.get(name) {
            return vec![lane.clone()];
        }
        book.topics.get(name).map(|topic| topic.lanes.clone()).unwrap_or_default()
    }
}

impl Book {
    /// A lane of a topic for a function, or for the first that will come: the waiting one, or a new one.
    fn lane(
        &mut self,
        table: &Table,
        name: &str,
        target: Option<Target>,
        total: &Arc<Usage>,
    ) -> Result<Arc<Lane>, StoreError> {
        let topic = self.topics.get(name);
        let waiting = topic
            .and_then(|topic| topic.lanes.iter().find(|lane| lane.target.get().is_none()).cloned());
        let scope = match &waiting {
            Some(lane) => lane.scope.clone(),
            None => super::load::scope_of(self.last_lane + 1),
        };
        super::load::write_lane(table, &scope, name, target.as_ref())?;
        let lane = waiting.unwrap_or_else(|| {
            self.last_lane += 1;
            self.lanes += 1;
            let topic = self.topics.entry(name.to_owned()).or_default();
            let lane = Arc::new(Lane::new(scope, topic.usage.clone(), total.clone()));
            topic.lanes.push(lane.clone());
            lane
        });
        if let Some(target) = target {
            // Nobody else sets it: the book is locked.
            let _ = lane.target.set(target);
        }
        Ok(lane)
    }

    /// Forgets the subscribers of a topic that have been away for long and have nothing left.
    fn dismiss(&mut self, table: &Table, name: &str, absence: Duration) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        topic.lanes.retain(|lane| {
            let keep = !lane.is_unused() || !lane.is_absent(absence);
            if !keep {
                self.lanes -= 1;
                super::load::remove_lane(table, &lane.scope);
            }
            keep
        });
    }

    /// Forgets such subscribers of all topics, and the topics that are left with none.
    fn dismiss_all(&mut self, table: &Table, absence: Duration) {
        let names: Vec<String> = self.topics.keys().cloned().collect();
        for name in names {
            self.dismiss(table, &name, absence);
        }
        self.topics.retain(|_, topic| !topic.lanes.is_empty());
    }
}
