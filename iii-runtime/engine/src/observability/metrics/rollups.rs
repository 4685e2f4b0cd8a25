//! Rollups: aggregates of data points over one minute, five minutes and one hour, retained longer than the data points.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::aggregate::MetricAggregate;
use super::data_point::{DataPoint, DataPointValue, Histogram};

/// The levels: the length of the intervals in seconds, and the number of retained intervals.
const LEVELS: [(u64, u64); 3] = [(60, 60), (300, 72), (3_600, 168)];
/// Maximum number of rollups of one level over all metrics. The earliest are evicted.
const MAX_ROLLUPS: usize = 5_000;
/// Maximum number of buckets of a stored histogram. Histograms with more buckets are stored without buckets.
const MAX_BUCKETS: usize = 64;

/// Input of `engine::rollups::list`. An absent filter matches everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct RollupListInput {
    /// The earliest start of an interval, in milliseconds since the Unix epoch.
    start_time: Option<u64>,
    /// The latest start of an interval, in milliseconds since the Unix epoch.
    end_time: Option<u64>,
    /// The level: 0 for one minute, 1 for five minutes, 2 for one hour. Default: 0.
    level: Option<usize>,
    /// The name of the metric.
    metric_name: Option<String>,
}

/// The filters of the input.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct RollupFilter {
    start_time: Option<u64>,
    end_time: Option<u64>,
    metric_name: Option<String>,
}

/// Output of `engine::rollups::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct RollupListOutput {
    /// The rollups of gauges and sums, the earliest interval first.
    rollups: Vec<MetricAggregate>,
    /// The rollups of all other metrics, the earliest interval first.
    histogram_rollups: Vec<HistogramRollup>,
    /// The level.
    level: usize,
    /// The filters of the input.
    query: RollupFilter,
    /// The current time, in milliseconds since the Unix epoch.
    timestamp: u64,
}

/// The rollup of a histogram over one interval.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct HistogramRollup {
    /// The name of the metric.
    metric_name: String,
    /// The service name.
    service_name: String,
    /// The start of the interval, in milliseconds since the Unix epoch.
    timestamp: u64,
    /// The length of the interval, in seconds.
    interval_seconds: u64,
    /// The measurements of the interval if the aggregation temporality is delta, else the latest cumulative value.
    #[serde(flatten)]
    values: Histogram,
}

enum Rollup {
    Number(MetricAggregate),
    Histogram(HistogramRollup),
}

impl Rollup {
    /// Creates the rollup of the first data point of an interval.
    fn new(point: &DataPoint, start: u64, interval_seconds: u64) -> Self {
        match &point.value {
            DataPointValue::Number(value) => {
                Self::Number(MetricAggregate::new(point, *value, start, interval_seconds))
            }
            DataPointValue::Histogram(values) => Self::Histogram(HistogramRollup {
                metric_name: point.name.to_string(),
                service_name: point.service_name.to_string(),
                timestamp: start,
                interval_seconds,
                values: without_excess_buckets(values),
            }),
        }
    }

    /// Adds a further data point of the interval.
    fn add(&mut self, point: &DataPoint) {
        match (self, &point.value) {
            (Self::Number(aggregate), DataPointValue::Number(value)) => aggregate.add(*value),
            (Self::Histogram(rollup), DataPointValue::Histogram(values)) => {
                if point.is_cumulative() {
                    rollup.values = without_excess_buckets(values);
                } else {
                    rollup.values.merge(values);
                }
            }
            // A metric that has changed its type starts over in the next interval.
            _ => {}
        }
    }
}

/// Clones a histogram, without its buckets if they exceed the maximum.
fn without_excess_buckets(values: &Histogram) -> Histogram {
    match values.counts.len().max(values.bounds.len()) {
        0..=MAX_BUCKETS => values.clone(),
        _ => Histogram { bounds: Box::default(), counts: Box::default(), ..*values },
    }
}

/// The rollups of all levels.
#[derive(Default)]
pub(super) struct Rollups {
    /// By the start of the interval in milliseconds and the hash of the time series.
    levels: [BTreeMap<(u64, u64), Rollup>; 3],
}

impl Rollups {
    /// Adds a data point that arrived at `now`, in milliseconds since the Unix epoch.
    pub(super) fn add(&mut self, point: &DataPoint, now: u64) {
        let series = point.series();
        for (level, (seconds, retained)) in self.levels.iter_mut().zip(LEVELS) {
            let millis = seconds * 1_000;
            let start = now / millis * millis;
            level
                .entry((start, series))
                .and_modify(|rollup| rollup.add(point))
                .or_insert_with(|| Rollup::new(point, start, seconds));
            let oldest = start.saturating_sub(millis * retained);
            while level.len() > MAX_ROLLUPS
                || level.first_key_value().is_some_and(|((start, _), _)| *start < oldest)
            {
                level.pop_first();
            }
        }
    }

    /// Returns the rollups that match the input. `timestamp` is the current time.
    pub(super) fn list(&self, input: RollupListInput, timestamp: u64) -> RollupListOutput {
        let RollupListInput { start_time, end_time, level, metric_name } = input;
        let level = level.unwrap_or(0);
        let range = start_time.unwrap_or(0)..=end_time.unwrap_or(u64::MAX);
        let matches = |name: &str| metric_name.as_deref().is_none_or(|filter| filter == name);
        let (mut rollups, mut histogram_rollups) = (Vec::new(), Vec::new());
        let all = self.levels.get(level).into_iter().flatten();
        for (_, rollup) in all.filter(|((start, _), _)| range.contains(start)) {
            match rollup {
                Rollup::Number(rollup) if matches(rollup.metric_name()) => {
                    rollups.push(rollup.clone());
                }
                Rollup::Histogram(rollup) if matches(&rollup.metric_name) => {
                    histogram_rollups.push(rollup.clone());
                }
                _ => {}
            }
        }
        let query = RollupFilter { start_time, end_time, metric_name };
        RollupListOutput { rollups, histogram_rollups, level, query, timestamp }
    }
}
