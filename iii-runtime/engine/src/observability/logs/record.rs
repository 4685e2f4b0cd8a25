//! A log record, as triggers and listings serialize it ([protocol 5.8](iii_wire::protocol#s5-8)).

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::observability::retention::MemoryFootprint;
use crate::observability::serialize_arc::{serialize_arc, serialize_optional_arc};

/// The severity of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Fine-grained debugging.
    Trace,
    /// Debugging.
    Debug,
    /// An informational event.
    Info,
    /// A warning.
    Warn,
    /// An error.
    Error,
}

impl Severity {
    /// Returns the severity number of OpenTelemetry.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }

    /// Returns the severity text of OpenTelemetry.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// Converts a severity number from 1 to 24. The four numbers of `FATAL` are errors.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            9..=12 => Self::Info,
            13..=16 => Self::Warn,
            17..=24 => Self::Error,
            _ => return None,
        })
    }

    /// Converts a severity text. Ignores case.
    fn from_text(text: &str) -> Option<Self> {
        let all = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];
        all.into_iter().find(|severity| severity.text().eq_ignore_ascii_case(text))
    }
}

/// Attributes of a log record, a data point or a resource.
pub(crate) type AttributeMap = Map<String, Value>;

/// A log record.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct LogRecord {
    /// The time of the event, in nanoseconds since the Unix epoch.
    pub(crate) timestamp_unix_nano: u64,
    /// The time at which the engine received the record, in nanoseconds since the Unix epoch.
    pub(crate) observed_timestamp_unix_nano: u64,
    /// The severity number.
    pub(crate) severity_number: u8,
    /// The severity text; derived from the number if the record has none.
    pub(crate) severity_text: Cow<'static, str>,
    /// The message.
    pub(crate) body: String,
    /// The attributes.
    pub(crate) attributes: AttributeMap,
    /// The trace id.
    pub(crate) trace_id: Option<String>,
    /// The span id.
    pub(crate) span_id: Option<String>,
    /// The attributes of the resource.
    #[serde(serialize_with = "serialize_arc")]
    pub(crate) resource: Arc<AttributeMap>,
    /// The service name.
    #[serde(serialize_with = "serialize_arc")]
    pub(crate) service_name: Arc<str>,
    /// The name of the instrumentation scope.
    #[serde(serialize_with = "serialize_arc")]
    pub(crate) instrumentation_scope_name: Arc<str>,
    /// The version of the instrumentation scope.
    #[serde(serialize_with = "serialize_optional_arc")]
    pub(crate) instrumentation_scope_version: Option<Arc<str>>,
}

impl LogRecord {
    /// Returns the severity of the text if it is known, else that of the number.
    pub(crate) fn severity(&self) -> Option<Severity> {
        Severity::from_text(&self.severity_text)
            .or_else(|| Severity::from_number(self.severity_number))
    }
}

impl MemoryFootprint for LogRecord {
    /// The resource counts in full, although records usually share it.
    fn footprint(&self) -> usize {
        let attributes =
            attributes_footprint(&self.attributes) + attributes_footprint(&self.resource);
        let ids = self.trace_id.as_ref().map_or(0, String::len) + 16;
        size_of::<Self>() + 64 + self.severity_text.len() + self.body.len() + attributes + ids
    }
}

/// Returns the approximate memory of attributes, in bytes.
fn attributes_footprint(attributes: &AttributeMap) -> usize {
    attributes.iter().map(|(key, value)| key.len() + 32 + json_footprint(value)).sum()
}

/// Returns the approximate memory of a JSON value, in bytes.
pub(crate) fn json_footprint(value: &Value) -> usize {
    const NODE: usize = size_of::<Value>() + 16;
    match value {
        Value::String(text) => NODE + text.len(),
        Value::Array(values) => NODE + values.iter().map(json_footprint).sum::<usize>(),
        Value::Object(fields) => NODE + attributes_footprint(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => NODE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_converted_from_numbers_and_texts() {
        for (number, expected) in [(0, None), (4, Some("TRACE")), (9, Some("INFO"))] {
            assert_eq!(Severity::from_number(number).map(Severity::text), expected);
        }
        assert_eq!(Severity::from_number(24), Some(Severity::Error));
        assert_eq!(Severity::from_number(25), None);
        assert_eq!(Severity::from_text("Warn"), Some(Severity::Warn));
        assert_eq!(Severity::from_text("fatal"), None);
    }
}
