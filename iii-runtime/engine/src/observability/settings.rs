//! What the engine is told about observing: how much it keeps, of what, and when it raises an alarm.

use std::time::Duration;

use serde::Serialize;

/// What an engine keeps of the spans, metrics and logs that workers send. All of it is in memory, and gone with the
/// engine.
///
/// The limits are those of a program that embeds an engine: at most about 128 MiB in all. The official engine keeps more
/// (protocol section 11.3).
#[derive(Debug, Clone, PartialEq)]
pub struct ObservabilitySettings {
    /// Whether telemetry is taken at all. Without it, frames are dropped and `engine::log::*` keeps nothing. Default: yes.
    pub enabled: bool,
    /// The name of the engine in what it writes itself. Default `iii`.
    pub service_name: String,
    /// The version beside the name. Default: none.
    pub service_version: Option<String>,
    /// The namespace beside the name (`service.namespace` of OpenTelemetry). Default: none.
    pub service_namespace: Option<String>,
    /// Spans.
    pub traces: TraceSettings,
    /// Metrics.
    pub metrics: MetricSettings,
    /// Log records.
    pub logs: LogSettings,
    /// What raises an alarm; looked at every 10 s. Default: nothing.
    pub alerts: Vec<AlertRule>,
}

impl Default for ObservabilitySettings {
    fn default() -> Self {
        Self {
            enabled: true,
            service_name: "iii".to_owned(),
            service_version: None,
            service_namespace: None,
            traces: TraceSettings::default(),
            metrics: MetricSettings::default(),
            logs: LogSettings::default(),
            alerts: Vec::new(),
        }
    }
}

/// Which spans are kept. The oldest give way to new ones.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// How many. Default 100 000.
    pub max_spans: usize,
    /// How many bytes of them. Default 64 MiB.
    pub max_bytes: usize,
    /// Of which traces. Default: of all.
    pub sampling: Sampling,
    /// Whether spans are shown that have only begun, and new ones are told to the streams of developer tools. Default:
    /// yes.
    pub live_spans: bool,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self {
            max_spans: 100_000,
            max_bytes: 64 << 20,
            sampling: Sampling::default(),
            live_spans: true,
        }
    }
}

/// Which share of the traces is kept. The id of a trace decides, so that its spans are kept or left out together.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// The share where no rule matches, from 0 to 1. Default 1.
    pub ratio: f64,
    /// The first rule that matches a span counts.
    pub rules: Vec<SamplingRule>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { ratio: 1.0, rules: Vec::new() }
    }
}

impl Sampling {
    /// Whether a span is to be kept.
    pub(super) fn keeps(&self, trace: u128, operation: &str, service: &str) -> bool {
        let fits = |rule: &&SamplingRule| {
            rule.operation.as_deref().is_none_or(|wanted| fits(wanted, operation))
                && rule.service.as_deref().is_none_or(|wanted| fits(wanted, service))
        };
        let share = self.rules.iter().find(fits).map_or(self.ratio, |rule| rule.rate);
        // The last eight bytes of a trace id are random (W3C Trace Context Level 2, section 3.2.2.3).
        #[allow(clippy::cast_precision_loss)]
        let place = (trace & u128::from(u64::MAX)) as f64 / (u64::MAX as f64);
        share >= 1.0 || place < share
    }
}

/// Whether a name is the wanted one; a `*` at the end stands for anything.
fn fits(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => wanted == name,
    }
}

/// The share of some traces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SamplingRule {
    /// The name of the span; a `*` at the end stands for anything. Absent: any.
    pub operation: Option<String>,
    /// The name of the service, likewise.
    pub service: Option<String>,
    /// The share that is kept, from 0 to 1.
    pub rate: f64,
}

/// Which metric points are kept. The oldest give way to new ones; at most 16 MiB are kept in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSettings {
    /// Whether any. Default: yes.
    pub enabled: bool,
    /// How many. Default 10 000.
    pub max_count: usize,
    /// For how long. Default one hour.
    pub retention: Duration,
}

impl Default for MetricSettings {
    fn default() -> Self {
        Self { enabled: true, max_count: 10_000, retention: Duration::from_secs(3_600) }
    }
}

/// Which log records are kept. The oldest give way to new ones; at most 16 MiB are kept in any case.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// Whether any. Without, `log` triggers do not fire. Default: yes.
    pub enabled: bool,
    /// How many. Default 1000.
    pub max_count: usize,
    /// For how long. Default one hour.
    pub retention: Duration,
    /// Which share of them, from 0 to 1. Default 1.
    pub sampling_ratio: f64,
    /// Whether records are also events of `tracing`, with the target `iii::log`, and so on the console of a program that
    /// shows those. Default: yes.
    pub console: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            max_count: 1_000,
            retention: Duration::from_secs(3_600),
            sampling_ratio: 1.0,
            console: true,
        }
    }
}

/// What raises an alarm: a metric beyond a threshold.
///
/// `metric` is the name of a metric that workers send, or one of the engine's own: `iii.invocations.total`,
/// `iii.invocations.success`, `iii.invocations.error`, `iii.invocations.deferred`, `iii.workers.spawns`,
/// `iii.workers.deaths`, `iii.workers.active`, `iii.invocations.duration.avg`, `.p50`, `.p95`, `.p99`, `.max` (in
/// milliseconds). Of what only grows, the growth within the window counts; of other values the newest, of histograms
/// the mean within the window.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct AlertRule {
    /// Its name.
    pub name: String,
    /// The metric.
    pub metric: String,
    /// What the value is compared with.
    pub threshold: f64,
    /// How it is compared.
    pub operator: AlertOperator,
    /// The window, in seconds.
    #[serde(rename = "window_seconds", serialize_with = "seconds")]
    #[schemars(with = "u64")]
    pub window: Duration,
    /// What happens.
    pub action: AlertAction,
    /// Whether it is looked at.
    pub enabled: bool,
    /// How long it is silent after an alarm, in seconds.
    #[serde(rename = "cooldown_seconds", serialize_with = "seconds")]
    #[schemars(with = "u64")]
    pub cooldown: Duration,
}

// The signature is the one that serde asks for.
fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

impl AlertRule {
    /// A rule that warns in the engine's log once the value is above the threshold, looks at the last minute, and is then
    /// silent for a minute.
    pub fn above(name: impl Into<String>, metric: impl Into<String>, threshold: f64) -> Self {
        Self {
            name: name.into(),
            metric: metric.into(),
            threshold,
            operator: AlertOperator::GreaterThan,
            window: Duration::from_secs(60),
            action: AlertAction::Log,
            enabled: true,
            cooldown: Duration::from_secs(60),
        }
    }
}

/// How a value is compared with a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertOperator {
    /// `>`
    GreaterThan,
    /// `>=`
    GreaterThanOrEqual,
    /// `<`
    LessThan,
    /// `<=`
    LessThanOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl AlertOperator {
    /// The operator of a sign or a name, as the file has it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_lowercase().replace('_', "").as_str() {
            ">" | "greaterthan" => Self::GreaterThan,
            ">=" | "greaterthanorequal" => Self::GreaterThanOrEqual,
            "<" | "lessthan" => Self::LessThan,
            "<=" | "lessthanorequal" => Self::LessThanOrEqual,
            "=" | "==" | "equal" => Self::Equal,
            "!=" | "notequal" => Self::NotEqual,
            _ => return None,
        })
    }

    // Exact: whoever asks for equality means counts.
    #[allow(clippy::float_cmp)]
    pub(super) fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThan => value > threshold,
            Self::GreaterThanOrEqual => value >= threshold,
            Self::LessThan => value < threshold,
            Self::LessThanOrEqual => value <= threshold,
            Self::Equal => value == threshold,
            Self::NotEqual => value != threshold,
        }
    }
}

/// What an alarm does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum AlertAction {
    /// A warning in the engine's log.
    Log,
    /// A call of a function of the namespace `default`, which gets the alert.
    Function {
        /// The function.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides_and_traces_stay_whole() {
        let rule = |operation: &str, service: Option<&str>, rate| SamplingRule {
            operation: Some(operation.to_owned()),
            service: service.map(str::to_owned),
            rate,
        };
        let sampling = Sampling {
            ratio: 0.25,
            rules: vec![rule("health*", None, 0.0), rule("pay", Some("shop"), 1.0)],
        };
        let ids = (0..1000_u64).map(|n| u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let kept = |operation, service| {
            ids.clone().filter(|id| sampling.keeps(*id, operation, service)).count()
        };
        assert_eq!((kept("health::check", "x"), kept("pay", "shop")), (0, 1000));
        assert!((200..300).contains(&kept("pay", "other")));
    }
}
