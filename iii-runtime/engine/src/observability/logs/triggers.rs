//! The trigger type `log`: fires on log records, except on those that its own handler has written ([protocol 5.8](iii_wire::protocol#s5-8)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;

use super::{LogRecord, Severity};
use crate::broker::{Broker, FunctionView, Request};
use crate::observability::loop_guard::LoopGuard;
use crate::observability::traces::TraceId;
use crate::provider::{Binding, to_payload};
use iii_wire::protocol::{ErrorBody, Payload, TriggerId, WorkerId};
use iii_wire::sync::lock;

/// Maximum number of pending firings of one trigger. At the limit, records do not fire the trigger.
const MAX_PENDING: usize = 1_024;
/// A firing that takes longer than this no longer counts as pending.
const PENDING_TIMEOUT: Duration = Duration::from_secs(30);

/// Configuration of a `log` trigger.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
pub(crate) struct LogTriggerConfig {
    /// The level of the records: `all`, or exactly one level. Default: `all`.
    #[serde(default)]
    level: Option<LevelFilter>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum LevelFilter {
    #[default]
    All,
    #[serde(untagged)]
    Exactly(Severity),
}

impl LevelFilter {
    fn matches(self, severity: Option<Severity>) -> bool {
        match self {
            Self::All => true,
            Self::Exactly(level) => severity == Some(level),
        }
    }
}

/// How the engine received a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum RecordSource {
    /// In a telemetry frame.
    Telemetry,
    /// By a call of `engine::log::*`, with the calling connection and the trace of the call.
    Call { caller: Option<WorkerId>, trace: Option<TraceId> },
}

/// A bound trigger.
struct LogTrigger {
    binding: Arc<Binding>,
    level: LevelFilter,
    pending: AtomicUsize,
    /// Whether the log has a warning that the limit is reached.
    warned: AtomicBool,
}

/// The bound `log` triggers.
pub(super) struct LogTriggers {
    broker: Broker,
    loop_guard: Arc<LoopGuard>,
    triggers: Mutex<HashMap<TriggerId, Arc<LogTrigger>>>,
}

impl LogTriggers {
    /// No triggers.
    pub(super) fn new(broker: Broker, loop_guard: Arc<LoopGuard>) -> Self {
        Self { broker, loop_guard, triggers: Mutex::default() }
    }

    /// Adds a trigger, replacing the one with the same id.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: LogTriggerConfig = binding.config()?;
        let trigger = LogTrigger {
            binding: binding.clone(),
            level: config.level.unwrap_or_default(),
            pending: AtomicUsize::new(0),
            warned: AtomicBool::new(false),
        };
        lock(&self.triggers).insert(binding.id.clone(), Arc::new(trigger));
        Ok(())
    }

    /// Removes a trigger.
    pub(super) fn unbind(&self, id: &TriggerId) {
        lock(&self.triggers).remove(id);
    }

    /// Fires the triggers that match a record, in the order of their ids. Never waits.
    pub(super) fn fire(&self, record: &LogRecord, source: RecordSource) {
        let severity = record.severity();
        let mut matching: Vec<Arc<LogTrigger>> = lock(&self.triggers)
            .values()
            .filter(|trigger| trigger.level.matches(severity))
            .cloned()
            .collect();
        if matching.is_empty() {
            return;
        }
        matching.sort_by(|a, b| a.binding.id.cmp(&b.binding.id));
        let record_trace = record.trace_id.as_deref().and_then(TraceId::parse);
        let call_trace = match source {
            RecordSource::Call { trace, .. } => trace,
            RecordSource::Telemetry => None,
        };
        let causes: Vec<TraceId> = record_trace.into_iter().chain(call_trace).collect();
        matching.retain(|trigger| !self.is_caused_by(trigger, &causes, source));
        let Some(data) = (!matching.is_empty()).then(|| to_payload(record).ok()).flatten() else {
            return;
        };
        for trigger in matching {
            self.fire_one(trigger, &causes, data.clone());
        }
    }

    fn fire_one(&self, trigger: Arc<LogTrigger>, causes: &[TraceId], data: Payload) {
        if trigger.pending.load(Ordering::Relaxed) >= MAX_PENDING {
            if !trigger.warned.swap(true, Ordering::Relaxed) {
                let id = &trigger.binding.id;
                tracing::warn!(trigger = %id, "a `log` trigger does not fire: {MAX_PENDING} firings are pending");
            }
            return;
        }
        let traceparent = self.loop_guard.start_firing(causes.iter().copied(), &trigger.binding.id);
        let request = Request::fired(&trigger.binding, data);
        let result = self.broker.invoke(Request { traceparent: Some(traceparent), ..request });
        trigger.pending.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            tokio::pin!(result);
            let in_time = tokio::time::timeout(PENDING_TIMEOUT, &mut result).await;
            trigger.pending.fetch_sub(1, Ordering::Relaxed);
            trigger.warned.store(false, Ordering::Relaxed);
            let outcome = match in_time {
                Ok(outcome) => outcome,
                Err(_) => result.await,
            };
            if let Err(error) = outcome {
                let (id, function) = (&trigger.binding.id, &trigger.binding.function_id);
                tracing::warn!(trigger = %id, %function, "a `log` trigger failed: {error}");
            }
        });
    }

    /// Returns whether the handler of a trigger has written a record.
    fn is_caused_by(&self, trigger: &LogTrigger, causes: &[TraceId], source: RecordSource) -> bool {
        let binding = &trigger.binding;
        if causes.iter().any(|trace| self.loop_guard.is_cause(&binding.id, *trace)) {
            return true;
        }
        // Calls of a worker that does not propagate traces are attributed to the handler while a firing is pending.
        let RecordSource::Call { caller: Some(caller), trace: None } = source else { return false };
        trigger.pending.load(Ordering::Relaxed) > 0 && self.serves(caller, binding)
    }

    fn serves(&self, worker: WorkerId, binding: &Binding) -> bool {
        let functions = self.broker.functions_called(&binding.function_id);
        let is_served = |function: &FunctionView| {
            function.namespace == binding.namespace && function.owner == Some(worker)
        };
        functions.iter().any(is_served)
    }
}
