//! Looking: what was called, published, queued and logged.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::harness::Mode;
use super::record::{End, Facts};
use super::{Harness, locked, report};
use crate::extract::{Context, Input};
use crate::function::Function;
use crate::trigger::LogEvent;
use iii_wire::Error;
use iii_wire::TriggerKind;
use iii_wire::protocol::Payload;

/// An invocation that began in the test, as it was when the test looked.
///
/// `F` is its function; with [`AnyFunction`] it was asked for by id, and its input and output are raw.
pub struct Recorded<F = AnyFunction> {
    facts: Facts,
    function: PhantomData<fn() -> F>,
}

/// In place of a function that is known by its id only.
#[derive(Debug, Clone, Copy)]
pub enum AnyFunction {}

impl<F> Recorded<F> {
    pub(super) fn new(facts: Facts) -> Self {
        Self { facts, function: PhantomData }
    }

    /// Who invoked it, and how: what the handler takes as [`Context`].
    pub fn context(&self) -> &Context {
        &self.facts.context
    }

    /// The kind of the trigger that fired; `None` for a call, and for a named queue.
    pub fn trigger(&self) -> Option<&TriggerKind> {
        self.facts.context.trigger().map(|trigger| &trigger.kind)
    }

    /// The number of the attempt, from 1, where a queue says so.
    pub fn attempt(&self) -> Option<u32> {
        self.facts.context.attempt()
    }

    /// When it began.
    pub fn began(&self) -> SystemTime {
        self.facts.began
    }

    /// When it ended; `None` if it ran when the test looked.
    pub fn ended(&self) -> Option<SystemTime> {
        self.facts.end.as_ref().map(|end| end.at)
    }

    /// Whether a mock ran in place of the handler.
    pub fn is_mocked(&self) -> bool {
        self.facts.mocked
    }

    /// What was sent, as it came. From an `http` trigger this is the whole request.
    pub fn input_raw(&self) -> &Payload {
        &self.facts.data
    }

    /// What was given; `None` if it gave nothing, failed, or runs.
    pub fn output_raw(&self) -> Option<&Payload> {
        self.facts.end.as_ref()?.result.as_ref().ok()?.as_ref()
    }

    /// What it failed with. The error of a panic says what the panic said, and where.
    pub fn error(&self) -> Option<&Error> {
        self.facts.end.as_ref()?.result.as_ref().err().map(Arc::as_ref)
    }
}

impl<F: Function> Recorded<F> {
    /// What the function took.
    ///
    /// # Panics
    ///
    /// If what was sent does not fit; [`Recorded::input_raw`] has it.
    #[track_caller]
    pub fn input(&self) -> F::Input
    where
        F::Input: Input,
    {
        match self.facts.input() {
            Ok(input) => input,
            Err(error) => panic!("the input of {self} does not fit: {error}"),
        }
    }

    /// What the function gave.
    ///
    /// # Panics
    ///
    /// If it failed, or runs.
    #[track_caller]
    pub fn output(&self) -> F::Output
    where
        F::Output: DeserializeOwned,
    {
        match &self.facts.end {
            Some(End { result: Ok(output), .. }) => {
                match output.clone().unwrap_or_default().parse() {
                    Ok(output) => output,
                    Err(error) => panic!("the output of {self} does not fit: {error}"),
                }
            }
            Some(End { result: Err(_), .. }) => panic!("there is no output: {self}"),
            None => panic!("there is no output yet: {self}"),
        }
    }
}

impl<F> Clone for Recorded<F> {
    fn clone(&self) -> Self {
        Self::new(self.facts.clone())
    }
}

impl<F> fmt::Display for Recorded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&report::line(&self.facts))
    }
}

impl<F> fmt::Debug for Recorded<F> {
    /// The same as for people: it is what a failed assertion prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A message that was published.
#[derive(Debug, Clone)]
pub struct Published {
    pub(super) topic: String,
    pub(super) data: Payload,
    pub(super) at: SystemTime,
    pub(super) durable: bool,
}

impl Published {
    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The message.
    ///
    /// # Panics
    ///
    /// If it does not fit the type; [`Published::data_raw`] has it.
    #[track_caller]
    pub fn data<T: DeserializeOwned>(&self) -> T {
        match self.data.parse() {
            Ok(data) => data,
            Err(error) => {
                panic!("the message does not fit: {error}: {}", report::short(&self.data))
            }
        }
    }

    /// The message as it was sent.
    pub fn data_raw(&self) -> &Payload {
        &self.data
    }

    /// When.
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Whether it went to a durable topic, for `queue` triggers; else to those who are subscribed.
    pub fn is_durable(&self) -> bool {
        self.durable
    }
}

/// What a durable topic or a named queue holds.
#[derive(Debug, Clone)]
pub struct QueueState {
    /// Messages that wait, those included that will be tried again.
    pub waiting: usize,
    /// Messages that are being worked on.
    pub running: usize,
    /// Messages that were given up, the oldest first.
    pub dead: Vec<DeadMessage>,
}

/// A message that was given up.
#[derive(Debug, Clone, Deserialize)]
pub struct DeadMessage {
    /// Its id.
    pub id: String,
    /// The message.
    pub payload: Payload,
    /// What the last attempt failed with, for people.
    pub error: String,
    /// How often it was tried.
    #[serde(rename = "retries")]
    pub attempts: u32,
}

impl Harness {
    /// The invocations of a function so far, in the order in which they began. Settles first.
    ///
    /// Those of the worker under test and of mocks are seen; what another worker serves is not.
    #[track_caller]
    pub fn calls<F: Function>(&self) -> impl Future<Output = Vec<Recorded<F>>> + use<F> {
        self.look("calls");
        let harness = self.clone();
        async move {
            harness.settled().await;
            harness.inner.recorder.of(F::ID).into_iter().map(Recorded::new).collect()
        }
    }

    /// As [`Harness::calls`], by the id of the function.
    #[track_caller]
    pub fn calls_raw(&self, function_id: &str) -> impl Future<Output = Vec<Recorded>> + use<> {
        self.look("calls_raw");
        let (harness, id) = (self.clone(), function_id.to_owned());
        async move {
            harness.settled().await;
            harness.inner.recorder.of(&id).into_iter().map(Recorded::new).collect()
        }
    }

    /// The messages that were published to a topic so far, by anybody, with [`Client::publish`](crate::Client::publish)
    /// or [`Client::publish_durable`](crate::Client::publish_durable). Settles first.
    #[track_caller]
    pub fn published(&self, topic: &str) -> impl Future<Output = Vec<Published>> + use<> {
        self.look("published");
        self.only_here("published");
        let (harness, topic) = (self.clone(), topic.to_owned());
        async move {
            harness.settled().await;
            let all = locked(&harness.inner.published);
            all.iter().filter(|one| one.topic == topic).cloned().collect()
        }
    }

    /// What a durable topic or a named queue holds. Settles first.
    ///
    /// Of a real engine, `running` counts the runs of the worker under test that `queue` triggers began.
    ///
    /// # Panics
    ///
    /// If the engine does not say.
    #[track_caller]
    pub fn queue(&self, name: &str) -> impl Future<Output = QueueState> + use<> {
        self.look("queue");
        let (harness, name) = (self.clone(), name.to_owned());
        async move {
            #[derive(Deserialize)]
            struct Stats {
                depth: usize,
            }
            harness.settled().await;
            let client = harness.outside();
            let topic = serde_json::json!({ "topic": name, "limit": 1000 });
            let asked = "the engine says what its queues hold";
            let stats: Stats =
                client.builtin("engine::queue::topic_stats", &topic).await.expect(asked);
            let dead: Option<Vec<DeadMessage>> =
                client.builtin("engine::queue::dlq_messages", &topic).await.expect(asked);
            let running = match &harness.started().await.engine {
                Some(engine) => engine.in_flight(&name),
                None => {
                    let runs = |facts: &&Facts| {
                        let trigger = facts.context.trigger();
                        facts.end.is_none()
                            && trigger.is_some_and(|trigger| trigger.kind == TriggerKind::Queue)
                    };
                    harness.inner.recorder.all().iter().filter(runs).count()
                }
            };
            QueueState { waiting: stats.depth, running, dead: dead.unwrap_or_default() }
        }
    }

    /// The log of the engine, the oldest record first: what was written with `engine::log::info` and its like. Settles
    /// first.
    ///
    /// # Panics
    ///
    /// If the engine does not say.
    #[track_caller]
    pub fn logs(&self) -> impl Future<Output = Vec<LogEvent>> + use<> {
        self.look("logs");
        let harness = self.clone();
        async move {
            #[derive(Deserialize)]
            struct Page {
                logs: Vec<LogEvent>,
            }
            harness.settled().await;
            let query = serde_json::json!({ "limit": 1000 });
            let page = harness.outside().builtin::<Page>("engine::logs::list", &query).await;
            let mut logs = page.expect("the engine lists its log").logs;
            logs.reverse();
            logs
        }
    }

    /// Notes what the test does, without a longer patience: a test that looks again and again for what never comes is
    /// to end.
    #[track_caller]
    fn look(&self, what: &'static str) {
        *locked(&self.inner.steps.last) = Some((what, std::panic::Location::caller()));
        if self.inner.mode != Mode::Virtual {
            self.step(what);
        }
    }
}
