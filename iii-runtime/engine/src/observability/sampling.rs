//! The function `engine::sampling::rules` ([protocol 6.7](iii_wire::protocol#s6-7)).

use serde::Serialize;

use super::NoInput;
use super::settings::{ObservabilitySettings, SamplingRule};
use crate::provider::BuiltIn;
use iii_wire::clock::Clock;

/// Output of `engine::sampling::rules`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct SamplingRulesOutput {
    traces: TraceSampling,
    logs: LogSampling,
    /// The current time, in milliseconds since the Unix epoch.
    timestamp: u64,
}

#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct TraceSampling {
    /// The sampling ratio of traces that no rule matches.
    default_ratio: f64,
    /// The rules. The first one that matches applies.
    rules: Vec<SamplingRule>,
    /// Always true: all spans of a trace have the same sampling decision.
    parent_based: bool,
}

#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct LogSampling {
    /// The ratio of log records that are stored.
    sampling_ratio: f64,
}

/// Creates the function.
pub(super) fn function(clock: &Clock, settings: &ObservabilitySettings) -> BuiltIn {
    let clock = clock.clone();
    let traces = TraceSampling {
        default_ratio: settings.traces.sampling.ratio,
        rules: settings.traces.sampling.rules.clone(),
        parent_based: true,
    };
    let logs = LogSampling { sampling_ratio: settings.logs.sampling_ratio };
    BuiltIn::sync(
        "engine::sampling::rules",
        "Returns the sampling ratios of traces and log records.",
        move |_: NoInput, _| {
            Ok(Some(SamplingRulesOutput {
                traces: traces.clone(),
                logs: logs.clone(),
                timestamp: clock.unix_millis(),
            }))
        },
    )
}
