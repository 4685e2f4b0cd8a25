//! Pending calls: who receives their results, and the table of a callee.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::connection::WorkerConnection;
use super::external::AbortOnDrop;
use crate::provider::Outcome;
use crate::provider::overloaded;
use iii_wire::code;
use iii_wire::protocol::{
    ErrorBody, FunctionId, InvocationId, InvocationResult, Payload, WorkerId,
};
use iii_wire::sync::lock;

/// The error of a call whose callee disconnected.
pub(crate) fn stopped() -> ErrorBody {
    ErrorBody::new(code::INVOCATION_STOPPED, "the worker that was serving the call disconnected")
}

/// Where the result of a call goes.
pub(crate) enum ReplyTo {
    /// A worker.
    Worker {
        /// Its permit of the caller's quota.
        permit: CallPermit,
        /// The id that the worker gave to the call.
        invocation_id: InvocationId,
        /// The function that the worker named.
        function_id: FunctionId,
        /// Echoed in the result.
        traceparent: Option<String>,
        /// Echoed in the result.
        baggage: Option<String>,
    },
    /// A waiting task of the engine.
    Engine(oneshot::Sender<Outcome>),
    /// The log, if it is an error: the call of a trigger.
    Log(FunctionId),
    /// The caller of an enqueued call, who gets a receipt instead of the queue's result.
    Receipt {
        /// The id of the queued message.
        receipt: Uuid,
        /// Where the receipt goes.
        then: Box<ReplyTo>,
    },
    /// A call that a task of the engine serves; dropping it aborts the task.
    Task {
        /// Where the result goes.
        then: Box<ReplyTo>,
        /// Aborts the task.
        _task: AbortOnDrop,
    },
    /// Nowhere: a void call. Its permit is held until it has run.
    Void(CallPermit),
}

impl ReplyTo {
    /// Returns whether a result is expected.
    pub(crate) fn wants_answer(&self) -> bool {
        !matches!(self, Self::Void(_))
    }

    /// Returns the id that the calling worker gave to the call.
    pub(crate) fn invocation_id(&self) -> Option<InvocationId> {
        match self {
            Self::Worker { invocation_id, .. } => Some(*invocation_id),
            Self::Task { then, .. } => then.invocation_id(),
            _ => None,
        }
    }

    /// Returns whether the caller is the connection with this id.
    fn is(&self, id: WorkerId) -> bool {
        match self {
            Self::Worker { permit, .. } => permit.0.id == id,
            Self::Receipt { then, .. } | Self::Task { then, .. } => then.is(id),
            _ => false,
        }
    }

    /// Delivers the result without blocking.
    pub(crate) fn answer(self, outcome: Outcome) {
        match self {
            Self::Worker { permit, invocation_id, function_id, traceparent, baggage } => {
                // The connection of a worker that does not read its results is closed by its own task.
                permit.0.answer(InvocationResult {
                    invocation_id,
                    function_id,
                    result: outcome,
                    traceparent,
                    baggage,
                });
            }
            Self::Engine(sender) => drop(sender.send(outcome)),
            Self::Log(function_id) => {
                if let Err(error) = outcome {
                    tracing::warn!(function = %function_id, "the call of a trigger failed: {error}");
                }
            }
            Self::Receipt { receipt, then } => then.answer(match outcome {
                Ok(_) => {
                    Ok(Some(Payload::from_built(format!(r#"{{"messageReceiptId":"{receipt}"}}"#))))
                }
                Err(error) => Err(enqueue_failed(&error)),
            }),
            Self::Task { then, .. } => then.answer(outcome),
            Self::Void(permit) => drop(permit),
        }
    }
}

/// The error of an enqueued call whose queue rejected it or is missing ([protocol 4.5](iii_wire::protocol#s4-5)).
fn enqueue_failed(error: &ErrorBody) -> ErrorBody {
    let message = if error.code == code::FUNCTION_NOT_FOUND {
        "this engine has no queues: start a worker that registers `engine::queue::enqueue` in the namespace \
         `default`, or use an engine with queues"
            .to_owned()
    } else {
        format!("the queue rejected the call: {}: {}", error.code, error.message)
    };
    ErrorBody {
        details: error.details.clone(),
        retryable: error.retryable,
        retry_after_ms: error.retry_after_ms,
        ..ErrorBody::new(code::ENQUEUE_ERROR, message)
    }
}

/// A permit for one call of the caller's quota, held until the call completes.
pub(crate) struct CallPermit(Arc<WorkerConnection>);

impl CallPermit {
    /// Acquires a permit; `None` if the quota is exceeded.
    pub(crate) fn new(caller: &Arc<WorkerConnection>) -> Option<Self> {
        let permit = Self(caller.clone());
        // Constructed first, so that dropping it decrements the count in both cases.
        let before = caller.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (before < caller.limits.workers.calls).then_some(permit)
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The pending calls of a callee, by the id that they have on its connection.
#[derive(Default)]
pub(crate) struct PendingCalls {
    table: Mutex<PendingState>,
}

#[derive(Default)]
struct PendingState {
    // The connection ended: no call is added any more.
    closed: bool,
    calls: HashMap<InvocationId, PendingCall>,
    inserted: u64,
}

/// A call that awaits its result.
pub(crate) struct PendingCall {
    /// Where its result goes.
    pub(crate) reply_to: ReplyTo,
    /// When it was sent.
    pub(crate) since: Instant,
    /// Its position in the order of arrival.
    number: u64,
}

impl PendingCalls {
    /// Adds a call under the id it has at its caller, or under a new one if that is in use.
    ///
    /// `None` if the connection ended or has `most` calls already; the caller then got an error.
    pub(crate) fn insert(&self, reply_to: ReplyTo, most: usize) -> Option<InvocationId> {
        let mut table = lock(&self.table);
        if table.closed || table.calls.len() >= most {
            let error = match table.closed {
                true => stopped(),
                false => overloaded("the worker has too many pending calls"),
            };
            drop(table);
            reply_to.answer(Err(error));
            return None;
        }
        let mut id = reply_to.invocation_id().unwrap_or_else(InvocationId::random);
        while table.calls.contains_key(&id) {
            id = InvocationId::random();
        }
        table.inserted += 1;
        let number = table.inserted;
        table.calls.insert(id, PendingCall { reply_to, since: Instant::now(), number });
        Some(id)
    }

    /// Removes a call; `None` if it is not pending any more.
    pub(crate) fn take(&self, id: InvocationId) -> Option<PendingCall> {
        lock(&self.table).calls.remove(&id)
    }

    /// Closes the table and returns all calls in order of arrival.
    pub(crate) fn close(&self) -> Vec<PendingCall> {
        let mut table = lock(&self.table);
        table.closed = true;
        let mut calls: Vec<_> = std::mem::take(&mut table.calls).into_values().collect();
        drop(table);
        calls.sort_by_key(|one| one.number);
        calls
    }

    /// Drops the calls of a caller that disconnected.
    pub(crate) fn forget(&self, caller: WorkerId) {
        let forgotten: Vec<PendingCall> = {
            let mut table = lock(&self.table);
            let its = |_: &InvocationId, call: &mut PendingCall| call.reply_to.is(caller);
            table.calls.extract_if(its).map(|(_, call)| call).collect()
        };
        drop(forgotten);
    }

    /// Returns the number of pending calls.
    pub(crate) fn len(&self) -> usize {
        lock(&self.table).calls.len()
    }
}

/// Resolves to the result of a call of the engine. Dropping it cancels the call.
pub(crate) struct ResultFuture {
    receiver: oneshot::Receiver<Outcome>,
    pending_at: Option<(Weak<WorkerConnection>, InvocationId)>,
}

impl ResultFuture {
    /// Creates the future of a call that is pending at `pending_at`.
    pub(crate) fn new(
        receiver: oneshot::Receiver<Outcome>,
        pending_at: Option<(Weak<WorkerConnection>, InvocationId)>,
    ) -> Self {
        Self { receiver, pending_at }
    }
}

impl Future for ResultFuture {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let answer = std::task::ready!(Pin::new(&mut self.receiver).poll(context));
        self.pending_at = None;
        Poll::Ready(answer.unwrap_or_else(|_| Err(stopped())))
    }
}

impl Drop for ResultFuture {
    fn drop(&mut self) {
        if let Some((connection, id)) = self.pending_at.take()
            && let Some(connection) = connection.upgrade()
        {
            drop(connection.pending.take(id));
        }
    }
}
