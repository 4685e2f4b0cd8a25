//! A limit of how many invocations go on at the same time, also for each value of a key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::key::Digest;
use super::next::locked;
use super::{Interceptor, Key, Next};
use crate::extract::Invocation;
use crate::output::Reply;
use iii_wire::{Error, Result, code};

/// How many may wait, unless somebody says otherwise.
const WAITING: usize = 1_000;

/// Lets only so many invocations go on at the same time. More wait; too many are refused with the code
/// [`overloaded`](code::OVERLOADED), which is retryable.
///
/// One value counts for everything that it is around: for all functions together in [`App::intercept`](crate::App::intercept),
/// for one function in its declaration. With a key, it counts for each value of the key; those without the key count
/// together. What waits takes no room of the worker, and is ended by its deadline.
///
/// It counts in this process. The option `concurrency` of a function does the same without a key, and lets all wait.
///
/// ```
/// use iii::intercept::ConcurrencyLimit;
/// use iii::prelude::*;
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Import { tenant: String }
///
/// /// One import at a time for each tenant; ten more may wait.
/// #[iii::function(id = "doc::import", intercept = [ConcurrencyLimit::new(1).by("/tenant").queue(10)])]
/// async fn import(import: Import) {}
/// ```
#[derive(Debug)]
pub struct ConcurrencyLimit {
    most: usize,
    waiting: usize,
    key: Option<Key>,
    /// Only keys of invocations that run or wait.
    places: Mutex<HashMap<Option<Digest>, Places>>,
}

/// The places of one key.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    /// How many run or wait.
    users: usize,
}

impl ConcurrencyLimit {
    /// At most `most` at the same time, of at least 1; up to 1,000 more wait.
    pub fn new(most: usize) -> Self {
        Self { most, waiting: WAITING, key: None, places: Mutex::default() }
    }

    /// Counts for each value of a key. Default: for all together.
    #[must_use]
    pub fn by(mut self, key: impl Into<Key>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets how many may wait, for each value of the key. Default: 1,000.
    #[must_use]
    pub fn queue(mut self, waiting: usize) -> Self {
        self.waiting = waiting;
        self
    }

    /// Lets none wait: what finds no place is refused.
    #[must_use]
    pub fn reject(self) -> Self {
        self.queue(0)
    }

    fn enter(&self, key: Option<Digest>) -> Result<Stay<'_>> {
        let mut places = locked(&self.places);
        let Places { free, users } = places.entry(key).or_insert_with(|| Places {
            free: Arc::new(Semaphore::new(self.most.min(Semaphore::MAX_PERMITS))),
            users: 0,
        });
        if *users >= self.most.saturating_add(self.waiting) {
            let text = match self.waiting {
                0 => format!("{} run at the same time, which is the most", self.most),
                waiting => format!("{} run at the same time, and {waiting} wait", self.most),
            };
            return Err(Error::new(code::OVERLOADED, text).with_retryable(true));
        }
        *users += 1;
        Ok(Stay { limit: self, key, free: free.clone() })
    }
}

impl Interceptor for ConcurrencyLimit {
    async fn around(&self, mut call: Invocation, next: Next) -> Result<Reply> {
        let key = self.key.as_ref().and_then(|key| key.find(&mut call, false));
        let stay = self.enter(key)?;
        let _place = match stay.free.try_acquire() {
            Ok(place) => place,
            Err(_) => next
                .wait_for(stay.free.acquire())
                .await?
                .map_err(|_| Error::new(code::SHUTTING_DOWN, "the worker has stopped"))?,
        };
        next.run(call).await
    }

    fn check(&self) -> Result<()> {
        if self.most == 0 {
            let text = "`ConcurrencyLimit::new` takes at least 1: with 0, nothing could ever run";
            return Err(Error::new(code::INVALID_CONFIGURATION, text));
        }
        self.key.as_ref().map_or(Ok(()), Key::check)
    }
}

/// An invocation that runs or waits.
struct Stay<'a> {
    limit: &'a ConcurrencyLimit,
    key: Option<Digest>,
    free: Arc<Semaphore>,
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        let mut places = locked(&self.limit.places);
        if let Some(of_key) = places.get_mut(&self.key) {
            of_key.users -= 1;
            if of_key.users == 0 {
                places.remove(&self.key);
            }
        }
    }
}
