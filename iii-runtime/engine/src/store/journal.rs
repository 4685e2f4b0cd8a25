//! The journal of a durable store: changes on their way to disk, gathered into groups, each group one transaction.

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

/// Bytes of the changes of one transaction, about.
const GROUP: usize = 8 << 20;
/// What a change weighs beside its text and its names, in bytes.
const OVERHEAD: usize = 256;

/// A change, as it is written.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The table.
    pub(super) table: Arc<str>,
    /// The scope.
    pub(super) scope: String,
    /// The key.
    pub(super) key: String,
    /// The place of the key in the order of its scope.
    pub(super) number: u64,
    /// The value; `None` removes it.
    pub(super) value: Option<Payload>,
}

impl Record {
    fn bytes(&self) -> usize {
        let value = self.value.as_ref().map_or(0, |value| value.as_str().len());
        self.scope.len() + self.key.len() + value + OVERHEAD
    }
}

/// Where changes are kept. Dropping it lets go of its files.
pub(super) trait Disk: Send + 'static {
    /// Writes changes in their order, all or none, so that they survive the end of the machine.
    ///
    /// # Errors
    ///
    /// What went wrong, with the path.
    fn commit(&mut self, records: &[Record]) -> Result<(), String>;
}

/// Done when a change survives a crash; at once for stores in memory. An acknowledgement to a client waits for it.
///
/// Fails if the change could not be written: then no later change of the store can, either. Dropping it does not take
/// the change back.
#[must_use = "a change is certain only when this is done"]
#[derive(Debug)]
pub(crate) struct PendingWrite(Option<oneshot::Receiver<Result<(), StoreError>>>);

impl PendingWrite {
    /// Of a change that need not be written.
    pub(crate) fn done() -> Self {
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

/// The queue in front of the disk, and the thread that empties it.
pub(super) struct Journal {
    shared: Arc<Shared>,
    /// Bytes of the changes that are not on disk yet; one more change is refused then.
    backlog: usize,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Whether the thread has let go of the files.
    ended: watch::Sender<bool>,
}

/// Told when a change is on disk, or cannot be written.
type Waiter = oneshot::Sender<Result<(), StoreError>>;

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// Of all that is waiting or being written.
    bytes: usize,
    failed: Option<StoreError>,
    closed: bool,
}

struct Entry {
    record: Record,
    done: Waiter,
}

impl Journal {
    /// Starts the thread that writes.
    ///
    /// # Errors
    ///
    /// If the machine has no thread left.
    pub(super) fn start(disk: impl Disk, backlog: usize) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            ended: watch::Sender::new(false),
        });
        let run = {
            let shared = shared.clone();
            move || shared.run(disk)
        };
        let writer = std::thread::Builder::new().name("iii-store".to_owned()).spawn(run);
        let writer = writer.map_err(|error| {
            StoreError(format!("no thread can be started for the store: {error}"))
        })?;
        Ok(Self { shared, backlog, writer: Mutex::new(Some(writer)) })
    }

    /// Hands a change to the thread. Never waits. Changes are written in the order of these calls.
    ///
    /// # Errors
    ///
    /// If too much waits, an earlier change could not be written, or the store is closed.
    pub(super) fn write(&self, record: Record) -> Result<PendingWrite, StoreError> {
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
        let (done, receiver) = oneshot::channel();
        queue.bytes += record.bytes();
        queue.entries.push_back(Entry { record, done });
        drop(queue);
        self.shared.wake.notify_one();
        Ok(PendingWrite(Some(receiver)))
    }

    /// Why nothing can be written any more; `None`: all is well.
    pub(super) fn failure(&self) -> Option<StoreError> {
        lock(&self.shared.queue).failed.clone()
    }

    /// Writes what waits, and ends. Later changes are refused.
    ///
    /// # Errors
    ///
    /// If something could not be written.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        self.shared.close();
        let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
        lock(&self.shared.queue).failed.clone().map_or(Ok(()), Err)
    }

    /// Like [`Journal::close`]; blocks the thread until it is done.
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

impl Shared {
    fn close(&self) {
        lock(&self.queue).closed = true;
        self.wake.notify_one();
    }

    /// The thread: writes groups until the journal is closed and empty, or a group could not be written.
    fn run(&self, mut disk: impl Disk) {
        while let Some((records, waiters)) = self.next_group() {
            // The store on disk must not be used again after a panic in the midst of it.
            let written = catch_unwind(AssertUnwindSafe(|| disk.commit(&records)))
                .unwrap_or_else(|_| Err("the writing of the store panicked".to_owned()));
            let bytes: usize = records.iter().map(Record::bytes).sum();
            match written {
                Ok(()) => {
                    lock(&self.queue).bytes -= bytes;
                    // Those who gave up waiting are not told.
                    waiters.into_iter().for_each(|done| drop(done.send(Ok(()))));
                }
                Err(why) => {
                    self.fail(waiters, &why);
                    break;
                }
            }
        }
        drop(disk);
        self.ended.send_replace(true);
    }

    /// Waits for changes; `None`: the journal is closed, and nothing is left.
    fn next_group(&self) -> Option<(Vec<Record>, Vec<Waiter>)> {
        let mut queue = lock(&self.queue);
        while queue.entries.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut records, mut waiters, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < GROUP
            && let Some(Entry { record, done }) = queue.entries.pop_front()
        {
            bytes += record.bytes();
            records.push(record);
            waiters.push(done);
        }
        Some((records, waiters))
    }

    /// Ends everything: what is in memory may be more than what is on disk, so nothing may be added to it.
    fn fail(&self, waiters: Vec<Waiter>, why: &str) {
        tracing::error!("the store cannot be written any more: {why}");
        let error = StoreError(format!(
            "the store cannot be written, and takes no changes until the engine is started again: {why}"
        ));
        let left = {
            let mut queue = lock(&self.queue);
            queue.failed = Some(error.clone());
            queue.bytes = 0;
            std::mem::take(&mut queue.entries)
        };
        let waiters = waiters.into_iter().chain(left.into_iter().map(|entry| entry.done));
        waiters.for_each(|done| drop(done.send(Err(error.clone()))));
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

    fn record(key: &str, bytes: usize) -> Record {
        Record {
            table: "t".into(),
            scope: "s".to_owned(),
            key: key.to_owned(),
            number: 1,
            value: Some(Payload::from_built(format!("\"{}\"", "x".repeat(bytes)))),
        }
    }

    /// Writes a group when the test says how that ends; tells its keys.
    struct Told {
        groups: mpsc::Sender<Vec<String>>,
        outcomes: mpsc::Receiver<Result<(), String>>,
    }

    impl Disk for Told {
        fn commit(&mut self, records: &[Record]) -> Result<(), String> {
            self.groups.send(records.iter().map(|record| record.key.clone()).collect()).unwrap();
            self.outcomes.recv().unwrap()
        }
    }

    fn told() -> (Journal, mpsc::Receiver<Vec<String>>, mpsc::Sender<Result<(), String>>) {
        let (groups, seen) = mpsc::channel();
        let (tell, outcomes) = mpsc::channel();
        (Journal::start(Told { groups, outcomes }, BACKLOG).unwrap(), seen, tell)
    }

    #[tokio::test]
    async fn what_comes_during_a_write_is_the_next_group() {
        let (journal, groups, tell) = told();
        let first = journal.write(record("a", 0)).unwrap();
        assert_eq!(groups.recv().unwrap(), ["a"]);
        let second = journal.write(record("b", 0)).unwrap();
        let third = journal.write(record("c", 0)).unwrap();
        tell.send(Ok(())).unwrap();
        first.await.unwrap();
        assert_eq!(groups.recv().unwrap(), ["b", "c"]);
        tell.send(Ok(())).unwrap();
        second.await.unwrap();
        third.await.unwrap();
        assert_eq!(lock(&journal.shared.queue).bytes, 0);
        journal.close().await.unwrap();
        assert_eq!(journal.write(record("d", 0)).unwrap_err(), closed());
    }

    #[tokio::test]
    async fn a_failed_write_fails_all_and_everything_later() {
        let (journal, groups, tell) = told();
        let first = journal.write(record("a", 0)).unwrap();
        groups.recv().unwrap();
        let second = journal.write(record("b", 0)).unwrap();
        tell.send(Err("no space left".to_owned())).unwrap();
        for failed in [first.await.unwrap_err(), second.await.unwrap_err()] {
            assert!(failed.0.contains("no space left"), "{failed}");
        }
        assert!(journal.write(record("c", 0)).unwrap_err().0.contains("no space left"));
        assert!(journal.close().await.unwrap_err().0.contains("no space left"));
        assert!(groups.recv().is_err(), "nothing is written after a failure");
    }

    #[tokio::test]
    async fn a_panic_of_the_disk_is_a_failure() {
        struct Panics;
        impl Disk for Panics {
            fn commit(&mut self, _: &[Record]) -> Result<(), String> {
                panic!("on purpose");
            }
        }
        let journal = Journal::start(Panics, BACKLOG).unwrap();
        let first = journal.write(record("a", 0)).unwrap();
        assert!(first.await.unwrap_err().0.contains("panicked"));
    }

    #[tokio::test]
    async fn a_disk_that_is_too_far_behind_refuses() {
        let (journal, groups, tell) = told();
        let mut waiting = vec![journal.write(record("a", 0)).unwrap()];
        groups.recv().unwrap();
        let error = loop {
            match journal.write(record("b", 1 << 20)) {
                Ok(committed) => waiting.push(committed),
                Err(error) => break error,
            }
        };
        assert!(error.0.contains("behind"), "{error}");
        assert!(waiting.len() < 70);
        // There are fewer groups than changes; what is told too often is never asked for.
        for _ in 0..=waiting.len() {
            tell.send(Ok(())).unwrap();
        }
        for committed in waiting {
            committed.await.unwrap();
        }
        assert_eq!(lock(&journal.shared.queue).bytes, 0);
        journal.write(record("c", 0)).unwrap().await.unwrap();
    }
}
