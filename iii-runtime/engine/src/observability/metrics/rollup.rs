//! Rollups: what metrics were by the minute, by five minutes and by the hour, kept longer than the points.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use serde::{Deserialize, Serialize};

use super::point::{Histogram, Point, Value};
use super::store::Aggregate;

/// The levels: the seconds of an interval, and how many of them are kept.
const LEVELS: [(u64, u64); 3] = [(60, 60), (300, 72), (3_600, 168)];
/// Entries of one level, of all metrics together. The earliest give way.
const MOST: usize = 5_000;
/// Ranges of a histogram that are kept; one with more is kept without them.
const RANGES: usize = 64;

/// The input of `engine::rollups::list`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct Wanted {
    /// Milliseconds since 1970; intervals that began earlier are left out.
    start_time: Option<u64>,
    /// Milliseconds since 1970; intervals that began later are left out.
    end_time: Option<u64>,
    /// 0: minutes, 1: five minutes, 2: hours. Default 0.
    level: Option<usize>,
    /// The metric.
    metric_name: Option<String>,
}

/// What was asked.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Query {
    start_time: Option<u64>,
    end_time: Option<u64>,
    metric_name: Option<String>,
}

/// The rollups of one level.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Page {
    /// Of numbers, the earliest interval first.
    rollups: Vec<Aggregate>,
    /// Of histograms, likewise.
    histogram_rollups: Vec<HistogramRollup>,
    /// The level.
    level: usize,
    /// What was asked.
    query: Query,
    /// When, in milliseconds since 1970.
    timestamp: u64,
}

/// The values of a histogram in one interval.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct HistogramRollup {
    /// The metric.
    metric_name: String,
    /// The service that measured.
    service_name: String,
    /// When the interval began, in milliseconds since 1970.
    timestamp: u64,
    /// How long it is.
    interval_seconds: u64,
    /// The values: those of the interval if the worker tells what is new each time, else all up to its end.
    #[serde(flatten)]
    values: Histogram,
}

enum Entry {
    Numbers(Aggregate),
    Histogram(HistogramRollup),
}

/// The rollups of all levels.
#[derive(Default)]
pub(super) struct Rollups {
    /// By the start of the interval in milliseconds, and by series.
    levels: [BTreeMap<(u64, u64), Entry>; 3],
}

impl Rollups {
    /// Adds a point that came at `now`, in milliseconds since 1970.
    pub(super) fn add(&mut self, point: &Point, now: u64) {
        let series = point.series();
        let trimmed = |values: &Histogram| match values.counts.len().max(values.bounds.len()) {
            0..=RANGES => values.clone(),
            _ => Histogram { bounds: Box::default(), counts: Box::default(), ..*values },
        };
        for (level, (seconds, kept)) in self.levels.iter_mut().zip(LEVELS) {
            let millis = seconds * 1_000;
            let start = now / millis * millis;
            let entry = level.entry((start, series));
            match (&point.value, entry) {
                (Value::Number(value), Place::Vacant(free)) => {
                    free.insert(Entry::Numbers(Aggregate::new(point, *value, start, seconds)));
                }
                (Value::Histogram(values), Place::Vacant(free)) => {
                    free.insert(Entry::Histogram(HistogramRollup {
                        metric_name: point.name.to_string(),
                        service_name: point.service_name.to_string(),
                        timestamp: start,
                        interval_seconds: seconds,
                        values: trimmed(values),
                    }));
                }
                (value, Place::Occupied(mut known)) => {
                    match (known.get_mut(), value) {
                        (Entry::Numbers(numbers), Value::Number(value)) => numbers.add(*value),
                        (Entry::Histogram(known), Value::Histogram(values)) => {
                            if point.is_cumulative() {
                                known.values = trimmed(values);
                            } else {
                                known.values.add(values);
                            }
                        }
                        // A metric that changed its kind begins anew with the next interval.
                        _ => {}
                    }
                }
            }
            let oldest = start.saturating_sub(millis * kept);
            while level.len() > MOST || level.first_key_value().is_some_and(|(k, _)| k.0 < oldest) {
                level.pop_first();
            }
        }
    }

    /// Answers a query at `timestamp`.
    pub(super) fn answer(&self, wanted: Wanted, timestamp: u64) -> Page {
        let level = wanted.level.unwrap_or(0);
        let (from, to) = (wanted.start_time.unwrap_or(0), wanted.end_time.unwrap_or(u64::MAX));
        let named = |name: &str| wanted.metric_name.as_deref().is_none_or(|wanted| wanted == name);
        let (mut rollups, mut histogram_rollups) = (Vec::new(), Vec::new());
        let found = self.levels.get(level).into_iter().flatten();
        for (_, entry) in found.filter(|((start, _), _)| (from..=to).contains(start)) {
            match entry {
                Entry::Numbers(one) if named(one.metric_name()) => rollups.push(one.clone()),
                Entry::Histogram(one) if named(&one.metric_name) => {
                    histogram_rollups.push(one.clone());
                }
                _ => {}
            }
        }
        Page {
            rollups,
            histogram_rollups,
            level,
            query: Query {
                start_time: wanted.start_time,
                end_time: wanted.end_time,
                metric_name: wanted.metric_name,
            },
            timestamp,
        }
    }
}
