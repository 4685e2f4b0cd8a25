//! `engine::traces::group_by`: spans by the value of one of their attributes.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{Storage, Traces};

/// The input of `engine::traces::group_by`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(super) struct By {
    /// The attribute.
    attribute: String,
    /// Milliseconds since 1970; spans that began earlier are left out.
    since_ms: Option<u64>,
    /// How many groups at most. Default 100.
    limit: Option<usize>,
    /// Whether spans about functions of the engine itself count. Default false.
    include_internal: Option<bool>,
    /// The attribute whose value is the label of a group.
    label_attribute: Option<String>,
}

/// The groups, the one with the newest span first.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// What is kept, and what is not.
    storage: Storage,
}

/// The spans of one value.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Group {
    /// The value.
    value: String,
    /// The label, of the first span that has one.
    label: Option<String>,
    /// The traces of the spans.
    trace_ids: Vec<String>,
    /// How many spans there are.
    span_count: usize,
    /// When the first one began, in milliseconds since 1970.
    first_seen_ms: u64,
    /// When the last one ended.
    last_seen_ms: u64,
    /// From the first to the last.
    duration_ms: u64,
    /// How many ended in an error.
    error_count: usize,
}

#[derive(Default)]
struct Gathered {
    label: Option<String>,
    traces: BTreeSet<super::TraceId>,
    spans: usize,
    first: u64,
    last: u64,
    errors: usize,
}

impl By {
    /// Groups the spans.
    pub(super) fn answer(&self, traces: &Traces) -> Groups {
        let since = self.since_ms.unwrap_or(0).saturating_mul(1_000_000);
        let mut found: HashMap<String, Gathered> = HashMap::new();
        for span in traces.all() {
            if span.start < since || (self.include_internal != Some(true) && span.is_internal()) {
                continue;
            }
            let Some(value) = span.attribute(&self.attribute) else { continue };
            if !found.contains_key(value) {
                let first = Gathered { first: u64::MAX, ..Gathered::default() };
                found.insert(value.to_owned(), first);
            }
            let Some(group) = found.get_mut(value) else { continue };
            let label = self.label_attribute.as_deref().and_then(|name| span.attribute(name));
            if group.label.is_none() {
                group.label = label.map(str::to_owned);
            }
            group.traces.insert(span.trace_id);
            group.spans += 1;
            group.first = group.first.min(span.start);
            group.last = group.last.max(span.end.max(span.start));
            group.errors += usize::from(span.status == super::Status::Error);
        }
        let mut groups: Vec<Group> = found
            .into_iter()
            .map(|(value, group)| Group {
                value,
                label: group.label,
                trace_ids: group.traces.iter().map(ToString::to_string).collect(),
                span_count: group.spans,
                first_seen_ms: group.first / 1_000_000,
                last_seen_ms: group.last / 1_000_000,
                duration_ms: (group.last - group.first) / 1_000_000,
                error_count: group.errors,
            })
            .collect();
        groups.sort_by(|a, b| (b.last_seen_ms, &a.value).cmp(&(a.last_seen_ms, &b.value)));
        groups.truncate(self.limit.unwrap_or(100));
        Groups { groups, storage: traces.storage() }
    }
}
