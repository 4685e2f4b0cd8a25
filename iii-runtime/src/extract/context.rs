//! What is known about an invocation beside its payload.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Extract, Invocation};
use crate::time::deadline_after;
use iii_wire::Result;
use iii_wire::clock::Clock;
use iii_wire::protocol::{FunctionId, InvocationId, TriggerId, WorkerId};
use iii_wire::{TraceContext, TriggerKind};

/// Who invokes what, and until when.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) function_id: FunctionId,
    pub(crate) invocation_id: InvocationId,
    pub(crate) trigger: Option<TriggerInfo>,
    pub(crate) caller: Option<Caller>,
    pub(crate) attempt: Option<u32>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) trace: TraceContext,
    pub(crate) clock: Clock,
}

/// The trigger that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerInfo {
    /// Its kind.
    pub kind: TriggerKind,
    /// The id of the binding.
    pub id: TriggerId,
}

/// The worker that calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The id of its connection.
    pub worker_id: WorkerId,
}

impl Context {
    /// A context for unit tests: no trigger, no caller, no deadline.
    pub fn test() -> Self {
        Self {
            function_id: "test".into(),
            invocation_id: InvocationId::random(),
            trigger: None,
            caller: None,
            attempt: None,
            deadline: None,
            trace: TraceContext::default(),
            clock: Clock::system(),
        }
    }

    /// As if a trigger of this kind had fired, for unit tests.
    #[must_use]
    pub fn with_trigger(mut self, kind: TriggerKind) -> Self {
        self.trigger = Some(TriggerInfo { kind, id: "test".into() });
        self
    }

    /// As if it were this attempt, from 1, for unit tests.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// As if so much time were left, for unit tests.
    #[must_use]
    pub fn with_time_left(mut self, left: Duration) -> Self {
        self.deadline = Some(deadline_after(left));
        self
    }

    /// The function that runs.
    pub fn function_id(&self) -> &FunctionId {
        &self.function_id
    }

    /// The id of this invocation; a retry has another one.
    pub fn invocation_id(&self) -> InvocationId {
        self.invocation_id
    }

    /// The trigger that fired; `None` for a direct call, and where the engine does not say
    /// (the official engine for `subscribe` and queues, protocol section 4.7).
    pub fn trigger(&self) -> Option<&TriggerInfo> {
        self.trigger.as_ref()
    }

    /// The worker that calls directly, if the engine says so. It only does when the payload is an object.
    pub fn caller(&self) -> Option<Caller> {
        self.caller
    }

    /// The number of this attempt, from 1, if the engine says so.
    pub fn attempt(&self) -> Option<u32> {
        self.attempt
    }

    /// When the handler will be stopped: by the function's own limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The time that is left until the deadline; `None` if there is none.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The time of day. In a test under virtual time it is the virtual one, which [`SystemTime::now`] does not know.
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The trace that the invocation belongs to.
    pub fn trace(&self) -> &TraceContext {
        &self.trace
    }
}

impl Extract for Context {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        Ok(call.context().clone())
    }
}
