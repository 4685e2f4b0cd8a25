//! Tests of health and of the small functions, and of what is switched off.

use super::*;
use crate::provider::ComponentHealth;

#[tokio::test]
async fn health_names_all_parts_and_small_functions_answer() {
    let mut rig = Rig::new().await;
    let id = rig.worker.start("l::on", "1");
    let (open, _) = rig.called().await;
    let health = rig.ask("engine::health::check", json!({})).await;
    let parts = &health["components"];
    assert_eq!(health["status"], "healthy");
    assert_eq!(parts["otel"]["details"]["exporter"], "memory");
    assert_eq!(parts["workers"]["details"]["connected"], 1);
    assert_eq!(parts["calls"]["details"]["pending"], 1);
    rig.worker.answer(&open, Ok(None));
    rig.worker.answer_to(id).await.unwrap();
    let with_baggage = InvokeFunction {
        baggage: Some("a=1%202;p=1, b = x".to_owned()),
        ..Worker::invocation("engine::baggage::get_all", "{}")
    };
    let id = rig.worker.start_with(with_baggage);
    let all: Option<Payload> = rig.worker.answer_to(id).await.unwrap();
    let all: Value = all.unwrap().parse().unwrap();
    assert_eq!(all["baggage"]["a"], "1 2");
    assert_eq!(rig.ask("engine::baggage::get", json!({"key": "a"})).await, json!({"value": null}));
    assert_eq!(rig.ask("engine::alerts::evaluate", json!({})).await["evaluated"], false);
}

#[tokio::test]
async fn what_is_switched_off_keeps_nothing() {
    let settings = ObservabilitySettings { enabled: false, ..ObservabilitySettings::default() };
    let mut rig = Rig::with(broker(), settings).await;
    assert!(rig.broker.telemetry().is_none());
    rig.ask("engine::log::info", json!({"message": "x"})).await;
    assert_eq!(rig.ask("engine::logs::list", json!({})).await["total"], 0);
    let health = rig.ask("engine::health::check", json!({})).await;
    assert_eq!(health["components"]["logs"]["status"], "disabled");
    assert_eq!(health["status"], "healthy");
}

/// A part of the engine that has trouble.
struct Ill;

impl Provider for Ill {
    fn name(&self) -> &'static str {
        "ill"
    }

    fn description(&self) -> &'static str {
        "Is not well."
    }

    fn health(&self) -> Option<ComponentHealth> {
        let trouble = Some("the disk is full".to_owned());
        Some(ComponentHealth { component: "store", trouble, details: json!({"durable": true}) })
    }
}

#[tokio::test]
async fn trouble_of_one_part_is_trouble_of_the_engine() {
    let mut rig = Rig::new().await;
    with_provider(&rig.broker, Ill);
    let health = rig.ask("engine::health::check", json!({})).await;
    assert_eq!(health["status"], "degraded");
    assert_eq!(
        health["components"]["store"],
        json!({"status": "degraded", "message": "the disk is full", "details": {"durable": true}})
    );
}
