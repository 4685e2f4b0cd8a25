//! One log record, in the shape in which triggers and lists show it (protocol section 5.8).

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::observability::shared::shared;

/// How important a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Every step.
    Trace,
    /// For developers.
    Debug,
    /// Normal.
    Info,
    /// Odd.
    Warn,
    /// Wrong.
    Error,
}

impl Severity {
    /// The number of OpenTelemetry.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }

    /// The word of OpenTelemetry.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// The severity of a number from 1 to 24: four numbers each, and what is fatal is an error.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            9..=12 => Self::Info,
            13..=16 => Self::Warn,
            17..=24 => Self::Error,
            _ => return None,
        })
    }

    /// The severity of a word, in capitals or not.
    fn of_text(text: &str) -> Option<Self> {
        let all = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];
        all.into_iter().find(|one| one.text().eq_ignore_ascii_case(text))
    }
}

/// Attributes of a record or a resource.
pub(crate) type Fields = Map<String, Value>;

/// One record.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct Record {
    /// When it happened, in nanoseconds since 1970.
    pub(crate) timestamp_unix_nano: u64,
    /// When the engine saw it.
    pub(crate) observed_timestamp_unix_nano: u64,
    /// How important it is, as a number.
    pub(crate) severity_number: u8,
    /// How important it is, as a word; where only a number came, the word of that.
    pub(crate) severity_text: Cow<'static, str>,
    /// The message.
    pub(crate) body: String,
    /// What goes with it.
    pub(crate) attributes: Fields,
    /// The trace it belongs to.
    pub(crate) trace_id: Option<String>,
    /// The span it belongs to.
    pub(crate) span_id: Option<String>,
    /// Who runs the service.
    #[serde(serialize_with = "shared")]
    pub(crate) resource: Arc<Fields>,
    /// The service.
    #[serde(serialize_with = "shared")]
    pub(crate) service_name: Arc<str>,
    /// The library that wrote it.
    #[serde(serialize_with = "shared")]
    pub(crate) instrumentation_scope_name: Arc<str>,
    /// The version of that.
    #[serde(serialize_with = "version")]
    pub(crate) instrumentation_scope_version: Option<Arc<str>>,
}

// The signature is the one that serde asks for.
#[allow(clippy::ref_option)]
fn version<S: serde::Serializer>(
    version: &Option<Arc<str>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    version.as_deref().serialize(serializer)
}

impl Record {
    /// Its severity: that of its word if it is one of the five, else that of its number.
    pub(crate) fn severity(&self) -> Option<Severity> {
        Severity::of_text(&self.severity_text).or_else(|| Severity::of_number(self.severity_number))
    }

    /// What it costs in memory, in bytes. The resource is often shared, and counts in full all the same.
    pub(crate) fn bytes(&self) -> usize {
        let fields = self.attributes.iter().chain(&*self.resource);
        let fields: usize = fields.map(|(key, value)| key.len() + 32 + of(value)).sum();
        let ids = self.trace_id.as_ref().map_or(0, String::len) + 16;
        size_of::<Self>() + 64 + self.severity_text.len() + self.body.len() + fields + ids
    }
}

/// What a JSON value costs in memory.
pub(crate) fn of(value: &Value) -> usize {
    const ONE: usize = size_of::<Value>() + 16;
    match value {
        Value::String(text) => ONE + text.len(),
        Value::Array(values) => ONE + values.iter().map(of).sum::<usize>(),
        Value::Object(fields) => {
            ONE + fields.iter().map(|(key, value)| key.len() + 32 + of(value)).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => ONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_are_severities() {
        for (number, expected) in [(0, None), (4, Some("TRACE")), (9, Some("INFO"))] {
            assert_eq!(Severity::of_number(number).map(Severity::text), expected);
        }
        assert_eq!(Severity::of_number(24), Some(Severity::Error));
        assert_eq!(Severity::of_number(25), None);
        assert_eq!(Severity::of_text("Warn"), Some(Severity::Warn));
        assert_eq!(Severity::of_text("fatal"), None);
    }
}
