//! The function `engine::health::check` ([protocol 6.7](iii_wire::protocol#s6-7)).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::{NoInput, ObservabilityInner};
use crate::provider::BuiltIn;

/// Output of `engine::health::check`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct HealthCheckOutput {
    /// `healthy`, or `degraded` if a component is degraded.
    status: &'static str,
    /// The components of the engine.
    components: BTreeMap<&'static str, ComponentStatus>,
    /// The current time, in milliseconds since the Unix epoch.
    timestamp: u64,
    /// The version of the engine.
    version: &'static str,
}

/// The health of a component.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ComponentStatus {
    /// `healthy`, `degraded` or `disabled`.
    status: &'static str,
    /// The problem of a degraded component.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Measurements of the component.
    details: Value,
}

impl ComponentStatus {
    fn new(enabled: bool, details: Value) -> Self {
        let status = if enabled { "healthy" } else { "disabled" };
        Self { status, message: None, details }
    }
}

/// Returns the components of observability.
fn telemetry_components(inner: &ObservabilityInner) -> [(&'static str, ComponentStatus); 4] {
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
        ("otel", ComponentStatus::new(enabled, otel)),
        ("metrics", ComponentStatus::new(enabled && settings.metrics.enabled, metrics)),
        ("logs", ComponentStatus::new(enabled && settings.logs.enabled, logs)),
        ("spans", ComponentStatus::new(enabled, spans)),
    ]
}

/// Returns the components of the broker.
fn broker_components(inner: &ObservabilityInner) -> [(&'static str, ComponentStatus); 2] {
    let metrics = inner.broker.metrics();
    let (connected, pending) = inner.broker.load();
    let workers = json!({
        "connected": connected,
        "spawns": metrics.workers_connected,
        "deaths": metrics.workers_disconnected,
    });
    let calls = json!({ "pending": pending, "total": metrics.total, "errors": metrics.failed });
    [("workers", ComponentStatus::new(true, workers)), ("calls", ComponentStatus::new(true, calls))]
}

fn check(inner: &ObservabilityInner) -> HealthCheckOutput {
    let mut components = BTreeMap::from(telemetry_components(inner));
    components.extend(broker_components(inner));
    for provider in inner.broker.health() {
        let status = if provider.trouble.is_some() { "degraded" } else { "healthy" };
        let health =
            ComponentStatus { status, message: provider.trouble, details: provider.details };
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
pub(super) fn function(inner: &Arc<ObservabilityInner>) -> BuiltIn {
    let inner = inner.clone();
    BuiltIn::sync(
        "engine::health::check",
        "Reports the health of the components of the engine.",
        move |_: NoInput, _| Ok(Some(check(&inner))),
    )
}
