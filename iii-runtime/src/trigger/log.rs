//! The kind `log`: a log record invokes the function (protocol section 5.8).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind};

/// What a `log` trigger is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Log {
    /// Only this level. Default: all.
    pub level: LogLevel,
}

/// The level of log records. The engine compares for equality: `Warn` does not include errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Records of all levels.
    #[default]
    All,
    /// Only `TRACE`.
    Trace,
    /// Only `DEBUG`.
    Debug,
    /// Only `INFO`.
    Info,
    /// Only `WARN`.
    Warn,
    /// Only `ERROR`.
    Error,
}

impl From<Log> for Binding {
    fn from(log: Log) -> Self {
        #[derive(Serialize)]
        struct Config {
            level: LogLevel,
        }
        let summary = format!("{:?}", log.level).to_lowercase();
        Binding::new(TriggerKind::Log, &Config { level: log.level }, summary)
    }
}

/// The event of a `log` trigger: one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogEvent {
    /// When it happened, in nanoseconds since the start of 1970 in UTC.
    pub timestamp_unix_nano: u64,
    /// The severity from 1 to 24 (OpenTelemetry log data model).
    #[serde(default)]
    pub severity_number: u32,
    /// The severity as text; some SDKs send none.
    #[serde(default)]
    pub severity_text: String,
    /// The message.
    #[serde(default)]
    pub body: String,
    /// What goes with it.
    #[serde(default)]
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// The trace it belongs to.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// The span it belongs to.
    #[serde(default)]
    pub span_id: Option<String>,
    /// Who sent it.
    #[serde(default)]
    pub service_name: String,
}
