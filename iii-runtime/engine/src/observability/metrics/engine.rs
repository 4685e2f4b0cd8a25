//! What the engine counts itself, as it is shown, and by the names that alerts use.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::broker::BrokerMetrics;

/// The key for functions that are not counted apart.
const OTHERS: &str = "(others)";

/// What the engine counts, since it started.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct EngineMetrics {
    invocations: Invocations,
    workers: Workers,
    performance: Performance,
}

/// Calls.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Invocations {
    /// All.
    total: u64,
    /// Those that ended well.
    success: u64,
    /// Those that ended in an error.
    error: u64,
    /// Those that were handed to a worker.
    deferred: u64,
    /// Those of each function.
    by_function: BTreeMap<String, u64>,
}

/// Connections.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Workers {
    /// Those that came.
    spawns: u64,
    /// Those that went.
    deaths: u64,
    /// Those that are there.
    active: u64,
}

/// From a call to its answer, of all calls that were answered.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Performance {
    avg_duration_ms: f64,
    p50_duration_ms: f64,
    p95_duration_ms: f64,
    p99_duration_ms: f64,
    min_duration_ms: f64,
    max_duration_ms: f64,
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn active(measured: &BrokerMetrics) -> u64 {
    measured.workers_connected.saturating_sub(measured.workers_disconnected)
}

impl From<&BrokerMetrics> for EngineMetrics {
    fn from(measured: &BrokerMetrics) -> Self {
        let mut by_function: BTreeMap<_, _> =
            measured.by_function.iter().map(|(id, count)| (id.to_string(), *count)).collect();
        if measured.other_functions > 0 {
            by_function.insert(OTHERS.to_owned(), measured.other_functions);
        }
        Self {
            invocations: Invocations {
                total: measured.total,
                success: measured.succeeded,
                error: measured.failed,
                deferred: measured.deferred,
                by_function,
            },
            workers: Workers {
                spawns: measured.workers_connected,
                deaths: measured.workers_disconnected,
                active: active(measured),
            },
            performance: Performance {
                avg_duration_ms: millis(measured.mean),
                p50_duration_ms: millis(measured.p50),
                p95_duration_ms: millis(measured.p95),
                p99_duration_ms: millis(measured.p99),
                min_duration_ms: millis(measured.min),
                max_duration_ms: millis(measured.max),
            },
        }
    }
}

/// The value of a metric by its name, and whether it only grows; `None`: it is none of the engine's.
// Counts beyond 2^53 are none that an engine reaches.
#[allow(clippy::cast_precision_loss)]
pub(super) fn value(measured: &BrokerMetrics, name: &str) -> Option<(f64, bool)> {
    let count = |count: u64| Some((count as f64, true));
    let duration = |duration: Duration| Some((millis(duration), false));
    match name {
        "iii.invocations.total" => count(measured.total),
        "iii.invocations.success" => count(measured.succeeded),
        "iii.invocations.error" => count(measured.failed),
        "iii.invocations.deferred" => count(measured.deferred),
        "iii.workers.spawns" => count(measured.workers_connected),
        "iii.workers.deaths" => count(measured.workers_disconnected),
        "iii.workers.active" => Some((active(measured) as f64, false)),
        "iii.invocations.duration.avg" => duration(measured.mean),
        "iii.invocations.duration.p50" => duration(measured.p50),
        "iii.invocations.duration.p95" => duration(measured.p95),
        "iii.invocations.duration.p99" => duration(measured.p99),
        "iii.invocations.duration.max" => duration(measured.max),
        _ => None,
    }
}
