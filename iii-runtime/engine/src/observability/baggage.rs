//! `engine::baggage::*` and `engine::sampling::rules`: small functions that only say how things are (protocol section
//! 6.7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::settings::{ObservabilitySettings, SamplingRule};
use crate::provider::{BuiltIn, Call};
use iii_wire::clock::Clock;

/// The input of `engine::baggage::get`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Get {
    /// The name of the entry.
    key: String,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Got {
    /// Its value in the baggage of this call; null if it is not there.
    value: Option<String>,
}

/// The input of `engine::baggage::set`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[allow(dead_code)]
struct Set {
    /// The name of the entry.
    key: String,
    /// Its value.
    value: String,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct WasSet {
    /// Always true.
    success: bool,
    /// What to do instead.
    note: &'static str,
}

/// The input of functions that need none.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Nothing {}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct All {
    /// The entries of the baggage of this call.
    baggage: BTreeMap<String, String>,
}

/// The answer of `engine::sampling::rules`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Rules {
    traces: OfTraces,
    logs: OfLogs,
    /// When, in milliseconds since 1970.
    timestamp: u64,
}

#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct OfTraces {
    /// The share of traces that is kept where no rule matches.
    default_ratio: f64,
    /// The rules; the first that matches counts.
    rules: Vec<SamplingRule>,
    /// Always true: the spans of a trace are kept or left out together.
    parent_based: bool,
}

#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct OfLogs {
    /// The share of log records that is kept.
    sampling_ratio: f64,
}

/// The entries of the baggage that a call came with (W3C Baggage).
fn entries(call: &Call) -> BTreeMap<String, String> {
    let text = call.baggage.as_deref().unwrap_or_default();
    let pairs = text.split(',').filter_map(|entry| {
        // What stands behind `;` are properties.
        let (key, value) = entry.split(';').next()?.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8_lossy();
        Some((key.trim().to_owned(), value.into_owned()))
    });
    pairs.filter(|(key, _)| !key.is_empty()).collect()
}

/// The functions.
pub(super) fn functions(clock: &Clock, settings: &ObservabilitySettings) -> Vec<BuiltIn> {
    let clock = clock.clone();
    let traces = OfTraces {
        default_ratio: settings.traces.sampling.ratio,
        rules: settings.traces.sampling.rules.clone(),
        parent_based: true,
    };
    let logs = OfLogs { sampling_ratio: settings.logs.sampling_ratio };
    vec![
        BuiltIn::sync(
            "engine::baggage::get",
            "Gives an entry of the baggage of this call.",
            |input: Get, call| Ok(Some(Got { value: entries(&call).remove(&input.key) })),
        ),
        BuiltIn::sync(
            "engine::baggage::set",
            "Changes nothing: baggage goes along with calls.",
            |_: Set, _| {
                let note = "nothing was changed: send baggage along with your own calls";
                Ok(Some(WasSet { success: true, note }))
            },
        ),
        BuiltIn::sync(
            "engine::baggage::get_all",
            "Gives the baggage of this call.",
            |_: Nothing, call| Ok(Some(All { baggage: entries(&call) })),
        ),
        BuiltIn::sync(
            "engine::sampling::rules",
            "Says which share of traces and log records is kept.",
            move |_: Nothing, _| {
                Ok(Some(Rules {
                    traces: traces.clone(),
                    logs: logs.clone(),
                    timestamp: clock.unix_millis(),
                }))
            },
        ),
    ]
}
