//! The trigger type `trace`: fires when traces have new spans ([protocol 5.9](iii_wire::protocol#s5-9)).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::TraceId;
use super::span::Span;
use crate::broker::{Broker, Request};
use crate::observability::loop_guard::LoopGuard;
use crate::provider::{Binding, to_payload};
use crate::tasks::Tasks;
use iii_wire::protocol::{ErrorBody, TriggerId};
use iii_wire::sync::lock;

/// How long new spans are batched before triggers fire.
const BATCH_INTERVAL: Duration = Duration::from_millis(300);
/// Maximum number of traces of one firing. Further traces of the interval are dropped.
const MAX_TRACES: usize = 10_000;

/// Configuration of a `trace` trigger. An absent filter matches everything.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(crate) struct TraceTriggerConfig {
    /// The service name. Ignores case.
    service_name: Option<String>,
    /// The status `ok`, `error` or `unset`. Ignores case.
    status: Option<String>,
}

impl TraceTriggerConfig {
    fn matches(&self, span: &Span) -> bool {
        let equals = |filter: &Option<String>, text: &str| {
            filter.as_ref().is_none_or(|filter| filter.eq_ignore_ascii_case(text))
        };
        equals(&self.service_name, &span.service_name) && equals(&self.status, span.status.as_str())
    }
}

/// Payload of a `trace` trigger.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct TraceTriggerPayload {
    /// The ids of the traces with new matching spans.
    trace_ids: Vec<TraceIdOutput>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
struct TraceIdOutput(#[schemars(with = "String")] TraceId);

/// A bound trigger.
struct TraceTrigger {
    binding: Arc<Binding>,
    config: TraceTriggerConfig,
    /// The traces of the next firing.
    pending: BTreeSet<TraceId>,
}

#[derive(Default)]
struct TriggerState {
    triggers: HashMap<TriggerId, TraceTrigger>,
    /// Whether a task is waiting to fire the triggers.
    scheduled: bool,
}

/// The bound `trace` triggers.
pub(crate) struct TraceTriggers {
    broker: Broker,
    loop_guard: Arc<LoopGuard>,
    state: Mutex<TriggerState>,
    tasks: Tasks,
}

impl TraceTriggers {
    /// No triggers.
    pub(crate) fn new(broker: Broker, loop_guard: Arc<LoopGuard>) -> Self {
        Self { broker, loop_guard, state: Mutex::default(), tasks: Tasks::default() }
    }

    /// Adds a trigger, replacing the one with the same id.
    pub(crate) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let trigger = TraceTrigger {
            binding: binding.clone(),
            config: binding.config()?,
            pending: BTreeSet::new(),
        };
        lock(&self.state).triggers.insert(binding.id.clone(), trigger);
        Ok(())
    }

    /// Removes a trigger.
    pub(crate) fn unbind(&self, id: &TriggerId) {
        lock(&self.state).triggers.remove(id);
    }

    /// Cancels pending firings.
    pub(crate) fn stop(&self) {
        self.tasks.abort();
    }

    /// Schedules firings for stored spans. Pending spans count when they end.
    pub(crate) fn on_spans(self: &Arc<Self>, spans: &[Arc<Span>]) {
        let mut state = lock(&self.state);
        if state.triggers.is_empty() {
            return;
        }
        for span in spans.iter().filter(|span| !span.is_pending() && !span.is_internal()) {
            for (id, trigger) in &mut state.triggers {
                // Covers handlers that do not propagate traces.
                let is_of_handler = span.function_id() == Some(&trigger.binding.function_id);
                if trigger.pending.len() < MAX_TRACES
                    && !is_of_handler
                    && trigger.config.matches(span)
                    && !self.loop_guard.is_cause(id, span.trace_id)
                {
                    trigger.pending.insert(span.trace_id);
                }
            }
        }
        let any_pending = state.triggers.values().any(|trigger| !trigger.pending.is_empty());
        if any_pending && !std::mem::replace(&mut state.scheduled, true) {
            let this = self.clone();
            self.tasks.spawn(async move {
                tokio::time::sleep(BATCH_INTERVAL).await;
                this.fire_pending();
            });
        }
    }

    fn fire_pending(&self) {
        let mut due: Vec<(Arc<Binding>, BTreeSet<TraceId>)> = {
            let mut state = lock(&self.state);
            state.scheduled = false;
            let due = state.triggers.values_mut().filter(|trigger| !trigger.pending.is_empty());
            due.map(|trigger| (trigger.binding.clone(), std::mem::take(&mut trigger.pending)))
                .collect()
        };
        due.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        for (binding, traces) in due {
            let traceparent = self.loop_guard.start_firing(traces.iter().copied(), &binding.id);
            let trace_ids = traces.into_iter().map(TraceIdOutput).collect();
            let Ok(data) = to_payload(&TraceTriggerPayload { trace_ids }) else { continue };
            let request = Request::fired(&binding, data);
            self.broker.fire(Request { traceparent: Some(traceparent), ..request });
        }
    }
}
