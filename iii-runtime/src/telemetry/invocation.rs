//! One invocation as it is seen: its log span, and with the feature `otel` its span in the trace and its metrics.

use std::fmt;

use tokio::time::Instant;
use tracing::Instrument;
use tracing::field::{self, Empty};

use crate::extract::Context;
use crate::output::Reply;
use crate::trace;
use iii_wire::Error;
use iii_wire::TraceContext;
use iii_wire::protocol::{Payload, WorkerId};

/// Where the telemetry of one worker goes. The default: nowhere but to the log.
#[derive(Clone, Default)]
pub(crate) struct Telemetry {
    #[cfg(feature = "otel")]
    pub(super) pipeline: Option<std::sync::Arc<super::otel::Pipeline>>,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Telemetry {
    /// A handler is about to run.
    pub(crate) fn begin(&self, context: &Context, data: &Payload) -> Begun {
        #[cfg(feature = "otel")]
        let traced = self.pipeline.as_ref().map(|pipeline| pipeline.begin(context, data));
        #[cfg(not(feature = "otel"))]
        let _ = data;
        #[cfg(feature = "otel")]
        let own = traced.as_ref().and_then(super::otel::HandlerSpan::traceparent);
        #[cfg(not(feature = "otel"))]
        let own: Option<String> = None;
        let ids = own.as_deref().or(context.trace.traceparent.as_deref()).and_then(ids);
        let trigger = context.trigger.as_ref();
        let span = tracing::info_span!(
            "invocation",
            function = %context.function_id,
            id = %context.invocation_id,
            trigger = trigger.map(|trigger| field::display(&trigger.kind)),
            trigger_id = trigger.map(|trigger| field::display(&trigger.id)),
            attempt = context.attempt,
            trace_id = ids.map(|(trace, _)| trace),
            span_id = ids.map(|(_, span)| span),
            outcome = Empty,
            elapsed_ms = Empty,
        );
        Begun {
            span,
            began: Instant::now(),
            trace: context.trace.clone(),
            ended: false,
            #[cfg(feature = "otel")]
            traced,
        }
    }

    /// The worker has a connection to the engine, which knows it by this id.
    pub(crate) fn connected(&self, worker: WorkerId) {
        #[cfg(feature = "otel")]
        if let Some(pipeline) = &self.pipeline {
            pipeline.connected(worker);
        }
        #[cfg(not(feature = "otel"))]
        let _ = worker;
    }
}

/// The ids of the trace and of the span in a `traceparent`: `version-trace-span-flags`.
fn ids(traceparent: &str) -> Option<(&str, &str)> {
    let mut parts = traceparent.split('-').skip(1);
    Some((parts.next()?, parts.next()?))
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome<'a> {
    /// With what the handler gave back.
    #[cfg_attr(not(feature = "otel"), allow(dead_code))]
    Ok(&'a Reply),
    /// With an error.
    Failed(&'a Error),
}

/// A handler that runs. If this is dropped before the end is told, the handler was given up.
pub(crate) struct Begun {
    span: tracing::Span,
    began: Instant,
    trace: TraceContext,
    ended: bool,
    #[cfg(feature = "otel")]
    traced: Option<super::otel::HandlerSpan>,
}

impl Begun {
    /// Runs the handler, or a part of it: its logs and its calls belong to this invocation.
    pub(crate) fn run<T>(&self, handler: impl Future<Output = T>) -> impl Future<Output = T> {
        let handler = trace::scope(self.trace.clone(), handler).instrument(self.span.clone());
        #[cfg(feature = "otel")]
        let handler = super::otel::in_context(self.context(), handler);
        handler
    }

    /// Logs something about this invocation.
    pub(crate) fn log(&self, log: impl FnOnce()) {
        #[cfg(feature = "otel")]
        let _attached = self.context().attach();
        self.span.in_scope(log);
    }

    #[cfg(feature = "otel")]
    fn context(&self) -> opentelemetry::Context {
        self.traced.as_ref().map_or_else(super::otel::current_context, |traced| traced.context())
    }

    /// The invocation has ended.
    pub(crate) fn end(mut self, outcome: Outcome<'_>) {
        self.ended = true;
        self.close(outcome);
    }

    fn close(&mut self, outcome: Outcome<'_>) {
        let elapsed = self.began.elapsed();
        let word = match outcome {
            Outcome::Ok(_) => "ok",
            Outcome::Failed(error) => error.code(),
        };
        let elapsed_ms = elapsed.as_secs_f64() * 1000.0;
        tracing::record_all!(self.span, outcome = word, elapsed_ms = elapsed_ms);
        self.log(|| tracing::debug!(outcome = word, elapsed_ms, "the invocation has ended"));
        #[cfg(feature = "otel")]
        if let Some(traced) = self.traced.take() {
            traced.end(outcome, elapsed);
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.ended {
            let text = "the worker stopped before the function was done";
            self.close(Outcome::Failed(&Error::new(iii_wire::code::SHUTTING_DOWN, text)));
        }
    }
}

#[cfg(all(test, any(feature = "logs", feature = "otel")))]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};

    use super::*;
    use iii_wire::TriggerKind;
    use iii_wire::code;

    /// Remembers the fields of spans as `name=value`.
    #[derive(Clone, Default)]
    struct Fields(Arc<Mutex<Vec<String>>>);

    impl Fields {
        fn of(run: impl FnOnce()) -> Vec<String> {
            let fields = Self::default();
            let subscriber = tracing_subscriber::registry().with(fields.clone());
            tracing::subscriber::with_default(subscriber, run);
            let fields = fields.0.lock().unwrap();
            fields.iter().filter(|one| !one.starts_with("elapsed_ms=")).cloned().collect()
        }
    }

    impl Visit for &Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.lock().unwrap().push(format!("{}={value:?}", field.name()));
        }
    }

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Fields {
        fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: LayerContext<'_, S>) {
            span.record(&mut &*self);
        }

        fn on_record(&self, _: &Id, values: &Record<'_>, _: LayerContext<'_, S>) {
            values.record(&mut &*self);
        }
    }

    fn context() -> Context {
        let mut context = Context::test().with_trigger(TriggerKind::Queue).with_attempt(2);
        context.trace.traceparent = Some("00-aa-bb-01".to_owned());
        context
    }

    #[tokio::test]
    async fn a_span_says_what_runs_why_and_how_it_ended() {
        let id = context().invocation_id();
        let fields = Fields::of(|| {
            let context = Context { invocation_id: id, ..context() };
            let begun = Telemetry::default().begin(&context, &Payload::null());
            begun.end(Outcome::Failed(&Error::new(code::TIMEOUT, "too late")));
        });
        assert_eq!(
            fields,
            [
                "function=test",
                &format!("id={id}"),
                "trigger=durable:subscriber",
                "trigger_id=test",
                "attempt=2",
                "trace_id=\"aa\"",
                "span_id=\"bb\"",
                "outcome=\"timeout\"",
            ]
        );
    }

    #[tokio::test]
    async fn a_handler_that_is_given_up_has_an_outcome_as_well() {
        let fields = Fields::of(|| {
            drop(Telemetry::default().begin(&Context::test(), &Payload::null()));
        });
        assert_eq!(fields.last().unwrap(), "outcome=\"shutting_down\"");
    }

    #[test]
    fn ids_are_parts_of_a_traceparent() {
        assert_eq!(ids("00-aa-bb-01"), Some(("aa", "bb")));
        for bad in ["", "00", "00-aa"] {
            assert_eq!(ids(bad), None, "{bad}");
        }
    }
}
