//! Tests of what the engine observes: frames in, questions answered, triggers fired.

mod health;
mod logs;
mod metrics;
mod traces;

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Bytes;

use super::*;
use crate::broker::testing::{Worker, broker, until, with_provider};
use crate::discovery::Discovery;
use iii_wire::clock::Clock;
use iii_wire::protocol::{InvokeFunction, Message, Payload};

const T1: &str = "0af7651916cd43dd8448eb211c80319c";
const T2: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// An engine that observes, and a worker with the function `l::on`.
struct Rig {
    broker: Broker,
    worker: Worker,
}

impl Rig {
    async fn new() -> Self {
        Self::with(broker(), ObservabilitySettings::default()).await
    }

    async fn with(broker: Broker, settings: ObservabilitySettings) -> Self {
        let gauges = WorkerGauges::default();
        let observability = Observability::new(broker.clone(), settings, None, gauges.clone());
        with_provider(&broker, observability);
        with_provider(&broker, Discovery::new(broker.clone(), gauges));
        let mut worker = Worker::named(&broker, "w").await;
        worker.function("l::on");
        worker.nothing_else().await;
        Self { broker, worker }
    }

    /// Under a clock that stands still with Tokio's.
    async fn at_rest(settings: ObservabilitySettings) -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600);
        Self::with(Broker::new(Clock::starting_at(start), Duration::from_secs(5)), settings).await
    }

    /// A telemetry frame comes.
    async fn frame(&self, prefix: &str, body: &Value) {
        let take = self.broker.telemetry().expect("telemetry is taken");
        take(Bytes::from(format!("{prefix}{body}"))).await;
    }

    async fn spans(&self, service: &str, spans: Value) {
        self.frame("OTLP", &json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
            "scopeSpans": [{"scope": {"name": "lib"}, "spans": spans}],
        }]}))
        .await;
    }

    async fn logs(&self, records: Value) {
        let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]});
        self.frame("LOGS", &body).await;
    }

    async fn points(&self, metrics: Value) {
        let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]});
        self.frame("MTRC", &body).await;
    }

    async fn ask(&mut self, function: &str, input: Value) -> Value {
        let answer = self.worker.call(function, &input.to_string()).await.unwrap();
        answer.map_or(Value::Null, |answer| answer.parse().unwrap())
    }

    /// The next message, which must be a call of the worker's function; its input.
    async fn called(&mut self) -> (InvokeFunction, Value) {
        let call = self.worker.called().await;
        let data = call.data.parse().unwrap();
        (call, data)
    }

    /// Nothing comes, however long it is waited for.
    async fn quiet(&mut self) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.worker.nothing_else().await;
    }
}

fn span(trace: &str, id: u64, parent: Option<u64>, more: Value) -> Value {
    let mut span = json!({
        "traceId": trace, "spanId": format!("{id:016x}"), "name": format!("s{id}"),
        "startTimeUnixNano": (id * 1_000_000).to_string(),
        "endTimeUnixNano": (id * 2_000_000).to_string(),
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = format!("{parent:016x}").into();
    }
    span.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    span
}

fn attributes(pairs: &[(&str, &str)]) -> Value {
    let one = |(key, value): &(&str, &str)| json!({"key": key, "value": {"stringValue": value}});
    json!({"attributes": pairs.iter().map(one).collect::<Vec<_>>()})
}

fn names(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[field].as_str().unwrap().to_owned()).collect()
}
