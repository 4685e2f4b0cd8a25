//! Traces: the spans that workers send, kept in memory, and the functions that look at them (protocol section 6.7).

mod group;
mod id;
mod query;
mod redact;
mod span;
mod store;
mod tree;
mod watch;

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::settings::{Sampling, TraceSettings};
use crate::provider::BuiltIn;
use iii_wire::protocol::ErrorBody;
use iii_wire::sync::lock;

pub(super) use id::{SpanId, TraceId};
pub(super) use redact::redacted;
pub(super) use span::{Event, Link, Shown, Span, Status};
pub(super) use watch::{TraceConfig, TraceEvent, Watch};

use group::By;
use query::List;
use store::Store;
use tree::Wanted;

/// Above so many spans a query is answered by another thread, so that it holds up nobody else.
const LONG: usize = 4_096;

/// What is kept, and what is not. There is no archive on disk here: its fields say so.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Storage {
    /// Always `disabled`.
    archive: &'static str,
    /// `complete`, or `partial` once spans were dropped.
    completeness: &'static str,
    /// Spans that had to give way to newer ones, or could not be read.
    known_dropped_spans: u64,
    /// Always null.
    last_error: Option<()>,
    /// Always 0.
    max_disk_bytes: u64,
    /// Always 0.
    physical_bytes: u64,
}

/// The input of functions that need none.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// The answer of `engine::traces::clear`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Cleared {
    /// Always true.
    success: bool,
}

/// The spans of one engine.
pub(super) struct Traces {
    store: Mutex<Store>,
    sampling: Sampling,
    live: bool,
}

impl Traces {
    /// Without spans.
    pub(super) fn new(settings: &TraceSettings) -> Self {
        Self {
            store: Mutex::new(Store::new(settings.max_spans, settings.max_bytes)),
            sampling: settings.sampling.clone(),
            live: settings.live_spans,
        }
    }

    /// Keeps those spans that are to be kept, and gives them back.
    pub(super) fn keep(&self, spans: Vec<Span>) -> Vec<Arc<Span>> {
        let kept: Vec<Arc<Span>> = spans
            .into_iter()
            .filter(|span| self.live || !span.is_pending())
            .filter(|span| self.sampling.keeps(span.trace_id.0, &span.name, &span.service_name))
            .map(Arc::new)
            .collect();
        let mut store = lock(&self.store);
        for span in &kept {
            store.push(span.clone());
        }
        kept
    }

    /// Notes spans that could not be read.
    pub(super) fn note_dropped(&self, count: u64) {
        lock(&self.store).note_dropped(count);
    }

    /// How many there are, and what they cost in bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        let store = lock(&self.store);
        (store.len(), store.bytes())
    }

    /// What is kept, and what is not.
    pub(super) fn storage(&self) -> Storage {
        let dropped = lock(&self.store).dropped();
        Storage {
            archive: "disabled",
            completeness: if dropped == 0 { "complete" } else { "partial" },
            known_dropped_spans: dropped,
            last_error: None,
            max_disk_bytes: 0,
            physical_bytes: 0,
        }
    }

    fn all(&self) -> Vec<Arc<Span>> {
        lock(&self.store).all()
    }

    fn of_trace(&self, id: TraceId) -> Vec<Arc<Span>> {
        lock(&self.store).of_trace(id)
    }

    /// The functions that look at traces.
    pub(super) fn functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        let (list, tree, groups, clear) = (self.clone(), self.clone(), self.clone(), self.clone());
        vec![
            BuiltIn::typed(
                "engine::traces::list",
                "Lists the spans that begin traces, or all of them.",
                move |input: List, _| list.clone().answered(move |traces| input.answer(traces)),
            ),
            BuiltIn::typed(
                "engine::traces::tree",
                "Shows a trace as a tree of spans.",
                move |input: Wanted, _| tree.clone().answered(move |traces| input.answer(traces)),
            ),
            BuiltIn::typed(
                "engine::traces::group_by",
                "Groups spans by an attribute.",
                move |input: By, _| groups.clone().answered(move |traces| input.answer(traces)),
            ),
            BuiltIn::sync("engine::traces::clear", "Forgets all spans.", move |_: Nothing, _| {
                lock(&clear.store).clear();
                Ok(Some(Cleared { success: true }))
            }),
        ]
    }

    /// Answers a query, by another thread if that can take long.
    async fn answered<O: Send + 'static>(
        self: Arc<Self>,
        answer: impl FnOnce(&Self) -> O + Send + 'static,
    ) -> Result<Option<O>, ErrorBody> {
        if self.size().0 <= LONG {
            return Ok(Some(answer(&self)));
        }
        let answered = tokio::task::spawn_blocking(move || answer(&self)).await;
        // It fails only by a panic, which goes on where panics of built-in functions are answered.
        Ok(Some(answered.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))))
    }
}

#[cfg(test)]
mod testing {
    //! Spans for tests.

    use super::*;

    /// A span that began at its own id in milliseconds, and took one.
    pub(super) fn span(trace: u128, id: u64, parent: Option<u64>) -> Span {
        Span {
            trace_id: TraceId(trace),
            span_id: SpanId(id),
            parent: parent.map(SpanId),
            name: format!("span {id}").into(),
            start: id * 1_000_000,
            end: (id + 1) * 1_000_000,
            status: Status::Unset,
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
