//! Gauges that workers report about their process: memory, CPU and event loop (protocol section 10.5).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::data_point::{DataPoint, DataPointValue};
use iii_wire::protocol::WorkerId;
use iii_wire::sync::lock;

/// Prefix of the names of these gauges.
const PREFIX: &str = "iii.worker.";
/// Maximum number of workers, which is the default connection limit of the engine.
const MAX_WORKERS: usize = 10_000;

/// The latest gauges of one worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub(crate) struct WorkerMetrics {
    /// The used heap, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_heap_used: Option<f64>,
    /// The total heap, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_heap_total: Option<f64>,
    /// The resident set size, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_rss: Option<f64>,
    /// Memory outside of the heap, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_external: Option<f64>,
    /// CPU time in user mode, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_user_micros: Option<f64>,
    /// CPU time in kernel mode, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_system_micros: Option<f64>,
    /// CPU utilization, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_percent: Option<f64>,
    /// The delay of the event loop, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_loop_lag_ms: Option<f64>,
    /// The uptime of the worker, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_seconds: Option<f64>,
    /// The time of the measurement, in milliseconds since the Unix epoch.
    timestamp_ms: u64,
    /// The language runtime of the worker.
    runtime: String,
}

impl WorkerMetrics {
    /// Returns the field of a gauge by its name without the prefix and with `_` as the separator.
    fn field(&mut self, name: &str) -> Option<&mut Option<f64>> {
        Some(match name {
            "memory_heap_used" => &mut self.memory_heap_used,
            "memory_heap_total" => &mut self.memory_heap_total,
            "memory_rss" => &mut self.memory_rss,
            "memory_external" => &mut self.memory_external,
            "cpu_user_micros" => &mut self.cpu_user_micros,
            "cpu_system_micros" => &mut self.cpu_system_micros,
            "cpu_percent" => &mut self.cpu_percent,
            "event_loop_lag_ms" => &mut self.event_loop_lag_ms,
            "uptime_seconds" => &mut self.uptime_seconds,
            _ => return None,
        })
    }
}

/// The gauges of all workers. Clones share the same gauges.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerGauges {
    workers: Arc<Mutex<HashMap<WorkerId, WorkerMetrics>>>,
}

impl WorkerGauges {
    /// Returns the latest gauges of a worker with this language runtime, if it has reported any.
    pub(crate) fn latest(&self, worker: WorkerId, runtime: &str) -> Option<WorkerMetrics> {
        let metrics = lock(&self.workers).get(&worker).cloned()?;
        Some(WorkerMetrics { runtime: runtime.to_owned(), ..metrics })
    }

    /// Records a data point if it is one of these gauges and its worker is connected.
    pub(super) fn record(&self, point: &DataPoint, is_connected: impl FnOnce(WorkerId) -> bool) {
        let Some(name) = point.name.strip_prefix(PREFIX) else { return };
        let DataPointValue::Number(value) = point.value else { return };
        let id = point.attributes.get("worker.id").and_then(serde_json::Value::as_str);
        let Some(id) = id.and_then(|id| id.parse().ok()).map(WorkerId) else { return };
        if !is_connected(id) {
            return;
        }
        let mut workers = lock(&self.workers);
        if workers.len() >= MAX_WORKERS && !workers.contains_key(&id) {
            return;
        }
        let metrics = workers.entry(id).or_default();
        if let Some(field) = metrics.field(&name.replace('.', "_")) {
            *field = Some(value);
            metrics.timestamp_ms = point.timestamp_unix_nano / 1_000_000;
        }
    }

    /// Removes the gauges of a disconnected worker.
    pub(super) fn remove(&self, worker: WorkerId) {
        lock(&self.workers).remove(&worker);
    }
}
