//! Parses the spans of an `ExportTraceServiceRequest`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{FirstElements, JsonStr};
use super::value::{KeyValues, UInt64, truncate};
use super::{ItemContext, is_empty};
use crate::observability::traces::{
    Span, SpanAttributes, SpanEvent, SpanId, SpanLink, SpanStatus, TraceId, redacted_attribute,
};

/// Maximum number of events and of links of a span (the default in "Span Limits" of the OpenTelemetry specification).
const MAX_EVENTS: usize = 128;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpSpan<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(borrow)]
    trace_state: Option<JsonStr<'a>>,
    #[serde(borrow)]
    parent_span_id: Option<JsonStr<'a>>,
    flags: Option<u32>,
    #[serde(borrow)]
    name: Option<JsonStr<'a>>,
    #[serde(default)]
    start_time_unix_nano: UInt64,
    #[serde(default)]
    end_time_unix_nano: UInt64,
    #[serde(borrow, default)]
    attributes: KeyValues<'a>,
    #[serde(borrow, default)]
    events: FirstElements<OtlpEvent<'a>, MAX_EVENTS>,
    #[serde(borrow, default)]
    links: FirstElements<OtlpLink<'a>, MAX_EVENTS>,
    #[serde(borrow)]
    status: Option<OtlpStatus<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpEvent<'a> {
    #[serde(default)]
    time_unix_nano: UInt64,
    #[serde(borrow)]
    name: Option<JsonStr<'a>>,
    #[serde(borrow, default)]
    attributes: KeyValues<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpLink<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(borrow, default)]
    attributes: KeyValues<'a>,
}

#[derive(Deserialize)]
struct OtlpStatus<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<JsonStr<'a>>,
}

/// Parses a span.
pub(super) fn read(
    json: &RawValue,
    context: &ItemContext,
    emit: &mut dyn FnMut(Span),
) -> Result<(), serde_json::Error> {
    let otlp: OtlpSpan<'_> = serde_json::from_str(json.get())?;
    let parent = match otlp.parent_span_id {
        Some(id) if !id.0.is_empty() => SpanId::parse(&id.0),
        _ => None,
    };
    let (status, status_description) = match otlp.status {
        None => (SpanStatus::Unset, None),
        Some(status) => {
            let message = if is_empty(&status.message) { None } else { status.message };
            (status_of(status.code), message.map(|text| truncate(&text.0).into()))
        }
    };
    emit(Span {
        trace_id: otlp.trace_id,
        span_id: otlp.span_id,
        parent,
        name: text(otlp.name),
        start: otlp.start_time_unix_nano.0,
        end: otlp.end_time_unix_nano.0,
        status,
        status_description,
        attributes: attributes(&otlp.attributes),
        events: otlp.events.0.into_iter().map(SpanEvent::from).collect(),
        links: otlp.links.0.into_iter().map(SpanLink::from).collect(),
        service_name: context.service_name.clone(),
        scope_name: context.scope_name.clone(),
        scope_version: context.scope_version.clone(),
        flags: otlp.flags,
        trace_state: otlp
            .trace_state
            .filter(|text| !text.0.is_empty())
            .map(|text| truncate(&text.0).into()),
    });
    Ok(())
}

impl From<OtlpEvent<'_>> for SpanEvent {
    fn from(event: OtlpEvent<'_>) -> Self {
        Self {
            name: text(event.name),
            timestamp_unix_nano: event.time_unix_nano.0,
            attributes: attributes(&event.attributes),
        }
    }
}

impl From<OtlpLink<'_>> for SpanLink {
    fn from(link: OtlpLink<'_>) -> Self {
        Self {
            trace_id: link.trace_id,
            span_id: link.span_id,
            attributes: attributes(&link.attributes),
        }
    }
}

/// Converts an optional string. An absent one is empty.
fn text(text: Option<JsonStr<'_>>) -> Box<str> {
    text.map_or_else(Box::default, |text| truncate(&text.0).into())
}

/// Converts attributes to strings and redacts the values of secrets.
fn attributes(attributes: &KeyValues<'_>) -> SpanAttributes {
    attributes
        .0
        .iter()
        .map(|attribute| redacted_attribute(truncate(&attribute.key.0), || attribute.text()))
        .collect()
}

/// Converts a status code, which is a number or a name.
fn status_of(code: Option<&RawValue>) -> SpanStatus {
    match code.map(|code| code.get().trim_matches('"')) {
        Some("1" | "STATUS_CODE_OK") => SpanStatus::Ok,
        Some("2" | "STATUS_CODE_ERROR") => SpanStatus::Error,
        _ => SpanStatus::Unset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_fields_of_a_span_are_parsed() {
        let context = ItemContext::from_resource(None).unwrap();
        let json = json!({
            "traceId": "4BF92F3577B34DA6A3CE929D0E0E4736", "spanId": "00f067aa0ba902b7",
            "parentSpanId": "", "name": "n", "kind": 1, "flags": 257,
            "startTimeUnixNano": "1000000", "endTimeUnixNano": 2000000,
            "attributes": [{"key": "n", "value": {"intValue": "3"}}, {"key": "password", "value": {"stringValue": "x"}}],
            "events": [{"name": "e", "timeUnixNano": "5", "attributes": [{"key": "api_key", "value": {"stringValue": "k"}}]}],
            "links": [{"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b8"}],
            "status": {"code": 2, "message": "bad"}, "droppedAttributesCount": 0,
        });
        let raw = serde_json::value::to_raw_value(&json).unwrap();
        let mut spans = Vec::new();
        read(&raw, &context, &mut |span| spans.push(span)).unwrap();
        assert_eq!(
            serde_json::to_value(spans[0].to_output()).unwrap(),
            json!({
                "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7",
                "parent_span_id": null, "name": "n",
                "start_time_unix_nano": 1000000, "end_time_unix_nano": 2000000,
                "status": "error", "status_description": "bad",
                "attributes": [["n", "3"], ["password", "[REDACTED]"]],
                "service_name": "unknown",
                "events": [{"name": "e", "timestamp_unix_nano": 5, "attributes": [["api_key", "[REDACTED]"]]}],
                "links": [{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b8", "attributes": []}],
                "instrumentation_scope_name": "", "flags": 257,
            })
        );
    }

    #[test]
    fn invalid_ids_are_rejected() {
        let context = ItemContext::from_resource(None).unwrap();
        for bad in ["", "0", "00000000000000000000000000000000", "4bf92f3577b34da6a3ce929d0e0e473g"]
        {
            let json = json!({"traceId": bad, "spanId": "00f067aa0ba902b7", "name": "n"});
            let raw = serde_json::value::to_raw_value(&json).unwrap();
            assert!(read(&raw, &context, &mut drop).is_err(), "{bad}");
        }
    }
}
