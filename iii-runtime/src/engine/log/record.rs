//! One log record, in the shape in which triggers and lists show it (protocol section 5.8).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
}

/// One record.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct Record {
    /// When it happened, in nanoseconds since 1970.
    pub(crate) timestamp_unix_nano: u64,
    /// When the engine saw it.
    pub(crate) observed_timestamp_unix_nano: u64,
    /// How important it is, as a number.
    pub(crate) severity_number: u8,
    /// How important it is, as a word.
    pub(crate) severity_text: &'static str,
    /// The message.
    pub(crate) body: String,
    /// What goes with it.
    pub(crate) attributes: Map<String, Value>,
    /// The trace it belongs to.
    pub(crate) trace_id: Option<String>,
    /// The span it belongs to.
    pub(crate) span_id: Option<String>,
    /// Who runs the service.
    pub(crate) resource: Map<String, Value>,
    /// The service.
    pub(crate) service_name: String,
    /// The library that wrote it.
    pub(crate) instrumentation_scope_name: String,
    /// The version of that.
    pub(crate) instrumentation_scope_version: String,
}
