//! The calls that await a result over one connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use iii_wire::Error;
use iii_wire::protocol::{ErrorBody, InvocationId, Payload};
use iii_wire::sync::lock;

/// The result of a call.
pub(crate) type CallResult = Result<Option<Payload>, Error>;

/// The pending calls of one connection. When the connection is lost, all of them fail and further ones are refused.
#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    inserted: AtomicU64,
    /// `None` once the connection is lost: a later call would never complete.
    calls: Mutex<Option<HashMap<InvocationId, ResultSender>>>,
}

/// Completes a call.
#[derive(Debug)]
struct ResultSender {
    /// The number of calls inserted before this one.
    number: u64,
    sender: oneshot::Sender<CallResult>,
}

/// A call in the table. Dropping it removes the call.
#[derive(Debug)]
pub(crate) struct PendingCall {
    pending: Arc<PendingCalls>,
    id: InvocationId,
    receiver: oneshot::Receiver<CallResult>,
}

impl PendingCalls {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inserted: AtomicU64::new(0), calls: Mutex::new(Some(HashMap::new())) })
    }

    /// Inserts a call before it is sent. Returns `None` if the connection is lost.
    pub(crate) fn insert(self: &Arc<Self>, id: InvocationId) -> Option<PendingCall> {
        let (sender, receiver) = oneshot::channel();
        let number = self.inserted.fetch_add(1, Ordering::Relaxed);
        lock(&self.calls).as_mut()?.insert(id, ResultSender { number, sender });
        Some(PendingCall { pending: self.clone(), id, receiver })
    }

    /// The number of pending calls.
    pub(crate) fn len(&self) -> usize {
        lock(&self.calls).as_ref().map_or(0, HashMap::len)
    }

    /// Completes a call. Ignores the result of an unknown call: its caller was cancelled or timed out.
    pub(crate) fn complete(&self, id: InvocationId, result: Result<Option<Payload>, ErrorBody>) {
        let mut calls = lock(&self.calls);
        if let Some(call) = calls.as_mut().and_then(|calls| calls.remove(&id)) {
            let _ = call.sender.send(result.map_err(Error::from));
        }
    }

    /// Fails all calls and refuses further ones.
    pub(crate) fn close(&self, error: impl Fn() -> Error) {
        let calls = lock(&self.calls).take();
        let mut calls: Vec<ResultSender> =
            calls.into_iter().flatten().map(|(_, call)| call).collect();
        // Fails them in the order of insertion, which makes tests deterministic.
        calls.sort_by_key(|call| call.number);
        for call in calls {
            let _ = call.sender.send(Err(error()));
        }
    }
}

impl PendingCall {
    /// Waits for the result. Returns `None` if the table was dropped without one.
    pub(crate) async fn result(&mut self) -> Option<CallResult> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if let Some(calls) = lock(&self.pending.calls).as_mut() {
            calls.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_completed_call_is_removed() {
        let pending = PendingCalls::new();
        let id = InvocationId::random();
        let mut call = pending.insert(id).unwrap();
        pending.complete(InvocationId::random(), Ok(None));
        pending.complete(id, Ok(Some(Payload::null())));
        assert!(call.result().await.unwrap().unwrap().unwrap().is_null());
        drop(call);
        assert_eq!(pending.len(), 0);
    }

    #[tokio::test]
    async fn a_dropped_call_is_removed() {
        let pending = PendingCalls::new();
        drop(pending.insert(InvocationId::random()).unwrap());
        assert_eq!(pending.len(), 0);
    }

    #[tokio::test]
    async fn a_lost_connection_fails_all_calls_and_refuses_further_ones() {
        let pending = PendingCalls::new();
        let mut call = pending.insert(InvocationId::random()).unwrap();
        pending.close(|| Error::new("connection_lost", "lost"));
        assert_eq!(call.result().await.unwrap().unwrap_err().code(), "connection_lost");
        assert!(pending.insert(InvocationId::random()).is_none());
    }
}
