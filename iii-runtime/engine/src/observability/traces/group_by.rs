//! The function `engine::traces::group_by` ([protocol 6.7](iii_wire::protocol#s6-7)).

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::id::TraceId;
use super::span::{Span, SpanStatus};
use super::{TraceStorage, Traces};

/// Input of `engine::traces::group_by`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct TraceGroupByInput {
    /// The key of the attribute.
    attribute: String,
    /// The earliest start of a span, in milliseconds since the Unix epoch.
    since_ms: Option<u64>,
    /// The maximum number of groups. Default: 100.
    limit: Option<usize>,
    /// Whether to include spans of functions of the engine. Default: false.
    include_internal: Option<bool>,
    /// The key of the attribute whose value becomes the label of a group.
    label_attribute: Option<String>,
}

/// Output of `engine::traces::group_by`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct TraceGroupByOutput {
    /// The groups. The group with the latest span is the first.
    groups: Vec<SpanGroup>,
    /// The completeness of the stored spans.
    storage: TraceStorage,
}

/// The spans with one value of the attribute.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct SpanGroup {
    /// The value of the attribute.
    value: String,
    /// The label, taken from the first span that has one.
    label: Option<String>,
    /// The trace ids of the spans.
    trace_ids: Vec<String>,
    /// The number of spans.
    span_count: usize,
    /// The earliest start of a span, in milliseconds since the Unix epoch.
    first_seen_ms: u64,
    /// The latest end of a span, in milliseconds since the Unix epoch.
    last_seen_ms: u64,
    /// The time from the earliest start to the latest end, in milliseconds.
    duration_ms: u64,
    /// The number of spans with the status `error`.
    error_count: usize,
}

/// Accumulates the spans of a group. Times are in nanoseconds since the Unix epoch.
struct GroupAccumulator {
    label: Option<String>,
    traces: BTreeSet<TraceId>,
    spans: usize,
    first: u64,
    last: u64,
    errors: usize,
}

impl GroupAccumulator {
    fn new() -> Self {
        Self { label: None, traces: BTreeSet::new(), spans: 0, first: u64::MAX, last: 0, errors: 0 }
    }

    fn add(&mut self, span: &Span, label_attribute: Option<&str>) {
        if self.label.is_none() {
            let label = label_attribute.and_then(|key| span.attribute(key));
            self.label = label.map(str::to_owned);
        }
        self.traces.insert(span.trace_id);
        self.spans += 1;
        self.first = self.first.min(span.start);
        self.last = self.last.max(span.end.max(span.start));
        self.errors += usize::from(span.status == SpanStatus::Error);
    }

    fn finish(self, value: String) -> SpanGroup {
        SpanGroup {
            value,
            label: self.label,
            trace_ids: self.traces.iter().map(ToString::to_string).collect(),
            span_count: self.spans,
            first_seen_ms: self.first / 1_000_000,
            last_seen_ms: self.last / 1_000_000,
            duration_ms: (self.last - self.first) / 1_000_000,
            error_count: self.errors,
        }
    }
}

impl TraceGroupByInput {
    /// Runs the query.
    pub(super) fn run(&self, traces: &Traces) -> TraceGroupByOutput {
        let since = self.since_ms.unwrap_or(0).saturating_mul(1_000_000);
        let mut groups: HashMap<String, GroupAccumulator> = HashMap::new();
        for span in traces.all() {
            if span.start < since || (self.include_internal != Some(true) && span.is_internal()) {
                continue;
            }
            let Some(value) = span.attribute(&self.attribute) else { continue };
            groups
                .entry(value.to_owned())
                .or_insert_with(GroupAccumulator::new)
                .add(&span, self.label_attribute.as_deref());
        }
        let mut groups: Vec<SpanGroup> =
            groups.into_iter().map(|(value, group)| group.finish(value)).collect();
        groups.sort_by(|a, b| (b.last_seen_ms, &a.value).cmp(&(a.last_seen_ms, &b.value)));
        groups.truncate(self.limit.unwrap_or(100));
        TraceGroupByOutput { groups, storage: traces.storage() }
    }
}
