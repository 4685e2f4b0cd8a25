//! One point of a metric: what was measured, of what, when.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;

use crate::observability::logs::{Fields, of};
use crate::observability::shared::shared;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that is added up.
    Sum,
    /// How many values were in which range.
    Histogram,
    /// The same, with ranges that are not kept here.
    ExponentialHistogram,
    /// The same, without ranges.
    Summary,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Value {
    /// One number.
    #[serde(rename = "value")]
    Number(f64),
    /// Many values, by their range.
    Histogram(Histogram),
}

/// How many values were in which range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub(crate) struct Histogram {
    /// How many values.
    pub(crate) count: u64,
    /// All of them added up.
    pub(crate) sum: f64,
    /// The least, if it is known.
    pub(crate) min: Option<f64>,
    /// The greatest, if it is known.
    pub(crate) max: Option<f64>,
    /// The upper ends of the ranges; the last range has none.
    pub(crate) bounds: Box<[f64]>,
    /// How many values are in each range.
    pub(crate) counts: Box<[u64]>,
}

impl Histogram {
    /// The mean of the values; `None`: there are none.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Adds the values of another one. Ranges that are others are no longer told.
    pub(crate) fn add(&mut self, other: &Self) {
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

/// One point.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Point {
    /// The metric.
    #[serde(serialize_with = "shared")]
    pub(crate) name: Arc<str>,
    /// What it is.
    #[serde(serialize_with = "optional")]
    pub(crate) description: Option<Arc<str>>,
    /// Its unit.
    #[serde(serialize_with = "optional")]
    pub(crate) unit: Option<Arc<str>>,
    /// Its kind.
    #[serde(rename = "metric_type")]
    pub(crate) kind: Kind,
    /// Whether the point tells only what is new since the last one; else all since the beginning.
    pub(crate) is_delta: bool,
    /// Whether the sum only grows.
    pub(crate) is_monotonic: bool,
    /// What was measured.
    #[serde(flatten)]
    pub(crate) value: Value,
    /// Of what.
    pub(crate) attributes: Fields,
    /// When, in nanoseconds since 1970.
    pub(crate) timestamp_unix_nano: u64,
    /// The service that measured.
    #[serde(serialize_with = "shared")]
    pub(crate) service_name: Arc<str>,
    /// The library that measured.
    #[serde(rename = "instrumentation_scope_name", serialize_with = "shared")]
    pub(crate) scope_name: Arc<str>,
}

// The signature is the one that serde asks for.
#[allow(clippy::ref_option)]
fn optional<S: serde::Serializer>(
    text: &Option<Arc<str>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}

impl Point {
    /// What it costs in memory, in bytes. Names are often shared, and count in full all the same.
    pub(crate) fn bytes(&self) -> usize {
        let fields: usize = self.attributes.iter().map(|(key, value)| key.len() + of(value)).sum();
        let buckets = match &self.value {
            Value::Number(_) => 0,
            Value::Histogram(histogram) => (histogram.bounds.len() + histogram.counts.len()) * 8,
        };
        let text = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let names = self.name.len() + self.service_name.len() + self.scope_name.len();
        let texts = text(&self.description) + text(&self.unit);
        size_of::<Self>() + 96 + names + texts + fields + buckets
    }

    /// A number that points of the same metric, service and attributes share, and in practice no others.
    pub(crate) fn series(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        (&self.name, &self.service_name).hash(&mut hasher);
        for (key, value) in &self.attributes {
            key.hash(&mut hasher);
            value.to_string().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Whether it tells what was added up since the beginning.
    pub(crate) fn is_cumulative(&self) -> bool {
        self.kind != Kind::Gauge && !self.is_delta
    }
}
