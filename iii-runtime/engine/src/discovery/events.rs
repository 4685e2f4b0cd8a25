//! Triggers that fire when workers connect or disconnect and when the registered functions change ([protocol 5.11](iii_wire::protocol#s5-11)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::output::FunctionSummary;
use crate::broker::{Broker, FunctionView, Request};
use crate::provider::{Binding, BrokerEvent, to_payload};
use iii_wire::protocol::{ErrorBody, FunctionId, Namespace, Payload, TriggerId};
use iii_wire::sync::lock;

/// The trigger type that fires on changes of workers.
pub(crate) const WORKERS_AVAILABLE: &str = "engine::workers-available";
/// The trigger type that fires on changes of functions.
pub(crate) const FUNCTIONS_AVAILABLE: &str = "engine::functions-available";

/// Changes of functions within this time fire once.
const DEBOUNCE: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct FunctionsChangedPayload {
    event: &'static str,
    functions: Vec<FunctionSummary>,
}

/// The payload of an event with these functions.
fn functions_changed<'a>(
    functions: impl Iterator<Item = &'a FunctionView>,
) -> Result<Payload, ErrorBody> {
    let functions = functions.map(Into::into).collect();
    to_payload(&FunctionsChangedPayload { event: "functions_changed", functions })
}

type FunctionKeys = Vec<(FunctionId, Namespace)>;

/// Fires the triggers of both types.
pub(crate) struct ChangeNotifier {
    broker: Broker,
    bindings: Mutex<HashMap<TriggerId, Arc<Binding>>>,
    /// The functions of the last `functions_changed` event.
    last_notified: Mutex<FunctionKeys>,
    scheduled: AtomicBool,
}

impl ChangeNotifier {
    /// Creates a notifier without triggers.
    pub(crate) fn new(broker: Broker) -> Self {
        Self {
            broker,
            bindings: Mutex::default(),
            last_notified: Mutex::default(),
            scheduled: AtomicBool::new(false),
        }
    }

    /// Adds a trigger. Replaces the trigger with the same id.
    pub(crate) fn bind(&self, binding: &Arc<Binding>) {
        let is_first = self.bindings_of_type(FUNCTIONS_AVAILABLE).is_empty();
        if binding.trigger_type == FUNCTIONS_AVAILABLE && is_first {
            *lock(&self.last_notified) = self.function_keys();
        }
        lock(&self.bindings).insert(binding.id.clone(), binding.clone());
    }

    /// Removes a trigger.
    pub(crate) fn unbind(&self, id: &TriggerId) {
        lock(&self.bindings).remove(id);
    }

    /// Fires the triggers for an event of the broker.
    pub(crate) fn on_event(self: &Arc<Self>, event: &BrokerEvent) {
        let (name, worker) = match event {
            BrokerEvent::FunctionsChanged => return self.schedule(),
            BrokerEvent::WorkerConnected(id) => ("worker_connected", id),
            BrokerEvent::WorkerUpdated(id) => ("worker_metadata_updated", id),
            BrokerEvent::WorkerDisconnected(id) => ("worker_disconnected", id),
        };
        let bindings = self.bindings_of_type(WORKERS_AVAILABLE);
        if bindings.is_empty() {
            return;
        }
        let text = format!(r#"{{"event":"{name}","worker_id":"{worker}"}}"#);
        let data = Payload::from_built(text);
        for binding in bindings {
            self.broker.fire(Request::fired(&binding, data.clone()));
        }
    }

    /// Compares the functions after the debounce time.
    fn schedule(self: &Arc<Self>) {
        if self.bindings_of_type(FUNCTIONS_AVAILABLE).is_empty() {
            return;
        }
        // While the process exits there is no runtime, and events are dropped.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.scheduled.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(DEBOUNCE).await;
            this.scheduled.store(false, Ordering::Release);
            this.notify_functions_changed();
        });
    }

    fn notify_functions_changed(&self) {
        let keys = self.function_keys();
        if std::mem::replace(&mut *lock(&self.last_notified), keys.clone()) == keys {
            return;
        }
        let functions = self.broker.functions();
        // Owners with unrestricted visibility share one payload.
        let mut unrestricted = None;
        for binding in self.bindings_of_type(FUNCTIONS_AVAILABLE) {
            let visibility = self.broker.visibility(binding.owner);
            let data = if visibility.is_restricted() {
                functions_changed(functions.iter().filter(|view| visibility.function(view)))
            } else {
                unrestricted.get_or_insert_with(|| functions_changed(functions.iter())).clone()
            };
            match data {
                Ok(data) => self.broker.fire(Request::fired(&binding, data)),
                Err(error) => tracing::error!("failed to serialize the functions: {error}"),
            }
        }
    }

    fn function_keys(&self) -> FunctionKeys {
        self.broker.functions().into_iter().map(|view| (view.id, view.namespace)).collect()
    }

    fn bindings_of_type(&self, trigger_type: &str) -> Vec<Arc<Binding>> {
        let bindings = lock(&self.bindings);
        let of_type = bindings.values().filter(|binding| binding.trigger_type == trigger_type);
        of_type.cloned().collect()
    }
}
