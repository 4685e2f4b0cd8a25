//! Spans of an `ExportTraceServiceRequest`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{First, Text};
use super::value::{Attributes, Unsigned, cut};
use super::{Origin, is_blank};
use crate::observability::traces::{Event, Link, Span, SpanId, Status, TraceId, redacted};

/// Events and links of one span (OpenTelemetry's own limit, see "Span Limits" of its specification).
const EVENTS: usize = 128;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Otlp<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(borrow)]
    trace_state: Option<Text<'a>>,
    #[serde(borrow)]
    parent_span_id: Option<Text<'a>>,
    flags: Option<u32>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(default)]
    start_time_unix_nano: Unsigned,
    #[serde(default)]
    end_time_unix_nano: Unsigned,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(borrow, default)]
    events: First<OtlpEvent<'a>, EVENTS>,
    #[serde(borrow, default)]
    links: First<OtlpLink<'a>, EVENTS>,
    #[serde(borrow)]
    status: Option<OtlpStatus<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpEvent<'a> {
    #[serde(default)]
    time_unix_nano: Unsigned,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpLink<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
}

#[derive(Deserialize)]
struct OtlpStatus<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
}

/// Reads one span.
pub(super) fn read(
    json: &RawValue,
    origin: &Origin,
    emit: &mut dyn FnMut(Span),
) -> Result<(), serde_json::Error> {
    let otlp: Otlp<'_> = serde_json::from_str(json.get())?;
    let parent = match otlp.parent_span_id {
        Some(text) if !text.0.is_empty() => SpanId::read(&text.0),
        _ => None,
    };
    let (status, status_description) = match otlp.status {
        None => (Status::Unset, None),
        Some(status) => {
            let message = if is_blank(&status.message) { None } else { status.message };
            (status_of(status.code), message.map(|text| cut(&text.0).into()))
        }
    };
    let text = |text: Option<Text<'_>>| text.map_or_else(Box::default, |text| cut(&text.0).into());
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
        events: otlp
            .events
            .0
            .into_iter()
            .map(|event| Event {
                name: text(event.name),
                timestamp_unix_nano: event.time_unix_nano.0,
                attributes: attributes(&event.attributes),
            })
            .collect(),
        links: otlp
            .links
            .0
            .into_iter()
            .map(|link| Link {
                trace_id: link.trace_id,
                span_id: link.span_id,
                attributes: attributes(&link.attributes),
            })
            .collect(),
        service_name: origin.service_name.clone(),
        scope_name: origin.scope_name.clone(),
        scope_version: origin.scope_version.clone(),
        flags: otlp.flags,
        trace_state: otlp.trace_state.filter(|text| !text.0.is_empty()).map(|t| cut(&t.0).into()),
    });
    Ok(())
}

/// Attributes as pairs of texts; values that nobody should see are left out.
fn attributes(attributes: &Attributes<'_>) -> Box<[(Box<str>, Box<str>)]> {
    attributes.0.iter().map(|one| redacted(cut(&one.key.0), || one.text())).collect()
}

/// The status code: a number, or its name.
fn status_of(code: Option<&RawValue>) -> Status {
    match code.map(|code| code.get().trim_matches('"')) {
        Some("1" | "STATUS_CODE_OK") => Status::Ok,
        Some("2" | "STATUS_CODE_ERROR") => Status::Error,
        _ => Status::Unset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_span_is_read_in_full() {
        let origin = super::super::Resource::read(None).unwrap();
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
        read(&raw, &origin, &mut |span| spans.push(span)).unwrap();
        assert_eq!(
            serde_json::to_value(spans[0].shape()).unwrap(),
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
    fn ids_must_be_ids() {
        let origin = super::super::Resource::read(None).unwrap();
        for bad in ["", "0", "00000000000000000000000000000000", "4bf92f3577b34da6a3ce929d0e0e473g"]
        {
            let json = json!({"traceId": bad, "spanId": "00f067aa0ba902b7", "name": "n"});
            let raw = serde_json::value::to_raw_value(&json).unwrap();
            assert!(read(&raw, &origin, &mut drop).is_err(), "{bad}");
        }
    }
}
