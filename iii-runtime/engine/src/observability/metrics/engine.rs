//! Metrics of the engine itself, in the output of `engine::metrics::list` and by the names in alert rules.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::broker::BrokerMetrics;

/// The key of all functions without a counter of their own.
const OTHERS: &str = "(others)";

/// Metrics of the engine since its start.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct EngineMetrics {
    invocations: InvocationCounts,
    workers: WorkerCounts,
    performance: InvocationDurations,
}

/// Numbers of invocations.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct InvocationCounts {
    /// All invocations.
    total: u64,
    /// Successful invocations.
    success: u64,
    /// Failed invocations.
    error: u64,
    /// Invocations that were sent to a worker.
    deferred: u64,
    /// Invocations by function id.
    by_function: BTreeMap<String, u64>,
}

/// Numbers of worker connections.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct WorkerCounts {
    /// Opened connections.
    spawns: u64,
    /// Closed connections.
    deaths: u64,
    /// Open connections.
    active: u64,
}

/// Durations of completed invocations.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct InvocationDurations {
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
            invocations: InvocationCounts {
                total: measured.total,
                success: measured.succeeded,
                error: measured.failed,
                deferred: measured.deferred,
                by_function,
            },
            workers: WorkerCounts {
                spawns: measured.workers_connected,
                deaths: measured.workers_disconnected,
                active: active(measured),
            },
            performance: InvocationDurations {
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

/// The value of a metric of the engine.
pub(crate) struct EngineMetricValue {
    /// The current value.
    pub(crate) value: f64,
    /// Whether the value never decreases.
    pub(crate) is_monotonic: bool,
}

/// Returns the value of a metric of the engine, or `None` for any other name.
// Counts do not reach 2^53, where the conversion loses precision.
#[allow(clippy::cast_precision_loss)]
pub(super) fn metric_value(measured: &BrokerMetrics, name: &str) -> Option<EngineMetricValue> {
    let gauge = |value: f64| Some(EngineMetricValue { value, is_monotonic: false });
    let count = |count: u64| Some(EngineMetricValue { value: count as f64, is_monotonic: true });
    let duration = |duration: Duration| gauge(millis(duration));
    match name {
        "iii.invocations.total" => count(measured.total),
        "iii.invocations.success" => count(measured.succeeded),
        "iii.invocations.error" => count(measured.failed),
        "iii.invocations.deferred" => count(measured.deferred),
        "iii.workers.spawns" => count(measured.workers_connected),
        "iii.workers.deaths" => count(measured.workers_disconnected),
        "iii.workers.active" => gauge(active(measured) as f64),
        "iii.invocations.duration.avg" => duration(measured.mean),
        "iii.invocations.duration.p50" => duration(measured.p50),
        "iii.invocations.duration.p95" => duration(measured.p95),
        "iii.invocations.duration.p99" => duration(measured.p99),
        "iii.invocations.duration.max" => duration(measured.max),
        _ => None,
    }
}
