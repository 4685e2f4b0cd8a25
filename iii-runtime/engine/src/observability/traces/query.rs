//! `engine::traces::list`: which spans are asked for, in which order (protocol section 6.7).

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::span::{Shown, Span};
use super::{Storage, Traces};
use crate::observability::traces::TraceId;

/// The input of `engine::traces::list`. What is absent matches everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct List {
    /// The trace.
    trace_id: Option<String>,
    /// The traces, any of them.
    trace_ids: Option<Vec<String>>,
    /// How many to leave out. Default 0.
    offset: Option<usize>,
    /// How many at most. Default 100.
    limit: Option<usize>,
    /// A part of the service's name, in capitals or not.
    service_name: Option<String>,
    /// A part of the span's name, in capitals or not.
    name: Option<String>,
    /// A part of `ok`, `error` or `unset`.
    status: Option<String>,
    /// Milliseconds that it took at least.
    min_duration_ms: Option<f64>,
    /// Milliseconds that it took at most.
    max_duration_ms: Option<f64>,
    /// Milliseconds since 1970; spans that began earlier are left out.
    start_time: Option<u64>,
    /// Milliseconds since 1970; spans that began later are left out.
    end_time: Option<u64>,
    /// Default `start_time`.
    sort_by: Option<SortBy>,
    /// Default `asc`.
    sort_order: Option<SortOrder>,
    /// Names and values that it must have, all of them.
    attributes: Option<Vec<(String, String)>>,
    /// Names and values of which it must have none.
    exclude_attributes: Option<Vec<(String, String)>>,
    /// Whether spans about functions of the engine itself are shown. Default false.
    include_internal: Option<bool>,
    /// Whether all spans are looked at. Default false: only those that begin a trace, as far as it is known here.
    search_all_spans: Option<bool>,
}

#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SortBy {
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

/// The spans of a query.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Page {
    /// The spans.
    spans: Vec<Shown>,
    /// How many match in all.
    total: usize,
    /// How many were left out.
    offset: usize,
    /// How many are here at most.
    limit: usize,
    /// What is kept, and what is not.
    storage: Storage,
}

impl List {
    /// The spans that it can be about.
    fn candidates(&self, traces: &Traces) -> Vec<Arc<Span>> {
        if self.trace_id.is_none() && self.trace_ids.is_none() {
            return traces.all();
        }
        // Both given: a trace must be in both.
        let both =
            |id: &&String| self.trace_id.as_ref().is_none_or(|one| one.eq_ignore_ascii_case(id));
        let mut ids: Vec<TraceId> = match &self.trace_ids {
            Some(ids) => ids.iter().filter(both).filter_map(|id| TraceId::read(id)).collect(),
            None => self.trace_id.iter().filter_map(|id| TraceId::read(id)).collect(),
        };
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().flat_map(|id| traces.of_trace(id)).collect()
    }

    fn matches(&self, span: &Span) -> bool {
        let nanos = |ms: u64| ms.saturating_mul(1_000_000);
        let part = |wanted: &Option<String>, text: &str| {
            let wanted = wanted.as_ref().map(|wanted| wanted.to_lowercase());
            wanted.is_none_or(|wanted| text.to_lowercase().contains(&wanted))
        };
        let has = |(key, value): &(String, String)| {
            span.attributes.iter().any(|(k, v)| **k == **key && **v == **value)
        };
        (self.include_internal == Some(true) || !span.is_internal())
            && self.start_time.is_none_or(|start| span.start >= nanos(start))
            && self.end_time.is_none_or(|end| span.start <= nanos(end).saturating_add(999_999))
            && self.min_duration_ms.is_none_or(|least| span.millis() >= least)
            && self.max_duration_ms.is_none_or(|most| span.millis() <= most)
            && part(&self.service_name, &span.service_name)
            && part(&self.name, &span.name)
            && part(&self.status, span.status.word())
            && self.attributes.iter().flatten().all(has)
            && !self.exclude_attributes.iter().flatten().any(has)
    }

    /// Answers the query.
    pub(super) fn answer(&self, traces: &Traces) -> Page {
        let mut spans = self.candidates(traces);
        if self.search_all_spans != Some(true) {
            let known: HashSet<_> = spans.iter().map(|one| (one.trace_id, one.span_id)).collect();
            spans.retain(|one| is_root(one, |parent| known.contains(&(one.trace_id, parent))));
        }
        spans.retain(|span| self.matches(span));
        match self.sort_by.unwrap_or(SortBy::StartTime) {
            SortBy::StartTime => spans.sort_by_key(|span| span.start),
            SortBy::Duration => spans.sort_by(|a, b| a.millis().total_cmp(&b.millis())),
            SortBy::ServiceName => spans.sort_by(|a, b| a.service_name.cmp(&b.service_name)),
            SortBy::Name => spans.sort_by(|a, b| a.name.cmp(&b.name)),
        }
        if self.sort_order == Some(SortOrder::Desc) {
            spans.reverse();
        }
        let (offset, limit) = (self.offset.unwrap_or(0), self.limit.unwrap_or(100));
        Page {
            total: spans.len(),
            spans: spans.into_iter().skip(offset).take(limit).map(Shown).collect(),
            offset,
            limit,
            storage: traces.storage(),
        }
    }
}

/// Whether a span begins its trace. A parent that is not known here counts as none: it may be the span of a browser, or
/// one that came and had to give way.
pub(super) fn is_root(span: &Span, is_known: impl FnOnce(super::id::SpanId) -> bool) -> bool {
    span.parent.is_none_or(|parent| !is_known(parent))
}
