//! Settings of observability: limits of the stores, sampling, and alert rules.

use std::time::Duration;

use serde::Serialize;

/// Which spans, metrics and log records of the workers an engine stores. They are kept in memory only.
///
/// The default limits suit a program that embeds an engine: at most about 128 MiB in total. The official engine stores
/// more ([protocol 11.3](iii_wire::protocol#s11-3)).
#[derive(Debug, Clone, PartialEq)]
pub struct ObservabilitySettings {
    /// Whether the engine accepts telemetry. If not, frames are dropped and `engine::log::*` stores nothing. Default:
    /// true.
    pub enabled: bool,
    /// `service.name` of the engine's own log records. Default: `iii`.
    pub service_name: String,
    /// `service.version` of the engine's own log records. Default: none.
    pub service_version: Option<String>,
    /// `service.namespace` of the engine's own log records. Default: none.
    pub service_namespace: Option<String>,
    /// Settings of spans.
    pub traces: TraceSettings,
    /// Settings of metrics.
    pub metrics: MetricSettings,
    /// Settings of log records.
    pub logs: LogSettings,
    /// Alert rules, evaluated every 10 s. Default: none.
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

/// Which spans are stored. New spans evict the oldest ones.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// Maximum number of spans. Default: 100 000.
    pub max_spans: usize,
    /// Maximum memory of the spans, in bytes. Default: 64 MiB.
    pub max_bytes: usize,
    /// Sampling of traces. Default: all traces.
    pub sampling: Sampling,
    /// Whether to store spans that have not ended, and to publish new spans to the streams of developer tools. Default:
    /// true.
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

/// Trace sampling. The decision depends on the trace id, so that the spans of a trace are stored or dropped together.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// The sampling ratio of spans that no rule matches, from 0 to 1. Default: 1.
    pub ratio: f64,
    /// Rules. The first one that matches a span applies. Default: none.
    pub rules: Vec<SamplingRule>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { ratio: 1.0, rules: Vec::new() }
    }
}

impl Sampling {
    /// Returns whether to store a span.
    pub(super) fn is_sampled(&self, trace: u128, operation: &str, service: &str) -> bool {
        let matches = |rule: &&SamplingRule| {
            rule.operation.as_deref().is_none_or(|pattern| matches_name(pattern, operation))
                && rule.service.as_deref().is_none_or(|pattern| matches_name(pattern, service))
        };
        let ratio = self.rules.iter().find(matches).map_or(self.ratio, |rule| rule.rate);
        // The last eight bytes of a trace id are random (W3C Trace Context Level 2, section 3.2.2.3).
        #[allow(clippy::cast_precision_loss)]
        let position = (trace & u128::from(u64::MAX)) as f64 / (u64::MAX as f64);
        ratio >= 1.0 || position < ratio
    }
}

/// Returns whether a name equals a pattern, or has the prefix of a pattern that ends with `*`.
fn matches_name(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// The sampling ratio of matching spans.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SamplingRule {
    /// The span name. A trailing `*` matches any suffix; absent matches any name.
    pub operation: Option<String>,
    /// The service name. A trailing `*` matches any suffix; absent matches any name.
    pub service: Option<String>,
    /// The sampling ratio, from 0 to 1.
    pub rate: f64,
}

/// Which metric data points are stored. New data points evict the oldest ones; the memory limit is 16 MiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricSettings {
    /// Whether to store data points. Default: true.
    pub enabled: bool,
    /// Maximum number of data points. Default: 10 000.
    pub max_count: usize,
    /// Maximum age of data points. Default: 1 h.
    pub retention: Duration,
}

impl Default for MetricSettings {
    fn default() -> Self {
        Self { enabled: true, max_count: 10_000, retention: Duration::from_secs(3_600) }
    }
}

/// Which log records are stored. New records evict the oldest ones; the memory limit is 16 MiB.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    /// Whether to store log records. If not, `log` triggers do not fire. Default: true.
    pub enabled: bool,
    /// Maximum number of log records. Default: 1000.
    pub max_count: usize,
    /// Maximum age of log records. Default: 1 h.
    pub retention: Duration,
    /// The ratio of log records that are stored, from 0 to 1. Default: 1.
    pub sampling_ratio: f64,
    /// Whether to emit log records as `tracing` events with the target `iii::log`, which a `tracing` subscriber of the
    /// program can print. Default: true.
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

/// An alert rule: fires when a metric crosses a threshold.
///
/// `metric` is the name of a metric that workers export, or of a metric of the engine: `iii.invocations.total`,
/// `iii.invocations.success`, `iii.invocations.error`, `iii.invocations.deferred`, `iii.workers.spawns`,
/// `iii.workers.deaths`, `iii.workers.active`, `iii.invocations.duration.avg`, `.p50`, `.p95`, `.p99`, `.max` (in
/// milliseconds). The value of a monotonic sum is its increase within the window, the value of a gauge is the latest
/// one, and the value of a histogram is the mean within the window.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct AlertRule {
    /// The name of the rule.
    pub name: String,
    /// The name of the metric.
    pub metric: String,
    /// The threshold to which the value is compared.
    pub threshold: f64,
    /// The comparison operator.
    pub operator: AlertOperator,
    /// The window, in seconds.
    #[serde(rename = "window_seconds", serialize_with = "seconds")]
    #[schemars(with = "u64")]
    pub window: Duration,
    /// The action of a firing alert.
    pub action: AlertAction,
    /// Whether the rule is evaluated.
    pub enabled: bool,
    /// The minimum time between two actions, in seconds.
    #[serde(rename = "cooldown_seconds", serialize_with = "seconds")]
    #[schemars(with = "u64")]
    pub cooldown: Duration,
}

// serde determines the signature.
fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

impl AlertRule {
    /// Creates an enabled rule that logs a warning while the value is above the threshold, with a window of 60 s and a
    /// cooldown of 60 s.
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

/// Comparison of a value with a threshold.
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
    /// Parses the symbol or the name of an operator in a configuration file.
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

    /// Applies the operator. Equality is exact, because it is meant for counts.
    #[allow(clippy::float_cmp)]
    pub(super) fn compare(self, value: f64, threshold: f64) -> bool {
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

/// The action of a firing alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum AlertAction {
    /// Logs a warning.
    Log,
    /// Invokes a function in the namespace `default` with the state of the alert.
    Function {
        /// The function id.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_matching_rule_determines_the_sampling_ratio() {
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
        let sampled = |operation, service| {
            ids.clone().filter(|id| sampling.is_sampled(*id, operation, service)).count()
        };
        assert_eq!((sampled("health::check", "x"), sampled("pay", "shop")), (0, 1000));
        assert!((200..300).contains(&sampled("pay", "other")));
    }
}
