//! Where the result of an invocation goes, and how it is sent.

use iii_wire::protocol::{
    ErrorBody, FunctionId, InvocationId, InvocationResult, InvokeFunction, Message, Payload,
};
use iii_wire::transport::{Outbox, SendError};
use iii_wire::{Result, TraceContext, code};

/// The caller of an invocation.
pub(super) struct ReplyTo {
    outbox: Outbox,
    /// `None`: the caller expects no answer.
    invocation_id: Option<InvocationId>,
    function_id: FunctionId,
    trace: TraceContext,
}

impl ReplyTo {
    /// The caller that sent `message` over the connection of `outbox`.
    pub(super) fn new(message: &InvokeFunction, outbox: &Outbox) -> Self {
        Self {
            outbox: outbox.clone(),
            invocation_id: message.invocation_id,
            function_id: message.function_id.clone(),
            trace: TraceContext {
                traceparent: message.traceparent.clone(),
                baggage: message.baggage.clone(),
            },
        }
    }

    /// Sends the result. One that is too large becomes an error; one that cannot be sent is logged.
    pub(super) fn send(self, result: Result<Option<Payload>>) {
        let Some(invocation_id) = self.invocation_id else { return };
        let Self { outbox, function_id, trace, .. } = self;
        let send = |result, trace: TraceContext| {
            outbox.send(Message::InvocationResult(Box::new(InvocationResult {
                invocation_id,
                function_id: function_id.clone(),
                result,
                traceparent: trace.traceparent,
                baggage: trace.baggage,
            })))
        };
        let mut sent = send(result.map_err(|error| error.to_body()), trace);
        if sent == Err(SendError::TooLarge) {
            let text =
                "the output is larger than a message may be: return less, or write it to a channel";
            tracing::error!(function = %function_id, id = %invocation_id, "{text}");
            let error = ErrorBody {
                retryable: Some(false),
                ..ErrorBody::new(code::PAYLOAD_TOO_LARGE, text)
            };
            sent = send(Err(error), TraceContext::default());
        }
        match sent {
            Ok(()) | Err(SendError::TooLarge) => {}
            Err(SendError::Closed) => tracing::warn!(
                function = %function_id,
                id = %invocation_id,
                "the result was not sent: the connection that the call came from is closed"
            ),
            Err(SendError::Full) => tracing::error!(
                function = %function_id,
                id = %invocation_id,
                "the result was not sent: the outbox of the connection is full"
            ),
        }
    }
}
