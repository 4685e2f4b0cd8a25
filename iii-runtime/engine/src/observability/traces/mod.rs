//! Traces: the store of the spans that workers export, its functions, and `trace` triggers ([protocol 5.9](iii_wire::protocol#s5-9), [6.7](iii_wire::protocol#s6-7)).

mod group_by;
mod id;
mod list;
mod redact;
mod span;
mod store;
mod tree;
mod triggers;

use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::settings::{Sampling, TraceSettings};
use super::{ClearOutput, NoInput};
use crate::provider::BuiltIn;
use iii_wire::protocol::ErrorBody;
use iii_wire::sync::lock;

pub(super) use id::{SpanId, TraceId};
pub(super) use redact::redacted_attribute;
pub(super) use span::{SharedSpan, Span, SpanAttributes, SpanEvent, SpanLink, SpanStatus};
pub(super) use triggers::{TraceTriggerConfig, TraceTriggerPayload, TraceTriggers};

use group_by::TraceGroupByInput;
use list::TraceListInput;
use store::SpanStore;
use tree::TraceTreeInput;

/// Above this number of spans, queries run on the blocking thread pool.
const MAX_INLINE_QUERY_SPANS: usize = 4_096;

/// The completeness of the stored spans. This engine has no archive on disk.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct TraceStorage {
    /// Always `disabled`.
    archive: &'static str,
    /// `complete`, or `partial` if spans were dropped.
    completeness: &'static str,
    /// The number of spans that were evicted or invalid.
    known_dropped_spans: u64,
    /// Always null.
    last_error: Option<()>,
    /// Always 0.
    max_disk_bytes: u64,
    /// Always 0.
    physical_bytes: u64,
}

/// The traces of one engine.
pub(super) struct Traces {
    spans: Mutex<SpanStore>,
    sampling: Sampling,
    stores_pending_spans: bool,
}

impl Traces {
    /// Creates an empty store.
    pub(super) fn new(settings: &TraceSettings) -> Self {
        Self {
            spans: Mutex::new(SpanStore::new(settings.max_spans, settings.max_bytes)),
            sampling: settings.sampling.clone(),
            stores_pending_spans: settings.live_spans,
        }
    }

    /// Stores the sampled spans and returns them.
    pub(super) fn store(&self, spans: Vec<Span>) -> Vec<Arc<Span>> {
        let is_sampled =
            |span: &Span| self.sampling.is_sampled(span.trace_id.0, &span.name, &span.service_name);
        let sampled: Vec<Arc<Span>> = spans
            .into_iter()
            .filter(|span| self.stores_pending_spans || !span.is_pending())
            .filter(is_sampled)
            .map(Arc::new)
            .collect();
        let mut store = lock(&self.spans);
        for span in &sampled {
            store.push(span.clone());
        }
        sampled
    }

    /// Counts invalid spans as dropped.
    pub(super) fn count_dropped(&self, count: u64) {
        lock(&self.spans).count_dropped(count);
    }

    /// Returns the number of spans and their memory in bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        let spans = lock(&self.spans);
        (spans.len(), spans.bytes())
    }

    /// Reports the completeness of the stored spans.
    pub(super) fn storage(&self) -> TraceStorage {
        let dropped = lock(&self.spans).dropped();
        TraceStorage {
            archive: "disabled",
            completeness: if dropped == 0 { "complete" } else { "partial" },
            known_dropped_spans: dropped,
            last_error: None,
            max_disk_bytes: 0,
            physical_bytes: 0,
        }
    }

    fn all(&self) -> Vec<Arc<Span>> {
        lock(&self.spans).all()
    }

    fn of_trace(&self, id: TraceId) -> Vec<Arc<Span>> {
        lock(&self.spans).of_trace(id)
    }

    /// Creates the functions `engine::traces::*`.
    pub(super) fn functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let (list, tree, groups, clear) = (self.clone(), self.clone(), self.clone(), self.clone());
        vec![
            BuiltIn::typed(
                "engine::traces::list",
                "Lists root spans or all spans.",
                move |input: TraceListInput, _| {
                    list.clone().run_query(move |traces| input.run(traces))
                },
            ),
            BuiltIn::typed(
                "engine::traces::tree",
                "Returns a trace as a tree of spans.",
                move |input: TraceTreeInput, _| {
                    tree.clone().run_query(move |traces| input.run(traces))
                },
            ),
            BuiltIn::typed(
                "engine::traces::group_by",
                "Groups spans by the value of an attribute.",
                move |input: TraceGroupByInput, _| {
                    groups.clone().run_query(move |traces| input.run(traces))
                },
            ),
            BuiltIn::sync("engine::traces::clear", "Deletes all spans.", move |_: NoInput, _| {
                lock(&clear.spans).clear();
                Ok(Some(ClearOutput { success: true }))
            }),
        ]
    }

    /// Runs a query, on the blocking thread pool if there are many spans.
    async fn run_query<O: Send + 'static>(
        self: Arc<Self>,
        query: impl FnOnce(&Self) -> O + Send + 'static,
    ) -> Result<Option<O>, ErrorBody> {
        if self.size().0 <= MAX_INLINE_QUERY_SPANS {
            return Ok(Some(query(&self)));
        }
        let output = tokio::task::spawn_blocking(move || query(&self)).await;
        // The task fails only by a panic, which resumes here and becomes the error of the built-in function.
        Ok(Some(output.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))))
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    /// A span that starts at its id in milliseconds and takes 1 ms.
    pub(super) fn span(trace: u128, id: u64, parent: Option<u64>) -> Span {
        Span {
            trace_id: TraceId(trace),
            span_id: SpanId(id),
            parent: parent.map(SpanId),
            name: format!("span {id}").into(),
            start: id * 1_000_000,
            end: (id + 1) * 1_000_000,
            status: SpanStatus::Unset,
            status_description: None,
            attributes: Box::default(),
            events: Box::default(),
            links: Box::default(),
            service_name: "svc".into(),
            scope_name: "".into(),
            scope_version: None,
            flags: None,
            trace_state: None,
        }
    }
}
