//! Records of an `ExportLogsServiceRequest`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Origin;
use super::json::Text;
use super::value::{AnyValue, Attributes, Unsigned, cut, object};
use crate::observability::logs::{Record, Severity};
use crate::observability::traces::{SpanId, TraceId};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Otlp<'a> {
    #[serde(default)]
    time_unix_nano: Unsigned,
    #[serde(default)]
    observed_time_unix_nano: Unsigned,
    #[serde(default)]
    severity_number: Unsigned,
    #[serde(borrow)]
    severity_text: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<AnyValue<'a>>,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(borrow)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow)]
    span_id: Option<Text<'a>>,
}

/// Reads one record. Times that it does not tell are left at 0, for whoever keeps it.
pub(super) fn read(
    json: &RawValue,
    origin: &Origin,
    emit: &mut dyn FnMut(Record),
) -> Result<(), serde_json::Error> {
    let otlp: Otlp<'_> = serde_json::from_str(json.get())?;
    let number = u8::try_from(otlp.severity_number.0).unwrap_or(0);
    let text = otlp.severity_text.map(|text| cut(&text.0).to_owned());
    let text = text.filter(|text| !text.trim().is_empty());
    let trace_id = otlp.trace_id.and_then(|text| TraceId::read(&text.0));
    let span_id = otlp.span_id.and_then(|text| SpanId::read(&text.0));
    emit(Record {
        timestamp_unix_nano: otlp.time_unix_nano.0,
        observed_timestamp_unix_nano: otlp.observed_time_unix_nano.0,
        severity_number: number,
        // Half of the SDKs send none.
        severity_text: match text {
            Some(text) => text.into(),
            None => Severity::of_number(number).map_or("", Severity::text).into(),
        },
        body: otlp.body.map(|body| body.text()).unwrap_or_default(),
        attributes: object(&otlp.attributes),
        trace_id: trace_id.map(|id| id.to_string()),
        span_id: span_id.map(|id| id.to_string()),
        resource: origin.resource.clone(),
        service_name: origin.service_name.clone(),
        instrumentation_scope_name: origin.scope_name.clone(),
        instrumentation_scope_version: origin.scope_version.clone(),
    });
    Ok(())
}
