//! Settings of `iii-observability`, read from its section of the file (protocol section 11.3).

use std::time::Duration;

use super::tree::{Block, Problems};
use crate::observability::{
    AlertAction, AlertOperator, AlertRule, ObservabilitySettings, SamplingRule, TraceSettings,
};

/// The range of counts.
const COUNT: std::ops::RangeInclusive<u64> = 0..=u64::MAX;
/// The range of durations in seconds, up to a year.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=31_536_000;

/// Reads the section. Settings that would export telemetry are rejected, since this engine only stores it.
pub(super) fn read(block: &mut Block<'_>, problems: &mut Problems) -> ObservabilitySettings {
    let mut settings = ObservabilitySettings::default();
    set(&mut settings.enabled, block.flag("enabled", problems));
    set(&mut settings.service_name, block.text("service_name", problems).map(str::to_owned));
    settings.service_version = block.text("service_version", problems).map(str::to_owned);
    settings.service_namespace = block.text("service_namespace", problems).map(str::to_owned);
    for key in ["exporter", "metrics_exporter", "logs_exporter"] {
        only_memory(block, key, problems);
    }
    block.refuse("endpoint", problems);
    block.refuse("collapse_spans", problems);
    traces(block, &mut settings.traces, problems);
    let metrics = &mut settings.metrics;
    set(&mut metrics.enabled, block.flag("metrics_enabled", problems));
    set(&mut metrics.retention, seconds(block, "metrics_retention_seconds", problems));
    set(&mut metrics.max_count, count(block, "metrics_max_count", problems));
    let logs = &mut settings.logs;
    set(&mut logs.enabled, block.flag("logs_enabled", problems));
    set(&mut logs.max_count, count(block, "logs_max_count", problems));
    set(&mut logs.retention, seconds(block, "logs_retention_seconds", problems));
    set(&mut logs.sampling_ratio, block.share("logs_sampling_ratio", problems));
    set(&mut logs.console, block.flag("logs_console_output", problems));
    for mut rule in block.blocks("alerts", "an entry of `alerts`", problems) {
        settings.alerts.extend(alert(&mut rule, problems));
        rule.finish(problems);
    }
    // Settings of exports, and of the engine's own log, which RUST_LOG configures.
    block.ignore(&["logs_batch_size", "logs_flush_interval_ms", "level", "format"]);
    settings
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn count(block: &mut Block<'_>, key: &'static str, problems: &mut Problems) -> Option<usize> {
    block.whole(key, COUNT, problems).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

fn seconds(block: &mut Block<'_>, key: &'static str, problems: &mut Problems) -> Option<Duration> {
    block.whole(key, SECONDS, problems).map(Duration::from_secs)
}

fn only_memory(block: &mut Block<'_>, key: &'static str, problems: &mut Problems) {
    let line = block.line();
    if let Some(exporter) = block.text(key, problems)
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

fn traces(block: &mut Block<'_>, traces: &mut TraceSettings, problems: &mut Problems) {
    set(&mut traces.max_spans, count(block, "memory_max_spans", problems));
    set(&mut traces.live_spans, block.flag("live_spans", problems));
    set(&mut traces.sampling.ratio, block.share("sampling_ratio", problems));
    if let Some(node) = block.take("sampling") {
        let mut sampling = Block::new("`sampling`", node, problems);
        set(&mut traces.sampling.ratio, sampling.share("default", problems));
        for mut rule in sampling.blocks("rules", "an entry of `rules`", problems) {
            let operation = rule.text("operation", problems).map(str::to_owned);
            let service = rule.text("service", problems).map(str::to_owned);
            match rule.share("rate", problems) {
                Some(rate) => {
                    traces.sampling.rules.push(SamplingRule { operation, service, rate });
                }
                None => problems.add(rule.line(), "an entry of `rules` requires a `rate` from 0 to 1"),
            }
            rule.finish(problems);
        }
        if sampling.flag("parent_based", problems) == Some(false) {
            problems.add(
                sampling.line(),
                "`parent_based: false` is not supported: this engine samples whole traces",
            );
        }
        sampling.refuse("rate_limit", problems);
        sampling.finish(problems);
    }
    if let Some(node) = block.take("trace_storage") {
        let mut storage = Block::new("`trace_storage`", node, problems);
        let bytes = count(&mut storage, "memory_max_bytes", problems);
        set(&mut traces.max_bytes, bytes);
        if storage.flag("enabled", problems) == Some(true) {
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
fn alert(block: &mut Block<'_>, problems: &mut Problems) -> Option<AlertRule> {
    let name = block.text("name", problems);
    let metric = block.text("metric", problems);
    let threshold = block.number("threshold", problems);
    let operator = block.text("operator", problems);
    let window = seconds(block, "window_seconds", problems);
    let cooldown = seconds(block, "cooldown_seconds", problems);
    let enabled = block.flag("enabled", problems);
    let action = block.take("action").map(|node| {
        let mut action = Block::new("`action`", node, problems);
        let read = action_of(&mut action, problems);
        action.finish(problems);
        read
    });
    let (Some(name), Some(metric), Some(threshold)) = (name, metric, threshold) else {
        problems.add(block.line(), "an entry of `alerts` requires `name`, `metric` and a `threshold`");
        return None;
    };
    let mut rule = AlertRule::above(name, metric, threshold);
    if let Some(text) = operator {
        match AlertOperator::parse(text) {
            Some(operator) => rule.operator = operator,
            None => problems.add(
                block.line(),
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

fn action_of(block: &mut Block<'_>, problems: &mut Problems) -> Option<AlertAction> {
    let line = block.line();
    match block.text("type", problems) {
        Some("log") | None => Some(AlertAction::Log),
        Some("function") => match block.text("path", problems) {
            Some(path) => Some(AlertAction::Function { path: path.to_owned() }),
            None => {
                problems.add(line, "the action `function` requires the id of a function as `path`");
                None
            }
        },
        Some("webhook") => {
            block.ignore(&["url"]);
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
