//! Loop protection of `log` and `trace` triggers: a handler does not fire itself by its own telemetry.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::traces::{SpanId, TraceId};
use iii_wire::protocol::TriggerId;
use iii_wire::sync::lock;

/// Maximum number of remembered firings.
const MAX_FIRINGS: usize = 10_000;

/// The traces of the latest firings, each with the triggers that caused it.
///
/// Each firing starts a trace, which the handler propagates: SDKs attach it to their spans, log records and calls. A
/// record or span of that trace fires only triggers that did not take part in causing it, so that a chain of handlers
/// ends at the latest when each has run once.
#[derive(Default)]
pub(super) struct LoopGuard {
    firings: Mutex<Firings>,
}

#[derive(Default)]
struct Firings {
    causes: HashMap<TraceId, Arc<[TriggerId]>>,
    order: VecDeque<TraceId>,
}

impl LoopGuard {
    /// Returns whether a trigger took part in causing a trace.
    pub(super) fn is_cause(&self, trigger: &TriggerId, trace: TraceId) -> bool {
        let firings = lock(&self.firings);
        firings.causes.get(&trace).is_some_and(|triggers| triggers.contains(trigger))
    }

    /// Starts the trace of a firing that is caused by telemetry of the traces in `causes`. Returns its `traceparent`.
    pub(super) fn start_firing(
        &self,
        causes: impl IntoIterator<Item = TraceId>,
        trigger: &TriggerId,
    ) -> String {
        let trace = TraceId::random();
        let mut firings = lock(&self.firings);
        let mut triggers = vec![trigger.clone()];
        for cause in causes {
            for id in firings.causes.get(&cause).into_iter().flat_map(|known| known.iter()) {
                if !triggers.contains(id) {
                    triggers.push(id.clone());
                }
            }
        }
        firings.causes.insert(trace, triggers.into());
        firings.order.push_back(trace);
        if firings.order.len() > MAX_FIRINGS
            && let Some(oldest) = firings.order.pop_front()
        {
            firings.causes.remove(&oldest);
        }
        format!("00-{trace}-{}-01", SpanId::random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firing_inherits_the_causes_of_its_traces() {
        let guard = LoopGuard::default();
        let fire = |causes: &[TraceId], trigger: &str| {
            let header = guard.start_firing(causes.iter().copied(), &trigger.into());
            TraceId::from_traceparent(&header).unwrap()
        };
        let first = fire(&[TraceId(7)], "a");
        let second = fire(&[first], "b");
        assert!(guard.is_cause(&"a".into(), first) && !guard.is_cause(&"b".into(), first));
        assert!(guard.is_cause(&"a".into(), second) && guard.is_cause(&"b".into(), second));
        assert!(!guard.is_cause(&"a".into(), TraceId(7)));
        for _ in 0..MAX_FIRINGS {
            fire(&[], "c");
        }
        assert!(!guard.is_cause(&"a".into(), second), "the oldest firings are evicted");
    }
}
