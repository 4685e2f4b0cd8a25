//! The context of an invocation: ids, trigger, caller, attempt, deadline, trace.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{Extract, Invocation};
use crate::time::deadline_after;
use iii_wire::Result;
use iii_wire::clock::Clock;
use iii_wire::protocol::{FunctionId, InvocationId, TriggerId, WorkerId};
use iii_wire::{TraceContext, TriggerKind};

/// The context of an invocation.
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

/// The trigger that fired the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerInfo {
    /// The kind of the trigger.
    pub kind: TriggerKind,
    /// The id of the trigger.
    pub id: TriggerId,
}

/// The worker that made a direct call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The id of its connection.
    pub worker_id: WorkerId,
}

impl Context {
    /// A context for unit tests, without trigger, caller and deadline.
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

    /// Sets a trigger of this kind, for unit tests.
    #[must_use]
    pub fn with_trigger(mut self, kind: TriggerKind) -> Self {
        self.trigger = Some(TriggerInfo { kind, id: "test".into() });
        self
    }

    /// Sets the number of the attempt, from 1, for unit tests.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Sets a deadline after `left`, for unit tests.
    #[must_use]
    pub fn with_time_left(mut self, left: Duration) -> Self {
        self.deadline = Some(deadline_after(left));
        self
    }

    /// The id of the invoked function.
    pub fn function_id(&self) -> &FunctionId {
        &self.function_id
    }

    /// The id of this invocation. Each retry has its own.
    pub fn invocation_id(&self) -> InvocationId {
        self.invocation_id
    }

    /// The trigger that fired. `None` for a direct call, and where the engine does not report it
    /// (the official engine for `subscribe` and queues, [protocol 4.7](crate::protocol#s4-7)).
    pub fn trigger(&self) -> Option<&TriggerInfo> {
        self.trigger.as_ref()
    }

    /// The worker that made a direct call, if the engine reports it. Engines report it only if the payload is an object.
    pub fn caller(&self) -> Option<Caller> {
        self.caller
    }

    /// The number of this attempt, from 1, if the engine reports it.
    pub fn attempt(&self) -> Option<u32> {
        self.attempt
    }

    /// When the handler is cancelled: after the timeout of the function.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The time until the deadline; `None` without one.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The current time. In a test with virtual time it is the virtual time, unlike [`SystemTime::now`].
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The trace context that the invocation arrived with.
    pub fn trace(&self) -> &TraceContext {
        &self.trace
    }
}

impl Extract for Context {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        Ok(call.context().clone())
    }
}
