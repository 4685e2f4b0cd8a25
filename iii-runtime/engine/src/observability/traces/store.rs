//! The store of recent spans, limited by count and memory and indexed by trace.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::id::{SpanId, TraceId};
use super::span::Span;

/// Spans in the order of their arrival.
pub(super) struct SpanStore {
    spans: VecDeque<Arc<Span>>,
    /// The sequence number of the first span. Numbers are consecutive.
    first: u64,
    /// The sequence number of each span.
    index: BTreeMap<(TraceId, SpanId), u64>,
    bytes: usize,
    max_spans: usize,
    max_bytes: usize,
    dropped: u64,
}

impl SpanStore {
    /// Creates an empty store.
    pub(super) fn new(max_spans: usize, max_bytes: usize) -> Self {
        Self {
            spans: VecDeque::new(),
            first: 0,
            index: BTreeMap::new(),
            bytes: 0,
            max_spans,
            max_bytes,
            dropped: 0,
        }
    }

    /// Adds a span. Replaces the span with the same id, except that a pending span does not replace an ended one. Evicts
    /// the oldest spans beyond the limits.
    pub(super) fn push(&mut self, span: Arc<Span>) {
        let key = (span.trace_id, span.span_id);
        self.bytes += span.bytes();
        match self.index.get(&key) {
            Some(number) => {
                let position = usize::try_from(number - self.first).expect("a stored span");
                let old = &mut self.spans[position];
                if span.is_pending() && !old.is_pending() {
                    self.bytes -= span.bytes();
                } else {
                    self.bytes -= old.bytes();
                    *old = span;
                }
            }
            None => {
                self.index.insert(key, self.first + self.spans.len() as u64);
                self.spans.push_back(span);
            }
        }
        while self.spans.len() > self.max_spans || self.bytes > self.max_bytes {
            let Some(oldest) = self.spans.pop_front() else { break };
            self.index.remove(&(oldest.trace_id, oldest.span_id));
            self.first += 1;
            self.bytes -= oldest.bytes();
            self.dropped += 1;
        }
    }

    /// Returns all spans, the oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Span>> {
        self.spans.iter().cloned().collect()
    }

    /// Returns the spans of a trace, ordered by id.
    pub(super) fn of_trace(&self, id: TraceId) -> Vec<Arc<Span>> {
        let range = (id, SpanId(0))..=(id, SpanId(u64::MAX));
        let position = |number: &u64| usize::try_from(number - self.first).ok();
        let numbers = self.index.range(range).map(|(_, number)| number);
        numbers.filter_map(|number| self.spans.get(position(number)?).cloned()).collect()
    }

    /// Returns the number of spans.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns the memory of the spans, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of dropped spans.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts invalid spans as dropped.
    pub(super) fn count_dropped(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Removes all spans and resets the number of dropped ones.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.max_spans, self.max_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::span;
    use super::*;

    #[test]
    fn oldest_spans_are_evicted_and_counted() {
        let mut store = SpanStore::new(3, 1 << 20);
        for n in 1..=5 {
            store.push(Arc::new(span(1, n, None)));
        }
        assert_eq!((store.len(), store.dropped()), (3, 2));
        let ids: Vec<_> = store.of_trace(TraceId(1)).iter().map(|span| span.span_id.0).collect();
        assert_eq!(ids, [3, 4, 5]);
        let one = store.bytes() / 3;
        let mut store = SpanStore::new(1000, one * 2);
        for n in 1..=5 {
            store.push(Arc::new(span(1, n, None)));
        }
        assert_eq!((store.len(), store.bytes()), (2, one * 2));
        store.clear();
        assert_eq!((store.len(), store.bytes(), store.dropped()), (0, 0, 0));
    }

    #[test]
    fn ended_span_replaces_the_pending_span() {
        let mut store = SpanStore::new(10, 1 << 20);
        let pending = |n| Span { end: 0, ..span(1, n, None) };
        store.push(Arc::new(pending(1)));
        store.push(Arc::new(span(1, 2, None)));
        store.push(Arc::new(span(1, 1, None)));
        assert!(store.all().iter().all(|span| !span.is_pending()));
        store.push(Arc::new(pending(1)));
        assert!(!store.of_trace(TraceId(1))[0].is_pending(), "the ended span is not replaced");
        let bytes: usize = store.all().iter().map(|span| span.bytes()).sum();
        assert_eq!((store.len(), store.bytes()), (2, bytes));
    }
}
