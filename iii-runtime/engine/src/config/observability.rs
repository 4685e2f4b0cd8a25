//! Settings of `iii-observability`, read from its section of the file ([protocol 11.3](iii_wire::protocol#s11-3)).

use std::time::Duration;

use super::yaml::{Problems, Section};
use crate::observability::{
    AlertAction, AlertOperator, AlertRule, ObservabilitySettings, SamplingRule, TraceSettings,
};

/// The range of counts.
const COUNT: std::ops::RangeInclusive<u64> = 0..=u64::MAX;
/// The range of durations in seconds, up to a year.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=31_536_000;

/// Reads the section. Settings that would export telemetry are rejected, since this engine only stores it.
pub(super) fn read(section: &mut Section<'_>, problems: &mut Problems) -> ObservabilitySettings {
    let mut settings = ObservabilitySettings::default();
    set(&mut settings.enabled, section.boolean("enabled", problems));
    set(&mut settings.service_name, section.string("service_name", problems).map(str::to_owned));
    settings.service_version = section.string("service_version", problems).map(str::to_owned);
    settings.service_namespace = section.string("service_namespace", problems).map(str::to_owned);
    for key in ["exporter", "metrics_exporter", "logs_exporter"] {
        only_memory(section, key, problems);
    }
    section.reject_unsupported("endpoint", problems);
    section.reject_unsupported("collapse_spans", problems);
    traces(section, &mut settings.traces, problems);
    let metrics = &mut settings.metrics;
    set(&mut metrics.enabled, section.boolean("metrics_enabled", problems));
    set(&mut metrics.retention, seconds(section, "metrics_retention_seconds", problems));
    set(&mut metrics.max_count, count(section, "metrics_max_count", problems));
    let logs = &mut settings.logs;
    set(&mut logs.enabled, section.boolean("logs_enabled", problems));
    set(&mut logs.max_count, count(section, "logs_max_count", problems));
    set(&mut logs.retention, seconds(section, "logs_retention_seconds", problems));
    set(&mut logs.sampling_ratio, section.ratio("logs_sampling_ratio", problems));
    set(&mut logs.console, section.boolean("logs_console_output", problems));
    for mut rule in section.sections("alerts", "an entry of `alerts`", problems) {
        settings.alerts.extend(alert(&mut rule, problems));
        rule.finish(problems);
    }
    // Settings of exports, and of the engine's own log, which RUST_LOG configures.
    section.ignore(&["logs_batch_size", "logs_flush_interval_ms", "level", "format"]);
    settings
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn count(section: &mut Section<'_>, key: &'static str, problems: &mut Problems) -> Option<usize> {
    section.unsigned(key, COUNT, problems).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

fn seconds(
    section: &mut Section<'_>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<Duration> {
    section.unsigned(key, SECONDS, problems).map(Duration::from_secs)
}

fn only_memory(section: &mut Section<'_>, key: &'static str, problems: &mut Problems) {
    let line = section.line();
    if let Some(exporter) = section.string(key, problems)
        && exporter != "memory"
    {
        problems.add(
            line,
            format!(
                "the `{key}` `{exporter}` of `iii-observability` is not supported: this engine only has `memory`; use the \
                 official engine to export"
            ),
        );
    }
}

fn traces(section: &mut Section<'_>, traces: &mut TraceSettings, problems: &mut Problems) {
    set(&mut traces.max_spans, count(section, "memory_max_spans", problems));
    set(&mut traces.live_spans, section.boolean("live_spans", problems));
    set(&mut traces.sampling.ratio, section.ratio("sampling_ratio", problems));
    if let Some(node) = section.take("sampling") {
        let mut sampling = Section::new("`sampling`", node, problems);
        set(&mut traces.sampling.ratio, sampling.ratio("default", problems));
        for mut rule in sampling.sections("rules", "an entry of `rules`", problems) {
            let operation = rule.string("operation", problems).map(str::to_owned);
            let service = rule.string("service", problems).map(str::to_owned);
            match rule.ratio("rate", problems) {
                Some(rate) => {
                    traces.sampling.rules.push(SamplingRule { operation, service, rate });
                }
                None => {
                    problems.add(rule.line(), "an entry of `rules` requires a `rate` from 0 to 1");
                }
            }
            rule.finish(problems);
        }
        if sampling.boolean("parent_based", problems) == Some(false) {
            problems.add(
                sampling.line(),
                "`parent_based: false` is not supported: this engine samples whole traces",
            );
        }
        sampling.reject_unsupported("rate_limit", problems);
        sampling.finish(problems);
    }
    if let Some(node) = section.take("trace_storage") {
        let mut storage = Section::new("`trace_storage`", node, problems);
        let bytes = count(&mut storage, "memory_max_bytes", problems);
        set(&mut traces.max_bytes, bytes);
        if storage.boolean("enabled", problems) == Some(true) {
            problems.add(
                storage.line(),
                "`trace_storage` with `enabled: true` is not supported: this engine keeps traces in memory; set it to \
                 false, or use the official engine",
            );
        }
        // Settings of the disabled archive, and of memory management.
        storage.ignore(&[
            "directory",
            "max_disk_bytes",
            "retention_seconds",
            "memory_low_watermark_ratio",
            "pending_max_age_seconds",
        ]);
        storage.finish(problems);
    }
}

/// Reads a rule; `None` if it has errors.
fn alert(section: &mut Section<'_>, problems: &mut Problems) -> Option<AlertRule> {
    let name = section.string("name", problems);
    let metric = section.string("metric", problems);
    let threshold = section.number("threshold", problems);
    let operator = section.string("operator", problems);
    let window = seconds(section, "window_seconds", problems);
    let cooldown = seconds(section, "cooldown_seconds", problems);
    let enabled = section.boolean("enabled", problems);
    let action = section.take("action").map(|node| {
        let mut action = Section::new("`action`", node, problems);
        let read = action_of(&mut action, problems);
        action.finish(problems);
        read
    });
    let (Some(name), Some(metric), Some(threshold)) = (name, metric, threshold) else {
        problems.add(
            section.line(),
            "an entry of `alerts` requires `name`, `metric` and a `threshold`",
        );
        return None;
    };
    let mut rule = AlertRule::above(name, metric, threshold);
    if let Some(text) = operator {
        match AlertOperator::parse(text) {
            Some(operator) => rule.operator = operator,
            None => problems.add(
                section.line(),
                format!("the `operator` of an alert must be one of `>`, `>=`, `<`, `<=`, `==`, `!=`, not `{text}`"),
            ),
        }
    }
    set(&mut rule.window, window);
    set(&mut rule.cooldown, cooldown);
    set(&mut rule.enabled, enabled);
    match action {
        None => {}
        Some(action) => rule.action = action?,
    }
    Some(rule)
}

fn action_of(section: &mut Section<'_>, problems: &mut Problems) -> Option<AlertAction> {
    let line = section.line();
    match section.string("type", problems) {
        Some("log") | None => Some(AlertAction::Log),
        Some("function") => match section.string("path", problems) {
            Some(path) => Some(AlertAction::Function { path: path.to_owned() }),
            None => {
                problems.add(line, "the action `function` requires the id of a function as `path`");
                None
            }
        },
        Some("webhook") => {
            section.ignore(&["url"]);
            problems.add(
                line,
                "the action `webhook` is not supported by this engine: call a function that sends the request, or use \
                 the official engine",
            );
            None
        }
        Some(other) => {
            problems.add(
                line,
                format!("the `type` of an action must be `log` or `function`, not `{other}`"),
            );
            None
        }
    }
}
