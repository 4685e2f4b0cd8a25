//! One log record, in the shape in which triggers and lists show it (protocol section 5.8).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How important a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
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
    pub fn number(self) -> u8 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }

    /// The word of OpenTelemetry.
    pub fn text(self) -> &'static str {
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
pub struct Record {
    /// When it happened, in nanoseconds since 1970.
    pub timestamp_unix_nano: u64,
    /// When the engine saw it.
    pub observed_timestamp_unix_nano: u64,
    /// How important it is, as a number.
    pub severity_number: u8,
    /// How important it is, as a word.
    pub severity_text: &'static str,
    /// The message.
    pub body: String,
    /// What goes with it.
    pub attributes: Map<String, Value>,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// The span it belongs to.
    pub span_id: Option<String>,
    /// Who runs the service.
    pub resource: Map<String, Value>,
    /// The service.
    pub service_name: String,
    /// The library that wrote it.
    pub instrumentation_scope_name: String,
    /// The version of that.
    pub instrumentation_scope_version: String,
}
