//! Spans of `tracing` as spans of the worker that they are opened in.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider as _};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use super::context::pipeline_of;

/// Makes spans that go nowhere: for a program without a worker.
static NOWHERE: LazyLock<SdkTracer> = LazyLock::new(|| {
    let provider = SdkTracerProvider::builder();
    provider.with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOff).build().tracer("")
});

/// Opens each span where its context leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoutingTracer;

impl Tracer for RoutingTracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        match pipeline_of(parent).or_else(|| Context::map_current(pipeline_of)) {
            Some(pipeline) => pipeline.tracer.build_with_context(builder, parent),
            None => NOWHERE.build_with_context(builder, parent),
        }
    }
}
