//! A stored span, and its form in outputs ([protocol 6.7](iii_wire::protocol#s6-7)).

use std::sync::Arc;

use serde::Serialize;

use super::id::{SpanId, TraceId};

/// Memory of a span besides its strings: the span itself and its entries in the store and in the index.
const OVERHEAD: usize = size_of::<Span>() + 128;

/// Keys and values of attributes.
pub(crate) type SpanAttributes = Box<[(Box<str>, Box<str>)]>;

/// A span.
#[derive(Debug)]
pub(crate) struct Span {
    /// The trace id.
    pub(crate) trace_id: TraceId,
    /// The span id.
    pub(crate) span_id: SpanId,
    /// The id of the parent span.
    pub(crate) parent: Option<SpanId>,
    /// The name.
    pub(crate) name: Box<str>,
    /// The start time, in nanoseconds since the Unix epoch.
    pub(crate) start: u64,
    /// The end time, in nanoseconds since the Unix epoch; 0 for a pending span.
    pub(crate) end: u64,
    /// The status.
    pub(crate) status: SpanStatus,
    /// The description of an error status.
    pub(crate) status_description: Option<Box<str>>,
    /// The attributes.
    pub(crate) attributes: SpanAttributes,
    /// The events.
    pub(crate) events: Box<[SpanEvent]>,
    /// The links to other spans.
    pub(crate) links: Box<[SpanLink]>,
    /// The service name.
    pub(crate) service_name: Arc<str>,
    /// The name of the instrumentation scope.
    pub(crate) scope_name: Arc<str>,
    /// The version of the instrumentation scope.
    pub(crate) scope_version: Option<Arc<str>>,
    /// OTLP `Span.flags`, which include the W3C trace flags.
    pub(crate) flags: Option<u32>,
    /// W3C `tracestate`.
    pub(crate) trace_state: Option<Box<str>>,
}

/// The status of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SpanStatus {
    /// No status was set.
    Unset,
    /// The operation succeeded.
    Ok,
    /// The operation failed.
    Error,
}

impl SpanStatus {
    /// Returns the serialized form.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// An event of a span.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SpanEvent {
    /// The name.
    pub(crate) name: Box<str>,
    /// The time, in nanoseconds since the Unix epoch.
    pub(crate) timestamp_unix_nano: u64,
    /// The attributes.
    pub(crate) attributes: SpanAttributes,
}

/// A link to another span.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct SpanLink {
    /// The trace id of the other span.
    #[schemars(with = "String")]
    pub(crate) trace_id: TraceId,
    /// The span id of the other span.
    #[schemars(with = "String")]
    pub(crate) span_id: SpanId,
    /// The attributes.
    pub(crate) attributes: SpanAttributes,
}

impl Span {
    /// Returns whether the span has started but not ended.
    pub(crate) fn is_pending(&self) -> bool {
        self.end == 0
    }

    /// Returns the duration in milliseconds; 0 for a pending span.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn duration_ms(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1e6
    }

    /// Returns the value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }

    /// Returns the id of the function whose invocation the span covers. SDKs set it as an attribute, or only in the name.
    pub(crate) fn function_id(&self) -> Option<&str> {
        self.attribute("iii.function.id")
            .or_else(|| self.attribute("function_id"))
            .or_else(|| self.name.strip_prefix("execute "))
    }

    /// Returns whether the span covers a function of the engine.
    pub(crate) fn is_internal(&self) -> bool {
        self.function_id().is_some_and(|id| id.starts_with("engine::"))
    }

    /// Returns the approximate memory of the span, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let of = |attributes: &SpanAttributes| -> usize {
            attributes.iter().map(|(key, value)| key.len() + value.len() + 32).sum()
        };
        let events = self.events.iter();
        let events = events.map(|event| event.name.len() + of(&event.attributes) + 48);
        let links = self.links.iter().map(|link| of(&link.attributes) + 48);
        OVERHEAD
            + self.name.len()
            + self.service_name.len()
            + self.scope_name.len()
            + self.status_description.as_ref().map_or(0, |text| text.len())
            + self.trace_state.as_ref().map_or(0, |text| text.len())
            + of(&self.attributes)
            + events.sum::<usize>()
            + links.sum::<usize>()
    }

    /// Returns the form of the span in outputs.
    pub(crate) fn to_output(&self) -> SpanOutput<'_> {
        SpanOutput {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: self.parent,
            name: &self.name,
            start_time_unix_nano: self.start,
            end_time_unix_nano: if self.is_pending() { self.start } else { self.end },
            status: self.status,
            status_description: self.status_description.as_deref(),
            attributes: &self.attributes,
            service_name: &self.service_name,
            events: &self.events,
            links: &self.links,
            instrumentation_scope_name: &self.scope_name,
            instrumentation_scope_version: self.scope_version.as_deref(),
            flags: self.flags,
            trace_state: self.trace_state.as_deref(),
            pending: self.is_pending(),
        }
    }
}

/// A span in outputs.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Span")]
pub(crate) struct SpanOutput<'a> {
    /// The trace id.
    #[schemars(with = "String")]
    trace_id: TraceId,
    /// The span id.
    #[schemars(with = "String")]
    span_id: SpanId,
    /// The id of the parent span.
    #[schemars(with = "Option<String>")]
    parent_span_id: Option<SpanId>,
    /// The name.
    name: &'a str,
    /// The start time, in nanoseconds since the Unix epoch.
    start_time_unix_nano: u64,
    /// The end time, in nanoseconds since the Unix epoch; the start time of a pending span.
    end_time_unix_nano: u64,
    /// The status.
    status: SpanStatus,
    /// The description of an error status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<&'a str>,
    /// Keys and values of the attributes.
    attributes: &'a SpanAttributes,
    /// The service name.
    service_name: &'a str,
    /// The events.
    events: &'a [SpanEvent],
    /// The links to other spans.
    links: &'a [SpanLink],
    /// The name of the instrumentation scope.
    instrumentation_scope_name: &'a str,
    /// The version of the instrumentation scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    instrumentation_scope_version: Option<&'a str>,
    /// OTLP `Span.flags`, which include the W3C trace flags.
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<u32>,
    /// W3C `tracestate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_state: Option<&'a str>,
    /// Whether the span has not ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

/// A shared span that serializes as [`SpanOutput`].
#[derive(Debug, Clone)]
pub(crate) struct SharedSpan(pub(crate) Arc<Span>);

impl Serialize for SharedSpan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.to_output().serialize(serializer)
    }
}

impl schemars::JsonSchema for SharedSpan {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        SpanOutput::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        SpanOutput::json_schema(generator)
    }
}
