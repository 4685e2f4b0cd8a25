//! The trigger type `log`: records invoke functions, but not those that wrote them (protocol section 5.8).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use super::{Record, Severity};
use crate::broker::{Broker, Request};
use crate::observability::chain::Chains;
use crate::observability::traces::TraceId;
use crate::provider::{Binding, to_payload};
use iii_wire::protocol::{ErrorBody, TriggerId, WorkerId};
use iii_wire::sync::lock;

/// Firings of one binding that are not answered yet; while there are so many, records do not fire it.
const OPEN: usize = 1_024;
/// A handler that takes longer than this no longer counts.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// The config of a `log` binding.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
pub(crate) struct LogConfig {
    /// Which records: `all`, or exactly those of one level. Default `all`.
    #[serde(default)]
    level: Option<Level>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    #[default]
    All,
    #[serde(untagged)]
    One(Severity),
}

/// How a record came.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writer {
    /// In a telemetry frame.
    Frame,
    /// By a call: of which connection, and in which trace that call was made.
    Call { caller: Option<WorkerId>, trace: Option<TraceId> },
}

struct Bound {
    binding: Arc<Binding>,
    level: Level,
    open: AtomicUsize,
    /// Whether it was told that too many are open.
    told: AtomicBool,
}

/// The `log` bindings.
pub(super) struct Trigger {
    broker: Broker,
    chains: Arc<Chains>,
    bindings: Mutex<HashMap<TriggerId, Arc<Bound>>>,
}

impl Trigger {
    /// Without bindings.
    pub(super) fn new(broker: Broker, chains: Arc<Chains>) -> Self {
        Self { broker, chains, bindings: Mutex::default() }
    }

    /// Takes a binding; one with the same id is replaced.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: LogConfig = binding.config()?;
        let bound = Bound {
            binding: binding.clone(),
            level: config.level.unwrap_or_default(),
            open: AtomicUsize::new(0),
            told: AtomicBool::new(false),
        };
        lock(&self.bindings).insert(binding.id.clone(), Arc::new(bound));
        Ok(())
    }

    /// Gives a binding up.
    pub(super) fn unbind(&self, id: &TriggerId) {
        lock(&self.bindings).remove(id);
    }

    /// Fires the bindings that a record concerns, in the order of their ids. Never waits.
    pub(super) fn fire(&self, record: &Record, writer: Writer) {
        let severity = record.severity();
        let mut concerned: Vec<Arc<Bound>> = lock(&self.bindings)
            .values()
            .filter(|one| one.level == Level::All || severity.map(Level::One) == Some(one.level))
            .cloned()
            .collect();
        if concerned.is_empty() {
            return;
        }
        concerned.sort_by(|a, b| a.binding.id.cmp(&b.binding.id));
        let told = record.trace_id.as_deref().and_then(TraceId::read);
        let called = match writer {
            Writer::Call { trace, .. } => trace,
            Writer::Frame => None,
        };
        let causes: Vec<TraceId> = told.into_iter().chain(called).collect();
        concerned.retain(|bound| !self.is_own(bound, &causes, writer));
        let Some(data) = (!concerned.is_empty()).then(|| to_payload(record).ok()).flatten() else {
            return;
        };
        for bound in concerned {
            if bound.open.load(Ordering::Relaxed) >= OPEN {
                if !bound.told.swap(true, Ordering::Relaxed) {
                    let id = &bound.binding.id;
                    tracing::warn!(trigger = %id, "{OPEN} calls of a `log` trigger are not answered: it waits for them");
                }
                continue;
            }
            let traceparent = self.chains.begin(causes.iter().copied(), &bound.binding.id);
            let request = Request::fired(&bound.binding, data.clone());
            let answer = self.broker.invoke(Request { traceparent: Some(traceparent), ..request });
            bound.open.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                tokio::pin!(answer);
                let in_time = tokio::time::timeout(FORGOTTEN, &mut answer).await;
                bound.open.fetch_sub(1, Ordering::Relaxed);
                bound.told.store(false, Ordering::Relaxed);
                let outcome = match in_time {
                    Ok(outcome) => outcome,
                    Err(_) => answer.await,
                };
                if let Err(error) = outcome {
                    let (id, function) = (&bound.binding.id, &bound.binding.function_id);
                    tracing::warn!(trigger = %id, %function, "a `log` trigger failed: {error}");
                }
            });
        }
    }

    /// Whether a record is the doing of a binding's own handler.
    fn is_own(&self, bound: &Bound, causes: &[TraceId], writer: Writer) -> bool {
        let binding = &bound.binding;
        if causes.iter().any(|trace| self.chains.led_to(*trace, &binding.id)) {
            return true;
        }
        // A worker that hands no traces on: its calls while it handles a firing count as those of the handler.
        let Writer::Call { caller: Some(caller), trace: None } = writer else { return false };
        bound.open.load(Ordering::Relaxed) > 0 && self.serves(caller, binding)
    }

    fn serves(&self, worker: WorkerId, binding: &Binding) -> bool {
        let functions = self.broker.functions_called(&binding.function_id);
        functions.iter().any(|one| one.namespace == binding.namespace && one.owner == Some(worker))
    }
}
