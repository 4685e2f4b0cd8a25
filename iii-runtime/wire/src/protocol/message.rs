//! The messages of a worker connection ([protocol 2](crate::protocol#s2)).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ErrorBody, FunctionId, InvalidFrame, InvocationId, Namespace, Payload, TriggerId,
    TriggerTypeId, WorkerId,
};

/// A message of a worker connection, in either direction.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Engine to worker: the first message of a connection.
    WorkerRegistered {
        /// The id of this connection.
        worker_id: WorkerId,
        /// The secret with which a later connection can replace this one.
        reattach_token: Option<Uuid>,
    },
    /// Worker to engine: this connection replaces an earlier one.
    Reattach {
        /// The id of the earlier connection.
        previous_worker_id: WorkerId,
        /// The secret of the earlier connection.
        reattach_token: Uuid,
    },
    /// Worker to engine: registers a function.
    RegisterFunction(Box<RegisterFunction>),
    /// Worker to engine: unregisters a function.
    UnregisterFunction {
        /// The function.
        id: FunctionId,
    },
    /// Worker to engine: registers a trigger type.
    RegisterTriggerType(Box<RegisterTriggerType>),
    /// Worker to engine: unregisters a trigger type.
    UnregisterTriggerType {
        /// The trigger type.
        id: TriggerTypeId,
    },
    /// Registers a trigger; the engine forwards it to the provider of its type.
    RegisterTrigger(Box<RegisterTrigger>),
    /// Unregisters a trigger; the engine forwards it to the provider of its type.
    UnregisterTrigger {
        /// The trigger.
        id: TriggerId,
        /// Its type. The engine always sends it, since the Rust SDK requires it.
        trigger_type: Option<TriggerTypeId>,
    },
    /// The result of a trigger registration.
    TriggerRegistrationResult(Box<TriggerRegistrationResult>),
    /// Invokes a function.
    InvokeFunction(Box<InvokeFunction>),
    /// The result of an invocation.
    InvocationResult(Box<InvocationResult>),
    /// Worker to engine: registers a service, a group of functions.
    RegisterService(Box<RegisterService>),
    /// Engine to worker: rejects a registration.
    RegistrationRejected(Box<RegistrationRejected>),
    /// Engine to worker: an error without a more specific message ([protocol 2.13](crate::protocol#s2-13)). SDKs ignore it.
    Error(Box<ErrorBody>),
    /// A keep-alive request.
    Ping,
    /// The response to a ping.
    Pong,
    /// A frame that could not be decoded. It is never sent.
    Invalid(Box<InvalidFrame>),
}

impl Message {
    /// The size that a queued message counts, in bytes: its payloads, its longer strings, and a constant for the rest.
    /// It is an upper bound of the JSON size, except for escapes.
    pub fn weight(&self) -> usize {
        let json = |payload: Option<&Payload>| payload.map_or(0, |payload| payload.as_str().len());
        let text = |text: Option<&String>| text.map_or(0, String::len);
        let error = |error: &ErrorBody| {
            error.message.len() + text(error.stacktrace.as_ref()) + json(error.details.as_ref())
        };
        let varying = match self {
            Self::InvokeFunction(m) => {
                m.data.as_str().len()
                    + json(m.metadata.as_ref())
                    + m.function_id.len()
                    + text(m.traceparent.as_ref())
                    + text(m.baggage.as_ref())
            }
            Self::InvocationResult(m) => {
                let result = m.result.as_ref();
                result.map_or_else(error, |result| json(result.as_ref()))
                    + m.function_id.len()
                    + text(m.traceparent.as_ref())
                    + text(m.baggage.as_ref())
            }
            Self::RegisterFunction(m) => {
                json(m.request_format.as_ref())
                    + json(m.response_format.as_ref())
                    + json(m.metadata.as_ref())
                    + json(m.invocation.as_ref().map(|invocation| &invocation.0))
                    + text(m.description.as_ref())
            }
            Self::RegisterTrigger(m) => {
                m.config.as_str().len() + json(m.metadata.as_ref()) + m.id.len()
            }
            Self::RegisterTriggerType(m) => {
                json(m.trigger_request_format.as_ref())
                    + json(m.call_request_format.as_ref())
                    + m.description.len()
            }
            Self::RegisterService(m) => {
                m.id.len()
                    + text(m.name.as_ref())
                    + text(m.description.as_ref())
                    + text(m.parent_service_id.as_ref())
            }
            Self::TriggerRegistrationResult(m) => m.error.as_ref().map_or(0, error),
            _ => 0,
        };
        varying + 256
    }
}

/// Registers a function ([protocol 2.3](crate::protocol#s2-3)).
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterFunction {
    /// The id, by convention `service::name`.
    pub id: FunctionId,
    /// The description.
    pub description: Option<String>,
    /// JSON Schema of the input.
    pub request_format: Option<Payload>,
    /// JSON Schema of the output.
    pub response_format: Option<Payload>,
    /// Other metadata; `{"internal":true}` hides the function from lists.
    pub metadata: Option<Payload>,
    /// Set if an HTTP endpoint serves the function ([protocol 4.8](crate::protocol#s4-8)).
    pub invocation: Option<HttpInvocation>,
}

/// The raw `invocation` object of a function that an HTTP endpoint serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HttpInvocation(pub Payload);

/// Registers a trigger type ([protocol 2.5](crate::protocol#s2-5)).
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterTriggerType {
    /// The id of the type.
    pub id: TriggerTypeId,
    /// What fires the triggers.
    pub description: String,
    /// JSON Schema of a trigger's config.
    pub trigger_request_format: Option<Payload>,
    /// JSON Schema of the payload of invoked functions.
    pub call_request_format: Option<Payload>,
    /// The provider's namespace; absent: that of the connection.
    pub namespace: Option<Namespace>,
}

/// Registers a trigger ([protocol 2.6](crate::protocol#s2-6)).
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterTrigger {
    /// The id of the trigger.
    pub id: TriggerId,
    /// Its type.
    pub trigger_type: TriggerTypeId,
    /// The function it invokes.
    pub function_id: FunctionId,
    /// The config, as the type defines it.
    pub config: Payload,
    /// Passed to the function with each invocation.
    pub metadata: Option<Payload>,
    /// The namespace of the function; absent: `default`.
    pub namespace: Option<Namespace>,
    /// The namespace of the provider; absent: the worker's namespace, then `default`.
    pub trigger_namespace: Option<Namespace>,
}

/// The result of a trigger registration ([protocol 2.8](crate::protocol#s2-8)).
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRegistrationResult {
    /// The trigger.
    pub id: TriggerId,
    /// Its type.
    pub trigger_type: TriggerTypeId,
    /// The function it invokes.
    pub function_id: FunctionId,
    /// Why it was rejected; absent: it was accepted.
    pub error: Option<ErrorBody>,
}

/// Invokes a function ([protocol 2.9](crate::protocol#s2-9)).
#[derive(Debug, Clone, PartialEq)]
pub struct InvokeFunction {
    /// The id of the call; absent: no response is expected.
    pub invocation_id: Option<InvocationId>,
    /// The function.
    pub function_id: FunctionId,
    /// The input. A missing field decodes as `null`.
    pub data: Payload,
    /// The calling worker.
    ///
    /// On the wire it is the key `_caller_worker_id` of `data`, if that is an object; encoding inserts and decoding
    /// removes it, so that handlers never see it ([protocol 4.2](crate::protocol#s4-2)).
    pub caller: Option<WorkerId>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// W3C baggage.
    pub baggage: Option<String>,
    /// The kind of call; absent: a call with a response.
    pub action: Option<Action>,
    /// Metadata of the call.
    pub metadata: Option<Payload>,
    /// The namespace of the function; absent: `default`. Never sent by the engine.
    pub namespace: Option<Namespace>,
}

/// The kinds of calls whose response is not the function's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Action {
    /// No response is expected.
    Void,
    /// Enqueues the call in a named queue; the response is a receipt.
    Enqueue {
        /// The queue.
        queue: String,
    },
}

/// The result of an invocation ([protocol 2.10](crate::protocol#s2-10)).
#[derive(Debug, Clone, PartialEq)]
pub struct InvocationResult {
    /// The id of the call.
    pub invocation_id: InvocationId,
    /// The function that was called.
    pub function_id: FunctionId,
    /// The output, or the error. No output and `null` are equivalent.
    pub result: Result<Option<Payload>, ErrorBody>,
    /// The caller's trace context.
    pub traceparent: Option<String>,
    /// The caller's baggage.
    pub baggage: Option<String>,
}

/// Registers a service ([protocol 2.11](crate::protocol#s2-11)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterService {
    /// The id of the service.
    pub id: String,
    /// Its display name; absent: the id.
    pub name: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The parent service.
    pub parent_service_id: Option<String>,
}

/// A rejected registration: a name or an id is taken or reserved ([protocol 2.12](crate::protocol#s2-12)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRejected {
    /// `FUNCTION_NAMESPACE_CONFLICT` or `WORKER_NAMESPACE_CONFLICT`.
    pub code: String,
    /// The namespace of the conflict.
    pub namespace: Namespace,
    /// The rejected function.
    pub function_id: Option<FunctionId>,
    /// The rejected worker name.
    pub worker_name: Option<String>,
    /// The current owner; empty for reserved names.
    pub owner_worker_id: String,
    /// The reason, if the engine sends one. An extension of this project, which other workers ignore.
    pub error: Option<ErrorBody>,
}
