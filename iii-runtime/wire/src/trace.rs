//! The trace context of an invocation.

/// Trace context of an invocation ([W3C Trace Context](https://www.w3.org/TR/trace-context/) and
/// [Baggage](https://www.w3.org/TR/baggage/)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// The header `traceparent`.
    pub traceparent: Option<String>,
    /// The header `baggage`.
    pub baggage: Option<String>,
}
