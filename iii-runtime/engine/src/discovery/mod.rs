//! Discovery: functions that list what the engine knows (protocol section 6.1), and triggers that tell of changes.

mod events;
mod functions;
mod shapes;
#[cfg(test)]
mod tests;
mod triggers;
mod workers;

use std::future::Future;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::broker::{Broker, Eyes};
use super::observability::WorkerGauges;
use super::provider::{Binding, BuiltIn, Call, Event, Provider, TriggerTypeInfo};
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, WorkerId};

use events::Watch;

/// The provider of `engine::functions::*`, `engine::triggers::*`, `engine::registered-triggers::*` and
/// `engine::workers::*`.
pub(crate) struct Discovery {
    broker: Broker,
    watch: Arc<Watch>,
    gauges: WorkerGauges,
}

impl Discovery {
    /// Discovery at `broker`; `gauges` is what workers say about themselves.
    pub(crate) fn new(broker: Broker, gauges: WorkerGauges) -> Self {
        Self { watch: Arc::new(Watch::new(broker.clone())), broker, gauges }
    }

    /// What a caller may see, when all that it has registered before was decided.
    fn eyes(&self, caller: Option<WorkerId>) -> impl Future<Output = Eyes> + Send + use<> {
        let broker = self.broker.clone();
        async move {
            broker.settled(caller).await;
            broker.eyes(caller)
        }
    }

    /// A function that answers with what its caller may see.
    fn view<I, O, F>(
        self: &Arc<Self>,
        id: &'static str,
        description: &'static str,
        code: F,
    ) -> BuiltIn
    where
        I: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema,
        F: Fn(&Self, &I, &Eyes) -> Result<O, ErrorBody> + Copy + Send + Sync + 'static,
    {
        let this = self.clone();
        BuiltIn::typed(id, description, move |input: I, call: Call| {
            let (this, eyes) = (this.clone(), this.eyes(call.caller));
            async move {
                let eyes = eyes.await;
                code(&this, &input, &eyes).map(Some)
            }
        })
    }
}

/// The error for what is not there.
fn missing(message: String) -> ErrorBody {
    ErrorBody::new(code::NOT_FOUND, message)
}

/// The error for input that contradicts itself.
fn invalid(message: String) -> ErrorBody {
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
        let plain = |id, description| TriggerTypeInfo {
            id,
            description,
            config_schema: None,
            request_schema: None,
        };
        vec![
            plain(events::WORKERS, "Fires when a worker comes, announces itself or goes."),
            plain(events::FUNCTIONS, "Fires when functions were registered or removed."),
        ]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        let mut all = self.function_functions();
        all.extend(self.trigger_functions());
        all.extend(self.worker_functions());
        all
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.watch.bind(binding);
        Ok(())
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        self.watch.unbind(&binding.id);
    }

    fn notice(&self, event: &Event) {
        self.watch.notice(event);
    }
}
