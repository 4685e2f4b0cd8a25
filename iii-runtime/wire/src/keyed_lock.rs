//! Asynchronous locks by key: at most one task at a time holds the lock of each key.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::sync::lock;

/// A set of asynchronous mutexes, one for each key in use. Each lock is fair: waiters acquire it in FIFO order.
pub struct KeyedLock<K> {
    locks: Mutex<HashMap<K, Arc<AsyncMutex<()>>>>,
}

/// Holds the lock of one key until it is dropped.
pub struct KeyedLockGuard<'a, K: Eq + Hash> {
    owner: &'a KeyedLock<K>,
    key: K,
    mutex: Option<Arc<AsyncMutex<()>>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash + Clone> KeyedLock<K> {
    /// Acquires the lock of `key`.
    pub async fn acquire(&self, key: K) -> KeyedLockGuard<'_, K> {
        let mutex = lock(&self.locks).entry(key.clone()).or_default().clone();
        let mut acquired =
            KeyedLockGuard { owner: self, key, mutex: Some(mutex.clone()), guard: None };
        acquired.guard = Some(mutex.lock_owned().await);
        acquired
    }
}

impl<K> KeyedLock<K> {
    /// Returns the number of keys that are locked or waited for.
    pub fn len(&self) -> usize {
        lock(&self.locks).len()
    }

    /// Returns whether no key is locked or waited for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Eq + Hash> Drop for KeyedLockGuard<'_, K> {
    fn drop(&mut self) {
        let mut locks = lock(&self.owner.locks);
        self.guard = None;
        self.mutex = None;
        // A count of one means that there are no waiters: each holds a clone, and clones it under the lock of the
        // table.
        if locks.get(&self.key).is_some_and(|mutex| Arc::strong_count(mutex) == 1) {
            locks.remove(&self.key);
        }
    }
}

impl<K: Eq + Hash> fmt::Debug for KeyedLockGuard<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLockGuard").finish_non_exhaustive()
    }
}

impl<K> Default for KeyedLock<K> {
    fn default() -> Self {
        Self { locks: Mutex::default() }
    }
}

impl<K> fmt::Debug for KeyedLock<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLock").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn waiters_acquire_in_order_and_unused_keys_are_removed() {
        let locks = KeyedLock::default();
        let first = locks.acquire("a").await;
        let other = locks.acquire("b").now_or_never();
        assert!(other.is_some(), "another key is independent");
        drop(other);
        let mut second = Box::pin(locks.acquire("a"));
        assert!(second.as_mut().now_or_never().is_none());
        // A cancelled waiter does not block those behind it.
        let mut third = Box::pin(locks.acquire("a"));
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        drop(first);
        drop(third.await);
        assert_eq!(locks.len(), 0);
    }
}
