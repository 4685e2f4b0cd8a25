//! A buffer of recent items, limited by count, memory and age.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Maximum memory of a buffer, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// An item whose memory counts against the limit of its buffer.
pub(super) trait MemoryFootprint {
    /// Returns the approximate memory of the item, in bytes.
    fn footprint(&self) -> usize;
}

/// Items in the order of their arrival. Each new item evicts the oldest ones beyond the limits.
pub(super) struct RetentionBuffer<T> {
    /// With the time of their arrival, in nanoseconds since the Unix epoch.
    items: VecDeque<(u64, Arc<T>)>,
    bytes: usize,
    max_count: usize,
    retention_nanos: u64,
}

impl<T: MemoryFootprint> RetentionBuffer<T> {
    /// Creates an empty buffer.
    pub(super) fn new(max_count: usize, retention: Duration) -> Self {
        let retention_nanos = u64::try_from(retention.as_nanos()).unwrap_or(u64::MAX);
        Self { items: VecDeque::new(), bytes: 0, max_count, retention_nanos }
    }

    /// Adds an item that arrived at `now`, in nanoseconds since the Unix epoch.
    pub(super) fn push(&mut self, item: Arc<T>, now: u64) {
        self.bytes += item.footprint();
        self.items.push_back((now, item));
        self.evict(now);
    }

    /// Removes the items beyond the limits.
    pub(super) fn evict(&mut self, now: u64) {
        let oldest = now.saturating_sub(self.retention_nanos);
        while let Some((arrived, _)) = self.items.front()
            && (*arrived < oldest || self.items.len() > self.max_count || self.bytes > MAX_BYTES)
        {
            if let Some((_, item)) = self.items.pop_front() {
                self.bytes -= item.footprint();
            }
        }
    }

    /// Returns the items with the time of their arrival, the oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Arc<T>)> {
        self.items.iter().map(|(arrived, item)| (*arrived, item))
    }

    /// Returns the number of items.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Removes all items.
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.bytes = 0;
    }
}
