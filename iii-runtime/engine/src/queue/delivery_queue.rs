//! A delivery queue: the backlog, the messages in flight and the dead letters of one subscriber or named queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::backlog::{Backlog, NextMessage, QueuedMessage};
use super::consumer::Consumer;
use iii_wire::protocol::{FunctionId, Namespace, TriggerId};
use iii_wire::sync::lock;

/// The number and size of the messages of a topic or queue, over all of its delivery queues.
#[derive(Debug, Default)]
pub(super) struct QueueUsage {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl QueueUsage {
    fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns the number of messages.
    pub(super) fn messages(&self) -> usize {
        self.messages.load(Ordering::Relaxed)
    }

    /// Returns the size of the messages, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The function that is subscribed to a topic.
pub(super) type Subscriber = (Namespace, FunctionId);

/// The messages of one subscriber of a topic, or of one named queue.
#[derive(Debug)]
pub(super) struct DeliveryQueue {
    /// The scope of its records in the store.
    pub(super) scope: Arc<str>,
    /// The subscribed function. Unset for a named queue, and for a topic without a subscriber so far.
    pub(super) subscriber: OnceLock<Subscriber>,
    /// The usage of its topic or queue.
    pub(super) usage: Arc<QueueUsage>,
    /// The usage of all queues of the engine.
    pub(super) total_usage: Arc<QueueUsage>,
    /// Wakes the dispatcher.
    pub(super) wake: Notify,
    state: Mutex<DeliveryState>,
}

#[derive(Debug)]
struct DeliveryState {
    backlog: Backlog,
    /// The dead letters, the oldest first.
    dead_letters: BTreeMap<u64, QueuedMessage>,
    dead_letter_positions: HashMap<Uuid, u64>,
    last_dead_letter: u64,
    consumers: Vec<AttachedConsumer>,
    last_consumer: u64,
    in_flight: usize,
    /// Whether a dispatcher runs.
    has_dispatcher: bool,
    /// The delay between publication and delivery.
    delivery_delay: Duration,
    /// When the last consumer was detached.
    detached_since: Instant,
}

/// A consumer and the number of its messages in flight. Triggers of one function share a queue.
#[derive(Debug)]
struct AttachedConsumer {
    number: u64,
    id: Option<TriggerId>,
    consumer: Arc<Consumer>,
    in_flight: usize,
}

/// A message that is being delivered to a consumer.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The message.
    pub(super) message: QueuedMessage,
    /// The consumer.
    pub(super) consumer: Arc<Consumer>,
    consumer_number: u64,
}

/// What the dispatcher of a queue does next.
#[derive(Debug)]
pub(super) enum DispatchStep {
    /// Start this delivery.
    Deliver(Delivery),
    /// Wait for the time, or until the queue changes.
    WaitUntil(Instant),
    /// Wait until the queue changes.
    Wait,
    /// Stop: the queue has no consumers.
    Stop,
}

/// The outcome of a delivery, after the record of the message was updated.
#[derive(Debug)]
pub(super) enum Settlement {
    /// The message was acknowledged.
    Acknowledged,
    /// The message is redelivered.
    Redeliver(QueuedMessage),
    /// The message becomes a dead letter.
    DeadLetter(QueuedMessage),
}

/// The number of messages of a queue that are not in flight.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct QueueDepth {
    /// Messages that await delivery.
    pub(super) backlog: usize,
    /// Dead letters.
    pub(super) dead_letters: usize,
}

impl std::iter::Sum for QueueDepth {
    fn sum<I: Iterator<Item = Self>>(depths: I) -> Self {
        depths.fold(Self::default(), |sum, depth| Self {
            backlog: sum.backlog + depth.backlog,
            dead_letters: sum.dead_letters + depth.dead_letters,
        })
    }
}

impl DeliveryQueue {
    /// A queue without messages and consumers.
    pub(super) fn new(
        scope: Arc<str>,
        usage: Arc<QueueUsage>,
        total_usage: Arc<QueueUsage>,
    ) -> Self {
        let state = DeliveryState {
            backlog: Backlog::new(false, 0),
            dead_letters: BTreeMap::new(),
            dead_letter_positions: HashMap::new(),
            last_dead_letter: 0,
            consumers: Vec::new(),
            last_consumer: 0,
            in_flight: 0,
            has_dispatcher: false,
            delivery_delay: Duration::ZERO,
            detached_since: Instant::now(),
        };
        let (subscriber, wake) = (OnceLock::new(), Notify::new());
        Self { scope, subscriber, usage, total_usage, wake, state: Mutex::new(state) }
    }

    /// Attaches a consumer, replacing the one with the same id. Returns whether the caller must start a dispatcher.
    pub(super) fn attach(&self, id: Option<TriggerId>, consumer: Consumer) -> bool {
        let mut state = lock(&self.state);
        state.delivery_delay = consumer.delivery_delay();
        let consumer = Arc::new(consumer);
        match state.consumers.iter_mut().find(|attached| attached.id == id) {
            Some(attached) => attached.consumer = consumer,
            None => {
                state.last_consumer += 1;
                let number = state.last_consumer;
                state.consumers.push(AttachedConsumer { number, id, consumer, in_flight: 0 });
            }
        }
        state.update_ordering();
        self.wake.notify_one();
        !std::mem::replace(&mut state.has_dispatcher, true)
    }

    /// Detaches a consumer. Its messages in flight are not cancelled.
    pub(super) fn detach(&self, id: &TriggerId) {
        let mut state = lock(&self.state);
        state.consumers.retain(|attached| attached.id.as_ref() != Some(id));
        if state.consumers.is_empty() {
            state.detached_since = Instant::now();
        } else {
            state.update_ordering();
        }
        self.wake.notify_one();
    }

    /// Enqueues a new message. `write` gets the delivery delay and writes the record under the lock of the queue, so that
    /// no message is delivered before it has a record.
    ///
    /// # Errors
    ///
    /// The error of `write`. The queue is unchanged then.
    pub(super) fn enqueue<T, E>(
        &self,
        write: impl FnOnce(Duration) -> Result<(QueuedMessage, T), E>,
    ) -> Result<T, E> {
        let mut state = lock(&self.state);
        let (message, written) = write(state.delivery_delay)?;
        self.add_usage(&message);
        state.backlog.push(message);
        drop(state);
        self.wake.notify_one();
        Ok(written)
    }

    /// Adds a message that was recovered from the store to the backlog.
    pub(super) fn restore(&self, message: QueuedMessage) {
        self.add_usage(&message);
        lock(&self.state).backlog.push(message);
    }

    /// Adds a dead letter that was recovered from the store.
    pub(super) fn restore_dead_letter(&self, message: QueuedMessage) {
        self.add_usage(&message);
        self.push_dead_letter(message);
    }

    /// Takes the next message if a consumer has capacity for it. `idle`: the dispatcher has no deliveries in flight.
    pub(super) fn next_step(&self, now: Instant, idle: bool) -> DispatchStep {
        let mut state = lock(&self.state);
        if state.consumers.is_empty() && idle {
            state.has_dispatcher = false;
            return DispatchStep::Stop;
        }
        let DeliveryState { backlog, consumers, in_flight, .. } = &mut *state;
        // Capacity comes first: a message that is taken is delivered, so deliveries start in the order of the backlog.
        let available = consumers
            .iter_mut()
            .filter(|attached| attached.in_flight < attached.consumer.policy.concurrency);
        let Some(attached) = available.min_by_key(|attached| attached.in_flight) else {
            return DispatchStep::Wait;
        };
        match backlog.next(now) {
            NextMessage::Ready(message) => {
                attached.in_flight += 1;
                *in_flight += 1;
                DispatchStep::Deliver(Delivery {
                    message,
                    consumer: attached.consumer.clone(),
                    consumer_number: attached.number,
                })
            }
            NextMessage::DelayedUntil(time) => DispatchStep::WaitUntil(time),
            NextMessage::Unavailable => DispatchStep::Wait,
        }
    }

    /// Applies the outcome of a delivery.
    pub(super) fn settle(&self, delivery: Delivery, settlement: Settlement) {
        let mut state = lock(&self.state);
        state.in_flight -= 1;
        let number = delivery.consumer_number;
        if let Some(attached) = state.consumers.iter_mut().find(|one| one.number == number) {
            attached.in_flight -= 1;
        }
        match settlement {
            Settlement::Acknowledged => self.remove_usage(&delivery.message),
            Settlement::Redeliver(message) => state.backlog.push(message),
            Settlement::DeadLetter(message) => state.push_dead_letter(message),
        }
        state.backlog.release(&delivery.message.group);
    }

    /// Returns whether consumers are attached.
    pub(super) fn has_consumers(&self) -> bool {
        !lock(&self.state).consumers.is_empty()
    }

    /// Returns the number of messages that all consumers together may have in flight.
    pub(super) fn concurrency(&self) -> usize {
        let state = lock(&self.state);
        state.consumers.iter().map(|attached| attached.consumer.policy.concurrency).sum()
    }

    /// Returns the number of messages in the backlog and of dead letters.
    pub(super) fn depth(&self) -> QueueDepth {
        let state = lock(&self.state);
        QueueDepth { backlog: state.backlog.len(), dead_letters: state.dead_letters.len() }
    }

    /// Returns the number of messages in flight.
    #[cfg(feature = "testing")]
    pub(super) fn in_flight(&self) -> usize {
        lock(&self.state).in_flight
    }

    /// Returns whether no consumer has been attached for at least `duration`.
    pub(super) fn is_detached_for(&self, duration: Duration) -> bool {
        let state = lock(&self.state);
        state.consumers.is_empty() && state.detached_since.elapsed() >= duration
    }

    /// Returns whether the queue has neither messages nor consumers.
    pub(super) fn is_unused(&self) -> bool {
        let state = lock(&self.state);
        let empty =
            state.backlog.len() == 0 && state.dead_letters.is_empty() && state.in_flight == 0;
        empty && state.consumers.is_empty()
    }

    /// Returns the ids of up to `limit` dead letters after the first `offset`, the oldest first.
    pub(super) fn dead_letter_ids(&self, offset: usize, limit: usize) -> Vec<Uuid> {
        let state = lock(&self.state);
        let messages = state.dead_letters.values().skip(offset).take(limit);
        messages.map(|message| message.id).collect()
    }

    /// Takes the dead letter with this id.
    pub(super) fn take_dead_letter(&self, id: Uuid) -> Option<QueuedMessage> {
        let mut state = lock(&self.state);
        let position = *state.dead_letter_positions.get(&id)?;
        state.take_dead_letter(position)
    }

    /// Takes the oldest dead letter.
    pub(super) fn take_oldest_dead_letter(&self) -> Option<QueuedMessage> {
        let mut state = lock(&self.state);
        let position = *state.dead_letters.first_key_value()?.0;
        state.take_dead_letter(position)
    }

    /// Adds a message to the dead letters.
    pub(super) fn push_dead_letter(&self, message: QueuedMessage) {
        lock(&self.state).push_dead_letter(message);
    }

    /// Moves a taken dead letter back to the backlog, with its attempts reset. Its record must be up to date.
    pub(super) fn redrive(&self, message: QueuedMessage) {
        lock(&self.state).backlog.push(QueuedMessage { attempts: 0, not_before: None, ..message });
        self.wake.notify_one();
    }

    /// Discards a taken dead letter. Its record must be removed.
    pub(super) fn discard(&self, message: &QueuedMessage) {
        self.remove_usage(message);
    }

    fn add_usage(&self, message: &QueuedMessage) {
        self.usage.add(message.bytes);
        self.total_usage.add(message.bytes);
    }

    fn remove_usage(&self, message: &QueuedMessage) {
        self.usage.remove(message.bytes);
        self.total_usage.remove(message.bytes);
    }
}

impl DeliveryState {
    /// Switches the backlog to FIFO order if one of the consumers requires it, else to standard order.
    fn update_ordering(&mut self) {
        let fifo = self.consumers.iter().any(|attached| attached.consumer.policy.fifo);
        self.backlog.set_fifo(fifo, self.in_flight);
    }

    fn push_dead_letter(&mut self, message: QueuedMessage) {
        self.last_dead_letter += 1;
        self.dead_letter_positions.insert(message.id, self.last_dead_letter);
        self.dead_letters.insert(self.last_dead_letter, message);
    }

    fn take_dead_letter(&mut self, position: u64) -> Option<QueuedMessage> {
        let message = self.dead_letters.remove(&position)?;
        self.dead_letter_positions.remove(&message.id);
        Some(message)
    }
}
