//! Discovery: functions that list what is registered at the engine ([protocol 6.1](iii_wire::protocol#s6-1)), and triggers that fire on
//! changes.

mod events;
mod functions;
mod output;
#[cfg(test)]
mod tests;
mod triggers;
mod workers;

use std::future::Future;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::broker::{Broker, Visibility};
use super::provider::{Binding, BrokerEvent, BuiltIn, Call, Provider, TriggerTypeInfo};
use super::worker_gauges::WorkerGauges;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, WorkerId};

use events::ChangeNotifier;

/// The provider of `engine::functions::*`, `engine::triggers::*`, `engine::registered-triggers::*` and
/// `engine::workers::*`.
pub(crate) struct Discovery {
    broker: Broker,
    notifier: Arc<ChangeNotifier>,
    gauges: WorkerGauges,
}

impl Discovery {
    /// Creates the provider. `gauges` are the metrics that workers report about themselves.
    pub(crate) fn new(broker: Broker, gauges: WorkerGauges) -> Self {
        Self { notifier: Arc::new(ChangeNotifier::new(broker.clone())), broker, gauges }
    }

    /// Waits until the earlier registrations of a caller have been authorized, and returns what it may see.
    fn visibility(
        &self,
        caller: Option<WorkerId>,
    ) -> impl Future<Output = Visibility> + Send + use<> {
        let broker = self.broker.clone();
        async move {
            broker.settled(caller).await;
            broker.visibility(caller)
        }
    }

    /// Creates a function whose output depends on what its caller may see.
    fn listing_function<I, O, F>(
        self: &Arc<Self>,
        id: &'static str,
        description: &'static str,
        code: F,
    ) -> BuiltIn
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema,
        F: Fn(&Self, &I, &Visibility) -> Result<O, ErrorBody> + Copy + Send + Sync + 'static,
    {
        let this = self.clone();
        BuiltIn::typed(id, description, move |input: I, call: Call| {
            let (this, visibility) = (this.clone(), this.visibility(call.caller));
            async move {
                let visibility = visibility.await;
                code(&this, &input, &visibility).map(Some)
            }
        })
    }
}

/// The error for an entry that is not registered.
fn not_found(message: String) -> ErrorBody {
    ErrorBody::new(code::NOT_FOUND, message)
}

/// The error for contradictory input.
fn invalid_arguments(message: String) -> ErrorBody {
    ErrorBody::new(code::INVALID_ARGUMENTS, message)
}

impl Provider for Discovery {
    fn name(&self) -> &'static str {
        "iii-engine-functions"
    }

    fn description(&self) -> &'static str {
        "List functions, triggers and workers."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        let without_schemas = |id, description| TriggerTypeInfo {
            id,
            description,
            config_schema: None,
            request_schema: None,
        };
        vec![
            without_schemas(
                events::WORKERS_AVAILABLE,
                "Fires when a worker connects, announces itself or disconnects.",
            ),
            without_schemas(
                events::FUNCTIONS_AVAILABLE,
                "Fires when functions are registered or unregistered.",
            ),
        ]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        let mut all = self.function_functions();
        all.extend(self.trigger_functions());
        all.extend(self.worker_functions());
        all
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.notifier.bind(binding);
        Ok(())
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        self.notifier.unbind(&binding.id);
    }

    fn on_event(&self, event: &BrokerEvent) {
        self.notifier.on_event(event);
    }
}
