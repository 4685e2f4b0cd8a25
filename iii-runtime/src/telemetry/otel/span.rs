//! The span of one handler: `execute <function id>`, with what is known of the invocation ([protocol 10.2](crate::protocol#s10-2)).

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context as OtelContext, KeyValue};

use super::Pipeline;
use super::context::{self, Leads};
use crate::extract::Context;
use crate::telemetry::Outcome;
use iii_wire::Error;
use iii_wire::protocol::{FunctionId, Payload};

/// The attribute that names the function. The engine puts it into the baggage as well.
const FUNCTION: &str = "iii.function.id";

/// The span of a handler that runs.
pub(in crate::telemetry) struct HandlerSpan {
    pipeline: Arc<Pipeline>,
    context: OtelContext,
    function_id: FunctionId,
}

impl Pipeline {
    /// A handler is about to run.
    pub(in crate::telemetry) fn begin(
        self: &Arc<Self>,
        of: &Context,
        data: &Payload,
    ) -> HandlerSpan {
        let parent = context::read(&of.trace);
        let mut attributes: Vec<KeyValue> = parent
            .baggage()
            .iter()
            .filter(|(key, _)| key.as_str() != FUNCTION)
            .map(|(key, (value, _))| {
                let hidden = self.redact.hides(key.as_str());
                let value = if hidden { iii_wire::secret::REDACTED } else { value.as_str() };
                KeyValue::new(key.clone(), value.to_owned())
            })
            .collect();
        attributes.push(KeyValue::new(FUNCTION, of.function_id.to_string()));
        attributes.push(KeyValue::new("iii.invocation.id", of.invocation_id.to_string()));
        if let Some(trigger) = &of.trigger {
            attributes.push(KeyValue::new("iii.trigger.kind", trigger.kind.to_string()));
            attributes.push(KeyValue::new("iii.trigger.id", trigger.id.to_string()));
        }
        if let Some(attempt) = of.attempt {
            attributes.push(KeyValue::new("iii.attempt", i64::from(attempt)));
        }
        let builder = SpanBuilder::from_name(format!("execute {}", of.function_id))
            .with_kind(SpanKind::Internal)
            .with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &parent);
        let context = parent.with_span(span).with_value(Leads(self.clone()));
        if let Some(payloads) = &self.payloads
            && context.span().is_recording()
        {
            context.span().add_event("iii.invocation.input", payloads.attributes(data));
        }
        if let Some(measures) = &self.measures {
            measures.begin(&of.function_id);
        }
        HandlerSpan { pipeline: self.clone(), context, function_id: of.function_id.clone() }
    }
}

impl HandlerSpan {
    /// The context of what happens in the handler.
    pub(in crate::telemetry) fn context(&self) -> OtelContext {
        self.context.clone()
    }

    /// The span in the form of the header.
    pub(in crate::telemetry) fn traceparent(&self) -> Option<String> {
        let span = self.context.span();
        let span = span.span_context();
        span.is_valid().then(|| context::traceparent(span))
    }

    /// The handler has ended.
    pub(in crate::telemetry) fn end(self, outcome: Outcome<'_>, elapsed: Duration) {
        let span = self.context.span();
        let word = match outcome {
            Outcome::Ok(_) => "ok",
            Outcome::Failed(error) => error.code(),
        };
        if span.is_recording() {
            self.tell(&span, outcome, word);
        }
        span.end();
        if let Some(measures) = &self.pipeline.measures {
            measures.end(&self.function_id, word, elapsed);
        }
    }

    fn tell(&self, span: &opentelemetry::trace::SpanRef<'_>, outcome: Outcome<'_>, word: &str) {
        span.set_attribute(KeyValue::new("iii.outcome", word.to_owned()));
        let payloads = self.pipeline.payloads.as_ref();
        let output = |data: &Payload, ok: bool| {
            let Some(payloads) = payloads else { return };
            let mut attributes = payloads.attributes(data);
            attributes.push(KeyValue::new("iii.payload.ok", ok));
            span.add_event("iii.invocation.output", attributes);
        };
        match outcome {
            Outcome::Ok(reply) => {
                if payloads.is_some() {
                    output(&reply.result().unwrap_or_else(Payload::null), true);
                }
                span.set_status(Status::Ok);
            }
            Outcome::Failed(error) => {
                if payloads.is_some() {
                    output(&body(error), false);
                }
                span.set_attribute(KeyValue::new("error.type", word.to_owned()));
                span.add_event(
                    "exception",
                    vec![
                        KeyValue::new("exception.type", word.to_owned()),
                        KeyValue::new("exception.message", error.message().to_owned()),
                    ],
                );
                span.set_status(Status::error(error.message().to_owned()));
            }
        }
    }
}

/// An error as the output that callers get.
fn body(error: &Error) -> Payload {
    Payload::new(&error.to_body()).unwrap_or_default()
}
