//! The latest gauges that workers report about their process: memory, CPU and event loop ([protocol 10.5](iii_wire::protocol#s10-5)).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use iii_wire::protocol::WorkerId;
use iii_wire::sync::lock;

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
    /// Returns the field of a gauge by its name with `_` as the separator.
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

    /// Sets a gauge of a connected worker, such as `memory.rss`. Unknown gauges are ignored. `timestamp_ms` is the time
    /// of the measurement.
    pub(crate) fn set(&self, worker: WorkerId, gauge: &str, value: f64, timestamp_ms: u64) {
        let mut workers = lock(&self.workers);
        if workers.len() >= MAX_WORKERS && !workers.contains_key(&worker) {
            return;
        }
        let metrics = workers.entry(worker).or_default();
        if let Some(field) = metrics.field(&gauge.replace('.', "_")) {
            *field = Some(value);
            metrics.timestamp_ms = timestamp_ms;
        }
    }

    /// Removes the gauges of a disconnected worker.
    pub(crate) fn remove(&self, worker: WorkerId) {
        lock(&self.workers).remove(&worker);
    }
}
