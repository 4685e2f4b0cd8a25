//! What handlers of `log` and `trace` triggers do themselves does not fire them again.
//!
//! Each firing is a trace of its own, which the handler hands on to all that it does: SDKs put its id on their spans,
//! their log records and their calls. A record or span of such a trace fires only bindings that have not taken part in
//! what led to it. So a chain of handlers ends at the latest when each has run once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::traces::{SpanId, TraceId};
use iii_wire::protocol::TriggerId;
use iii_wire::sync::lock;

/// Firings that are remembered.
const REMEMBERED: usize = 10_000;

/// The traces of the newest firings, and which bindings led to each.
#[derive(Default)]
pub(super) struct Chains {
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    bindings: HashMap<TraceId, Arc<[TriggerId]>>,
    order: VecDeque<TraceId>,
}

impl Chains {
    /// Whether a binding has led to what belongs to a trace.
    pub(super) fn led_to(&self, trace: TraceId, binding: &TriggerId) -> bool {
        let recent = lock(&self.recent);
        recent.bindings.get(&trace).is_some_and(|bindings| bindings.contains(binding))
    }

    /// Begins the trace of a firing that is due to something in `causes`. Its `traceparent`.
    pub(super) fn begin(
        &self,
        causes: impl IntoIterator<Item = TraceId>,
        binding: &TriggerId,
    ) -> String {
        let trace = TraceId::random();
        let mut recent = lock(&self.recent);
        let mut bindings = vec![binding.clone()];
        for cause in causes {
            for one in recent.bindings.get(&cause).into_iter().flat_map(|known| known.iter()) {
                if !bindings.contains(one) {
                    bindings.push(one.clone());
                }
            }
        }
        recent.bindings.insert(trace, bindings.into());
        recent.order.push_back(trace);
        if recent.order.len() > REMEMBERED
            && let Some(oldest) = recent.order.pop_front()
        {
            recent.bindings.remove(&oldest);
        }
        format!("00-{trace}-{}-01", SpanId::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_knows_all_that_led_to_it() {
        let chains = Chains::default();
        let begin = |causes: &[TraceId], binding: &str| {
            let header = chains.begin(causes.iter().copied(), &binding.into());
            TraceId::of_traceparent(&header).unwrap()
        };
        let first = begin(&[TraceId(7)], "a");
        let second = begin(&[first], "b");
        assert!(chains.led_to(first, &"a".into()) && !chains.led_to(first, &"b".into()));
        assert!(chains.led_to(second, &"a".into()) && chains.led_to(second, &"b".into()));
        assert!(!chains.led_to(TraceId(7), &"a".into()));
        for _ in 0..REMEMBERED {
            begin(&[], "c");
        }
        assert!(!chains.led_to(second, &"a".into()), "the oldest is forgotten");
    }
}
