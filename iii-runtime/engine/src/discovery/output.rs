//! Output types of the listing functions, with the field names of [protocol 6.1](iii_wire::protocol#s6-1).

use serde::Serialize;

use crate::broker::{Broker, FunctionView, TriggerTypeView, Visibility, WorkerView};
use crate::provider::Binding;
use iii_wire::protocol::{ErrorBody, FunctionId, Namespace, Payload, TriggerId, TriggerTypeId};

/// Maximum length of a config summary, in characters.
const MAX_SUMMARY_CHARS: usize = 80;

/// A function in a listing.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct FunctionSummary {
    /// The function id.
    #[schemars(with = "String")]
    pub(crate) function_id: FunctionId,
    /// The namespace.
    #[schemars(with = "String")]
    pub(crate) namespace: Namespace,
    /// The name of the worker that serves the function.
    pub(crate) worker_name: String,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Metadata of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<Payload>,
}

impl From<&FunctionView> for FunctionSummary {
    fn from(view: &FunctionView) -> Self {
        Self {
            function_id: view.id.clone(),
            namespace: view.namespace.clone(),
            worker_name: view.worker_name.clone(),
            description: view.description.clone(),
            metadata: view.metadata.clone(),
        }
    }
}

/// A function with all details.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct FunctionDetail {
    /// The fields of a listing.
    #[serde(flatten)]
    pub(crate) summary: FunctionSummary,
    /// JSON Schema of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_schema: Option<Payload>,
    /// JSON Schema of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_schema: Option<Payload>,
    /// The triggers that invoke the function.
    pub(crate) registered_triggers: Vec<FunctionTrigger>,
    /// Why an HTTP function cannot be called. An extension of this engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub(crate) unusable: Option<ErrorBody>,
}

/// A trigger in the details of its function.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct FunctionTrigger {
    /// The trigger id.
    #[schemars(with = "String")]
    pub(crate) id: TriggerId,
    /// The trigger type.
    #[schemars(with = "String")]
    pub(crate) trigger_type: TriggerTypeId,
    /// The configuration.
    pub(crate) config: Payload,
}

impl FunctionDetail {
    /// Describes a function with its triggers, by the trigger ids that the caller uses.
    pub(crate) fn new(broker: &Broker, view: &FunctionView, visibility: &Visibility) -> Self {
        let registered_triggers = broker
            .bindings_of(&view.namespace, &view.id)
            .iter()
            .map(|binding| FunctionTrigger {
                id: visibility.local_trigger_id(&binding.id),
                trigger_type: binding.trigger_type.clone(),
                config: binding.config.clone(),
            })
            .collect();
        Self {
            summary: view.into(),
            request_schema: view.request_schema.clone(),
            response_schema: view.response_schema.clone(),
            registered_triggers,
            unusable: view.unusable.clone(),
        }
    }
}

/// A trigger type in a listing.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct TriggerTypeSummary {
    /// The trigger type id.
    #[schemars(with = "String")]
    pub(crate) id: TriggerTypeId,
    /// The namespace.
    #[schemars(with = "String")]
    pub(crate) namespace: Namespace,
    /// The name of the provider.
    pub(crate) worker_name: String,
    /// The description.
    pub(crate) description: String,
}

impl From<&TriggerTypeView> for TriggerTypeSummary {
    fn from(view: &TriggerTypeView) -> Self {
        Self {
            id: view.id.clone(),
            namespace: view.namespace.clone(),
            worker_name: view.worker_name.clone(),
            description: view.description.clone(),
        }
    }
}

/// A trigger type with all details.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct TriggerTypeDetail {
    /// The fields of a listing.
    #[serde(flatten)]
    pub(crate) summary: TriggerTypeSummary,
    /// JSON Schema of the trigger configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) configuration_schema: Option<Payload>,
    /// JSON Schema of the payload of the triggered functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_schema: Option<Payload>,
    /// The number of triggers of this type.
    pub(crate) instance_count: usize,
}

impl From<&TriggerTypeView> for TriggerTypeDetail {
    fn from(view: &TriggerTypeView) -> Self {
        Self {
            summary: view.into(),
            configuration_schema: view.config_schema.clone(),
            request_schema: view.request_schema.clone(),
            instance_count: view.instance_count,
        }
    }
}

/// A trigger in a listing.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct TriggerSummary {
    /// The trigger id.
    #[schemars(with = "String")]
    pub(crate) id: TriggerId,
    /// The trigger type.
    #[schemars(with = "String")]
    pub(crate) trigger_type: TriggerTypeId,
    /// The function that the trigger invokes.
    #[schemars(with = "String")]
    pub(crate) function_id: FunctionId,
    /// The name of the worker that registered the trigger.
    pub(crate) worker_name: String,
    /// The configuration.
    pub(crate) config: Payload,
    /// The first 80 characters of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config_summary: Option<String>,
    /// Why the trigger is parked; absent if it is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parked: Option<ParkedReason>,
}

/// Why a trigger is not bound by a provider.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct ParkedReason {
    /// `trigger_type_not_found` if the trigger type has no provider, else the error code of the provider.
    pub(crate) code: String,
    /// The error message.
    pub(crate) message: String,
}

impl From<ErrorBody> for ParkedReason {
    fn from(error: ErrorBody) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl TriggerSummary {
    /// Describes a trigger. `workers` are the workers among which the owner is looked up.
    pub(crate) fn new(binding: &Binding, workers: &[WorkerView], visibility: &Visibility) -> Self {
        let owner = workers
            .iter()
            .find(|worker| worker.connection.is_some() && worker.connection == binding.owner);
        let name = owner.and_then(|owner| owner.info.as_ref()?.name.clone());
        let function_id = &binding.function_id;
        let id_prefix = || function_id.split("::").next().unwrap_or(function_id).to_owned();
        Self {
            id: visibility.local_trigger_id(&binding.id),
            trigger_type: binding.trigger_type.clone(),
            function_id: function_id.clone(),
            worker_name: name.unwrap_or_else(id_prefix),
            config: binding.config.clone(),
            config_summary: Some(summarize(&binding.config)),
            parked: None,
        }
    }
}

/// Returns compact JSON, truncated to the maximum length of a summary.
fn summarize(config: &Payload) -> String {
    let json = config.parse::<serde_json::Value>().map(|value| value.to_string());
    let json = json.unwrap_or_default();
    match json.char_indices().nth(MAX_SUMMARY_CHARS) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json,
    }
}

/// A worker or a provider of the engine in a listing. Unknown values are `null`.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct WorkerSummary {
    /// The connection id, or the name of the provider.
    pub(crate) id: String,
    /// The name.
    pub(crate) name: Option<String>,
    /// The namespace of everything that the worker registers.
    #[schemars(with = "String")]
    pub(crate) namespace: Namespace,
    /// The description.
    pub(crate) description: Option<String>,
    /// The language runtime; `engine` for providers of the engine.
    pub(crate) runtime: Option<String>,
    /// The version of the runtime.
    pub(crate) version: Option<String>,
    /// The operating system.
    pub(crate) os: Option<String>,
    /// The kind of isolation.
    pub(crate) isolation: Option<String>,
    /// The IP address of the connection.
    pub(crate) ip_address: Option<String>,
    /// `connected`, or `available` for providers of the engine.
    pub(crate) status: &'static str,
    /// The time of the connection, in milliseconds since the Unix epoch.
    pub(crate) connected_at_ms: u64,
    /// The number of functions.
    pub(crate) function_count: usize,
    /// The number of calls in flight.
    pub(crate) active_invocations: usize,
}

impl From<&WorkerView> for WorkerSummary {
    fn from(view: &WorkerView) -> Self {
        let info = view.info.clone().unwrap_or_default();
        Self {
            id: view.id.clone(),
            name: info.name,
            namespace: view.namespace.clone(),
            description: info.description,
            runtime: view.info.as_ref().map(|info| info.runtime.clone()),
            version: info.version,
            os: info.os,
            isolation: info.isolation,
            ip_address: view.peer.map(|peer| peer.to_string()),
            status: if view.connection.is_some() { "connected" } else { "available" },
            connected_at_ms: view.connected_at_ms,
            function_count: view.function_count,
            active_invocations: view.active_invocations,
        }
    }
}
