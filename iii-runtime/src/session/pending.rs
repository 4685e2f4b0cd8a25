//! The calls that wait for an answer over one link.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use iii_wire::Error;
use iii_wire::protocol::{ErrorBody, InvocationId, Payload};

/// How a call ends.
pub(crate) type Answer = Result<Option<Payload>, Error>;

/// The calls of one link. When the link is lost all of them fail, and no more are taken.
#[derive(Debug, Default)]
pub(crate) struct PendingCalls {
    inserted: AtomicU64,
    // `None` once the link is lost: a call that comes too late must not wait for an answer that cannot come.
    calls: Mutex<Option<HashMap<InvocationId, Place>>>,
}

/// Where the answer of a call goes.
#[derive(Debug)]
struct Place {
    /// How many calls came before it.
    number: u64,
    answer: oneshot::Sender<Answer>,
}

/// A place in the table; dropping it forgets the call.
#[derive(Debug)]
pub(crate) struct Waiting {
    pending: Arc<PendingCalls>,
    id: InvocationId,
    answer: oneshot::Receiver<Answer>,
}

impl PendingCalls {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { inserted: AtomicU64::new(0), calls: Mutex::new(Some(HashMap::new())) })
    }

    /// Takes a call before it is sent; `None` if the link is lost.
    pub(crate) fn insert(self: &Arc<Self>, id: InvocationId) -> Option<Waiting> {
        let (sender, answer) = oneshot::channel();
        let number = self.inserted.fetch_add(1, Ordering::Relaxed);
        let place = Place { number, answer: sender };
        self.calls.lock().expect("no panic under this lock").as_mut()?.insert(id, place);
        Some(Waiting { pending: self.clone(), id, answer })
    }

    /// How many calls wait.
    pub(crate) fn len(&self) -> usize {
        self.calls.lock().expect("no panic under this lock").as_ref().map_or(0, HashMap::len)
    }

    /// Ends a call. An answer to nothing is ignored: its caller has given up.
    pub(crate) fn answer(&self, id: InvocationId, result: Result<Option<Payload>, ErrorBody>) {
        let mut calls = self.calls.lock().expect("no panic under this lock");
        if let Some(caller) = calls.as_mut().and_then(|calls| calls.remove(&id)) {
            let _ = caller.answer.send(result.map_err(Error::from));
        }
    }

    /// Fails all calls and takes no more.
    pub(crate) fn close(&self, error: impl Fn() -> Error) {
        let calls = self.calls.lock().expect("no panic under this lock").take();
        let mut callers: Vec<Place> = calls.into_iter().flatten().map(|(_, place)| place).collect();
        // Whoever called first hears of it first: a test runs the same way each time.
        callers.sort_by_key(|caller| caller.number);
        for caller in callers {
            let _ = caller.answer.send(Err(error()));
        }
    }
}

impl Waiting {
    /// Waits for the answer; `None` if the link was closed without a word.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut calls = self.pending.calls.lock().expect("no panic under this lock");
        if let Some(calls) = calls.as_mut() {
            calls.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_gets_its_answer_and_is_forgotten() {
        let pending = PendingCalls::new();
        let id = InvocationId::random();
        let mut waiting = pending.insert(id).unwrap();
        pending.complete(InvocationId::random(), Ok(None));
        pending.complete(id, Ok(Some(Payload::null())));
        assert!(waiting.result().await.unwrap().unwrap().unwrap().is_null());
        drop(waiting);
        assert_eq!(pending.len(), 0);
    }

    #[tokio::test]
    async fn a_dropped_call_is_forgotten() {
        let pending = PendingCalls::new();
        drop(pending.insert(InvocationId::random()).unwrap());
        assert_eq!(pending.len(), 0);
    }

    #[tokio::test]
    async fn a_lost_link_fails_all_and_takes_no_more() {
        let pending = PendingCalls::new();
        let mut waiting = pending.insert(InvocationId::random()).unwrap();
        pending.close(|| Error::new("connection_lost", "lost"));
        assert_eq!(waiting.result().await.unwrap().unwrap_err().code(), "connection_lost");
        assert!(pending.insert(InvocationId::random()).is_none());
    }
}
