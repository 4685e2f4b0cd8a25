//! What the engine observes: spans, metrics and logs that workers send, what it counts itself, and how it is (protocol
//! sections 1.6, 6.7 and 10).
//!
//! `ingest` reads telemetry frames; `traces`, `metrics` and `logs` keep what is in them, each within its bounds, and
//! answer questions about it. `chain` keeps handlers from firing themselves.

mod alerts;
mod baggage;
mod chain;
mod health;
mod ingest;
mod live;
mod logs;
mod metrics;
mod settings;
mod shared;
mod traces;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::broker::Broker;
use super::provider::{Binding, BrokerEvent, BuiltIn, Provider, TriggerTypeInfo, schema};
use super::stream::Streams;
use iii_wire::protocol::ErrorBody;
use iii_wire::transport::ws::TelemetryHandler;

pub(crate) use metrics::{WorkerGauges, WorkerMetrics};
pub use settings::{
    AlertAction, AlertOperator, AlertRule, LogSettings, MetricSettings, ObservabilitySettings,
    Sampling, SamplingRule, TraceSettings,
};

use alerts::Alerts;
use chain::Chains;
use ingest::{Ingest, Sink};
use live::Live;
use logs::{LogConfig, Logs, Record};
use metrics::{Metrics, Point};
use traces::{Span, TraceConfig, TraceEvent, Traces, Watch};

/// The trigger type for log records.
const LOG: &str = "log";
/// The trigger type for traces.
const TRACE: &str = "trace";

/// The provider of the trigger types `log` and `trace`, and of all functions that look at telemetry.
pub(crate) struct Observability {
    inner: Arc<Inner>,
    ingest: Arc<Ingest<Inner>>,
}

/// Where telemetry is kept.
struct Inner {
    broker: Broker,
    settings: ObservabilitySettings,
    traces: Arc<Traces>,
    watch: Arc<Watch>,
    live: Option<Arc<Live>>,
    metrics: Arc<Metrics>,
    logs: Arc<Logs>,
    alerts: Arc<Alerts>,
}

impl Observability {
    /// Nothing is observed yet. New spans are told to the subscribers of `streams`; `gauges` is where workers' values go.
    pub(crate) fn new(
        broker: Broker,
        settings: ObservabilitySettings,
        streams: Option<Arc<Streams>>,
        gauges: WorkerGauges,
    ) -> Self {
        let chains = Arc::new(Chains::default());
        let metrics = Arc::new(Metrics::new(broker.clone(), &settings.metrics, gauges));
        let live = streams.filter(|_| settings.traces.live_spans);
        let inner = Arc::new(Inner {
            traces: Arc::new(Traces::new(&settings.traces)),
            watch: Arc::new(Watch::new(broker.clone(), chains.clone())),
            live: live.map(|streams| Arc::new(Live::new(broker.clone(), streams))),
            alerts: Alerts::start(broker.clone(), metrics.clone(), settings.alerts.clone()),
            metrics,
            logs: Arc::new(Logs::new(broker.clone(), &settings, chains)),
            broker,
            settings,
        });
        Self { ingest: Arc::new(Ingest::new(inner.clone())), inner }
    }
}

impl Sink for Inner {
    fn spans(&self, spans: Vec<Span>) {
        let kept = self.traces.keep(spans);
        self.watch.notice(&kept);
        if let Some(live) = &self.live {
            live.notice(&kept);
        }
    }

    fn points(&self, points: Vec<Point>) {
        self.metrics.keep(points);
    }

    fn records(&self, records: Vec<Record>) {
        self.logs.keep(records);
    }

    fn refused_spans(&self, count: u64) {
        self.traces.note_dropped(count);
    }
}

impl Provider for Observability {
    fn name(&self) -> &'static str {
        "iii-observability"
    }

    fn description(&self) -> &'static str {
        "Keep traces, metrics and logs, and react to them."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        vec![
            TriggerTypeInfo {
                id: LOG,
                description: "Fires for log records of one level, or of all.",
                config_schema: schema::<LogConfig>(),
                request_schema: schema::<Record>(),
            },
            TriggerTypeInfo {
                id: TRACE,
                description: "Fires for traces with new spans.",
                config_schema: schema::<TraceConfig>(),
                request_schema: schema::<TraceEvent>(),
            },
        ]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        let inner = &self.inner;
        let mut functions = inner.logs.functions();
        functions.extend(inner.traces.functions());
        functions.extend(inner.metrics.functions());
        functions.extend(inner.alerts.functions());
        functions.extend(baggage::functions(inner.broker.clock(), &inner.settings));
        functions.push(health::function(inner));
        functions
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        match &*binding.trigger_type {
            TRACE => self.inner.watch.bind(binding),
            _ => self.inner.logs.bind(binding),
        }
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        match &*binding.trigger_type {
            TRACE => self.inner.watch.unbind(&binding.id),
            _ => self.inner.logs.unbind(&binding.id),
        }
    }

    fn on_event(&self, event: &BrokerEvent) {
        if let BrokerEvent::WorkerDisconnected(worker) = event {
            self.inner.metrics.forget(*worker);
        }
    }

    fn telemetry(&self) -> Option<TelemetryHandler> {
        if !self.inner.settings.enabled {
            return None;
        }
        let ingest = self.ingest.clone();
        Some(Arc::new(move |frame| ingest.take(frame)))
    }

    fn stop(&self) {
        self.inner.alerts.stop();
        self.inner.watch.stop();
        if let Some(live) = &self.inner.live {
            live.stop();
        }
    }
}
