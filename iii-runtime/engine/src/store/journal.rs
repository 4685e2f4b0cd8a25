//! The write-ahead journal of a durable store: batches pending changes and commits each batch in one transaction.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use super::StoreError;
use iii_wire::protocol::Payload;
use iii_wire::sync::lock;

/// Approximate size of one batch, in bytes.
const BATCH_BYTES: usize = 8 << 20;
/// Memory that a change needs in addition to its value, scope and key, in bytes.
const OVERHEAD: usize = 256;

/// A change as it is written to disk.
#[derive(Debug, Clone)]
pub(super) struct JournalRecord {
    /// The table.
    pub(super) table: Arc<str>,
    /// The scope.
    pub(super) scope: String,
    /// The key.
    pub(super) key: String,
    /// The position of the key in the insertion order of its scope.
    pub(super) position: u64,
    /// The value; `None` removes it.
    pub(super) value: Option<Payload>,
}

impl JournalRecord {
    fn bytes(&self) -> usize {
        let value = self.value.as_ref().map_or(0, |value| value.as_str().len());
        self.scope.len() + self.key.len() + value + OVERHEAD
    }
}

/// The storage that a journal commits to. Dropping it releases its files.
pub(super) trait JournalStorage: Send + 'static {
    /// Commits changes in their order, all or none. They survive a crash of the machine once this returns.
    ///
    /// # Errors
    ///
    /// The failure, with the path of the file.
    fn commit(&mut self, records: &[JournalRecord]) -> Result<(), String>;
}

/// A write to the store. Resolves when the change is durable; immediately if the store is in memory.
///
/// Acknowledgements to clients wait for it. Fails if the change could not be written; no later change of the store can
/// be written then. Dropping it does not cancel the write.
#[must_use = "a change is durable only when this has resolved"]
#[derive(Debug)]
pub(crate) struct PendingWrite(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl PendingWrite {
    /// A write that has nothing to wait for.
    pub(crate) fn completed() -> Self {
        Self(None)
    }
}

impl Future for PendingWrite {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(receiver) = &mut self.0 else { return Poll::Ready(Ok(())) };
        let result = ready!(Pin::new(receiver).poll(context));
        Poll::Ready(result.unwrap_or_else(|_| Err(closed())))
    }
}

/// The queue of changes that are not on disk yet, and the thread that writes them.
pub(super) struct Journal {
    shared: Arc<JournalShared>,
    /// Bytes of changes that are not on disk yet. Further changes are rejected while the backlog is full.
    backlog: usize,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct JournalShared {
    queue: Mutex<WriteQueue>,
    wake: Condvar,
    /// Set when the writer thread has released the files.
    ended: watch::Sender<bool>,
}

/// Resolves a [`PendingWrite`].
type Completion = oneshot::Sender<Result<(), StoreError>>;

#[derive(Default)]
struct WriteQueue {
    writes: VecDeque<QueuedWrite>,
    /// Bytes of the writes that are queued or being committed.
    bytes: usize,
    failed: Option<StoreError>,
    closed: bool,
}

struct QueuedWrite {
    record: JournalRecord,
    completion: Completion,
}

impl Journal {
    /// Starts the writer thread.
    ///
    /// # Errors
    ///
    /// If the operating system cannot start a thread.
    pub(super) fn start(storage: impl JournalStorage, backlog: usize) -> Result<Self, StoreError> {
        let shared = Arc::new(JournalShared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            ended: watch::Sender::new(false),
        });
        let run = {
            let shared = shared.clone();
            move || shared.run(storage)
        };
        let writer = std::thread::Builder::new().name("iii-store".to_owned()).spawn(run);
        let writer = writer.map_err(|error| {
            StoreError(format!("the writer thread of the store cannot be started: {error}"))
        })?;
        Ok(Self { shared, backlog, writer: Mutex::new(Some(writer)) })
    }

    /// Queues a change for the writer thread. Never waits. Changes are written in the order of the calls.
    ///
    /// # Errors
    ///
    /// If the backlog is full, an earlier write has failed, or the store is closed.
    pub(super) fn write(&self, record: JournalRecord) -> Result<PendingWrite, StoreError> {
        let mut queue = lock(&self.shared.queue);
        if let Some(error) = &queue.failed {
            return Err(error.clone());
        }
        if queue.closed {
            return Err(closed());
        }
        if queue.bytes >= self.backlog {
            return Err(StoreError(
                "the disk of the store is too far behind: try again later".to_owned(),
            ));
        }
        let (completion, receiver) = oneshot::channel();
        queue.bytes += record.bytes();
        queue.writes.push_back(QueuedWrite { record, completion });
        drop(queue);
        self.shared.wake.notify_one();
        Ok(PendingWrite(Some(receiver)))
    }

    /// Returns the failure that stopped the journal, if any.
    pub(super) fn failure(&self) -> Option<StoreError> {
        lock(&self.shared.queue).failed.clone()
    }

    /// Flushes the queue and stops the writer thread. Later changes are rejected.
    ///
    /// # Errors
    ///
    /// If a change could not be written.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.shared.close();
        let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
        lock(&self.shared.queue).failed.clone().map_or(Ok(()), Err)
    }

    /// Like [`Journal::close`], but blocks the thread.
    pub(super) fn close_blocking(&self) {
        self.shared.close();
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close_blocking();
    }
}

impl JournalShared {
    fn close(&self) {
        lock(&self.queue).closed = true;
        self.wake.notify_one();
    }

    /// Runs the writer thread: commits batches until the journal is closed and drained, or a commit fails.
    fn run(&self, mut storage: impl JournalStorage) {
        while let Some((records, completions)) = self.next_batch() {
            // A panic can leave the storage inconsistent, so it is handled as a failed write: nothing uses the storage
            // afterwards.
            let written = catch_unwind(AssertUnwindSafe(|| storage.commit(&records)))
                .unwrap_or_else(|_| Err("writing the store panicked".to_owned()));
            let bytes: usize = records.iter().map(JournalRecord::bytes).sum();
            match written {
                Ok(()) => {
                    lock(&self.queue).bytes -= bytes;
                    // A dropped `PendingWrite` has no receiver.
                    completions.into_iter().for_each(|completion| drop(completion.send(Ok(()))));
                }
                Err(reason) => {
                    self.fail(completions, &reason);
                    break;
                }
            }
        }
        drop(storage);
        self.ended.send_replace(true);
    }

    /// Waits for changes and takes the next batch. Returns `None` once the journal is closed and drained.
    fn next_batch(&self) -> Option<(Vec<JournalRecord>, Vec<Completion>)> {
        let mut queue = lock(&self.queue);
        while queue.writes.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut records, mut completions, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < BATCH_BYTES
            && let Some(QueuedWrite { record, completion }) = queue.writes.pop_front()
        {
            bytes += record.bytes();
            records.push(record);
            completions.push(completion);
        }
        Some((records, completions))
    }

    /// Fails all queued and later writes: memory may be ahead of the disk, so no further change may be accepted.
    fn fail(&self, completions: Vec<Completion>, reason: &str) {
        tracing::error!("the store cannot be written: {reason}");
        let error = StoreError(format!(
            "the store cannot be written, and rejects all changes until the engine is restarted: {reason}"
        ));
        let queued = {
            let mut queue = lock(&self.queue);
            queue.failed = Some(error.clone());
            queue.bytes = 0;
            std::mem::take(&mut queue.writes)
        };
        let completions =
            completions.into_iter().chain(queued.into_iter().map(|write| write.completion));
        completions.for_each(|completion| drop(completion.send(Err(error.clone()))));
    }
}

fn closed() -> StoreError {
    StoreError("the store is closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const BACKLOG: usize = 1 << 20;

    fn record(key: &str, bytes: usize) -> JournalRecord {
        JournalRecord {
            table: "t".into(),
            scope: "s".to_owned(),
            key: key.to_owned(),
            position: 1,
            value: Some(Payload::from_built(format!("\"{}\"", "x".repeat(bytes)))),
        }
    }

    /// Sends the keys of each batch to the test, and commits with the outcome that the test sends.
    struct ControlledStorage {
        batches: mpsc::Sender<Vec<String>>,
        outcomes: mpsc::Receiver<Result<(), String>>,
    }

    impl JournalStorage for ControlledStorage {
        fn commit(&mut self, records: &[JournalRecord]) -> Result<(), String> {
            self.batches.send(records.iter().map(|record| record.key.clone()).collect()).unwrap();
            self.outcomes.recv().unwrap()
        }
    }

    fn controlled() -> (Journal, mpsc::Receiver<Vec<String>>, mpsc::Sender<Result<(), String>>) {
        let (sender, batches) = mpsc::channel();
        let (outcome, outcomes) = mpsc::channel();
        let storage = ControlledStorage { batches: sender, outcomes };
        (Journal::start(storage, BACKLOG).unwrap(), batches, outcome)
    }

    #[tokio::test]
    async fn changes_during_a_commit_form_the_next_batch() {
        let (journal, batches, outcome) = controlled();
        let first = journal.write(record("a", 0)).unwrap();
        assert_eq!(batches.recv().unwrap(), ["a"]);
        let second = journal.write(record("b", 0)).unwrap();
        let third = journal.write(record("c", 0)).unwrap();
        outcome.send(Ok(())).unwrap();
        first.await.unwrap();
        assert_eq!(batches.recv().unwrap(), ["b", "c"]);
        outcome.send(Ok(())).unwrap();
        second.await.unwrap();
        third.await.unwrap();
        assert_eq!(lock(&journal.shared.queue).bytes, 0);
        journal.close().await.unwrap();
        assert_eq!(journal.write(record("d", 0)).unwrap_err(), closed());
    }

    #[tokio::test]
    async fn failed_commit_fails_queued_and_later_writes() {
        let (journal, batches, outcome) = controlled();
        let first = journal.write(record("a", 0)).unwrap();
        batches.recv().unwrap();
        let second = journal.write(record("b", 0)).unwrap();
        outcome.send(Err("no space left".to_owned())).unwrap();
        for failed in [first.await.unwrap_err(), second.await.unwrap_err()] {
            assert!(failed.0.contains("no space left"), "{failed}");
        }
        assert!(journal.write(record("c", 0)).unwrap_err().0.contains("no space left"));
        assert!(journal.close().await.unwrap_err().0.contains("no space left"));
        assert!(batches.recv().is_err(), "nothing is committed after a failure");
    }

    #[tokio::test]
    async fn panic_of_the_storage_fails_the_write() {
        struct PanickingStorage;
        impl JournalStorage for PanickingStorage {
            fn commit(&mut self, _: &[JournalRecord]) -> Result<(), String> {
                panic!("on purpose");
            }
        }
        let journal = Journal::start(PanickingStorage, BACKLOG).unwrap();
        let first = journal.write(record("a", 0)).unwrap();
        assert!(first.await.unwrap_err().0.contains("panicked"));
    }

    #[tokio::test]
    async fn full_backlog_rejects_changes() {
        let (journal, batches, outcome) = controlled();
        let mut pending = vec![journal.write(record("a", 0)).unwrap()];
        batches.recv().unwrap();
        let error = loop {
            match journal.write(record("b", 1 << 20)) {
                Ok(write) => pending.push(write),
                Err(error) => break error,
            }
        };
        assert!(error.0.contains("behind"), "{error}");
        assert!(pending.len() < 70);
        // There are fewer batches than changes; surplus outcomes are never received.
        for _ in 0..=pending.len() {
            outcome.send(Ok(())).unwrap();
        }
        for write in pending {
            write.await.unwrap();
        }
        assert_eq!(lock(&journal.shared.queue).bytes, 0);
        journal.write(record("c", 0)).unwrap().await.unwrap();
    }
}
