//! What workers say about themselves in gauges: memory, processor, event loop (protocol section 10.5).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::point::{Point, Value};
use iii_wire::protocol::WorkerId;
use iii_wire::sync::lock;

/// The beginning of the names of these gauges.
const PREFIX: &str = "iii.worker.";
/// Workers that can say so, as many as the engine lets in.
const WORKERS: usize = 10_000;

/// The newest values of one worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub(crate) struct WorkerMetrics {
    /// Bytes of the heap that are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_heap_used: Option<f64>,
    /// Bytes of the heap.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_heap_total: Option<f64>,
    /// Bytes in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_rss: Option<f64>,
    /// Bytes outside of the heap.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_external: Option<f64>,
    /// Microseconds of the processor for the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_user_micros: Option<f64>,
    /// Microseconds of the processor for the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_system_micros: Option<f64>,
    /// The share of the processor, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_percent: Option<f64>,
    /// How late the event loop is.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_loop_lag_ms: Option<f64>,
    /// How long the worker runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime_seconds: Option<f64>,
    /// When it was measured, in milliseconds since 1970.
    timestamp_ms: u64,
    /// The language and library it runs on.
    runtime: String,
}

impl WorkerMetrics {
    /// The field of a gauge, by the rest of its name with `_` between all words.
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

/// The gauges of all workers. Clones are the same gauges.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerGauges {
    workers: Arc<Mutex<HashMap<WorkerId, WorkerMetrics>>>,
}

impl WorkerGauges {
    /// The newest values of a worker that runs on `runtime`, if it sends any.
    pub(crate) fn of(&self, worker: WorkerId, runtime: &str) -> Option<WorkerMetrics> {
        let metrics = lock(&self.workers).get(&worker).cloned()?;
        Some(WorkerMetrics { runtime: runtime.to_owned(), ..metrics })
    }

    /// Takes a point, if it is one of these gauges of a worker that `is_connected`.
    pub(super) fn take(&self, point: &Point, is_connected: impl FnOnce(WorkerId) -> bool) {
        let Some(name) = point.name.strip_prefix(PREFIX) else { return };
        let Value::Number(value) = point.value else { return };
        let id = point.attributes.get("worker.id").and_then(serde_json::Value::as_str);
        let Some(id) = id.and_then(|id| id.parse().ok()).map(WorkerId) else { return };
        if !is_connected(id) {
            return;
        }
        let mut workers = lock(&self.workers);
        if workers.len() >= WORKERS && !workers.contains_key(&id) {
            return;
        }
        let metrics = workers.entry(id).or_default();
        if let Some(field) = metrics.field(&name.replace('.', "_")) {
            *field = Some(value);
            metrics.timestamp_ms = point.timestamp_unix_nano / 1_000_000;
        }
    }

    /// Forgets a worker that is gone.
    pub(super) fn forget(&self, worker: WorkerId) {
        lock(&self.workers).remove(&worker);
    }
}
