//! Owns a trigger type of a worker, and the checks of its bindings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use iii_sdk::protocol::{RegisterTriggerInput, TriggerRequest, TriggerRequestWithMetadata};
use iii_sdk::trigger::{TriggerConfig, TriggerHandler};
use iii_sdk::{Error, IIIClient, RegisterTriggerType};
use serde_json::{json, Value};

use crate::kit::{call, checks, connect, plain, until, until_is, Kit};

checks! {
    "types/bind" => bind;
    "types/unbind" => unbind;
    "types/condition" => condition;
    "types/refuse" => refuse;
    "types/park" => park;
}

/// It keeps its bindings and fires them, if their condition allows.
#[derive(Clone)]
pub struct Bell {
    worker: IIIClient,
    bindings: Arc<Mutex<BTreeMap<String, TriggerConfig>>>,
}

impl Bell {
    pub fn new(worker: IIIClient) -> Self {
        Self { worker, bindings: Arc::default() }
    }

    pub fn offer(&self, id: &str) {
        self.worker.register_trigger_type(RegisterTriggerType::new(id, "Rings.", self.clone()));
    }

    fn bindings(&self) -> Vec<TriggerConfig> {
        self.bindings.lock().unwrap().values().cloned().collect()
    }

    async fn bound(&self, count: usize) {
        until_is("the bindings", || self.bindings().len() == count).await;
    }

    pub async fn ring(&self, data: Value) -> Result<(), Error> {
        for TriggerConfig { function_id, config, metadata, namespace, .. } in self.bindings() {
            if let Some(condition) = config["condition_function_id"].as_str() {
                if call(&self.worker, condition, data.clone()).await? == json!(false) {
                    continue;
                }
            }
            let mut request = TriggerRequestWithMetadata::from(TriggerRequest::new(function_id, data.clone()));
            if let Some(metadata) = metadata {
                request = request.metadata(metadata);
            }
            if let Some(namespace) = namespace {
                request = request.namespace(namespace);
            }
            self.worker.trigger(request).await?;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl TriggerHandler for Bell {
    async fn register_trigger(&self, config: TriggerConfig) -> Result<(), Error> {
        if config.config["tune"].is_null() {
            return Err("a bell needs a tune".into());
        }
        self.bindings.lock().unwrap().insert(config.id.clone(), config);
        Ok(())
    }

    async fn unregister_trigger(&self, config: TriggerConfig) -> Result<(), Error> {
        self.bindings.lock().unwrap().remove(&config.id);
        Ok(())
    }
}

async fn bind(kit: &mut Kit) {
    kit.bell.offer("rs-bell");
    let info = || async { kit.attempt("engine::triggers::info", json!({"id": "rs-bell"})).await.map(Some) };
    until("the type", info).await;
    kit.rung = kit.hear("rs::rung").await;
    let input = RegisterTriggerInput::new("rs-bell", "rs::rung", json!({"tune": "ding"}));
    kit.bind_with(input.with_metadata(json!({"who": "rs"}))).await;
    kit.bell.bound(1).await;
    let bound = kit.bell.bindings().remove(0);
    assert_eq!((bound.function_id.as_str(), bound.config), ("rs::rung", json!({"tune": "ding"})));
    assert_eq!(bound.metadata, Some(json!({"who": "rs"})));
    kit.bell.ring(json!({"rang": 1})).await.unwrap();
    assert_eq!(kit.rung.wait("the ring", |_| true).await["rang"], 1);
    assert_eq!(kit.rung.metadata(), Some(json!({"who": "rs"})));
}

async fn unbind(kit: &mut Kit) {
    let heard = kit.hear("rs::rung-briefly").await;
    let binding = kit.bind("rs-bell", "rs::rung-briefly", json!({"tune": "dong"})).await;
    kit.bell.bound(2).await;
    kit.unbind(binding, "rs-bell", "rs::rung-briefly").await;
    kit.bell.bound(1).await;
    kit.bell.ring(json!({"rang": 2})).await.unwrap();
    kit.rung.wait("the ring", |item| item["rang"] == 2).await;
    assert_eq!(heard.len(), 0);
}

async fn condition(kit: &mut Kit) {
    kit.serve("rs::loud", plain(|data| json!(data["rang"].as_i64().unwrap() > 10))).await;
    let loud = kit.hear("rs::rung-loudly").await;
    let config = json!({"tune": "dong", "condition_function_id": "rs::loud"});
    let binding = kit.bind("rs-bell", "rs::rung-loudly", config).await;
    kit.bell.bound(2).await;
    for rang in [3, 30] {
        kit.bell.ring(json!({"rang": rang})).await.unwrap();
    }
    assert_eq!(loud.all("the loud ring", 1).await[0]["rang"], 30);
    kit.unbind(binding, "rs-bell", "rs::rung-loudly").await;
}

async fn refuse(kit: &mut Kit) {
    // `engine::register_trigger` tells what the provider said; the SDK only logs it.
    let binding = json!({"trigger_type": "rs-bell", "function_id": "rs::rung", "config": {"volume": 1}});
    let message = kit.refused("trigger_registration_failed", "engine::register_trigger", binding).await;
    assert!(message.contains("a bell needs a tune"), "{message}");
}

async fn park(kit: &mut Kit) {
    // Bound before the type is there; its worker comes, goes, and comes back.
    let heard = kit.hear("rs::parked").await;
    let input = RegisterTriggerInput::new("rs-gong", "rs::parked", json!({"tune": "gong"}));
    kit.one.register_trigger(input).unwrap();
    for round in [1, 2] {
        let provider = connect("rust-provider", None);
        let gong = Bell::new(provider.clone());
        gong.offer("rs-gong");
        gong.bound(1).await;
        gong.ring(json!({"rang": round})).await.unwrap();
        heard.wait("the ring", |item| item["rang"] == round).await;
        provider.shutdown_async().await;
        kit.unbound("rs-gong", "rs::parked").await;
    }
}
