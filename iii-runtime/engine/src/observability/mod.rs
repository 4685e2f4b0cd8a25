//! Observability: stores the traces, metrics and log records that workers export, fires `log` and `trace` triggers, and
//! reports metrics, alerts and the health of the engine ([protocol 1.6](iii_wire::protocol#s1-6), [6.7](iii_wire::protocol#s6-7), [10](iii_wire::protocol#s10)).

mod alerts;
mod baggage;
mod health;
mod ingest;
mod live_spans;
mod logs;
mod loop_guard;
mod metrics;
mod retention;
mod sampling;
mod serialize_arc;
mod settings;
mod traces;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::broker::Broker;
use super::provider::{Binding, BrokerEvent, BuiltIn, Provider, TriggerTypeInfo, schema};
use super::worker_gauges::WorkerGauges;
use iii_wire::clock::Clock;
use iii_wire::protocol::ErrorBody;
use iii_wire::transport::ws::TelemetryHandler;

pub(crate) use live_spans::SubscriptionCheck;
pub use settings::{
    AlertAction, AlertOperator, AlertRule, LogSettings, MetricSettings, ObservabilitySettings,
    Sampling, SamplingRule, TraceSettings,
};

use alerts::Alerts;
use ingest::{TelemetryIngest, TelemetrySink};
use live_spans::LiveSpans;
use logs::{LogRecord, LogTriggerConfig, Logs};
use loop_guard::LoopGuard;
use metrics::{DataPoint, Metrics};
use traces::{Span, TraceTriggerConfig, TraceTriggerPayload, TraceTriggers, Traces};

/// The trigger type of log records.
const LOG: &str = "log";
/// The trigger type of traces.
const TRACE: &str = "trace";

/// Input of functions without parameters.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct NoInput {}

/// Output of the functions that delete stored telemetry.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ClearOutput {
    /// Always true.
    success: bool,
}

/// Returns the current time, in nanoseconds since the Unix epoch.
fn unix_nanos(clock: &Clock) -> u64 {
    let since_epoch = clock.now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since_epoch.unwrap_or(Duration::ZERO).as_nanos()).unwrap_or(u64::MAX)
}

/// Converts inclusive bounds in milliseconds to nanoseconds, up to the end of the last millisecond.
fn nanos_range(start_ms: Option<u64>, end_ms: Option<u64>) -> RangeInclusive<u64> {
    let nanos = |ms: u64| ms.saturating_mul(1_000_000);
    let end = end_ms.map_or(u64::MAX, |end| nanos(end).saturating_add(999_999));
    start_ms.map_or(0, nanos)..=end
}

/// The provider of the trigger types `log` and `trace`, and of the functions for telemetry, alerts and health.
pub(crate) struct Observability {
    inner: Arc<ObservabilityInner>,
    ingest: Arc<TelemetryIngest<ObservabilityInner>>,
}

/// The stores of telemetry, and what reacts to new telemetry.
struct ObservabilityInner {
    broker: Broker,
    settings: ObservabilitySettings,
    traces: Arc<Traces>,
    trace_triggers: Arc<TraceTriggers>,
    live_spans: Option<Arc<LiveSpans>>,
    metrics: Arc<Metrics>,
    logs: Arc<Logs>,
    alerts: Arc<Alerts>,
}

impl Observability {
    /// Creates the provider with empty stores. New spans are published to streams if `has_subscribers` is set; `gauges`
    /// receives the gauges of workers about themselves.
    pub(crate) fn new(
        broker: Broker,
        settings: ObservabilitySettings,
        has_subscribers: Option<SubscriptionCheck>,
        gauges: WorkerGauges,
    ) -> Self {
        let loop_guard = Arc::new(LoopGuard::default());
        let metrics = Arc::new(Metrics::new(broker.clone(), &settings.metrics, gauges));
        let has_subscribers = has_subscribers.filter(|_| settings.traces.live_spans);
        let inner = Arc::new(ObservabilityInner {
            traces: Arc::new(Traces::new(&settings.traces)),
            trace_triggers: Arc::new(TraceTriggers::new(broker.clone(), loop_guard.clone())),
            live_spans: has_subscribers
                .map(|has_subscribers| Arc::new(LiveSpans::new(broker.clone(), has_subscribers))),
            alerts: Alerts::start(broker.clone(), metrics.clone(), settings.alerts.clone()),
            metrics,
            logs: Arc::new(Logs::new(broker.clone(), &settings, loop_guard)),
            broker,
            settings,
        });
        Self { ingest: Arc::new(TelemetryIngest::new(inner.clone())), inner }
    }
}

impl TelemetrySink for ObservabilityInner {
    fn spans(&self, spans: Vec<Span>) {
        let stored = self.traces.store(spans);
        self.trace_triggers.on_spans(&stored);
        if let Some(live_spans) = &self.live_spans {
            live_spans.on_spans(&stored);
        }
    }

    fn data_points(&self, points: Vec<DataPoint>) {
        self.metrics.store(points);
    }

    fn log_records(&self, records: Vec<LogRecord>) {
        self.logs.store(records);
    }

    fn dropped_spans(&self, count: u64) {
        self.traces.count_dropped(count);
    }
}

impl Provider for Observability {
    fn name(&self) -> &'static str {
        "iii-observability"
    }

    fn description(&self) -> &'static str {
        "Store traces, metrics and logs, and fire triggers for them."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        vec![
            TriggerTypeInfo {
                id: LOG,
                description: "Fires on log records of one level or of all levels.",
                config_schema: schema::<LogTriggerConfig>(),
                request_schema: schema::<LogRecord>(),
            },
            TriggerTypeInfo {
                id: TRACE,
                description: "Fires when traces have new spans.",
                config_schema: schema::<TraceTriggerConfig>(),
                request_schema: schema::<TraceTriggerPayload>(),
            },
        ]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        let inner = &self.inner;
        let mut functions = inner.logs.functions();
        functions.extend(inner.traces.functions());
        functions.extend(inner.metrics.functions());
        functions.extend(inner.alerts.functions());
        functions.extend(baggage::functions());
        functions.push(sampling::function(inner.broker.clock(), &inner.settings));
        functions.push(health::function(inner));
        functions
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        match &*binding.trigger_type {
            TRACE => self.inner.trace_triggers.bind(binding),
            _ => self.inner.logs.bind(binding),
        }
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        match &*binding.trigger_type {
            TRACE => self.inner.trace_triggers.unbind(&binding.id),
            _ => self.inner.logs.unbind(&binding.id),
        }
    }

    fn on_event(&self, event: &BrokerEvent) {
        if let BrokerEvent::WorkerDisconnected(worker) = event {
            self.inner.metrics.remove_worker(*worker);
        }
    }

    fn telemetry(&self) -> Option<TelemetryHandler> {
        if !self.inner.settings.enabled {
            return None;
        }
        let ingest = self.ingest.clone();
        Some(Arc::new(move |frame| ingest.ingest(frame)))
    }

    fn stop(&self) {
        self.inner.alerts.stop();
        self.inner.trace_triggers.stop();
        if let Some(live_spans) = &self.inner.live_spans {
            live_spans.stop();
        }
    }
}
