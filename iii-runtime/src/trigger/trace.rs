//! The kind `trace`: traces were recorded ([protocol 5.9](crate::protocol#s5-9)).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind};

/// Configuration of a `trace` trigger.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trace {
    /// Limits the trigger to spans of one service, case-insensitively. Default: all.
    pub service: Option<&'static str>,
    /// Limits the trigger to spans with one status: `ok`, `error` or `unset`. Default: all.
    pub status: Option<&'static str>,
}

impl From<Trace> for Binding {
    fn from(trace: Trace) -> Self {
        #[derive(Serialize)]
        struct Config {
            #[serde(skip_serializing_if = "Option::is_none")]
            service_name: Option<&'static str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: Option<&'static str>,
        }
        let config = Config { service_name: trace.service, status: trace.status };
        let summary = format!("{}/{}", trace.service.unwrap_or("*"), trace.status.unwrap_or("*"));
        Binding::new(TriggerKind::Trace, &config, summary)
    }
}

/// The event of a `trace` trigger. Read the traces with `engine::traces::tree`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceEvent {
    /// The ids of the traces with new spans.
    pub trace_ids: Vec<String>,
}
