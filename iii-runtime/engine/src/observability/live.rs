//! New spans for developer tools, on streams (protocol section 10.4): told only to those who are subscribed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::traces::{Shown, Span};
use crate::broker::{Broker, Request};
use crate::provider::to_payload;
use crate::stream::Streams;
use crate::tasks::Tasks;
use iii_wire::sync::lock;

/// How long spans are collected before they are told.
const COLLECT: Duration = Duration::from_millis(300);
/// Spans that are told at once; what comes beyond them in the same time is not.
const MOST: usize = 1_000;
/// The group of what is told to all.
const ALL: &str = "all";
/// Spans that begin traces.
const ROWS: &str = "iii:devtools:trace-rows";
/// All spans.
const SPANS: &str = "iii:devtools:all-spans";
/// The spans of one trace, whose id is the group.
const TRACE: &str = "iii:devtools:trace-spans";

/// The input of `stream::send`.
#[derive(Serialize)]
struct Send<'a> {
    stream_name: &'static str,
    group_id: &'a str,
    r#type: &'static str,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    spans: Vec<Shown>,
}

#[derive(Default)]
struct Waiting {
    spans: Vec<Arc<Span>>,
    /// Whether a task waits to tell what was collected.
    collecting: bool,
}

/// Who tells new spans to streams.
pub(super) struct Live {
    broker: Broker,
    streams: Arc<Streams>,
    waiting: Mutex<Waiting>,
    tasks: Tasks,
}

impl Live {
    /// For the subscribers of `streams`.
    pub(super) fn new(broker: Broker, streams: Arc<Streams>) -> Self {
        Self { broker, streams, waiting: Mutex::default(), tasks: Tasks::default() }
    }

    /// Hears of spans that were kept. Costs one look where nobody is subscribed.
    pub(super) fn notice(self: &Arc<Self>, spans: &[Arc<Span>]) {
        if ![ROWS, SPANS, TRACE].into_iter().any(|stream| self.streams.is_subscribed(stream)) {
            return;
        }
        let mut waiting = lock(&self.waiting);
        let free = MOST.saturating_sub(waiting.spans.len());
        waiting.spans.extend(spans.iter().take(free).cloned());
        if !std::mem::replace(&mut waiting.collecting, true) {
            let live = self.clone();
            self.tasks.spawn(async move {
                tokio::time::sleep(COLLECT).await;
                live.tell();
            });
        }
    }

    /// Ends what is collecting.
    pub(super) fn stop(&self) {
        self.tasks.abort();
    }

    fn tell(&self) {
        let spans = std::mem::take(&mut *lock(&self.waiting)).spans;
        let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_none()).cloned().collect();
        let mut traces: BTreeMap<String, Vec<Arc<Span>>> = BTreeMap::new();
        if self.streams.is_subscribed(TRACE) {
            for span in &spans {
                traces.entry(span.trace_id.to_string()).or_default().push(span.clone());
            }
        }
        self.send(ROWS, ALL, roots);
        self.send(SPANS, ALL, spans);
        for (trace, spans) in traces {
            self.send(TRACE, &trace, spans);
        }
    }

    fn send(&self, stream_name: &'static str, group_id: &str, spans: Vec<Arc<Span>>) {
        if spans.is_empty() || !self.streams.is_subscribed(stream_name) {
            return;
        }
        let data = Data { spans: spans.into_iter().map(Shown).collect() };
        let Ok(data) = to_payload(&Send { stream_name, group_id, r#type: "spans", data }) else {
            return;
        };
        self.broker.fire(Request {
            namespace: Default::default(),
            function_id: "stream::send".into(),
            data,
            metadata: None,
            traceparent: None,
            baggage: None,
        });
    }
}
