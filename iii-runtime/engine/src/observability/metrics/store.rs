//! The metric points that are kept: the newest, up to a number, a size and an age; and sums of them by the interval.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use super::point::{Point, Value};

/// Bytes of all points.
const BYTES: usize = 16 << 20;

/// Points in the order of their arrival.
pub(super) struct Store {
    points: VecDeque<(u64, Arc<Point>)>,
    bytes: usize,
    most: usize,
    /// In nanoseconds.
    retention: u64,
}

impl Store {
    /// An empty store; `retention` is in nanoseconds.
    pub(super) fn new(most: usize, retention: u64) -> Self {
        Self { points: VecDeque::new(), bytes: 0, most, retention }
    }

    /// Keeps a point that came at `now`, in nanoseconds since 1970.
    pub(super) fn push(&mut self, point: Arc<Point>, now: u64) {
        self.bytes += point.bytes();
        self.points.push_back((now, point));
        self.forget_old(now);
    }

    /// Forgets what is too old, or too much.
    pub(super) fn forget_old(&mut self, now: u64) {
        let oldest = now.saturating_sub(self.retention);
        while let Some((came, _)) = self.points.front()
            && (*came < oldest || self.points.len() > self.most || self.bytes > BYTES)
        {
            if let Some((_, point)) = self.points.pop_front() {
                self.bytes -= point.bytes();
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// The points of a metric, or of all, that were measured within bounds, the oldest first.
    pub(super) fn within(&self, name: Option<&str>, from: u64, to: u64) -> Vec<Arc<Point>> {
        self.points
            .iter()
            .map(|(_, point)| point)
            .filter(|point| (from..=to).contains(&point.timestamp_unix_nano))
            .filter(|point| name.is_none_or(|name| *point.name == *name))
            .cloned()
            .collect()
    }

    /// The points of a metric that came since a time, the oldest first.
    pub(super) fn since(&self, name: &str, from: u64) -> Vec<Arc<Point>> {
        self.points
            .iter()
            .filter(|(came, point)| *came >= from && *point.name == *name)
            .map(|(_, point)| point.clone())
            .collect()
    }
}

/// The points of one metric in one interval.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(super) struct Aggregate {
    /// The metric.
    metric_name: String,
    /// The service that measured.
    service_name: String,
    /// When the interval began, in milliseconds since 1970.
    timestamp: u64,
    /// How long it is.
    interval_seconds: u64,
    /// How many points.
    count: u64,
    /// Their values added up; of histograms, their means.
    sum: f64,
    /// The least.
    min: f64,
    /// The greatest.
    max: f64,
    /// The mean.
    avg: f64,
    /// The newest.
    last: f64,
}

impl Aggregate {
    /// The metric.
    pub(super) fn metric_name(&self) -> &str {
        &self.metric_name
    }

    /// Of one point.
    pub(super) fn new(point: &Point, value: f64, timestamp: u64, interval_seconds: u64) -> Self {
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

    /// Adds the value of one more point.
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

/// Points by metric, service and interval, the earliest interval first.
pub(super) fn aggregated(points: &[Arc<Point>], seconds: u64) -> Vec<Aggregate> {
    let millis = seconds.max(1).saturating_mul(1_000);
    let mut found: BTreeMap<(u64, &str, &str), Aggregate> = BTreeMap::new();
    for point in points {
        let value = match &point.value {
            Value::Number(number) => Some(*number),
            Value::Histogram(histogram) => histogram.mean(),
        };
        let Some(value) = value else { continue };
        let start = point.timestamp_unix_nano / 1_000_000 / millis * millis;
        found
            .entry((start, &*point.name, &*point.service_name))
            .and_modify(|one| one.add(value))
            .or_insert_with(|| Aggregate::new(point, value, start, seconds.max(1)));
    }
    found.into_values().collect()
}
