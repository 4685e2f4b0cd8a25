//! The kind `trace`: traces were recorded (protocol section 5.9).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind};

/// What a `trace` trigger is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trace {
    /// Only spans of this service, in any case of letters. Default: any.
    pub service: Option<&'static str>,
    /// Only spans of this status: `ok`, `error` or `unset`. Default: any.
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

/// The event of a `trace` trigger: `engine::traces::tree` tells more of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceEvent {
    /// The traces that have new spans.
    pub trace_ids: Vec<String>,
}
