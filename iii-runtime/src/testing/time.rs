//! Time: what it is, and how a test moves it.

use std::future::Future;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::Harness;
use super::harness::Mode;

/// A point in time: [`SystemTime`], or text of RFC 3339 such as `2026-01-05T09:00:00Z`.
pub trait PointInTime {
    /// The time.
    ///
    /// # Panics
    ///
    /// If text is no time.
    fn to_time(&self) -> SystemTime;
}

impl PointInTime for SystemTime {
    fn to_time(&self) -> SystemTime {
        *self
    }
}

impl PointInTime for DateTime<Utc> {
    fn to_time(&self) -> SystemTime {
        (*self).into()
    }
}

impl PointInTime for str {
    #[track_caller]
    fn to_time(&self) -> SystemTime {
        match DateTime::parse_from_rfc3339(self) {
            Ok(time) => time.into(),
            Err(error) => panic!("`{self}` is no time such as 2026-01-05T09:00:00Z: {error}"),
        }
    }
}

impl<T: PointInTime + ?Sized> PointInTime for &T {
    #[track_caller]
    fn to_time(&self) -> SystemTime {
        (**self).to_time()
    }
}

/// How long nothing may happen in real time until the worker counts as settled.
const QUIET: Duration = Duration::from_millis(100);
/// How long a settling may take in real time.
const SETTLING: Duration = Duration::from_secs(30);

impl Harness {
    /// The time of day in the test: what cron, queues, events and [`Context::now`](crate::Context::now) tell.
    pub fn now(&self) -> SystemTime {
        self.inner.clock.now()
    }

    /// Moves time on. All that is due until then happens, each thing at its own instant: cron, retries, delays, timeouts.
    /// After each, everything settles before the next.
    ///
    /// Time goes by whole milliseconds; a part of one counts as one.
    ///
    /// # Panics
    ///
    /// With `real_time`.
    #[track_caller]
    pub fn advance(&self, by: Duration) -> impl Future<Output = ()> + use<> {
        self.step("advance");
        self.only_virtual("advance");
        let harness = self.clone();
        async move {
            harness.started().await;
            harness.move_to(harness.now() + by).await;
        }
    }

    /// Moves time on to a point, like [`Harness::advance`].
    ///
    /// ```
    /// # iii::testing::Test::new("doc").only::<tick>().run(|iii| async move {
    /// iii.advance_to("2026-01-05T09:00:00Z").await;
    /// assert_eq!(iii.calls::<tick>().await.len(), 1);
    /// # });
    /// # use iii::prelude::*;
    /// # #[iii::function(id = "doc::tick")]
    /// # #[iii::trigger(cron, "0 0 9 * * *")]
    /// # async fn tick() {}
    /// ```
    ///
    /// # Panics
    ///
    /// If the point is past, and with `real_time`.
    #[track_caller]
    pub fn advance_to<T: PointInTime>(&self, time: T) -> impl Future<Output = ()> + use<T> {
        self.step("advance_to");
        self.only_virtual("advance_to");
        let (now, time) = (self.now(), time.to_time());
        assert!(
            time >= now,
            "{} is past: in this test it is {}",
            super::report::time(time),
            super::report::time(now)
        );
        let harness = self.clone();
        async move {
            harness.started().await;
            harness.move_to(time).await;
        }
    }

    async fn move_to(&self, time: SystemTime) {
        let _moving = self.inner.steps.moving();
        // What is due now comes before what is due later.
        self.inner.idle.wait().await;
        let left = time.duration_since(self.now()).unwrap_or(Duration::ZERO);
        // The runtime moves time by itself while all tasks sleep, from timer to timer; this is one of them.
        tokio::time::sleep_until(Instant::now() + left).await;
        self.inner.idle.wait().await;
    }

    /// Waits until nothing can go on by itself, and does not move time: what sleeps still sleeps.
    ///
    /// In real time: until no invocation runs, and none has begun for 100 ms.
    #[track_caller]
    pub fn settle(&self) -> impl Future<Output = ()> + use<> {
        self.step("settle");
        let harness = self.clone();
        async move { harness.settled().await }
    }

    pub(super) async fn settled(&self) {
        self.started().await;
        if self.inner.mode == Mode::Virtual {
            return self.inner.idle.wait().await;
        }
        let end = Instant::now() + SETTLING;
        let mut seen = (usize::MAX, 0);
        let mut quiet_since = Instant::now();
        while Instant::now() < end {
            let now = self.inner.recorder.count();
            if now != seen || now.1 > 0 {
                (seen, quiet_since) = (now, Instant::now());
            } else if quiet_since.elapsed() >= QUIET {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
