//! Tests of observability: ingest of telemetry frames, functions and triggers.

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

/// A broker with the providers of observability and discovery, and a worker with the function `l::on`.
struct TestEngine {
    broker: Broker,
    worker: Worker,
}

impl TestEngine {
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

    /// Uses a virtual clock that follows the paused clock of Tokio.
    async fn with_virtual_clock(settings: ObservabilitySettings) -> Self {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600);
        Self::with(Broker::new(Clock::starting_at(start), Duration::from_secs(5)), settings).await
    }

    /// Ingests a telemetry frame.
    async fn frame(&self, prefix: &str, body: &Value) {
        let ingest = self.broker.telemetry().expect("telemetry is enabled");
        ingest(Bytes::from(format!("{prefix}{body}"))).await;
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

    async fn metrics(&self, metrics: Value) {
        let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]});
        self.frame("MTRC", &body).await;
    }

    async fn call(&mut self, function: &str, input: Value) -> Value {
        let output = self.worker.call(function, &input.to_string()).await.unwrap();
        output.map_or(Value::Null, |output| output.parse().unwrap())
    }

    /// Receives the next message, which must be a call of the worker's function. Returns it with its input.
    async fn called(&mut self) -> (InvokeFunction, Value) {
        let call = self.worker.called().await;
        let data = call.data.parse().unwrap();
        (call, data)
    }

    /// Asserts that no trigger fires within a minute.
    async fn assert_no_firing(&mut self) {
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
    let attribute =
        |(key, value): &(&str, &str)| json!({"key": key, "value": {"stringValue": value}});
    json!({"attributes": pairs.iter().map(attribute).collect::<Vec<_>>()})
}

fn values_of(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item[field].as_str().unwrap().to_owned()).collect()
}
