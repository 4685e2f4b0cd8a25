//! The messages of the worker connection, as types (protocol section 2).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ErrorBody, FunctionId, Invalid, InvocationId, Namespace, Payload, TriggerId, TriggerTypeId,
    WorkerId,
};

/// One message of the worker connection, in either direction.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Engine to worker: the first message of a connection.
    WorkerRegistered {
        /// The id of this connection.
        worker_id: WorkerId,
        /// The secret that lets a later connection take this one's place.
        reattach_token: Option<Uuid>,
    },
    /// Worker to engine: this connection succeeds an earlier one.
    Reattach {
        /// The id of the earlier connection.
        previous_worker_id: WorkerId,
        /// The secret of the earlier connection.
        reattach_token: Uuid,
    },
    /// Worker to engine: own a function id.
    RegisterFunction(Box<RegisterFunction>),
    /// Worker to engine: give a function id back.
    UnregisterFunction {
        /// The function.
        id: FunctionId,
    },
    /// Worker to engine: provide a trigger type.
    RegisterTriggerType(Box<RegisterTriggerType>),
    /// Worker to engine: provide a trigger type no longer.
    UnregisterTriggerType {
        /// The trigger type.
        id: TriggerTypeId,
    },
    /// Bind a trigger; from the engine, to the provider of its type.
    RegisterTrigger(Box<RegisterTrigger>),
    /// Unbind a trigger; from the engine, to the provider of its type.
    UnregisterTrigger {
        /// The binding.
        id: TriggerId,
        /// Its type. The engine always sends it: the Rust SDK cannot read the message without.
        trigger_type: Option<TriggerTypeId>,
    },
    /// The outcome of a binding.
    TriggerRegistrationResult(Box<TriggerRegistrationResult>),
    /// Call a function.
    InvokeFunction(Box<InvokeFunction>),
    /// The answer to a call.
    InvocationResult(Box<InvocationResult>),
    /// Worker to engine: group functions.
    RegisterService(Box<RegisterService>),
    /// Engine to worker: a name or an id belongs to somebody else.
    RegistrationRejected(Box<RegistrationRejected>),
    /// Engine to worker: something went wrong for which there is no other message (protocol section 2.13). SDKs do not
    /// look at it.
    Error(Box<ErrorBody>),
    /// Are you there?
    Ping,
    /// I am here.
    Pong,
    /// A frame that came and is no message. It is never sent.
    Invalid(Box<Invalid>),
}

impl Message {
    /// What the message costs while it waits, in bytes: its payloads and longer texts, and a constant for the rest. Its
    /// JSON is not longer than this, escapes apart.
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

/// Owns a function id (protocol section 2.3).
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterFunction {
    /// The id, by convention `service::name`.
    pub id: FunctionId,
    /// What the function does.
    pub description: Option<String>,
    /// JSON Schema of the input.
    pub request_format: Option<Payload>,
    /// JSON Schema of the output.
    pub response_format: Option<Payload>,
    /// Anything else; `{"internal":true}` hides the function from lists.
    pub metadata: Option<Payload>,
    /// Set if an HTTP endpoint serves the function (protocol section 4.8).
    pub invocation: Option<HttpInvocation>,
}

/// The raw `invocation` object of a function that an HTTP endpoint serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HttpInvocation(pub Payload);

/// Provides a trigger type (protocol section 2.5).
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterTriggerType {
    /// The id of the type.
    pub id: TriggerTypeId,
    /// What fires it.
    pub description: String,
    /// JSON Schema of a binding's config.
    pub trigger_request_format: Option<Payload>,
    /// JSON Schema of the payload that functions get.
    pub call_request_format: Option<Payload>,
    /// The provider's namespace; absent: that of the connection.
    pub namespace: Option<Namespace>,
}

/// Binds a trigger (protocol section 2.6).
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterTrigger {
    /// The id of the binding.
    pub id: TriggerId,
    /// Its type.
    pub trigger_type: TriggerTypeId,
    /// The function it invokes.
    pub function_id: FunctionId,
    /// What the type needs to know.
    pub config: Payload,
    /// Handed to the function with each firing.
    pub metadata: Option<Payload>,
    /// The namespace of the function; absent: `default`.
    pub namespace: Option<Namespace>,
    /// The namespace of the provider; absent: the worker's, then `default`.
    pub trigger_namespace: Option<Namespace>,
}

/// The outcome of a binding (protocol section 2.8).
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerRegistrationResult {
    /// The binding.
    pub id: TriggerId,
    /// Its type.
    pub trigger_type: TriggerTypeId,
    /// The function it invokes.
    pub function_id: FunctionId,
    /// Why it was refused; absent: it was accepted.
    pub error: Option<ErrorBody>,
}

/// Calls a function (protocol section 2.9).
#[derive(Debug, Clone, PartialEq)]
pub struct InvokeFunction {
    /// The id of the call; absent: no answer is wanted.
    pub invocation_id: Option<InvocationId>,
    /// The function.
    pub function_id: FunctionId,
    /// The input. A message without it counts as `null`.
    pub data: Payload,
    /// The connection that calls.
    ///
    /// On the wire this is the key `_caller_worker_id` inside `data`, if that is an object; encoding puts it there and
    /// decoding takes it out, so that handlers never see it (protocol section 4.2).
    pub caller: Option<WorkerId>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// W3C baggage.
    pub baggage: Option<String>,
    /// How the call is made; absent: with an answer.
    pub action: Option<Action>,
    /// Side data of the call.
    pub metadata: Option<Payload>,
    /// The namespace of the function; absent: `default`. Never sent by the engine.
    pub namespace: Option<Namespace>,
}

/// How a call is made, when it is not answered with the function's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Action {
    /// No answer is wanted.
    Void,
    /// Put into a named queue; the answer is a receipt.
    Enqueue {
        /// The queue.
        queue: String,
    },
}

/// The answer to a call (protocol section 2.10).
#[derive(Debug, Clone, PartialEq)]
pub struct InvocationResult {
    /// The id of the call.
    pub invocation_id: InvocationId,
    /// The function that was called.
    pub function_id: FunctionId,
    /// The output, or why there is none. No output and `null` mean the same to the receiver.
    pub result: Result<Option<Payload>, ErrorBody>,
    /// The caller's trace context.
    pub traceparent: Option<String>,
    /// The caller's baggage.
    pub baggage: Option<String>,
}

/// Groups functions (protocol section 2.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterService {
    /// The id of the service.
    pub id: String,
    /// Its name for people; absent: the id.
    pub name: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// The service it belongs to.
    pub parent_service_id: Option<String>,
}

/// A name or an id belongs to somebody else, or may not be used (protocol section 2.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRejected {
    /// `FUNCTION_NAMESPACE_CONFLICT` or `WORKER_NAMESPACE_CONFLICT`.
    pub code: String,
    /// Where the conflict is.
    pub namespace: Namespace,
    /// The function that is taken.
    pub function_id: Option<FunctionId>,
    /// The worker name that is taken.
    pub worker_name: Option<String>,
    /// Who has it; empty if nobody may have it.
    pub owner_worker_id: String,
    /// Why nobody may have it, if the engine says so. An addition of this project, which other workers ignore.
    pub error: Option<ErrorBody>,
}
