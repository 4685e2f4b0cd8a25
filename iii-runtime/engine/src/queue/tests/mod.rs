//! Tests of queues, through raw workers and under virtual time.

mod admin;
mod named;
mod restart;
mod subscribers;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::Instant;

use super::*;
use crate::broker::testing::{Worker, json, with_provider};
use crate::limits::{Limits, QueueLimits};
use iii_wire::clock::Clock;
use iii_wire::protocol::{Action, InvokeFunction};

/// Ten seconds past 2026-01-05T09:00:00Z.
const START: u64 = 1_767_603_610;

/// An engine with queues, a worker that serves, and one that calls.
struct Rig {
    broker: Broker,
    queues: Arc<Queues>,
    store: Store,
    settings: QueueSettings,
    worker: Worker,
    caller: Worker,
    start: Instant,
}

impl Rig {
    async fn new() -> Self {
        Self::with(QueueSettings::default(), Store::in_memory()).await
    }

    async fn with(settings: QueueSettings, store: Store) -> Self {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(START));
        Self::at(clock, settings, store, Limits::default()).await
    }

    /// With other limits.
    async fn bounded(settings: QueueSettings, alter: impl FnOnce(&mut QueueLimits)) -> Self {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(START));
        let mut limits = Limits::default();
        alter(&mut limits.queues);
        Self::at(clock, settings, Store::in_memory(), limits).await
    }

    async fn at(clock: Clock, settings: QueueSettings, store: Store, limits: Limits) -> Self {
        let broker = Broker::with_limits(clock, Duration::from_secs(5), limits);
        let queues = Queues::new(broker.clone(), &store, settings.clone());
        let queues = with_provider(&broker, queues);
        let worker = Worker::named(&broker, "w").await;
        let caller = Worker::named(&broker, "c").await;
        let mut rig =
            Self { broker, queues, store, settings, worker, caller, start: Instant::now() };
        for function in ["q::a", "q::b", "q::if"] {
            rig.worker.function(function);
        }
        rig.worker.nothing_else().await;
        rig
    }

    /// Ends the engine, and starts another one on the same store after a while.
    async fn restarted(self, pause: Duration) -> Self {
        self.broker.shut_down(1012);
        tokio::time::sleep(pause).await;
        let (clock, limits) = (self.broker.clock().clone(), (**self.broker.limits()).clone());
        Self::at(clock, self.settings, self.store, limits).await
    }

    /// Subscribes a function to a topic.
    async fn subscribe(&mut self, id: &str, function: &str, config: &str) {
        self.worker.bind(id, "durable:subscriber", function, config);
        self.worker.nothing_else().await;
    }

    async fn publish(&mut self, topic: &str, data: &str) {
        let input = format!(r#"{{"topic":"{topic}","data":{data}}}"#);
        assert_eq!(self.caller.call("iii::durable::publish", &input).await, Ok(None));
    }

    /// Enqueues a call of `q::a`. The receipt, or the error.
    async fn enqueue(&mut self, queue: &str, data: &str) -> Result<String, ErrorBody> {
        self.enqueue_call(queue, Worker::invocation("q::a", data)).await
    }

    async fn enqueue_call(&mut self, queue: &str, m: InvokeFunction) -> Result<String, ErrorBody> {
        let action = Some(Action::Enqueue { queue: queue.to_owned() });
        let id = self.caller.start_with(InvokeFunction { action, ..m });
        let receipt: Value = self.caller.answer_to(id).await?.unwrap().parse().unwrap();
        Ok(receipt["messageReceiptId"].as_str().unwrap().to_owned())
    }

    /// Calls a function of the queues.
    async fn ask(&mut self, function: &str, input: &str) -> Value {
        let answer = self.caller.call(function, input).await.unwrap();
        answer.map_or(Value::Null, |answer| answer.parse().unwrap())
    }

    /// What waits, and what was given up, in a topic or queue.
    async fn depth(&mut self, topic: &str) -> (u64, u64) {
        let input = format!(r#"{{"topic":"{topic}"}}"#);
        let stats = self.ask("engine::queue::topic_stats", &input).await;
        (stats["depth"].as_u64().unwrap(), stats["dlq_depth"].as_u64().unwrap())
    }

    /// The messages of a topic or queue that were given up.
    async fn dead(&mut self, topic: &str) -> Vec<Value> {
        let input = format!(r#"{{"topic":"{topic}"}}"#);
        let dead = self.ask("engine::queue::dlq_messages", &input).await;
        dead.as_array().unwrap().clone()
    }

    /// The next job: its function and its data.
    async fn job(&mut self) -> (InvokeFunction, String) {
        let call = self.worker.called().await;
        let text = format!("{} {}", call.function_id, call.data.as_str());
        (call, text)
    }

    /// The next jobs, which succeed.
    async fn done(&mut self, jobs: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..jobs {
            let (call, text) = self.job().await;
            self.worker.answer(&call, Ok(None));
            texts.push(text);
        }
        texts
    }

    /// The next job, which fails.
    async fn fail(&mut self) -> String {
        let (call, text) = self.job().await;
        self.worker.answer(&call, Err(ErrorBody::new("e", "no luck")));
        text
    }

    /// Milliseconds since the start.
    fn ms(&self) -> u128 {
        self.start.elapsed().as_millis()
    }

    /// Lets everything happen that happens within a time, and checks that no job is among it.
    async fn quiet(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.worker.nothing_else().await;
    }
}

/// Settings with one more queue.
fn with_queue(name: &str, queue: NamedQueue) -> QueueSettings {
    QueueSettings { queues: BTreeMap::from([(name.to_owned(), queue)]) }
}
