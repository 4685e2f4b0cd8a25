//! Parses the log records of an `ExportLogsServiceRequest`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ItemContext;
use super::json::JsonStr;
use super::value::{KeyValues, OtlpAnyValue, UInt64, attribute_map, truncate};
use crate::observability::logs::{LogRecord, Severity};
use crate::observability::traces::{SpanId, TraceId};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OtlpLogRecord<'a> {
    #[serde(default)]
    time_unix_nano: UInt64,
    #[serde(default)]
    observed_time_unix_nano: UInt64,
    #[serde(default)]
    severity_number: UInt64,
    #[serde(borrow)]
    severity_text: Option<JsonStr<'a>>,
    #[serde(borrow)]
    body: Option<OtlpAnyValue<'a>>,
    #[serde(borrow, default)]
    attributes: KeyValues<'a>,
    #[serde(borrow)]
    trace_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    span_id: Option<JsonStr<'a>>,
}

/// Parses a log record. Absent times are 0; the store replaces them.
pub(super) fn read(
    json: &RawValue,
    context: &ItemContext,
    emit: &mut dyn FnMut(LogRecord),
) -> Result<(), serde_json::Error> {
    let otlp: OtlpLogRecord<'_> = serde_json::from_str(json.get())?;
    let number = u8::try_from(otlp.severity_number.0).unwrap_or(0);
    let text = otlp.severity_text.map(|text| truncate(&text.0).to_owned());
    let text = text.filter(|text| !text.trim().is_empty());
    let trace_id = otlp.trace_id.and_then(|id| TraceId::parse(&id.0));
    let span_id = otlp.span_id.and_then(|id| SpanId::parse(&id.0));
    emit(LogRecord {
        timestamp_unix_nano: otlp.time_unix_nano.0,
        observed_timestamp_unix_nano: otlp.observed_time_unix_nano.0,
        severity_number: number,
        // Some SDKs send only the number.
        severity_text: match text {
            Some(text) => text.into(),
            None => Severity::from_number(number).map_or("", Severity::text).into(),
        },
        body: otlp.body.map(|body| body.text()).unwrap_or_default(),
        attributes: attribute_map(&otlp.attributes),
        trace_id: trace_id.map(|id| id.to_string()),
        span_id: span_id.map(|id| id.to_string()),
        resource: context.resource.clone(),
        service_name: context.service_name.clone(),
        instrumentation_scope_name: context.scope_name.clone(),
        instrumentation_scope_version: context.scope_version.clone(),
    });
    Ok(())
}
