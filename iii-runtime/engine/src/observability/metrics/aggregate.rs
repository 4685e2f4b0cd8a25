//! Aggregation of data points by interval.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::data_point::{DataPoint, DataPointValue};

/// The aggregate of the data points of one metric in one interval.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(super) struct MetricAggregate {
    /// The name of the metric.
    metric_name: String,
    /// The service name.
    service_name: String,
    /// The start of the interval, in milliseconds since the Unix epoch.
    timestamp: u64,
    /// The length of the interval, in seconds.
    interval_seconds: u64,
    /// The number of data points.
    count: u64,
    /// The sum of the values; the value of a histogram is its mean.
    sum: f64,
    /// The minimum.
    min: f64,
    /// The maximum.
    max: f64,
    /// The mean.
    avg: f64,
    /// The latest value.
    last: f64,
}

impl MetricAggregate {
    /// Returns the name of the metric.
    pub(super) fn metric_name(&self) -> &str {
        &self.metric_name
    }

    /// Creates the aggregate of one data point.
    pub(super) fn new(
        point: &DataPoint,
        value: f64,
        timestamp: u64,
        interval_seconds: u64,
    ) -> Self {
        Self {
            metric_name: point.name.to_string(),
            service_name: point.service_name.to_string(),
            timestamp,
            interval_seconds,
            count: 1,
            sum: value,
            min: value,
            max: value,
            avg: value,
            last: value,
        }
    }

    /// Adds the value of a data point.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.avg = self.sum / self.count as f64;
        self.last = value;
    }
}

/// Aggregates data points by interval, metric and service, in this order.
pub(super) fn aggregate(points: &[Arc<DataPoint>], interval_seconds: u64) -> Vec<MetricAggregate> {
    let seconds = interval_seconds.max(1);
    let millis = seconds.saturating_mul(1_000);
    let mut aggregates: BTreeMap<(u64, &str, &str), MetricAggregate> = BTreeMap::new();
    for point in points {
        let value = match &point.value {
            DataPointValue::Number(number) => Some(*number),
            DataPointValue::Histogram(histogram) => histogram.mean(),
        };
        let Some(value) = value else { continue };
        let start = point.timestamp_unix_nano / 1_000_000 / millis * millis;
        aggregates
            .entry((start, &*point.name, &*point.service_name))
            .and_modify(|aggregate| aggregate.add(value))
            .or_insert_with(|| MetricAggregate::new(point, value, start, seconds));
    }
    aggregates.into_values().collect()
}
