//! Publishes new spans to the streams of developer tools, if they have subscribers ([protocol 10.4](iii_wire::protocol#s10-4)).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::traces::{SharedSpan, Span};
use crate::broker::{Broker, Request};
use crate::function_ids::STREAM_SEND;
use crate::provider::to_payload;
use crate::tasks::Tasks;
use iii_wire::sync::lock;

/// How long spans are batched before they are published.
const BATCH_INTERVAL: Duration = Duration::from_millis(300);
/// Maximum number of spans in a batch. Further spans of the interval are dropped.
const MAX_BATCH_SPANS: usize = 1_000;
/// The group of the streams that are not grouped by trace.
const ALL_GROUP: &str = "all";
/// The stream of root spans.
const TRACE_ROWS_STREAM: &str = "iii:devtools:trace-rows";
/// The stream of all spans.
const ALL_SPANS_STREAM: &str = "iii:devtools:all-spans";
/// The stream of the spans of one trace, with the trace id as the group.
const TRACE_SPANS_STREAM: &str = "iii:devtools:trace-spans";

/// Returns whether a stream has subscribers.
pub(crate) type SubscriptionCheck = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Input of `stream::send`.
#[derive(Serialize)]
struct PublishSpansInput<'a> {
    stream_name: &'static str,
    group_id: &'a str,
    r#type: &'static str,
    data: SpansData,
}

#[derive(Serialize)]
struct SpansData {
    spans: Vec<SharedSpan>,
}

#[derive(Default)]
struct PendingBatch {
    spans: Vec<Arc<Span>>,
    /// Whether a task is waiting to publish the batch.
    scheduled: bool,
}

/// Publishes batches of new spans.
pub(super) struct LiveSpans {
    broker: Broker,
    has_subscribers: SubscriptionCheck,
    pending: Mutex<PendingBatch>,
    tasks: Tasks,
}

impl LiveSpans {
    /// Creates a publisher.
    pub(super) fn new(broker: Broker, has_subscribers: SubscriptionCheck) -> Self {
        Self { broker, has_subscribers, pending: Mutex::default(), tasks: Tasks::default() }
    }

    /// Adds stored spans to the batch. Without subscribers it only checks for them.
    pub(super) fn on_spans(self: &Arc<Self>, spans: &[Arc<Span>]) {
        let streams = [TRACE_ROWS_STREAM, ALL_SPANS_STREAM, TRACE_SPANS_STREAM];
        if !streams.into_iter().any(|stream| (self.has_subscribers)(stream)) {
            return;
        }
        let mut pending = lock(&self.pending);
        let capacity = MAX_BATCH_SPANS.saturating_sub(pending.spans.len());
        pending.spans.extend(spans.iter().take(capacity).cloned());
        if !std::mem::replace(&mut pending.scheduled, true) {
            let this = self.clone();
            self.tasks.spawn(async move {
                tokio::time::sleep(BATCH_INTERVAL).await;
                this.publish();
            });
        }
    }

    /// Cancels the pending batch.
    pub(super) fn stop(&self) {
        self.tasks.abort();
    }

    fn publish(&self) {
        let spans = std::mem::take(&mut *lock(&self.pending)).spans;
        let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_none()).cloned().collect();
        let mut traces: BTreeMap<String, Vec<Arc<Span>>> = BTreeMap::new();
        if (self.has_subscribers)(TRACE_SPANS_STREAM) {
            for span in &spans {
                traces.entry(span.trace_id.to_string()).or_default().push(span.clone());
            }
        }
        self.send(TRACE_ROWS_STREAM, ALL_GROUP, roots);
        self.send(ALL_SPANS_STREAM, ALL_GROUP, spans);
        for (trace, spans) in traces {
            self.send(TRACE_SPANS_STREAM, &trace, spans);
        }
    }

    fn send(&self, stream_name: &'static str, group_id: &str, spans: Vec<Arc<Span>>) {
        if spans.is_empty() || !(self.has_subscribers)(stream_name) {
            return;
        }
        let data = SpansData { spans: spans.into_iter().map(SharedSpan).collect() };
        let input = PublishSpansInput { stream_name, group_id, r#type: "spans", data };
        let Ok(data) = to_payload(&input) else { return };
        self.broker.fire(Request {
            namespace: Default::default(),
            function_id: STREAM_SEND.into(),
            data,
            metadata: None,
            traceparent: None,
            baggage: None,
        });
    }
}
