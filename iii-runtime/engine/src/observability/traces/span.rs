//! One span as it is kept, and the shape in which it is shown (protocol section 6.7).

use std::sync::Arc;

use serde::Serialize;

use super::id::{SpanId, TraceId};

/// What one span costs beside its texts: itself, its place in the store and in the index.
const OVERHEAD: usize = size_of::<Span>() + 128;

/// Attributes: names and values.
pub(crate) type Attributes = Box<[(Box<str>, Box<str>)]>;

/// One span.
#[derive(Debug)]
pub(crate) struct Span {
    /// Its trace.
    pub(crate) trace_id: TraceId,
    /// Its id there.
    pub(crate) span_id: SpanId,
    /// The span that it is a part of.
    pub(crate) parent: Option<SpanId>,
    /// What was done.
    pub(crate) name: Box<str>,
    /// When it began, in nanoseconds since 1970.
    pub(crate) start: u64,
    /// When it ended; 0: it has only begun.
    pub(crate) end: u64,
    /// How it ended.
    pub(crate) status: Status,
    /// What went wrong.
    pub(crate) status_description: Option<Box<str>>,
    /// What is known about it.
    pub(crate) attributes: Attributes,
    /// What happened meanwhile.
    pub(crate) events: Box<[Event]>,
    /// Spans of other traces that it has to do with.
    pub(crate) links: Box<[Link]>,
    /// The service that did it.
    pub(crate) service_name: Arc<str>,
    /// The library that wrote it down.
    pub(crate) scope_name: Arc<str>,
    /// The version of that.
    pub(crate) scope_version: Option<Arc<str>>,
    /// W3C trace flags, and more (OTLP `Span.flags`).
    pub(crate) flags: Option<u32>,
    /// W3C `tracestate`.
    pub(crate) trace_state: Option<Box<str>>,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Nobody said.
    Unset,
    /// Well.
    Ok,
    /// Badly.
    Error,
}

impl Status {
    /// The word that stands for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// What happened during a span.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Event {
    /// What.
    pub(crate) name: Box<str>,
    /// When, in nanoseconds since 1970.
    pub(crate) timestamp_unix_nano: u64,
    /// What is known about it.
    pub(crate) attributes: Attributes,
}

/// A span of another trace.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Link {
    /// Its trace.
    #[schemars(with = "String")]
    pub(crate) trace_id: TraceId,
    /// Its id there.
    #[schemars(with = "String")]
    pub(crate) span_id: SpanId,
    /// What is known about it.
    pub(crate) attributes: Attributes,
}

impl Span {
    /// Whether it has only begun.
    pub(crate) fn is_pending(&self) -> bool {
        self.end == 0
    }

    /// How long it took, in milliseconds; 0 while it has only begun.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn millis(&self) -> f64 {
        self.end.saturating_sub(self.start) as f64 / 1e6
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }

    /// The function that it is about, if it is about one: SDKs say so by an attribute, or by the name alone.
    pub(crate) fn function(&self) -> Option<&str> {
        self.attribute("iii.function.id")
            .or_else(|| self.attribute("function_id"))
            .or_else(|| self.name.strip_prefix("execute "))
    }

    /// Whether it is about a function of the engine itself.
    pub(crate) fn is_internal(&self) -> bool {
        self.function().is_some_and(|id| id.starts_with("engine::"))
    }

    /// What it costs in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let of = |attributes: &Attributes| -> usize {
            attributes.iter().map(|(key, value)| key.len() + value.len() + 32).sum()
        };
        let events = self.events.iter().map(|one| one.name.len() + of(&one.attributes) + 48);
        let links = self.links.iter().map(|one| of(&one.attributes) + 48);
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

    /// The shape in which it is shown.
    pub(crate) fn shape(&self) -> Shape<'_> {
        Shape {
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

/// A span as it is shown.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Span")]
pub(crate) struct Shape<'a> {
    /// Its trace.
    #[schemars(with = "String")]
    trace_id: TraceId,
    /// Its id there.
    #[schemars(with = "String")]
    span_id: SpanId,
    /// The span that it is a part of.
    #[schemars(with = "Option<String>")]
    parent_span_id: Option<SpanId>,
    /// What was done.
    name: &'a str,
    /// When it began, in nanoseconds since 1970.
    start_time_unix_nano: u64,
    /// When it ended; when it began, while it is pending.
    end_time_unix_nano: u64,
    /// How it ended.
    status: Status,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<&'a str>,
    /// Names and values of what is known about it.
    attributes: &'a Attributes,
    /// The service that did it.
    service_name: &'a str,
    /// What happened meanwhile.
    events: &'a [Event],
    /// Spans of other traces that it has to do with.
    links: &'a [Link],
    /// The library that wrote it down.
    instrumentation_scope_name: &'a str,
    /// The version of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    instrumentation_scope_version: Option<&'a str>,
    /// W3C trace flags, and more.
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<u32>,
    /// W3C `tracestate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_state: Option<&'a str>,
    /// Whether it has only begun.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pending: bool,
}

/// A span that several have, shown as [`Shape`].
#[derive(Debug, Clone)]
pub(crate) struct Shown(pub(crate) Arc<Span>);

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.shape().serialize(serializer)
    }
}

impl schemars::JsonSchema for Shown {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Shape::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Shape::json_schema(generator)
    }
}
