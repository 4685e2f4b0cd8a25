//! The JSON shapes of what is listed, with exactly the field names of protocol section 6.1.

use serde::Serialize;

use crate::broker::{Broker, Eyes, FunctionView, TriggerTypeView, WorkerView};
use crate::provider::Binding;
use iii_wire::protocol::{ErrorBody, FunctionId, Namespace, Payload, TriggerId, TriggerTypeId};

/// How many characters of a config a list shows.
const SUMMARY: usize = 80;

/// A function in a list.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct FunctionSummary {
    /// Its id.
    #[schemars(with = "String")]
    pub(crate) function_id: FunctionId,
    /// The partition it is in.
    #[schemars(with = "String")]
    pub(crate) namespace: Namespace,
    /// The worker that serves it.
    pub(crate) worker_name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// What its worker says about it.
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

/// A function in full.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct FunctionDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub(crate) summary: FunctionSummary,
    /// JSON Schema of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_schema: Option<Payload>,
    /// JSON Schema of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) response_schema: Option<Payload>,
    /// The bindings that invoke it.
    pub(crate) registered_triggers: Vec<OwnTrigger>,
    /// Why the HTTP endpoint that serves it cannot be called. An addition of this project.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub(crate) unusable: Option<ErrorBody>,
}

/// A binding, as its function shows it.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct OwnTrigger {
    /// Its id.
    #[schemars(with = "String")]
    pub(crate) id: TriggerId,
    /// Its type.
    #[schemars(with = "String")]
    pub(crate) trigger_type: TriggerTypeId,
    /// Its config.
    pub(crate) config: Payload,
}

impl FunctionDetail {
    /// A function with its bindings; ids are those that the caller knows.
    pub(crate) fn new(broker: &Broker, view: &FunctionView, eyes: &Eyes) -> Self {
        let registered_triggers = broker
            .bindings_of(&view.namespace, &view.id)
            .iter()
            .map(|binding| OwnTrigger {
                id: eyes.own_trigger(&binding.id),
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

/// A trigger type in a list.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct TypeSummary {
    /// Its id.
    #[schemars(with = "String")]
    pub(crate) id: TriggerTypeId,
    /// The partition it is in.
    #[schemars(with = "String")]
    pub(crate) namespace: Namespace,
    /// Who provides it.
    pub(crate) worker_name: String,
    /// What fires it.
    pub(crate) description: String,
}

impl From<&TriggerTypeView> for TypeSummary {
    fn from(view: &TriggerTypeView) -> Self {
        Self {
            id: view.id.clone(),
            namespace: view.namespace.clone(),
            worker_name: view.worker_name.clone(),
            description: view.description.clone(),
        }
    }
}

/// A trigger type in full.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct TypeDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub(crate) summary: TypeSummary,
    /// JSON Schema of a binding's config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) configuration_schema: Option<Payload>,
    /// JSON Schema of the payload that functions get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_schema: Option<Payload>,
    /// How many bindings it has.
    pub(crate) instance_count: usize,
}

impl From<&TriggerTypeView> for TypeDetail {
    fn from(view: &TriggerTypeView) -> Self {
        Self {
            summary: view.into(),
            configuration_schema: view.config_schema.clone(),
            request_schema: view.request_schema.clone(),
            instance_count: view.instance_count,
        }
    }
}

/// A binding.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct TriggerSummary {
    /// Its id.
    #[schemars(with = "String")]
    pub(crate) id: TriggerId,
    /// Its type.
    #[schemars(with = "String")]
    pub(crate) trigger_type: TriggerTypeId,
    /// The function it invokes.
    #[schemars(with = "String")]
    pub(crate) function_id: FunctionId,
    /// The worker that registered it.
    pub(crate) worker_name: String,
    /// Its config.
    pub(crate) config: Payload,
    /// The beginning of its config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config_summary: Option<String>,
    /// Why it is parked; absent: it fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parked: Option<Reason>,
}

/// Why no provider has a binding.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct Reason {
    /// `trigger_type_not_found` if nobody provides the type, else the code with which its provider refused it.
    pub(crate) code: String,
    /// The same for people.
    pub(crate) message: String,
}

impl From<ErrorBody> for Reason {
    fn from(error: ErrorBody) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl TriggerSummary {
    /// A binding; `workers` are all workers there are.
    pub(crate) fn new(binding: &Binding, workers: &[WorkerView], eyes: &Eyes) -> Self {
        let owner =
            workers.iter().find(|one| one.connection.is_some() && one.connection == binding.owner);
        let name = owner.and_then(|owner| owner.info.as_ref()?.name.clone());
        let function_id = &binding.function_id;
        let first = || function_id.split("::").next().unwrap_or(function_id).to_owned();
        Self {
            id: eyes.own_trigger(&binding.id),
            trigger_type: binding.trigger_type.clone(),
            function_id: function_id.clone(),
            worker_name: name.unwrap_or_else(first),
            config: binding.config.clone(),
            config_summary: Some(shortened(&binding.config)),
            parked: None,
        }
    }
}

/// Compact JSON, cut where it gets long.
fn shortened(config: &Payload) -> String {
    let text = config.parse::<serde_json::Value>().map(|value| value.to_string());
    let text = text.unwrap_or_default();
    match text.char_indices().nth(SUMMARY) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A worker. Absent facts are `null`.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct Worker {
    /// The id of its connection, or the name of the part of the engine.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: Option<String>,
    /// The partition of all that it registers.
    #[schemars(with = "String")]
    pub(crate) namespace: Namespace,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// The language and library it runs on; `engine` for parts of the engine.
    pub(crate) runtime: Option<String>,
    /// The version of that.
    pub(crate) version: Option<String>,
    /// Its operating system.
    pub(crate) os: Option<String>,
    /// How it is isolated.
    pub(crate) isolation: Option<String>,
    /// The address it came from.
    pub(crate) ip_address: Option<String>,
    /// `connected`, or `available` for parts of the engine.
    pub(crate) status: &'static str,
    /// When it came, in milliseconds since 1970.
    pub(crate) connected_at_ms: u64,
    /// How many functions it serves.
    pub(crate) function_count: usize,
    /// How many calls it is serving now.
    pub(crate) active_invocations: usize,
}

impl From<&WorkerView> for Worker {
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
