//! `engine::health::check`: how the parts of the engine are (protocol section 6.7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Inner;
use crate::provider::BuiltIn;

/// The input: none.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// How the engine is.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Health {
    /// `healthy`, or `degraded` if one of the components is not.
    status: &'static str,
    /// The parts of the engine.
    components: BTreeMap<&'static str, Component>,
    /// When, in milliseconds since 1970.
    timestamp: u64,
    /// The version of the engine.
    version: &'static str,
}

/// How a part is.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Component {
    /// `healthy`, `degraded` or `disabled`.
    status: &'static str,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Facts about it.
    details: Value,
}

fn component(enabled: bool, details: Value) -> Component {
    let status = if enabled { "healthy" } else { "disabled" };
    Component { status, message: None, details }
}

fn check(inner: &Inner) -> Health {
    let settings = &inner.settings;
    let on = settings.enabled;
    let (stored_spans, hot_bytes) = inner.traces.size();
    let measured = inner.broker.metrics();
    let (connected, pending) = inner.broker.load();
    let mut components = BTreeMap::from([
        (
            "otel",
            component(
                on,
                json!({"enabled": on, "exporter": "memory", "service_name": settings.service_name}),
            ),
        ),
        (
            "metrics",
            component(
                on && settings.metrics.enabled,
                json!({"stored_metrics": inner.metrics.len()}),
            ),
        ),
        ("logs", component(on && settings.logs.enabled, json!({"stored_logs": inner.logs.len()}))),
        (
            "spans",
            component(
                on,
                json!({
                    "stored_spans": stored_spans, "hot_bytes": hot_bytes,
                    "archive": inner.traces.storage(),
                }),
            ),
        ),
        (
            "workers",
            component(
                true,
                json!({
                    "connected": connected, "spawns": measured.workers_connected,
                    "deaths": measured.workers_disconnected,
                }),
            ),
        ),
        (
            "calls",
            component(
                true,
                json!({"pending": pending, "total": measured.total, "errors": measured.failed}),
            ),
        ),
    ]);
    for part in inner.broker.health() {
        let status = if part.trouble.is_some() { "degraded" } else { "healthy" };
        let one = Component { status, message: part.trouble, details: part.details };
        components.insert(part.component, one);
    }
    let degraded = components.values().any(|one| one.status == "degraded");
    Health {
        status: if degraded { "degraded" } else { "healthy" },
        components,
        timestamp: inner.broker.clock().unix_millis(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// The function.
pub(super) fn function(inner: &std::sync::Arc<Inner>) -> BuiltIn {
    let inner = inner.clone();
    BuiltIn::sync(
        "engine::health::check",
        "Says how the parts of the engine are.",
        move |_: Nothing, _| Ok(Some(check(&inner))),
    )
}
