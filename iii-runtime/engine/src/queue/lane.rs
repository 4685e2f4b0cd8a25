//! A lane: the copies of messages that are for one consumer, those that wait, run and are given up.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::consumer::Consumer;
use super::line::{Line, Message, Next};
use iii_wire::protocol::{FunctionId, Namespace, TriggerId};
use iii_wire::sync::lock;

/// How much a topic or queue keeps, in all its lanes.
#[derive(Debug, Default)]
pub(super) struct Usage {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

impl Usage {
    /// Counts messages in.
    pub(super) fn add(&self, messages: usize, bytes: usize) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The messages and the bytes.
    pub(super) fn get(&self) -> (usize, usize) {
        (self.messages.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

/// The function that a lane of a topic is for.
pub(super) type Target = (Namespace, FunctionId);

/// The copies of messages for one consumer.
#[derive(Debug)]
pub(super) struct Lane {
    /// Where its records are in the store.
    pub(super) scope: Arc<str>,
    /// The function, for a lane of a topic. Empty: a named queue, or a topic that nobody has subscribed to yet.
    pub(super) target: OnceLock<Target>,
    /// What its topic or queue keeps.
    pub(super) usage: Arc<Usage>,
    /// What all queues keep.
    pub(super) total: Arc<Usage>,
    /// Wakes the task that works on the lane.
    pub(super) wake: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    line: Line,
    /// Those that were given up, the oldest first.
    dead: BTreeMap<u64, Message>,
    dead_ids: HashMap<Uuid, u64>,
    deaths: u64,
    seats: Vec<Seat>,
    last_seat: u64,
    running: usize,
    /// A task works on the lane.
    worked_on: bool,
    /// How long messages wait at first.
    delay: Duration,
    /// Since when there are no seats.
    empty_since: Instant,
}

/// A consumer and how many of its jobs run. There are several where bindings share a function.
#[derive(Debug)]
struct Seat {
    number: u64,
    id: Option<TriggerId>,
    consumer: Arc<Consumer>,
    running: usize,
}

/// A message that is being worked on.
#[derive(Debug)]
pub(super) struct Job {
    /// The message.
    pub(super) message: Message,
    /// By whom.
    pub(super) consumer: Arc<Consumer>,
    seat: u64,
}

/// What the task of a lane does next.
#[derive(Debug)]
pub(super) enum Step {
    /// Begin this.
    Begin(Job),
    /// Wait until then, or until something happens.
    WaitUntil(Instant),
    /// Wait until something happens.
    Wait,
    /// End: nobody works on the lane any more.
    End,
}

/// How a job ended, after its record was brought up to date.
#[derive(Debug)]
pub(super) enum End {
    /// It is done.
    Done,
    /// It is to be tried again.
    Again(Message),
    /// It was given up.
    Dead(Message),
}

impl Lane {
    /// A lane without messages and consumers.
    pub(super) fn new(scope: Arc<str>, usage: Arc<Usage>, total: Arc<Usage>) -> Self {
        let state = State {
            line: Line::new(false, 0),
            dead: BTreeMap::new(),
            dead_ids: HashMap::new(),
            deaths: 0,
            seats: Vec::new(),
            last_seat: 0,
            running: 0,
            worked_on: false,
            delay: Duration::ZERO,
            empty_since: Instant::now(),
        };
        let (target, wake) = (OnceLock::new(), Notify::new());
        Self { scope, target, usage, total, wake, state: Mutex::new(state) }
    }

    /// Adds a consumer, or replaces the one of the same id. Whether a task must be started for the lane.
    pub(super) fn join(&self, id: Option<TriggerId>, consumer: Consumer) -> bool {
        let mut state = lock(&self.state);
        state.delay = consumer.delay();
        let consumer = Arc::new(consumer);
        match state.seats.iter_mut().find(|seat| seat.id == id) {
            Some(seat) => seat.consumer = consumer,
            None => {
                state.last_seat += 1;
                let number = state.last_seat;
                state.seats.push(Seat { number, id, consumer, running: 0 });
            }
        }
        state.arrange();
        self.wake.notify_one();
        !std::mem::replace(&mut state.worked_on, true)
    }

    /// Removes a consumer. What it works on goes on.
    pub(super) fn leave(&self, id: &TriggerId) {
        let mut state = lock(&self.state);
        state.seats.retain(|seat| seat.id.as_ref() != Some(id));
        if state.seats.is_empty() {
            state.empty_since = Instant::now();
        } else {
            state.arrange();
        }
        self.wake.notify_one();
    }

    /// Adds a new message. Its record is written in the same step, so that nothing is begun without one.
    ///
    /// # Errors
    ///
    /// Whatever `write` says. Nothing changed then.
    pub(super) fn add<T, E>(
        &self,
        write: impl FnOnce(Duration) -> Result<(Message, T), E>,
    ) -> Result<T, E> {
        let mut state = lock(&self.state);
        let (message, written) = write(state.delay)?;
        self.usage.add(1, message.bytes);
        self.total.add(1, message.bytes);
        state.line.push(message);
        drop(state);
        self.wake.notify_one();
        Ok(written)
    }

    /// Adds a message that was found in the store.
    pub(super) fn restore(&self, message: Message, dead: bool) {
        let mut state = lock(&self.state);
        self.usage.add(1, message.bytes);
        self.total.add(1, message.bytes);
        match dead {
            true => state.bury(message),
            false => state.line.push(message),
        }
    }

    /// Takes the next message, if a consumer has a slot for it. `idle`: the task has nothing else to do.
    pub(super) fn step(&self, now: Instant, idle: bool) -> Step {
        let mut state = lock(&self.state);
        if state.seats.is_empty() && idle {
            state.worked_on = false;
            return Step::End;
        }
        let State { line, seats, running, .. } = &mut *state;
        // The slot comes first: a message that was taken is begun, so that the order of beginning is that of the line.
        let free = seats.iter_mut().filter(|seat| seat.running < seat.consumer.policy.concurrency);
        let Some(seat) = free.min_by_key(|seat| seat.running) else { return Step::Wait };
        match line.next(now) {
            Next::Message(message) => {
                seat.running += 1;
                *running += 1;
                let consumer = seat.consumer.clone();
                Step::Begin(Job { message, consumer, seat: seat.number })
            }
            Next::At(at) => Step::WaitUntil(at),
            Next::Nothing => Step::Wait,
        }
    }

    /// Takes the end of a job in.
    pub(super) fn ended(&self, job: Job, end: End) {
        let mut state = lock(&self.state);
        state.running -= 1;
        if let Some(seat) = state.seats.iter_mut().find(|seat| seat.number == job.seat) {
            seat.running -= 1;
        }
        match end {
            End::Done => {
                self.usage.remove(job.message.bytes);
                self.total.remove(job.message.bytes);
            }
            End::Again(message) => state.line.push(message),
            End::Dead(message) => state.bury(message),
        }
        state.line.release(&job.message.group);
    }

    /// How many consumers there are, and how many jobs they may run together.
    pub(super) fn seats(&self) -> (usize, usize) {
        let state = lock(&self.state);
        let jobs = state.seats.iter().map(|seat| seat.consumer.policy.concurrency).sum();
        (state.seats.len(), jobs)
    }

    /// How many messages wait, and how many were given up.
    pub(super) fn depth(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.line.len(), state.dead.len())
    }

    /// How many jobs run.
    #[cfg(feature = "testing")]
    pub(super) fn running(&self) -> usize {
        lock(&self.state).running
    }

    /// Whether nobody has worked on it for so long.
    pub(super) fn is_absent(&self, for_long: Duration) -> bool {
        let state = lock(&self.state);
        state.seats.is_empty() && state.empty_since.elapsed() >= for_long
    }

    /// Whether it holds nothing, and nobody works on it.
    pub(super) fn is_unused(&self) -> bool {
        let state = lock(&self.state);
        let empty = state.line.len() == 0 && state.dead.is_empty() && state.running == 0;
        empty && state.seats.is_empty()
    }

    /// The messages that were given up, the oldest first: how many of them are skipped, and how many follow at most.
    pub(super) fn dead(&self, skip: usize, limit: usize) -> Vec<Uuid> {
        let state = lock(&self.state);
        state.dead.values().skip(skip).take(limit).map(|message| message.id).collect()
    }

    /// Takes a message that was given up: that with this id, or the oldest.
    pub(super) fn exhume(&self, id: Option<Uuid>) -> Option<Message> {
        let mut state = lock(&self.state);
        let at = match id {
            Some(id) => *state.dead_ids.get(&id)?,
            None => *state.dead.first_key_value()?.0,
        };
        let message = state.dead.remove(&at)?;
        state.dead_ids.remove(&message.id);
        Some(message)
    }

    /// Puts a message that was taken by [`Lane::exhume`] back in its turn, its record being up to date.
    pub(super) fn revive(&self, message: Message) {
        lock(&self.state).line.push(Message { attempts: 0, due: None, ..message });
        self.wake.notify_one();
    }

    /// Puts a message that was taken by [`Lane::exhume`] back among those that were given up.
    pub(super) fn bury(&self, message: Message) {
        lock(&self.state).bury(message);
    }

    /// Forgets a message that was taken by [`Lane::exhume`], its record being removed.
    pub(super) fn forget(&self, message: &Message) {
        self.usage.remove(message.bytes);
        self.total.remove(message.bytes);
    }
}

impl State {
    /// Gives the line the kind that the seats want: one of them is enough to keep the order.
    fn arrange(&mut self) {
        let grouped = self.seats.iter().any(|seat| seat.consumer.policy.grouped);
        self.line.set_grouped(grouped, self.running);
    }

    fn bury(&mut self, message: Message) {
        self.deaths += 1;
        self.dead_ids.insert(message.id, self.deaths);
        self.dead.insert(self.deaths, message);
    }
}
