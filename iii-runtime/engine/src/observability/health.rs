//! The function `engine::health::check` (protocol section 6.7).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Inner, NoInput};
use crate::provider::BuiltIn;

/// Output of `engine::health::check`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct HealthCheckOutput {
    /// `healthy`, or `degraded` if a component is degraded.
    status: &'static str,
    /// The components of the engine.
    components: BTreeMap<&'static str, ComponentHealth>,
    /// The current time, in milliseconds since the Unix epoch.
    timestamp: u64,
    /// The version of the engine.
    version: &'static str,
}

/// The health of a component.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ComponentHealth {
    /// `healthy`, `degraded` or `disabled`.
    status: &'static str,
    /// The problem of a degraded component.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Measurements of the component.
    details: Value,
}

impl ComponentHealth {
    fn new(enabled: bool, details: Value) -> Self {
        let status = if enabled { "healthy" } else { "disabled" };
        Self { status, message: None, details }
    }
}

/// Returns the components of observability.
fn telemetry_components(inner: &Inner) -> [(&'static str, ComponentHealth); 4] {
    let settings = &inner.settings;
    let enabled = settings.enabled;
    let (stored_spans, hot_bytes) = inner.traces.size();
    let otel = json!({
        "enabled": enabled, "exporter": "memory", "service_name": settings.service_name,
    });
    let metrics = json!({ "stored_metrics": inner.metrics.len() });
    let logs = json!({ "stored_logs": inner.logs.len() });
    let spans = json!({
        "stored_spans": stored_spans, "hot_bytes": hot_bytes, "archive": inner.traces.storage(),
    });
    [
        ("otel", ComponentHealth::new(enabled, otel)),
        ("metrics", ComponentHealth::new(enabled && settings.metrics.enabled, metrics)),
        ("logs", ComponentHealth::new(enabled && settings.logs.enabled, logs)),
        ("spans", ComponentHealth::new(enabled, spans)),
    ]
}

/// Returns the components of the broker.
fn broker_components(inner: &Inner) -> [(&'static str, ComponentHealth); 2] {
    let measured = inner.broker.metrics();
    let (connected, pending) = inner.broker.load();
    let workers = json!({
        "connected": connected, "spawns": measured.workers_connected, "deaths": measured.workers_disconnected,
    });
    let calls = json!({ "pending": pending, "total": measured.total, "errors": measured.failed });
    [("workers", ComponentHealth::new(true, workers)), ("calls", ComponentHealth::new(true, calls))]
}

fn check(inner: &Inner) -> HealthCheckOutput {
    let mut components = BTreeMap::from(telemetry_components(inner));
    components.extend(broker_components(inner));
    for provider in inner.broker.health() {
        let status = if provider.trouble.is_some() { "degraded" } else { "healthy" };
        let health =
            ComponentHealth { status, message: provider.trouble, details: provider.details };
        components.insert(provider.component, health);
    }
    let degraded = components.values().any(|component| component.status == "degraded");
    HealthCheckOutput {
        status: if degraded { "degraded" } else { "healthy" },
        components,
        timestamp: inner.broker.clock().unix_millis(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Creates the function.
pub(super) fn function(inner: &Arc<Inner>) -> BuiltIn {
    let inner = inner.clone();
    BuiltIn::sync(
        "engine::health::check",
        "Reports the health of the components of the engine.",
        move |_: NoInput, _| Ok(Some(check(&inner))),
    )
}
