//! A metric data point, as `engine::metrics::list` serializes it ([protocol 6.7](iii_wire::protocol#s6-7)).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;

use crate::observability::logs::{AttributeMap, json_footprint};
use crate::observability::retention::MemoryFootprint;
use crate::observability::serialize_arc::{serialize_arc, serialize_optional_arc};

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MetricKind {
    /// A gauge.
    Gauge,
    /// A sum.
    Sum,
    /// A histogram with explicit bounds.
    Histogram,
    /// An exponential histogram. Its buckets are not stored.
    ExponentialHistogram,
    /// A summary. Its quantiles are not stored.
    Summary,
}

/// The value of a data point.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataPointValue {
    /// The value of a gauge or a sum.
    #[serde(rename = "value")]
    Number(f64),
    /// The value of any other metric.
    Histogram(Histogram),
}

/// A distribution of measurements.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub(crate) struct Histogram {
    /// The number of measurements.
    pub(crate) count: u64,
    /// The sum of the measurements.
    pub(crate) sum: f64,
    /// The minimum, if reported.
    pub(crate) min: Option<f64>,
    /// The maximum, if reported.
    pub(crate) max: Option<f64>,
    /// The upper bounds of the buckets; the last bucket has none.
    pub(crate) bounds: Box<[f64]>,
    /// The number of measurements in each bucket.
    pub(crate) counts: Box<[u64]>,
}

impl Histogram {
    /// Returns the mean, or `None` without measurements.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Adds the measurements of another histogram. If its buckets differ, the result has no buckets.
    pub(crate) fn merge(&mut self, other: &Self) {
        let either = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (a, b) => a.or(b),
        };
        self.count += other.count;
        self.sum += other.sum;
        self.min = either(self.min, other.min, f64::min);
        self.max = either(self.max, other.max, f64::max);
        if self.bounds == other.bounds && self.counts.len() == other.counts.len() {
            self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        } else {
            (self.bounds, self.counts) = Default::default();
        }
    }
}

/// A data point.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct DataPoint {
    /// The name of the metric.
    #[serde(serialize_with = "serialize_arc")]
    pub(crate) name: Arc<str>,
    /// The description of the metric.
    #[serde(serialize_with = "serialize_optional_arc")]
    pub(crate) description: Option<Arc<str>>,
    /// The unit of the metric.
    #[serde(serialize_with = "serialize_optional_arc")]
    pub(crate) unit: Option<Arc<str>>,
    /// The type of the metric.
    #[serde(rename = "metric_type")]
    pub(crate) kind: MetricKind,
    /// Whether the aggregation temporality is delta; cumulative otherwise.
    pub(crate) is_delta: bool,
    /// Whether a sum is monotonic.
    pub(crate) is_monotonic: bool,
    /// The value.
    #[serde(flatten)]
    pub(crate) value: DataPointValue,
    /// The attributes.
    pub(crate) attributes: AttributeMap,
    /// The time of the measurement, in nanoseconds since the Unix epoch.
    pub(crate) timestamp_unix_nano: u64,
    /// The service name.
    #[serde(serialize_with = "serialize_arc")]
    pub(crate) service_name: Arc<str>,
    /// The name of the instrumentation scope.
    #[serde(rename = "instrumentation_scope_name", serialize_with = "serialize_arc")]
    pub(crate) scope_name: Arc<str>,
}

impl MemoryFootprint for DataPoint {
    /// Names count in full, although data points usually share them.
    fn footprint(&self) -> usize {
        let attributes = self.attributes.iter();
        let attributes: usize =
            attributes.map(|(key, value)| key.len() + json_footprint(value)).sum();
        let buckets = match &self.value {
            DataPointValue::Number(_) => 0,
            DataPointValue::Histogram(histogram) => {
                (histogram.bounds.len() + histogram.counts.len()) * 8
            }
        };
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let names = self.name.len() + self.service_name.len() + self.scope_name.len();
        let texts = length(&self.description) + length(&self.unit);
        size_of::<Self>() + 96 + names + texts + attributes + buckets
    }
}

impl DataPoint {
    /// Returns a hash that identifies the time series: the metric, the service and the attributes.
    pub(crate) fn series(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        (&self.name, &self.service_name).hash(&mut hasher);
        for (key, value) in &self.attributes {
            key.hash(&mut hasher);
            value.to_string().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Returns whether the aggregation temporality is cumulative.
    pub(crate) fn is_cumulative(&self) -> bool {
        self.kind != MetricKind::Gauge && !self.is_delta
    }
}
