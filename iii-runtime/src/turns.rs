//! Work on one thing at a time: whoever comes later waits for those who came before.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turnstile, OwnedMutexGuard};

/// Who works on what. Things that nobody works on take no memory.
pub(crate) struct Turns<K> {
    things: Mutex<HashMap<K, Arc<Turnstile<()>>>>,
}

/// The right to work on one thing, until it is dropped.
pub(crate) struct Turn<'a, K: Eq + Hash> {
    turns: &'a Turns<K>,
    thing: K,
    turnstile: Option<Arc<Turnstile<()>>>,
    passed: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash + Clone> Turns<K> {
    /// Waits for the turn.
    pub(crate) async fn wait(&self, thing: K) -> Turn<'_, K> {
        let turnstile = self.lock().entry(thing.clone()).or_default().clone();
        let mut turn =
            Turn { turns: self, thing, turnstile: Some(turnstile.clone()), passed: None };
        turn.passed = Some(turnstile.lock_owned().await);
        turn
    }
}

impl<K> Turns<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Turnstile<()>>>> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For tests: how many things are worked on.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

impl<K: Eq + Hash> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        let mut things = self.turns.lock();
        self.passed = None;
        self.turnstile = None;
        // Nobody else waits: those who do hold it too, and take hold of it under this lock.
        if things.get(&self.thing).is_some_and(|one| Arc::strong_count(one) == 1) {
            things.remove(&self.thing);
        }
    }
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self { things: Mutex::default() }
    }
}

impl<K> fmt::Debug for Turns<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").field("len", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_after_the_other_and_nothing_is_left() {
        let turns = Turns::default();
        let first = turns.wait("a").await;
        let other = turns.wait("b").now_or_never();
        assert!(other.is_some(), "another thing is free");
        drop(other);
        let mut second = Box::pin(turns.wait("a"));
        assert!(second.as_mut().now_or_never().is_none());
        // One who gives up does not stand in the way of others.
        let mut third = Box::pin(turns.wait("a"));
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        drop(first);
        drop(third.await);
        assert_eq!(turns.len(), 0);
    }
}
