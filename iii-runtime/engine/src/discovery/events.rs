//! Triggers that fire when workers come and go and when functions change (protocol section 5.11).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::shapes::FunctionSummary;
use crate::broker::{Broker, FunctionView, Request};
use crate::provider::{Binding, Event, to_payload};
use iii_wire::protocol::{ErrorBody, FunctionId, Namespace, Payload, TriggerId};
use iii_wire::sync::lock;

/// The type that fires for workers.
pub(crate) const WORKERS: &str = "engine::workers-available";
/// The type that fires for functions.
pub(crate) const FUNCTIONS: &str = "engine::functions-available";

/// Changes of functions that come within this time fire once.
const CALM: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct FunctionsChanged {
    event: &'static str,
    functions: Vec<FunctionSummary>,
}

/// The payload that tells these functions.
fn functions_changed<'a>(
    functions: impl Iterator<Item = &'a FunctionView>,
) -> Result<Payload, ErrorBody> {
    let functions = functions.map(Into::into).collect();
    to_payload(&FunctionsChanged { event: "functions_changed", functions })
}

type Ids = Vec<(FunctionId, Namespace)>;

/// The bindings of both types.
pub(crate) struct Watch {
    broker: Broker,
    bindings: Mutex<HashMap<TriggerId, Arc<Binding>>>,
    // The functions that were told last.
    told: Mutex<Ids>,
    scheduled: AtomicBool,
}

impl Watch {
    /// Without bindings.
    pub(crate) fn new(broker: Broker) -> Self {
        Self {
            broker,
            bindings: Mutex::default(),
            told: Mutex::default(),
            scheduled: AtomicBool::new(false),
        }
    }

    /// Adds a binding, or replaces the one of the same id.
    pub(crate) fn bind(&self, binding: &Arc<Binding>) {
        if binding.trigger_type == FUNCTIONS && self.listeners(FUNCTIONS).is_empty() {
            *lock(&self.told) = self.ids();
        }
        lock(&self.bindings).insert(binding.id.clone(), binding.clone());
    }

    /// Removes a binding.
    pub(crate) fn unbind(&self, id: &TriggerId) {
        lock(&self.bindings).remove(id);
    }

    /// Tells the listeners of a change.
    pub(crate) fn notice(self: &Arc<Self>, event: &Event) {
        let (word, worker) = match event {
            Event::FunctionsChanged => return self.schedule(),
            Event::WorkerConnected(id) => ("worker_connected", id),
            Event::WorkerUpdated(id) => ("worker_metadata_updated", id),
            Event::WorkerDisconnected(id) => ("worker_disconnected", id),
        };
        let listeners = self.listeners(WORKERS);
        if listeners.is_empty() {
            return;
        }
        let text = format!(r#"{{"event":"{word}","worker_id":"{worker}"}}"#);
        let data = Payload::from_built(text);
        for binding in listeners {
            self.broker.fire(Request::fired(&binding, data.clone()));
        }
    }

    /// Looks at the functions a little later.
    fn schedule(self: &Arc<Self>) {
        if self.listeners(FUNCTIONS).is_empty() {
            return;
        }
        // While the program ends there is no runtime, and nobody to tell.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.scheduled.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(CALM).await;
            this.scheduled.store(false, Ordering::Release);
            this.tell();
        });
    }

    fn tell(&self) {
        let ids = self.ids();
        if std::mem::replace(&mut *lock(&self.told), ids.clone()) == ids {
            return;
        }
        let functions = self.broker.functions();
        // Most listeners see everything, and get the same.
        let mut for_all = None;
        for binding in self.listeners(FUNCTIONS) {
            let eyes = self.broker.eyes(binding.owner);
            let data = if eyes.are_limited() {
                functions_changed(functions.iter().filter(|one| eyes.function(one)))
            } else {
                for_all.get_or_insert_with(|| functions_changed(functions.iter())).clone()
            };
            match data {
                Ok(data) => self.broker.fire(Request::fired(&binding, data)),
                Err(error) => tracing::error!("the functions cannot be told: {error}"),
            }
        }
    }

    fn ids(&self) -> Ids {
        self.broker.functions().into_iter().map(|view| (view.id, view.namespace)).collect()
    }

    fn listeners(&self, trigger_type: &str) -> Vec<Arc<Binding>> {
        let bindings = lock(&self.bindings);
        bindings.values().filter(|one| one.trigger_type == trigger_type).cloned().collect()
    }
}
