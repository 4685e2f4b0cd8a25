//! The function `engine::traces::list` ([protocol 6.7](iii_wire::protocol#s6-7)).

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{SpanId, TraceId};
use super::span::{SharedSpan, Span};
use super::{TraceStorage, Traces};
use crate::observability::nanos_range;

/// Input of `engine::traces::list`. An absent filter matches everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct TraceListInput {
    /// The trace id.
    trace_id: Option<String>,
    /// The trace ids.
    trace_ids: Option<Vec<String>>,
    /// The number of spans to skip. Default: 0.
    offset: Option<usize>,
    /// The maximum number of spans. Default: 100.
    limit: Option<usize>,
    /// A substring of the service name. Ignores case.
    service_name: Option<String>,
    /// A substring of the span name. Ignores case.
    name: Option<String>,
    /// A substring of the status `ok`, `error` or `unset`. Ignores case.
    status: Option<String>,
    /// The minimum duration, in milliseconds.
    min_duration_ms: Option<f64>,
    /// The maximum duration, in milliseconds.
    max_duration_ms: Option<f64>,
    /// The earliest start, in milliseconds since the Unix epoch.
    start_time: Option<u64>,
    /// The latest start, in milliseconds since the Unix epoch.
    end_time: Option<u64>,
    /// The sort key. Default: `start_time`.
    sort_by: Option<SpanSortKey>,
    /// The sort order. Default: `asc`.
    sort_order: Option<SortOrder>,
    /// Attributes that the span must have, as pairs of key and value.
    attributes: Option<Vec<(String, String)>>,
    /// Attributes that the span must not have, as pairs of key and value.
    exclude_attributes: Option<Vec<(String, String)>>,
    /// Whether to include spans of functions of the engine. Default: false.
    include_internal: Option<bool>,
    /// Whether to search all spans. Default: false, which searches root spans only.
    search_all_spans: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SpanSortKey {
    StartTime,
    #[serde(alias = "duration_ms")]
    Duration,
    ServiceName,
    Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SortOrder {
    Asc,
    Desc,
}

/// Output of `engine::traces::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct TraceListOutput {
    /// The spans.
    spans: Vec<SharedSpan>,
    /// The number of all matching spans.
    total: usize,
    /// The number of skipped spans.
    offset: usize,
    /// The maximum number of spans.
    limit: usize,
    /// The completeness of the stored spans.
    storage: TraceStorage,
}

impl TraceListInput {
    /// Returns the spans of the requested traces, or all spans.
    fn candidates(&self, traces: &Traces) -> Vec<Arc<Span>> {
        if self.trace_id.is_none() && self.trace_ids.is_none() {
            return traces.all();
        }
        // If both filters are set, a trace must match both.
        let matches_id = |id: &&String| {
            self.trace_id.as_ref().is_none_or(|filter| filter.eq_ignore_ascii_case(id))
        };
        let parse = |id: &String| TraceId::parse(id);
        let mut ids: Vec<TraceId> = match &self.trace_ids {
            Some(ids) => ids.iter().filter(matches_id).filter_map(parse).collect(),
            None => self.trace_id.iter().filter_map(parse).collect(),
        };
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().flat_map(|id| traces.of_trace(id)).collect()
    }

    fn matches(&self, span: &Span) -> bool {
        let contains = |filter: &Option<String>, text: &str| {
            let filter = filter.as_ref().map(|filter| filter.to_lowercase());
            filter.is_none_or(|filter| text.to_lowercase().contains(&filter))
        };
        let has_attribute = |(key, value): &(String, String)| {
            span.attributes.iter().any(|(k, v)| **k == **key && **v == **value)
        };
        (self.include_internal == Some(true) || !span.is_internal())
            && nanos_range(self.start_time, self.end_time).contains(&span.start)
            && self.min_duration_ms.is_none_or(|min| span.duration_ms() >= min)
            && self.max_duration_ms.is_none_or(|max| span.duration_ms() <= max)
            && contains(&self.service_name, &span.service_name)
            && contains(&self.name, &span.name)
            && contains(&self.status, span.status.as_str())
            && self.attributes.iter().flatten().all(has_attribute)
            && !self.exclude_attributes.iter().flatten().any(has_attribute)
    }

    /// Runs the query.
    pub(super) fn run(&self, traces: &Traces) -> TraceListOutput {
        let mut spans = self.candidates(traces);
        if self.search_all_spans != Some(true) {
            let ids: HashSet<_> = spans.iter().map(|span| (span.trace_id, span.span_id)).collect();
            spans.retain(|span| is_root(span, |parent| ids.contains(&(span.trace_id, parent))));
        }
        spans.retain(|span| self.matches(span));
        match self.sort_by.unwrap_or(SpanSortKey::StartTime) {
            SpanSortKey::StartTime => spans.sort_by_key(|span| span.start),
            SpanSortKey::Duration => {
                spans.sort_by(|a, b| a.duration_ms().total_cmp(&b.duration_ms()));
            }
            SpanSortKey::ServiceName => spans.sort_by(|a, b| a.service_name.cmp(&b.service_name)),
            SpanSortKey::Name => spans.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        if self.sort_order == Some(SortOrder::Desc) {
            spans.reverse();
        }
        let (offset, limit) = (self.offset.unwrap_or(0), self.limit.unwrap_or(100));
        TraceListOutput {
            total: spans.len(),
            spans: spans.into_iter().skip(offset).take(limit).map(SharedSpan).collect(),
            offset,
            limit,
            storage: traces.storage(),
        }
    }
}

/// Returns whether a span is a root span. A span whose parent is not stored is one too: the parent may be a span of a
/// browser, or evicted.
pub(super) fn is_root(span: &Span, is_stored: impl FnOnce(SpanId) -> bool) -> bool {
    span.parent.is_none_or(|parent| !is_stored(parent))
}
