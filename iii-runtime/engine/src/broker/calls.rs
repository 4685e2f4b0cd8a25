//! Calls that wait for an answer: who asked, and the table a callee keeps of them.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::connection::Connection;
use super::external::Work;
use crate::provider::Outcome;
use crate::provider::overloaded;
use iii_wire::code;
use iii_wire::protocol::{
    ErrorBody, FunctionId, InvocationId, InvocationResult, Payload, WorkerId,
};
use iii_wire::sync::lock;

/// The error of a call whose callee is gone.
pub(crate) fn stopped() -> ErrorBody {
    ErrorBody::new(code::INVOCATION_STOPPED, "the worker that was serving the call is gone")
}

/// Who gets the answer of a call.
pub(crate) enum Asker {
    /// A worker.
    Worker {
        /// Its connection, which counts the call until it is answered.
        ticket: Ticket,
        /// The id that the worker gave the call.
        invocation_id: InvocationId,
        /// The function that the worker named.
        function_id: FunctionId,
        /// Echoed in the answer.
        traceparent: Option<String>,
        /// Echoed in the answer.
        baggage: Option<String>,
    },
    /// The engine itself, which waits for it.
    Engine(oneshot::Sender<Outcome>),
    /// The engine's log, if it is an error: a trigger fired and nobody waits.
    Log(FunctionId),
    /// Somebody who put a call into a queue, and gets a receipt instead of the queue's answer.
    Receipt {
        /// The id of the queued message.
        receipt: Uuid,
        /// Who gets the receipt.
        then: Box<Asker>,
    },
    /// Somebody whose call the engine works on; without an asker, the work ends.
    Working {
        /// Who gets the answer.
        then: Box<Asker>,
        /// What is being done.
        _work: Work,
    },
    /// Nobody: a void call, which counts for the connection that made it until it has run.
    Nobody(Ticket),
}

impl Asker {
    /// Whether the answer matters to anybody.
    pub(crate) fn wants_answer(&self) -> bool {
        !matches!(self, Self::Nobody(_))
    }

    /// The id that the worker gave the call, if a worker asks.
    pub(crate) fn invocation_id(&self) -> Option<InvocationId> {
        match self {
            Self::Worker { invocation_id, .. } => Some(*invocation_id),
            Self::Working { then, .. } => then.invocation_id(),
            _ => None,
        }
    }

    /// Whether the connection with this id asks.
    fn is(&self, id: WorkerId) -> bool {
        match self {
            Self::Worker { ticket, .. } => ticket.0.id == id,
            Self::Receipt { then, .. } | Self::Working { then, .. } => then.is(id),
            _ => false,
        }
    }

    /// Delivers the answer. Never waits.
    pub(crate) fn answer(self, outcome: Outcome) {
        match self {
            Self::Worker { ticket, invocation_id, function_id, traceparent, baggage } => {
                // A worker that does not read its answers is ended by its own task.
                ticket.0.answer(InvocationResult {
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
                    tracing::warn!(function = %function_id, "a trigger's call failed: {error}");
                }
            }
            Self::Receipt { receipt, then } => then.answer(match outcome {
                Ok(_) => {
                    Ok(Some(Payload::from_built(format!(r#"{{"messageReceiptId":"{receipt}"}}"#))))
                }
                Err(error) => Err(enqueue_failed(&error)),
            }),
            Self::Working { then, .. } => then.answer(outcome),
            Self::Nobody(ticket) => drop(ticket),
        }
    }
}

/// The error of an enqueue whose queue refused or is missing (protocol section 4.5).
fn enqueue_failed(error: &ErrorBody) -> ErrorBody {
    let message = if error.code == code::FUNCTION_NOT_FOUND {
        "nothing serves queues here: start a worker that registers `engine::queue::enqueue` in the namespace \
         `default`, or use an engine with queues"
            .to_owned()
    } else {
        format!("the queue did not take the call: {}: {}", error.code, error.message)
    };
    ErrorBody {
        details: error.details.clone(),
        retryable: error.retryable,
        retry_after_ms: error.retry_after_ms,
        ..ErrorBody::new(code::ENQUEUE_ERROR, message)
    }
}

/// Counts a call against the quota of the connection that makes it, for as long as it waits.
pub(crate) struct Ticket(Arc<Connection>);

impl Ticket {
    /// Counts one more call of `caller`; `None` if it has too many already.
    pub(crate) fn new(caller: &Arc<Connection>) -> Option<Self> {
        let ticket = Self(caller.clone());
        // The ticket is made first, so that its end takes the count back in both cases.
        let before = caller.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (before < caller.limits.workers.calls).then_some(ticket)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The calls that one connection is serving, by the id they have on its wire.
#[derive(Default)]
pub(crate) struct Pending {
    table: Mutex<PendingTable>,
}

#[derive(Default)]
struct PendingTable {
    // The connection is gone: nothing is taken in any more.
    closed: bool,
    calls: HashMap<InvocationId, Waiting>,
    inserted: u64,
}

/// A call that waits for its answer.
pub(crate) struct Waiting {
    /// Who asked.
    pub(crate) asker: Asker,
    /// Since when.
    pub(crate) since: Instant,
    /// Its place in the order in which they came.
    number: u64,
}

impl Pending {
    /// Notes a call under the id it has at its caller, or under a fresh one if that is taken here.
    ///
    /// `None`: the connection is gone or has `most` calls already, and the asker has heard of it.
    pub(crate) fn insert(&self, asker: Asker, most: usize) -> Option<InvocationId> {
        let mut table = lock(&self.table);
        if table.closed || table.calls.len() >= most {
            let error = match table.closed {
                true => stopped(),
                false => overloaded("the worker that serves it has too many calls open"),
            };
            drop(table);
            asker.answer(Err(error));
            return None;
        }
        let mut id = asker.invocation_id().unwrap_or_else(InvocationId::random);
        while table.calls.contains_key(&id) {
            id = InvocationId::random();
        }
        table.inserted += 1;
        let number = table.inserted;
        table.calls.insert(id, Waiting { asker, since: Instant::now(), number });
        Some(id)
    }

    /// Takes a call out; `None` if there is no such call any more.
    pub(crate) fn take(&self, id: InvocationId) -> Option<Waiting> {
        lock(&self.table).calls.remove(&id)
    }

    /// Takes all calls out, in the order in which they came, and takes no more.
    pub(crate) fn close(&self) -> Vec<Waiting> {
        let mut table = lock(&self.table);
        table.closed = true;
        let mut calls: Vec<_> = std::mem::take(&mut table.calls).into_values().collect();
        drop(table);
        calls.sort_by_key(|one| one.number);
        calls
    }

    /// Forgets the calls of a caller that is gone.
    pub(crate) fn forget(&self, caller: WorkerId) {
        let forgotten: Vec<Waiting> = {
            let mut table = lock(&self.table);
            let its = |_: &InvocationId, call: &mut Waiting| call.asker.is(caller);
            table.calls.extract_if(its).map(|(_, call)| call).collect()
        };
        drop(forgotten);
    }

    /// How many calls wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.table).calls.len()
    }
}

/// The answer to a call that the engine made. Dropping it forgets the call.
pub(crate) struct Answer {
    receiver: oneshot::Receiver<Outcome>,
    place: Option<(Weak<Connection>, InvocationId)>,
}

impl Answer {
    /// An answer that comes through `receiver`, to a call that waits at `place`.
    pub(crate) fn new(
        receiver: oneshot::Receiver<Outcome>,
        place: Option<(Weak<Connection>, InvocationId)>,
    ) -> Self {
        Self { receiver, place }
    }
}

impl Future for Answer {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let answer = std::task::ready!(Pin::new(&mut self.receiver).poll(context));
        self.place = None;
        Poll::Ready(answer.unwrap_or_else(|_| Err(stopped())))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some((connection, id)) = self.place.take()
            && let Some(connection) = connection.upgrade()
        {
            drop(connection.pending.take(id));
        }
    }
}
