//! A limit of how many invocations begin in a span of time, also for each value of a key.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::key::Digest;
use super::next::locked;
use super::{Interceptor, Key, Next};
use crate::extract::Invocation;
use crate::output::Reply;
use iii_wire::{Error, Result, code};

/// How many keys are remembered, unless somebody says otherwise.
const KEYS: usize = 10_000;

/// Lets only so many invocations begin in a span of time. More are refused with the code
/// [`rate_limited`](code::RATE_LIMITED), which is retryable and says after what time
/// ([`Error::retry_after`](struct@crate::Error#method.retry_after)); over HTTP, that is status 429 and the header
/// `retry-after`. Or they wait, see [`RateLimit::wait`].
///
/// It is a token bucket: after a pause, [`RateLimit::burst`] invocations may begin at once; then one in each part of the
/// span. One value counts for everything that it is around. With a key, it counts for each value of the key; those without
/// the key count together. It counts in this process.
///
/// ```
/// use iii::intercept::RateLimit;
/// use iii::prelude::*;
/// use std::time::Duration;
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Search { customer: u64, text: String }
///
/// /// For each customer ten at once, and then one each second.
/// #[iii::function(
///     id = "doc::search",
///     intercept = [RateLimit::per_second(1).burst(10).by("/customer")],
/// )]
/// async fn search(search: Search) -> Vec<String> { vec![search.text] }
///
/// # #[cfg(feature = "testing")]
/// # iii::testing::Test::new("doc").only::<search>().run(|iii| async move {
/// # let search = |customer| iii.call::<search>(Search { customer, text: "tea".into() });
/// for _ in 0..10 {
///     search(1).await.unwrap();
/// }
/// let error = search(1).await.unwrap_err();
/// assert_eq!(error.code(), iii::code::RATE_LIMITED);
/// assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
/// assert!(search(2).await.is_ok());
/// # });
/// ```
#[derive(Debug)]
pub struct RateLimit {
    count: u32,
    per: Duration,
    burst: u32,
    wait: Duration,
    key: Option<Key>,
    keys: usize,
    buckets: Mutex<Buckets>,
}

/// The buckets that are not full. What is not here is full.
#[derive(Debug, Default)]
struct Buckets {
    /// When each will be full again.
    full_at: HashMap<Option<Digest>, Instant>,
    /// The same by time: the first is the one that is least missed.
    order: BTreeSet<(Instant, Option<Digest>)>,
}

impl RateLimit {
    /// `count` in each span of `per`, both above zero. A burst is as large as `count`.
    pub fn new(count: u32, per: Duration) -> Self {
        Self {
            count,
            per,
            burst: count,
            wait: Duration::ZERO,
            key: None,
            keys: KEYS,
            buckets: Mutex::default(),
        }
    }

    /// So many in each second.
    pub fn per_second(count: u32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// So many in each minute.
    pub fn per_minute(count: u32) -> Self {
        Self::new(count, Duration::from_secs(60))
    }

    /// Sets how many may begin at once after a pause, of at least 1. Default: the number in a span.
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = burst;
        self
    }

    /// Lets invocations wait for their turn, if that comes within `longest` and before their deadline. Default: none
    /// waits. What waits takes no room of the worker.
    #[must_use]
    pub fn wait(mut self, longest: Duration) -> Self {
        self.wait = longest;
        self
    }

    /// Counts for each value of a key. Default: for all together.
    #[must_use]
    pub fn by(mut self, key: impl Into<Key>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets how many values of the key are remembered at most, of at least 1. With more, the one that may soonest begin
    /// again as after a pause is forgotten. Default: 10,000.
    #[must_use]
    pub fn keys(mut self, keys: usize) -> Self {
        self.keys = keys;
        self
    }

    /// The time that one invocation takes out of the bucket.
    fn share(&self) -> Duration {
        self.per / self.count.max(1)
    }

    /// Takes a turn: how long until it comes.
    ///
    /// # Errors
    ///
    /// How long it would be, which is too long. Nothing is taken then.
    fn take(&self, key: Option<Digest>, longest: Duration) -> Result<Duration, Duration> {
        let now = Instant::now();
        let share = self.share();
        let mut buckets = locked(&self.buckets);
        buckets.forget_full(now);
        let full_at = buckets.full_at.get(&key).copied().unwrap_or(now).max(now);
        let at_once = share.saturating_mul(self.burst.saturating_sub(1));
        let wait = full_at.duration_since(now).saturating_sub(at_once);
        if wait > longest {
            return Err(wait);
        }
        buckets.set(key, full_at + share, self.keys);
        Ok(wait)
    }
}

impl Buckets {
    fn set(&mut self, key: Option<Digest>, full_at: Instant, keys: usize) {
        if let Some(before) = self.full_at.insert(key, full_at) {
            self.order.remove(&(before, key));
        }
        self.order.insert((full_at, key));
        while self.full_at.len() > keys.max(1) {
            // Never the one that was just set: then nothing would be counted at all.
            let Some(least) = self.order.iter().find(|(_, other)| *other != key).copied() else {
                return;
            };
            self.forget(least);
        }
    }

    /// A few at a time, so that no invocation pays for all.
    fn forget_full(&mut self, now: Instant) {
        for _ in 0..4 {
            match self.order.first().copied() {
                Some(first) if first.0 <= now => self.forget(first),
                _ => return,
            }
        }
    }

    fn forget(&mut self, bucket: (Instant, Option<Digest>)) {
        self.order.remove(&bucket);
        self.full_at.remove(&bucket.1);
    }
}

impl Interceptor for RateLimit {
    async fn around(&self, mut call: Invocation, next: Next) -> Result<Reply> {
        let key = self.key.as_ref().and_then(|key| key.find(&mut call, false));
        let longest = call.context().time_left().map_or(self.wait, |left| left.min(self.wait));
        let wait = self.take(key, longest).map_err(|wait| {
            let text =
                format!("more than {} calls in {:?}; try again in {wait:?}", self.count, self.per);
            Error::new(code::RATE_LIMITED, text).with_retry_after(wait)
        })?;
        if !wait.is_zero() {
            next.wait_for(tokio::time::sleep(wait)).await?;
        }
        next.run(call).await
    }

    fn check(&self) -> Result<()> {
        if self.count == 0 || self.burst == 0 || self.per.is_zero() {
            let text = "a `RateLimit` takes a number, a burst and a span of time above zero: with 0, nothing could ever run";
            return Err(Error::new(code::INVALID_CONFIGURATION, text));
        }
        self.key.as_ref().map_or(Ok(()), Key::check)
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills() {
        let limit = RateLimit::per_second(10).burst(2);
        let take = || limit.take(None, Duration::ZERO);
        let tenth = Duration::from_millis(100);
        assert_eq!((take(), take(), take()), (Ok(Duration::ZERO), Ok(Duration::ZERO), Err(tenth)));
        tokio::time::advance(tenth).await;
        assert_eq!((take(), take()), (Ok(Duration::ZERO), Err(tenth)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!((take(), take(), take()), (Ok(Duration::ZERO), Ok(Duration::ZERO), Err(tenth)));
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_taken_ahead_of_time() {
        let limit = RateLimit::per_second(10).burst(1);
        let second = Duration::from_secs(1);
        for turn in 0..=10 {
            assert_eq!(limit.take(None, second), Ok(turn * Duration::from_millis(100)));
        }
        assert_eq!(limit.take(None, second), Err(Duration::from_millis(1100)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_keys_are_remembered_than_asked_for() {
        let limit = RateLimit::per_minute(1).keys(3);
        for n in 0..1000 {
            let key = Key::of(move |_| Some(format!("{n}")));
            let call = &mut Invocation::test(crate::Context::test(), crate::Payload::null());
            assert!(limit.take(key.find(call, false), Duration::ZERO).is_ok());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let count = || {
            let buckets = locked(&limit.buckets);
            (buckets.full_at.len(), buckets.order.len())
        };
        assert_eq!(count(), (3, 3));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(limit.take(None, Duration::ZERO).is_ok());
        assert_eq!(count(), (1, 1));
    }
}
