//! Tests of queues with raw workers, in virtual time.

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

/// The start of the test clock: 2026-01-05T09:00:10Z.
const START: u64 = 1_767_603_610;

/// A broker with queues, a worker that serves functions, and a worker that calls.
struct QueueHarness {
    broker: Broker,
    queues: Arc<Queues>,
    store: Store,
    settings: QueueSettings,
    worker: Worker,
    caller: Worker,
    start: Instant,
}

impl QueueHarness {
    async fn new() -> Self {
        Self::with(QueueSettings::default(), Store::in_memory()).await
    }

    async fn with(settings: QueueSettings, store: Store) -> Self {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(START));
        Self::start(clock, settings, store, Limits::default()).await
    }

    /// Starts with modified limits.
    async fn with_limits(settings: QueueSettings, modify: impl FnOnce(&mut QueueLimits)) -> Self {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(START));
        let mut limits = Limits::default();
        modify(&mut limits.queues);
        Self::start(clock, settings, Store::in_memory(), limits).await
    }

    async fn start(clock: Clock, settings: QueueSettings, store: Store, limits: Limits) -> Self {
        let broker = Broker::with_limits(clock, Duration::from_secs(5), limits);
        let queues = Queues::new(broker.clone(), &store, settings.clone());
        let queues = with_provider(&broker, queues);
        let worker = Worker::named(&broker, "w").await;
        let caller = Worker::named(&broker, "c").await;
        let mut harness =
            Self { broker, queues, store, settings, worker, caller, start: Instant::now() };
        for function in ["q::a", "q::b", "q::if"] {
            harness.worker.function(function);
        }
        harness.worker.nothing_else().await;
        harness
    }

    /// Shuts the broker down, and after `pause` starts another one on the same store.
    async fn restarted(self, pause: Duration) -> Self {
        self.broker.shut_down(1012);
        tokio::time::sleep(pause).await;
        let (clock, limits) = (self.broker.clock().clone(), (**self.broker.limits()).clone());
        Self::start(clock, self.settings, self.store, limits).await
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

    /// Enqueues an invocation of `q::a`. Returns the receipt, or the error.
    async fn enqueue(&mut self, queue: &str, data: &str) -> Result<String, ErrorBody> {
        self.enqueue_call(queue, Worker::invocation("q::a", data)).await
    }

    async fn enqueue_call(&mut self, queue: &str, m: InvokeFunction) -> Result<String, ErrorBody> {
        let action = Some(Action::Enqueue { queue: queue.to_owned() });
        let id = self.caller.start_with(InvokeFunction { action, ..m });
        let receipt: Value = self.caller.answer_to(id).await?.unwrap().parse().unwrap();
        Ok(receipt["messageReceiptId"].as_str().unwrap().to_owned())
    }

    /// Calls a built-in function.
    async fn call(&mut self, function: &str, input: &str) -> Value {
        let result = self.caller.call(function, input).await.unwrap();
        result.map_or(Value::Null, |result| result.parse().unwrap())
    }

    /// Returns the number of waiting messages and of dead letters of a topic or queue.
    async fn depth(&mut self, topic: &str) -> (u64, u64) {
        let input = format!(r#"{{"topic":"{topic}"}}"#);
        let stats = self.call("engine::queue::topic_stats", &input).await;
        (stats["depth"].as_u64().unwrap(), stats["dlq_depth"].as_u64().unwrap())
    }

    /// Returns the dead letters of a topic or queue.
    async fn dead_letters(&mut self, topic: &str) -> Vec<Value> {
        let input = format!(r#"{{"topic":"{topic}"}}"#);
        let dead_letters = self.call("engine::queue::dlq_messages", &input).await;
        dead_letters.as_array().unwrap().clone()
    }

    /// Receives the next delivery: the invocation, and its function and data as a string.
    async fn delivery(&mut self) -> (InvokeFunction, String) {
        let call = self.worker.called().await;
        let text = format!("{} {}", call.function_id, call.data.as_str());
        (call, text)
    }

    /// Acknowledges the next deliveries. Returns their functions and data.
    async fn acknowledge(&mut self, deliveries: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..deliveries {
            let (call, text) = self.delivery().await;
            self.worker.answer(&call, Ok(None));
            texts.push(text);
        }
        texts
    }

    /// Fails the next delivery. Returns its function and data.
    async fn fail(&mut self) -> String {
        let (call, text) = self.delivery().await;
        self.worker.answer(&call, Err(ErrorBody::new("e", "no luck")));
        text
    }

    /// Returns the milliseconds since the start.
    fn elapsed_ms(&self) -> u128 {
        self.start.elapsed().as_millis()
    }

    /// Asserts that nothing is delivered for `duration`.
    async fn assert_no_delivery(&mut self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.worker.nothing_else().await;
    }
}

/// Settings with one named queue.
fn with_queue(name: &str, queue: NamedQueue) -> QueueSettings {
    QueueSettings { queues: BTreeMap::from([(name.to_owned(), queue)]) }
}
