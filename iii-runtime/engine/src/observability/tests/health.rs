//! Tests of the functions for health and baggage, and of disabled observability.

use super::*;
use crate::provider::ComponentHealth;

#[tokio::test]
async fn health_lists_components_and_baggage_is_returned() {
    let mut engine = TestEngine::new().await;
    let id = engine.worker.start("l::on", "1");
    let (pending, _) = engine.called().await;
    let health = engine.call("engine::health::check", json!({})).await;
    let components = &health["components"];
    assert_eq!(health["status"], "healthy");
    assert_eq!(components["otel"]["details"]["exporter"], "memory");
    assert_eq!(components["workers"]["details"]["connected"], 1);
    assert_eq!(components["calls"]["details"]["pending"], 1);
    engine.worker.answer(&pending, Ok(None));
    engine.worker.answer_to(id).await.unwrap();
    let with_baggage = InvokeFunction {
        baggage: Some("a=1%202;p=1, b = x".to_owned()),
        ..Worker::invocation("engine::baggage::get_all", "{}")
    };
    let id = engine.worker.start_with(with_baggage);
    let all: Option<Payload> = engine.worker.answer_to(id).await.unwrap();
    let all: Value = all.unwrap().parse().unwrap();
    assert_eq!(all["baggage"]["a"], "1 2");
    assert_eq!(
        engine.call("engine::baggage::get", json!({"key": "a"})).await,
        json!({"value": null})
    );
    assert_eq!(engine.call("engine::alerts::evaluate", json!({})).await["evaluated"], false);
}

#[tokio::test]
async fn disabled_observability_stores_nothing() {
    let settings = ObservabilitySettings { enabled: false, ..ObservabilitySettings::default() };
    let mut engine = TestEngine::with(broker(), settings).await;
    assert!(engine.broker.telemetry().is_none());
    engine.call("engine::log::info", json!({"message": "x"})).await;
    assert_eq!(engine.call("engine::logs::list", json!({})).await["total"], 0);
    let health = engine.call("engine::health::check", json!({})).await;
    assert_eq!(health["components"]["logs"]["status"], "disabled");
    assert_eq!(health["status"], "healthy");
}

/// A provider that reports a problem.
struct DegradedProvider;

impl Provider for DegradedProvider {
    fn name(&self) -> &'static str {
        "degraded"
    }

    fn description(&self) -> &'static str {
        "Reports a problem."
    }

    fn health(&self) -> Option<ComponentHealth> {
        let trouble = Some("the disk is full".to_owned());
        Some(ComponentHealth { component: "store", trouble, details: json!({"durable": true}) })
    }
}

#[tokio::test]
async fn degraded_component_degrades_the_engine() {
    let mut engine = TestEngine::new().await;
    with_provider(&engine.broker, DegradedProvider);
    let health = engine.call("engine::health::check", json!({})).await;
    assert_eq!(health["status"], "degraded");
    assert_eq!(
        health["components"]["store"],
        json!({"status": "degraded", "message": "the disk is full", "details": {"durable": true}})
    );
}
