//! One run for several invocations of the same key: those that come while the first runs, or soon after it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::key::Digest;
use super::next::locked;
use super::{Interceptor, Key, Next};
use crate::extract::Invocation;
use crate::output::Reply;
use iii_wire::protocol::ErrorBody;
use iii_wire::{Error, Result, code};

/// How many results are remembered, unless somebody says otherwise.
const ENTRIES: usize = 10_000;
/// How many bytes of results are remembered, unless somebody says otherwise.
const BYTES: usize = 16 << 20;

/// Runs a function once for invocations of the same key. Queues and retries deliver at least once; this makes the second
/// delivery harmless.
///
/// | mode | what counts as a duplicate |
/// |---|---|
/// | [`Deduplicate::while_running`] | what comes while the first runs |
/// | [`Deduplicate::within`] | that, and what comes within a time after the first was done well |
///
/// A duplicate gets the result of the first: it waits for it where the first still runs. With [`Deduplicate::reject`] it
/// gets an error with the code [`duplicate`](code::DUPLICATE) at once, and HTTP status 409.
///
/// A first one that fails is forgotten, so that trying again runs the function again; those that waited for it get its
/// error. If the first was given up, one of those that wait runs in its place. A response that is a stream cannot be
/// shared: its duplicates get `duplicate`.
///
/// Invocations without the key always run. Two functions never share a result. It is kept in the memory of this process, in
/// bounds: the oldest results are forgotten first.
///
/// ```
/// use iii::intercept::Deduplicate;
/// use iii::prelude::*;
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Payment { id: String, cents: u64 }
///
/// #[iii::function(
///     id = "doc::pay",
///     intercept = [Deduplicate::within(Duration::from_secs(3600), "/id")],
/// )]
/// #[iii::trigger(queue, topic = "payments")]
/// async fn pay(payment: Payment) -> String { format!("receipt for {}", payment.cents) }
///
/// # #[cfg(feature = "testing")]
/// # iii::testing::Test::new("doc").only::<pay>().run(|iii| async move {
/// let first = iii.call::<pay>(Payment { id: "p-1".into(), cents: 500 }).await.unwrap();
/// let again = iii.call::<pay>(Payment { id: "p-1".into(), cents: 999 }).await.unwrap();
/// assert_eq!(again, first);
/// # });
/// ```
#[derive(Debug)]
pub struct Deduplicate {
    key: Key,
    /// `None`: only while the first runs.
    window: Option<Duration>,
    rejects: bool,
    entries: usize,
    bytes: usize,
    known: Mutex<Known>,
}

/// The invocations that have duplicates.
#[derive(Debug, Default)]
struct Known {
    entries: HashMap<Digest, Entry>,
    /// When the results are forgotten, the first in front.
    done: VecDeque<(Instant, Digest)>,
    bytes: usize,
}

#[derive(Debug)]
enum Entry {
    Running(watch::Receiver<Option<Arc<Outcome>>>),
    Done(Arc<Outcome>),
}

/// How a first invocation ended.
#[derive(Debug)]
enum Outcome {
    Reply(Reply),
    Failed(ErrorBody),
    /// It is not kept, or cannot be shared.
    NotKept,
}

/// What is known of a key.
enum Seen<'a> {
    /// Nothing: this is the first.
    First(First<'a>),
    Running(watch::Receiver<Option<Arc<Outcome>>>),
    Done(Arc<Outcome>),
}

impl Deduplicate {
    /// What comes while another one of its key runs is a duplicate.
    pub fn while_running(key: impl Into<Key>) -> Self {
        Self {
            key: key.into(),
            window: None,
            rejects: false,
            entries: ENTRIES,
            bytes: BYTES,
            known: Mutex::default(),
        }
    }

    /// What comes while another one of its key runs, or within `window` after it was done well, is a duplicate.
    pub fn within(window: Duration, key: impl Into<Key>) -> Self {
        Self { window: Some(window), ..Self::while_running(key) }
    }

    /// Gives duplicates an error in place of the result.
    #[must_use]
    pub fn reject(mut self) -> Self {
        self.rejects = true;
        self
    }

    /// Sets how many results are remembered at most. Default: 10,000.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// Sets how many bytes of results are remembered at most. Default: 16 MiB.
    #[must_use]
    pub fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    fn look(&self, key: Digest) -> Seen<'_> {
        let mut known = locked(&self.known);
        known.forget_until(Instant::now());
        match known.entries.get(&key) {
            Some(Entry::Running(running)) => Seen::Running(running.clone()),
            Some(Entry::Done(outcome)) => Seen::Done(outcome.clone()),
            None => {
                let (told, running) = watch::channel(None);
                known.entries.insert(key, Entry::Running(running));
                Seen::First(First { of: self, key, told, kept: false })
            }
        }
    }

    fn answer(&self, outcome: &Outcome) -> Result<Reply> {
        match outcome {
            _ if self.rejects => Err(self.duplicate()),
            Outcome::Reply(reply) => reply.try_clone().ok_or_else(|| self.duplicate()),
            Outcome::Failed(body) => Err(Error::from(body.clone())),
            Outcome::NotKept => Err(self.duplicate()),
        }
    }

    fn duplicate(&self) -> Error {
        let text = match self.window {
            None => "another call of the same key still runs".to_owned(),
            Some(window) => {
                format!("another call of the same key runs, or was done in the last {window:?}")
            }
        };
        Error::new(code::DUPLICATE, text).with_retryable(self.window.is_none())
    }
}

impl Interceptor for Deduplicate {
    async fn around(&self, mut call: Invocation, next: Next) -> Result<Reply> {
        let Some(key) = self.key.find(&mut call, true) else { return next.run(call).await };
        let first = loop {
            match self.look(key) {
                Seen::First(first) => break first,
                Seen::Done(outcome) => return self.answer(&outcome),
                Seen::Running(_) if self.rejects => return Err(self.duplicate()),
                Seen::Running(mut running) => {
                    let outcome = next.wait_for(async move {
                        running.wait_for(Option::is_some).await.ok().and_then(|now| now.clone())
                    });
                    if let Some(outcome) = outcome.await? {
                        return self.answer(&outcome);
                    }
                    // The first was given up: whoever looks first is the first now.
                }
            }
        };
        let result = next.run(call).await;
        first.end(&result);
        result
    }

    fn check(&self) -> Result<()> {
        if self.window.is_some_and(|window| window.is_zero()) {
            let text = "`Deduplicate::within` takes a time above zero: without one, use `Deduplicate::while_running`";
            return Err(Error::new(code::INVALID_CONFIGURATION, text));
        }
        self.key.check()
    }
}

/// The invocation that runs. If it is dropped before its end, those that wait learn it, and its key is free again.
struct First<'a> {
    of: &'a Deduplicate,
    key: Digest,
    told: watch::Sender<Option<Arc<Outcome>>>,
    kept: bool,
}

impl First<'_> {
    fn end(mut self, result: &Result<Reply>) {
        let outcome = Arc::new(match result {
            Err(error) => Outcome::Failed(error.to_body()),
            Ok(_) if self.of.rejects => Outcome::NotKept,
            Ok(reply) => reply.try_clone().map_or(Outcome::NotKept, Outcome::Reply),
        });
        if let (Ok(_), Some(window)) = (result, self.of.window) {
            self.kept = true;
            let mut known = locked(&self.of.known);
            known.keep(self.key, outcome.clone(), window);
            known.hold(self.of.entries, self.of.bytes);
        }
        self.told.send_replace(Some(outcome));
    }
}

impl Drop for First<'_> {
    fn drop(&mut self) {
        if !self.kept {
            locked(&self.of.known).entries.remove(&self.key);
        }
    }
}

impl Known {
    fn keep(&mut self, key: Digest, outcome: Arc<Outcome>, window: Duration) {
        // A window without end is forgotten by the bounds alone.
        const LONG: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
        self.bytes += outcome.size();
        self.entries.insert(key, Entry::Done(outcome));
        self.done.push_back((Instant::now() + window.min(LONG), key));
    }

    /// Forgets the oldest results until the rest is within the bounds.
    fn hold(&mut self, entries: usize, bytes: usize) {
        while (self.done.len() > entries || self.bytes > bytes) && self.forget_first() {}
    }

    fn forget_until(&mut self, now: Instant) {
        while self.done.front().is_some_and(|(until, _)| *until <= now) && self.forget_first() {}
    }

    fn forget_first(&mut self) -> bool {
        let Some((_, key)) = self.done.pop_front() else { return false };
        if let Some(Entry::Done(outcome)) = self.entries.remove(&key) {
            self.bytes -= outcome.size();
        }
        true
    }
}

impl Outcome {
    /// How many bytes it holds, about.
    fn size(&self) -> usize {
        match self {
            Self::Reply(reply) => reply.approximate_size(),
            Self::Failed(_) | Self::NotKept => 0,
        }
    }
}
