//! The kind `log`: a log record invokes the function ([protocol 5.8](crate::protocol#s5-8)).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind};

/// Configuration of a `log` trigger.
#[derive(Debug, Clone, Copy, Default)]
pub struct Log {
    /// Limits the trigger to one level. Default: all.
    pub level: LogLevel,
}

/// The level of log records, compared for equality: `Warn` does not include errors.
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

/// The event of a `log` trigger: a log record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogEvent {
    /// The time of the record, in nanoseconds since the Unix epoch.
    pub timestamp_unix_nano: u64,
    /// The severity number, from 1 to 24 (OpenTelemetry log data model).
    #[serde(default)]
    pub severity_number: u32,
    /// The severity text; some SDKs send none.
    #[serde(default)]
    pub severity_text: String,
    /// The message.
    #[serde(default)]
    pub body: String,
    /// The attributes of the record.
    #[serde(default)]
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// The id of the trace that the record belongs to.
    #[serde(default)]
    pub trace_id: Option<String>,
    /// The id of the span that the record belongs to.
    #[serde(default)]
    pub span_id: Option<String>,
    /// The name of the service that sent the record.
    #[serde(default)]
    pub service_name: String,
}
