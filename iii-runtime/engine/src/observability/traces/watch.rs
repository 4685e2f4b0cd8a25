//! The trigger type `trace`: tells functions which traces have new spans (protocol section 5.9).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::TraceId;
use super::span::Span;
use crate::broker::{Broker, Request};
use crate::observability::chain::Chains;
use crate::provider::{Binding, to_payload};
use crate::tasks::Tasks;
use iii_wire::protocol::{ErrorBody, TriggerId};
use iii_wire::sync::lock;

/// How long spans are collected before they are told.
const COLLECT: Duration = Duration::from_millis(300);
/// Traces that one firing names; what comes beyond them in the same time is left out.
const NAMED: usize = 10_000;

/// The config of a `trace` binding. What is absent matches everything.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(crate) struct TraceConfig {
    /// The service, in capitals or not.
    service_name: Option<String>,
    /// `ok`, `error` or `unset`, in capitals or not.
    status: Option<String>,
}

impl TraceConfig {
    fn matches(&self, span: &Span) -> bool {
        let same = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(text))
        };
        same(&self.service_name, &span.service_name) && same(&self.status, span.status.word())
    }
}

/// What a function is told.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct TraceEvent {
    /// The traces with new spans that match.
    trace_ids: Vec<TraceIdText>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
struct TraceIdText(#[schemars(with = "String")] TraceId);

struct Bound {
    binding: Arc<Binding>,
    config: TraceConfig,
    waiting: BTreeSet<TraceId>,
}

#[derive(Default)]
struct Book {
    bindings: HashMap<TriggerId, Bound>,
    /// Whether a task waits to tell what was collected.
    collecting: bool,
}

/// The `trace` bindings, and what they are to be told.
pub(crate) struct Watch {
    broker: Broker,
    chains: Arc<Chains>,
    book: Mutex<Book>,
    tasks: Tasks,
}

impl Watch {
    /// Without bindings.
    pub(crate) fn new(broker: Broker, chains: Arc<Chains>) -> Self {
        Self { broker, chains, book: Mutex::default(), tasks: Tasks::default() }
    }

    /// Takes a binding; one with the same id is replaced.
    pub(crate) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let bound =
            Bound { binding: binding.clone(), config: binding.config()?, waiting: BTreeSet::new() };
        lock(&self.book).bindings.insert(binding.id.clone(), bound);
        Ok(())
    }

    /// Gives a binding up.
    pub(crate) fn unbind(&self, id: &TriggerId) {
        lock(&self.book).bindings.remove(id);
    }

    /// Ends what is collecting.
    pub(crate) fn stop(&self) {
        self.tasks.abort();
    }

    /// Hears of spans that were kept. Those that have only begun are told when they end.
    pub(crate) fn notice(self: &Arc<Self>, spans: &[Arc<Span>]) {
        let mut book = lock(&self.book);
        if book.bindings.is_empty() {
            return;
        }
        for span in spans.iter().filter(|span| !span.is_pending() && !span.is_internal()) {
            for (id, bound) in &mut book.bindings {
                // What a handler does itself is left out; those that trace nothing are known by their function.
                let own = span.function() == Some(&bound.binding.function_id);
                if bound.waiting.len() < NAMED
                    && !own
                    && bound.config.matches(span)
                    && !self.chains.led_to(span.trace_id, id)
                {
                    bound.waiting.insert(span.trace_id);
                }
            }
        }
        let any = book.bindings.values().any(|bound| !bound.waiting.is_empty());
        if any && !std::mem::replace(&mut book.collecting, true) {
            let watch = self.clone();
            self.tasks.spawn(async move {
                tokio::time::sleep(COLLECT).await;
                watch.tell();
            });
        }
    }

    fn tell(&self) {
        let mut due: Vec<(Arc<Binding>, BTreeSet<TraceId>)> = {
            let mut book = lock(&self.book);
            book.collecting = false;
            let waiting = book.bindings.values_mut().filter(|bound| !bound.waiting.is_empty());
            waiting
                .map(|bound| (bound.binding.clone(), std::mem::take(&mut bound.waiting)))
                .collect()
        };
        due.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        for (binding, traces) in due {
            let traceparent = self.chains.begin(traces.iter().copied(), &binding.id);
            let event = TraceEvent { trace_ids: traces.into_iter().map(TraceIdText).collect() };
            let Ok(data) = to_payload(&event) else { continue };
            let request = Request::fired(&binding, data);
            self.broker.fire(Request { traceparent: Some(traceparent), ..request });
        }
    }
}
