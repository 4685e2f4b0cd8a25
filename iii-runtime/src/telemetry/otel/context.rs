//! The context of OpenTelemetry: read from what an invocation brings, and handed on to what it calls.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::context::FutureExt;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use super::{Pipeline, newest};
use iii_wire::TraceContext;

/// The pipeline that a context leads to.
pub(super) struct Leads(pub(super) Arc<Pipeline>);

/// The pipeline for what happens in a context.
pub(super) fn pipeline_of(context: &Context) -> Option<Arc<Pipeline>> {
    context.get::<Leads>().map(|leads| leads.0.clone()).or_else(newest)
}

/// The context that an invocation comes with.
pub(super) fn read(trace: &TraceContext) -> Context {
    let carrier = Read(trace);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    BaggagePropagator::new().extract_with_context(&context, &carrier)
}

/// The trace to hand on from here, if a span is active; its baggage is that of the context, else what came.
pub(super) fn current_trace(came: &dyn Fn() -> TraceContext) -> Option<TraceContext> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return None;
        }
        let traceparent = traceparent(span);
        let baggage = if context.baggage().is_empty() {
            came().baggage
        } else {
            let mut written = Written(None);
            BaggagePropagator::new().inject_context(context, &mut written);
            written.0
        };
        Some(TraceContext { traceparent: Some(traceparent), baggage })
    })
}

/// A span in the form of the header (W3C TraceContext Context, section 3.2).
pub(super) fn traceparent(span: &opentelemetry::trace::SpanContext) -> String {
    // Only this flag has a meaning.
    let sampled = u8::from(span.is_sampled());
    format!("00-{}-{}-{sampled:02x}", span.trace_id(), span.span_id())
}

/// The context of now.
pub(in crate::telemetry) fn current_context() -> Context {
    Context::current()
}

/// Runs a future in a context.
pub(in crate::telemetry) fn in_context<T>(
    context: Context,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    future.with_context(context)
}

/// Runs a future in the context of now.
pub(in crate::telemetry) fn in_current_context<T>(
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    future.with_current_context()
}

/// The headers that a trace stands for.
struct Read<'a>(&'a TraceContext);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.0.traceparent.as_deref(),
            "baggage" => self.0.baggage.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "baggage"]
    }
}

/// Keeps the one header that is written.
struct Written(Option<String>);

impl Injector for Written {
    fn set(&mut self, _key: &str, value: String) {
        self.0 = Some(value).filter(|value| !value.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAME: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_read_and_written() {
        let came = || TraceContext {
            traceparent: Some(CAME.into()),
            baggage: Some("tenant=a%20b".into()),
        };
        let _attached = read(&came()).attach();
        assert_eq!(current_trace(&TraceContext::default), Some(came()));
    }

    #[test]
    fn without_a_span_there_is_nothing_to_hand_on() {
        assert_eq!(current_trace(&TraceContext::default), None);
        let bad = TraceContext { traceparent: Some("00-zz".into()), baggage: None };
        let _attached = read(&bad).attach();
        assert_eq!(current_trace(&TraceContext::default), None);
    }

    #[test]
    fn baggage_that_nobody_read_is_handed_on_as_it_came() {
        let only_span = TraceContext { traceparent: Some(CAME.into()), baggage: None };
        let _attached = read(&only_span).attach();
        let came = || TraceContext { traceparent: None, baggage: Some("k=v".into()) };
        assert_eq!(current_trace(&came).unwrap().baggage.as_deref(), Some("k=v"));
    }
}
