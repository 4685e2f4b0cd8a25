//! The log records that are kept: the newest, up to a number, a size and an age.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Record;

/// Bytes of all records.
const BYTES: usize = 16 << 20;

/// Records in the order of their arrival.
pub(super) struct Store {
    records: VecDeque<(u64, Arc<Record>)>,
    bytes: usize,
    most: usize,
    /// In nanoseconds.
    retention: u64,
}

impl Store {
    /// An empty store; `retention` is in nanoseconds.
    pub(super) fn new(most: usize, retention: u64) -> Self {
        Self { records: VecDeque::new(), bytes: 0, most, retention }
    }

    /// Keeps a record that came at `now`, in nanoseconds since 1970.
    pub(super) fn push(&mut self, record: Arc<Record>, now: u64) {
        self.bytes += record.bytes();
        self.records.push_back((now, record));
        self.forget_old(now);
    }

    /// Forgets what is too old, or too much.
    pub(super) fn forget_old(&mut self, now: u64) {
        let oldest = now.saturating_sub(self.retention);
        while let Some((came, _)) = self.records.front()
            && (*came < oldest || self.records.len() > self.most || self.bytes > BYTES)
        {
            if let Some((_, record)) = self.records.pop_front() {
                self.bytes -= record.bytes();
            }
        }
    }

    /// All records, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().rev().map(|(_, record)| record)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.bytes = 0;
    }
}
