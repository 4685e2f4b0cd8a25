//! Metrics: the data points that workers export, and the metrics of the engine itself ([protocol 6.7](iii_wire::protocol#s6-7)).

mod aggregate;
mod data_point;
mod engine;
mod rollups;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::retention::RetentionBuffer;
use super::serialize_arc::SerializeArc;
use super::settings::MetricSettings;
use super::{nanos_range, unix_nanos};
use crate::broker::Broker;
use crate::provider::BuiltIn;
use crate::worker_gauges::WorkerGauges;
use iii_wire::protocol::WorkerId;
use iii_wire::sync::lock;

pub(super) use data_point::{DataPoint, DataPointValue, Histogram, MetricKind};
pub(super) use engine::EngineMetricValue;

use aggregate::{MetricAggregate, aggregate};
use engine::EngineMetrics;
use rollups::{RollupListInput, Rollups};

/// Prefix of the names of the gauges that workers report about themselves.
const WORKER_GAUGE_PREFIX: &str = "iii.worker.";

/// Input of `engine::metrics::list`. An absent filter matches everything.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct MetricListInput {
    /// The earliest timestamp, in milliseconds since the Unix epoch.
    start_time: Option<u64>,
    /// The latest timestamp, in milliseconds since the Unix epoch.
    end_time: Option<u64>,
    /// The name of the metric.
    metric_name: Option<String>,
    /// The length of the aggregation interval, in seconds. Absent: data points are not aggregated.
    aggregate_interval: Option<u64>,
}

/// Output of `engine::metrics::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct MetricListOutput {
    /// The metrics of the engine since its start.
    engine_metrics: EngineMetrics,
    /// The data points of workers, the oldest first.
    sdk_metrics: Vec<SerializeArc<DataPoint>>,
    /// The aggregates by interval, metric and service; empty without `aggregate_interval`.
    aggregated_metrics: Vec<MetricAggregate>,
    /// The input, if it has any field.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<MetricListInput>,
    /// The current time, in milliseconds since the Unix epoch.
    timestamp: u64,
}

/// The metrics of one engine.
pub(super) struct Metrics {
    broker: Broker,
    is_enabled: bool,
    points: Mutex<RetentionBuffer<DataPoint>>,
    rollups: Mutex<Rollups>,
    gauges: WorkerGauges,
}

impl Metrics {
    /// Creates an empty store.
    pub(super) fn new(broker: Broker, settings: &MetricSettings, gauges: WorkerGauges) -> Self {
        Self {
            broker,
            is_enabled: settings.enabled,
            points: Mutex::new(RetentionBuffer::new(settings.max_count, settings.retention)),
            rollups: Mutex::default(),
            gauges,
        }
    }

    /// Stores the data points of a telemetry frame.
    pub(super) fn store(&self, points: Vec<DataPoint>) {
        if !self.is_enabled {
            return;
        }
        let now = self.now();
        for mut point in points {
            if point.timestamp_unix_nano == 0 {
                point.timestamp_unix_nano = now;
            }
            self.set_worker_gauge(&point);
            lock(&self.rollups).add(&point, now / 1_000_000);
            lock(&self.points).push(Arc::new(point), now);
        }
    }

    /// Sets the gauge of a connected worker, if the data point is one.
    fn set_worker_gauge(&self, point: &DataPoint) {
        let Some(gauge) = point.name.strip_prefix(WORKER_GAUGE_PREFIX) else { return };
        let DataPointValue::Number(value) = point.value else { return };
        let id = point.attributes.get("worker.id").and_then(serde_json::Value::as_str);
        let Some(worker) = id.and_then(|id| id.parse().ok()).map(WorkerId) else { return };
        if self.broker.is_connected(worker) {
            self.gauges.set(worker, gauge, value, point.timestamp_unix_nano / 1_000_000);
        }
    }

    /// Removes the gauges of a disconnected worker.
    pub(super) fn remove_worker(&self, worker: WorkerId) {
        self.gauges.remove(worker);
    }

    /// Returns the number of data points.
    pub(super) fn len(&self) -> usize {
        let mut points = lock(&self.points);
        points.evict(self.now());
        points.len()
    }

    /// Returns the value of a metric of the engine.
    pub(super) fn engine_metric(&self, name: &str) -> Option<EngineMetricValue> {
        engine::metric_value(&self.broker.metrics(), name)
    }

    /// Returns the value of a metric of workers within the last `window`; see
    /// [`AlertRule`](super::settings::AlertRule).
    pub(super) fn worker_metric(&self, name: &str, window: Duration) -> Option<f64> {
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let start = self.now().saturating_sub(window);
        let points: Vec<_> = lock(&self.points)
            .iter()
            .filter(|(arrived, point)| *arrived >= start && *point.name == *name)
            .map(|(_, point)| point.clone())
            .collect();
        let last = points.last()?;
        match (&last.value, last.kind) {
            (DataPointValue::Number(number), MetricKind::Gauge) => Some(*number),
            (DataPointValue::Number(_), _) if last.is_delta => {
                Some(numbers(&points).map(|(_, number)| number).sum())
            }
            (DataPointValue::Number(_), _) => Some(cumulative_increase(&points)),
            (DataPointValue::Histogram(_), _) => {
                let mut merged = Histogram::default();
                for point in &points {
                    if let DataPointValue::Histogram(histogram) = &point.value {
                        merged.merge(histogram);
                    }
                }
                merged.mean()
            }
        }
    }

    fn list(&self, query: MetricListInput) -> MetricListOutput {
        let range = nanos_range(query.start_time, query.end_time);
        let matches = |point: &DataPoint| {
            range.contains(&point.timestamp_unix_nano)
                && query.metric_name.as_ref().is_none_or(|name| *point.name == **name)
        };
        let points: Vec<_> = {
            let mut points = lock(&self.points);
            points.evict(self.now());
            let all = points.iter().map(|(_, point)| point);
            all.filter(|point| matches(point)).cloned().collect()
        };
        let aggregated_metrics = match query.aggregate_interval {
            Some(seconds) => aggregate(&points, seconds),
            None => Vec::new(),
        };
        let has_fields = query.start_time.is_some()
            || query.end_time.is_some()
            || query.metric_name.is_some()
            || query.aggregate_interval.is_some();
        MetricListOutput {
            engine_metrics: (&self.broker.metrics()).into(),
            sdk_metrics: points.into_iter().map(SerializeArc).collect(),
            aggregated_metrics,
            query: has_fields.then_some(query),
            timestamp: self.broker.clock().unix_millis(),
        }
    }

    fn now(&self) -> u64 {
        unix_nanos(self.broker.clock())
    }

    /// Creates the functions `engine::metrics::list` and `engine::rollups::list`.
    pub(super) fn functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let (list, rollups) = (self.clone(), self.clone());
        vec![
            BuiltIn::sync(
                "engine::metrics::list",
                "Lists the metrics of the engine and of workers.",
                move |query: MetricListInput, _| Ok(Some(list.list(query))),
            ),
            BuiltIn::sync(
                "engine::rollups::list",
                "Lists metrics aggregated over one minute, five minutes or one hour.",
                move |input: RollupListInput, _| {
                    let now = rollups.broker.clock().unix_millis();
                    Ok(Some(lock(&rollups.rollups).list(input, now)))
                },
            ),
        ]
    }
}

/// Returns the data points that have a number as value.
fn numbers(points: &[Arc<DataPoint>]) -> impl Iterator<Item = (&DataPoint, f64)> {
    points.iter().filter_map(|point| match point.value {
        DataPointValue::Number(number) => Some((&**point, number)),
        DataPointValue::Histogram(_) => None,
    })
}

/// Returns the increase of a cumulative sum over all of its time series.
fn cumulative_increase(points: &[Arc<DataPoint>]) -> f64 {
    let mut series: HashMap<u64, (f64, f64)> = HashMap::new();
    for (point, number) in numbers(points) {
        series.entry(point.series()).or_insert((number, number)).1 = number;
    }
    series.values().map(|(first, last)| last - first).sum()
}
