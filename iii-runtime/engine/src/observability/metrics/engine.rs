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

fn active(metrics: &BrokerMetrics) -> u64 {
    metrics.workers_connected.saturating_sub(metrics.workers_disconnected)
}

impl From<&BrokerMetrics> for EngineMetrics {
    fn from(metrics: &BrokerMetrics) -> Self {
        let mut by_function: BTreeMap<_, _> =
            metrics.by_function.iter().map(|(id, count)| (id.to_string(), *count)).collect();
        if metrics.other_functions > 0 {
            by_function.insert(OTHERS.to_owned(), metrics.other_functions);
        }
        Self {
            invocations: InvocationCounts {
                total: metrics.total,
                success: metrics.succeeded,
                error: metrics.failed,
                deferred: metrics.deferred,
                by_function,
            },
            workers: WorkerCounts {
                spawns: metrics.workers_connected,
                deaths: metrics.workers_disconnected,
                active: active(metrics),
            },
            performance: InvocationDurations {
                avg_duration_ms: millis(metrics.mean),
                p50_duration_ms: millis(metrics.p50),
                p95_duration_ms: millis(metrics.p95),
                p99_duration_ms: millis(metrics.p99),
                min_duration_ms: millis(metrics.min),
                max_duration_ms: millis(metrics.max),
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
pub(super) fn metric_value(metrics: &BrokerMetrics, name: &str) -> Option<EngineMetricValue> {
    let gauge = |value: f64| Some(EngineMetricValue { value, is_monotonic: false });
    let count = |count: u64| Some(EngineMetricValue { value: count as f64, is_monotonic: true });
    let duration = |duration: Duration| gauge(millis(duration));
    match name {
        "iii.invocations.total" => count(metrics.total),
        "iii.invocations.success" => count(metrics.succeeded),
        "iii.invocations.error" => count(metrics.failed),
        "iii.invocations.deferred" => count(metrics.deferred),
        "iii.workers.spawns" => count(metrics.workers_connected),
        "iii.workers.deaths" => count(metrics.workers_disconnected),
        "iii.workers.active" => gauge(active(metrics) as f64),
        "iii.invocations.duration.avg" => duration(metrics.mean),
        "iii.invocations.duration.p50" => duration(metrics.p50),
        "iii.invocations.duration.p95" => duration(metrics.p95),
        "iii.invocations.duration.p99" => duration(metrics.p99),
        "iii.invocations.duration.max" => duration(metrics.max),
        _ => None,
    }
}
