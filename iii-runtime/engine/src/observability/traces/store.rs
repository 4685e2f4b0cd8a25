//! The spans that are kept: the newest, up to a number and a size, found by trace.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::id::{SpanId, TraceId};
use super::span::Span;

/// Spans in the order of their arrival.
pub(super) struct Store {
    spans: VecDeque<Arc<Span>>,
    /// The number of the first one in `spans`; each that comes has the next number.
    first: u64,
    /// The number of each span.
    index: BTreeMap<(TraceId, SpanId), u64>,
    bytes: usize,
    most_spans: usize,
    most_bytes: usize,
    dropped: u64,
}

impl Store {
    /// An empty store.
    pub(super) fn new(most_spans: usize, most_bytes: usize) -> Self {
        Self {
            spans: VecDeque::new(),
            first: 0,
            index: BTreeMap::new(),
            bytes: 0,
            most_spans,
            most_bytes,
            dropped: 0,
        }
    }

    /// Keeps a span. One of the same id is replaced, unless that one has ended and this one has not; the oldest give way
    /// if there is no room.
    pub(super) fn push(&mut self, span: Arc<Span>) {
        let key = (span.trace_id, span.span_id);
        self.bytes += span.bytes();
        match self.index.get(&key) {
            Some(number) => {
                let at = usize::try_from(number - self.first).expect("the number of a kept span");
                let old = &mut self.spans[at];
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
        while self.spans.len() > self.most_spans || self.bytes > self.most_bytes {
            let Some(oldest) = self.spans.pop_front() else { break };
            self.index.remove(&(oldest.trace_id, oldest.span_id));
            self.first += 1;
            self.bytes -= oldest.bytes();
            self.dropped += 1;
        }
    }

    /// All spans, the oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Span>> {
        self.spans.iter().cloned().collect()
    }

    /// The spans of a trace, ordered by id.
    pub(super) fn of_trace(&self, id: TraceId) -> Vec<Arc<Span>> {
        let range = (id, SpanId(0))..=(id, SpanId(u64::MAX));
        let at = |number: &u64| usize::try_from(number - self.first).ok();
        let numbers = self.index.range(range).map(|(_, number)| number);
        numbers.filter_map(|number| self.spans.get(at(number)?).cloned()).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// What they cost, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many had to give way, or could not be read.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Notes spans that could not be read.
    pub(super) fn note_dropped(&mut self, count: u64) {
        self.dropped += count;
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.most_spans, self.most_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::span;
    use super::*;

    #[test]
    fn the_oldest_give_way_and_are_counted() {
        let mut store = Store::new(3, 1 << 20);
        for n in 1..=5 {
            store.push(Arc::new(span(1, n, None)));
        }
        assert_eq!((store.len(), store.dropped()), (3, 2));
        let ids: Vec<_> = store.of_trace(TraceId(1)).iter().map(|span| span.span_id.0).collect();
        assert_eq!(ids, [3, 4, 5]);
        let one = store.bytes() / 3;
        let mut store = Store::new(1000, one * 2);
        for n in 1..=5 {
            store.push(Arc::new(span(1, n, None)));
        }
        assert_eq!((store.len(), store.bytes()), (2, one * 2));
        store.clear();
        assert_eq!((store.len(), store.bytes(), store.dropped()), (0, 0, 0));
    }

    #[test]
    fn a_span_that_ends_takes_the_place_of_its_beginning() {
        let mut store = Store::new(10, 1 << 20);
        let begun = |n| Span { end: 0, ..span(1, n, None) };
        store.push(Arc::new(begun(1)));
        store.push(Arc::new(span(1, 2, None)));
        store.push(Arc::new(span(1, 1, None)));
        assert!(store.all().iter().all(|span| !span.is_pending()));
        store.push(Arc::new(begun(1)));
        assert!(!store.of_trace(TraceId(1))[0].is_pending(), "what has ended does not begin again");
        let bytes: usize = store.all().iter().map(|span| span.bytes()).sum();
        assert_eq!((store.len(), store.bytes()), (2, bytes));
    }
}
