//! Metrics: the points that workers send, and what the engine counts itself (protocol section 6.7).

mod engine;
mod gauges;
mod point;
mod rollup;
mod store;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::settings::MetricSettings;
use super::shared::Shared;
use crate::broker::Broker;
use crate::provider::BuiltIn;
use iii_wire::protocol::WorkerId;
use iii_wire::sync::lock;

pub(crate) use gauges::{WorkerGauges, WorkerMetrics};
pub(super) use point::{Histogram, Kind, Point, Value};

use engine::EngineMetrics;
use rollup::Rollups;
use store::{Aggregate, Store, aggregated};

/// The input of `engine::metrics::list`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct Query {
    /// Milliseconds since 1970; points that were measured earlier are left out.
    start_time: Option<u64>,
    /// Milliseconds since 1970; points that were measured later are left out.
    end_time: Option<u64>,
    /// The metric.
    metric_name: Option<String>,
    /// Seconds: with it, points are also added up by intervals of that length.
    aggregate_interval: Option<u64>,
}

/// All that is measured.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Page {
    /// What the engine counts itself, since it started.
    engine_metrics: EngineMetrics,
    /// The points that workers sent, the oldest first.
    sdk_metrics: Vec<Shared<Point>>,
    /// Points by metric, service and interval; empty without `aggregate_interval`.
    aggregated_metrics: Vec<Aggregate>,
    /// What was asked, if anything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Query>,
    /// When, in milliseconds since 1970.
    timestamp: u64,
}

/// The metrics of one engine.
pub(super) struct Metrics {
    broker: Broker,
    is_enabled: bool,
    store: Mutex<Store>,
    rollups: Mutex<Rollups>,
    gauges: WorkerGauges,
}

impl Metrics {
    /// Without points.
    pub(super) fn new(broker: Broker, settings: &MetricSettings, gauges: WorkerGauges) -> Self {
        let retention = u64::try_from(settings.retention.as_nanos()).unwrap_or(u64::MAX);
        Self {
            broker,
            is_enabled: settings.enabled,
            store: Mutex::new(Store::new(settings.max_count, retention)),
            rollups: Mutex::default(),
            gauges,
        }
    }

    /// Keeps points that came in a telemetry frame.
    pub(super) fn keep(&self, points: Vec<Point>) {
        if !self.is_enabled {
            return;
        }
        let now = self.now();
        for mut point in points {
            if point.timestamp_unix_nano == 0 {
                point.timestamp_unix_nano = now;
            }
            self.gauges.take(&point, |worker| self.broker.is_connected(worker));
            lock(&self.rollups).add(&point, now / 1_000_000);
            lock(&self.store).push(Arc::new(point), now);
        }
    }

    /// Forgets what a worker that is gone said about itself.
    pub(super) fn forget(&self, worker: WorkerId) {
        self.gauges.forget(worker);
    }

    /// How many points there are.
    pub(super) fn len(&self) -> usize {
        let mut store = lock(&self.store);
        store.forget_old(self.now());
        store.len()
    }

    /// The value of one of the engine's own metrics, and whether it only grows.
    pub(super) fn of_engine(&self, name: &str) -> Option<(f64, bool)> {
        engine::value(&self.broker.metrics(), name)
    }

    /// The value of a metric of workers within the last `window`, as [`AlertRule`](super::settings::AlertRule) says.
    pub(super) fn of_workers(&self, name: &str, window: Duration) -> Option<f64> {
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let points = lock(&self.store).since(name, self.now().saturating_sub(window));
        let last = points.last()?;
        let numbers = points.iter().filter_map(|point| match point.value {
            Value::Number(number) => Some((point, number)),
            Value::Histogram(_) => None,
        });
        match (&last.value, last.kind) {
            (Value::Number(number), Kind::Gauge) => Some(*number),
            (Value::Number(_), _) if last.is_delta => Some(numbers.map(|(_, number)| number).sum()),
            (Value::Number(_), _) => {
                // Each series has its own beginning.
                let mut series: std::collections::HashMap<u64, (f64, f64)> = Default::default();
                for (point, number) in numbers {
                    series.entry(point.series()).or_insert((number, number)).1 = number;
                }
                Some(series.values().map(|(first, last)| last - first).sum())
            }
            (Value::Histogram(_), _) => {
                let mut all = Histogram::default();
                for point in &points {
                    if let Value::Histogram(one) = &point.value {
                        all.add(one);
                    }
                }
                all.mean()
            }
        }
    }

    fn list(&self, query: Query) -> Page {
        let nanos = |ms: u64| ms.saturating_mul(1_000_000);
        let from = query.start_time.map_or(0, nanos);
        let to = query.end_time.map_or(u64::MAX, |end| nanos(end).saturating_add(999_999));
        let points = {
            let mut store = lock(&self.store);
            store.forget_old(self.now());
            store.within(query.metric_name.as_deref(), from, to)
        };
        let aggregated_metrics = match query.aggregate_interval {
            Some(seconds) => aggregated(&points, seconds),
            None => Vec::new(),
        };
        let asked = query.start_time.is_some()
            || query.end_time.is_some()
            || query.metric_name.is_some()
            || query.aggregate_interval.is_some();
        Page {
            engine_metrics: (&self.broker.metrics()).into(),
            sdk_metrics: points.into_iter().map(Shared).collect(),
            aggregated_metrics,
            query: asked.then_some(query),
            timestamp: self.broker.clock().unix_millis(),
        }
    }

    fn now(&self) -> u64 {
        let since = self.broker.clock().now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or(Duration::ZERO).as_nanos()).unwrap_or(u64::MAX)
    }

    /// The functions that look at metrics.
    pub(super) fn functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let (list, rollups) = (self.clone(), self.clone());
        vec![
            BuiltIn::sync(
                "engine::metrics::list",
                "Lists what the engine counts and what workers measure.",
                move |query: Query, _| Ok(Some(list.list(query))),
            ),
            BuiltIn::sync(
                "engine::rollups::list",
                "Lists metrics by the minute, by five minutes or by the hour.",
                move |wanted: rollup::Wanted, _| {
                    let now = rollups.broker.clock().unix_millis();
                    Ok(Some(lock(&rollups.rollups).answer(wanted, now)))
                },
            ),
        ]
    }
}
