//! Metrics of calls and workers: atomic counters and a duration histogram.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::registry::{FunctionTarget, RegisteredFunction};
use iii_wire::protocol::FunctionId;
use iii_wire::sync::lock;

/// Maximum number of function ids with their own counter, since clients can register any number of ids over time.
const MAX_FUNCTIONS: usize = 10_000;
/// The histogram has eight buckets per power of two, so percentiles have a relative error of at most 1/16.
const BUCKET_BITS: u32 = 3;
const BUCKETS_PER_POWER: usize = 1 << BUCKET_BITS;
/// From 1 ns to 2^42 ns, more than an hour; longer durations are counted in the last bucket.
const POWERS: usize = 42;
const BUCKETS: usize = POWERS * BUCKETS_PER_POWER;

/// The counters of one broker.
pub(super) struct Counters {
    started: AtomicU64,
    unknown_function: AtomicU64,
    deferred: AtomicU64,
    failed: AtomicU64,
    connected: AtomicU64,
    disconnected: AtomicU64,
    sum_ns: AtomicU64,
    min_ns: AtomicU64,
    max_ns: AtomicU64,
    durations: Box<[AtomicU64]>,
    by_function: Mutex<BTreeMap<FunctionId, Arc<AtomicU64>>>,
    /// Shared by all functions beyond the maximum.
    other_functions: Arc<AtomicU64>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            started: AtomicU64::new(0),
            unknown_function: AtomicU64::new(0),
            deferred: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            connected: AtomicU64::new(0),
            disconnected: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
            min_ns: AtomicU64::new(u64::MAX),
            max_ns: AtomicU64::new(0),
            durations: Box::new([const { AtomicU64::new(0) }; BUCKETS]),
            by_function: Mutex::default(),
            other_functions: Arc::default(),
        }
    }
}

impl Counters {
    /// Returns the counter of a function id. Looked up once per registration, not per call.
    pub(super) fn of(&self, id: &FunctionId) -> Arc<AtomicU64> {
        let mut functions = lock(&self.by_function);
        if let Some(counter) = functions.get(id) {
            return counter.clone();
        }
        if functions.len() >= MAX_FUNCTIONS {
            return self.other_functions.clone();
        }
        functions.entry(id.clone()).or_default().clone()
    }

    /// Records the start of a call.
    pub(super) fn started(&self, function: &RegisteredFunction) {
        self.started.fetch_add(1, Relaxed);
        function.calls.fetch_add(1, Relaxed);
        if matches!(function.target, FunctionTarget::Worker(_)) {
            self.deferred.fetch_add(1, Relaxed);
        }
    }

    /// Records a call of an unknown function.
    pub(super) fn unknown_function(&self) {
        self.unknown_function.fetch_add(1, Relaxed);
    }

    /// Records the end of a call. Void calls are not recorded.
    pub(super) fn completed(&self, since: Instant, succeeded: bool) {
        let ns = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.durations[bucket(ns)].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(ns, Relaxed);
        if !succeeded {
            self.failed.fetch_add(1, Relaxed);
        }
        // Most durations are neither the minimum nor the maximum: a load suffices.
        if ns < self.min_ns.load(Relaxed) {
            self.min_ns.fetch_min(ns, Relaxed);
        }
        if ns > self.max_ns.load(Relaxed) {
            self.max_ns.fetch_max(ns, Relaxed);
        }
    }

    /// Records a new connection. Returns its sequence number, from 0.
    pub(super) fn worker_connected(&self) -> u64 {
        self.connected.fetch_add(1, Relaxed)
    }

    /// Records the end of a connection.
    pub(super) fn worker_disconnected(&self) {
        self.disconnected.fetch_add(1, Relaxed);
    }

    /// Takes a snapshot. `built_in` are the functions of the engine, which no worker can register.
    pub(super) fn snapshot<'a>(
        &self,
        built_in: impl Iterator<Item = &'a RegisteredFunction>,
    ) -> BrokerMetrics {
        let durations: Vec<u64> = self.durations.iter().map(|count| count.load(Relaxed)).collect();
        let completed: u64 = durations.iter().sum();
        let (failed, unknown_function) =
            (self.failed.load(Relaxed), self.unknown_function.load(Relaxed));
        let (connected, disconnected) =
            (self.connected.load(Relaxed), self.disconnected.load(Relaxed));
        let read = |id: &FunctionId, count: &AtomicU64| {
            let count = count.load(Relaxed);
            (count > 0).then(|| (id.clone(), count))
        };
        let mut by_function: Vec<(FunctionId, u64)> =
            lock(&self.by_function).iter().filter_map(|(id, count)| read(id, count)).collect();
        by_function.extend(built_in.filter_map(|one| read(&one.id, &one.calls)));
        by_function.sort();
        let quantile = |share: f64| quantile(&durations, completed, share);
        let (min, max) = (self.min_ns.load(Relaxed), self.max_ns.load(Relaxed));
        let mean = self.sum_ns.load(Relaxed).checked_div(completed).unwrap_or(0);
        BrokerMetrics {
            total: self.started.load(Relaxed) + unknown_function,
            succeeded: completed.saturating_sub(failed),
            failed: failed + unknown_function,
            deferred: self.deferred.load(Relaxed),
            by_function,
            other_functions: self.other_functions.load(Relaxed),
            workers_connected: connected,
            workers_disconnected: disconnected,
            mean: Duration::from_nanos(mean),
            min: Duration::from_nanos(if completed == 0 { 0 } else { min }),
            max: Duration::from_nanos(max),
            p50: quantile(0.50),
            p95: quantile(0.95),
            p99: quantile(0.99),
        }
    }
}

/// Metrics since the broker started.
#[derive(Debug, Clone)]
pub(crate) struct BrokerMetrics {
    /// Started calls.
    pub(crate) total: u64,
    /// Succeeded calls.
    pub(crate) succeeded: u64,
    /// Failed calls, including those of unknown functions.
    pub(crate) failed: u64,
    /// Calls sent to workers.
    pub(crate) deferred: u64,
    /// Calls by function, ordered by id.
    pub(crate) by_function: Vec<(FunctionId, u64)>,
    /// Calls of functions without a counter of their own.
    pub(crate) other_functions: u64,
    /// Opened connections.
    pub(crate) workers_connected: u64,
    /// Closed connections.
    pub(crate) workers_disconnected: u64,
    /// Mean duration.
    pub(crate) mean: Duration,
    /// Minimum duration.
    pub(crate) min: Duration,
    /// Maximum duration.
    pub(crate) max: Duration,
    /// Median duration.
    pub(crate) p50: Duration,
    /// 95th percentile of the duration.
    pub(crate) p95: Duration,
    /// 99th percentile of the duration.
    pub(crate) p99: Duration,
}

/// Returns the bucket of a duration.
fn bucket(ns: u64) -> usize {
    let ns = ns.max(1);
    let power = ns.ilog2();
    let eighths = match power.checked_sub(BUCKET_BITS) {
        Some(more) => ns >> more,
        None => ns << (BUCKET_BITS - power),
    };
    // The quotient is from 8 to 15.
    let part = usize::try_from(eighths).map_or(0, |eighths| eighths % BUCKETS_PER_POWER);
    (power as usize * BUCKETS_PER_POWER + part).min(BUCKETS - 1)
}

/// Returns the middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> f64 {
    let (power, part) = (bucket / BUCKETS_PER_POWER, bucket % BUCKETS_PER_POWER);
    let (power, part) = (power as f64, part as f64);
    power.exp2() * (1.0 + (part + 0.5) / BUCKETS_PER_POWER as f64)
}

/// Returns the duration at a quantile.
fn quantile(counts: &[u64], all: u64, share: f64) -> Duration {
    let wanted = (all as f64 * share).ceil();
    let mut seen = 0_u64;
    let found = counts.iter().position(|count| {
        seen += count;
        *count > 0 && seen as f64 >= wanted
    });
    found.map_or(Duration::ZERO, |bucket| Duration::from_secs_f64(middle(bucket) / 1e9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_at_most_an_eighth_wide() {
        let mut last = 0;
        for ns in [1_u64, 2, 3, 7, 8, 9, 1000, 123_456, 1 << 30, (1 << 42) - 1] {
            let at = bucket(ns);
            assert!(at >= last, "{ns}");
            last = at;
            let off = (middle(at) - ns as f64).abs() / ns as f64;
            assert!(off <= 1.0 / 15.0 || ns < 8, "{ns}: {off}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket(0), bucket(1));
    }

    #[tokio::test(start_paused = true)]
    async fn percentiles_and_mean_are_accurate() {
        let counters = Counters::default();
        for millis in 1..=100_u64 {
            let since = Instant::now();
            tokio::time::advance(Duration::from_millis(millis)).await;
            counters.completed(since, millis % 10 != 0);
        }
        let metrics = counters.snapshot(std::iter::empty());
        assert_eq!((metrics.succeeded, metrics.failed), (90, 10));
        let near = |found: Duration, millis: f64| {
            let found = found.as_secs_f64() * 1e3;
            assert!((found - millis).abs() / millis < 0.07, "{found} instead of {millis}");
        };
        near(metrics.p50, 50.0);
        near(metrics.p95, 95.0);
        near(metrics.p99, 99.0);
        near(metrics.mean, 50.5);
        near(metrics.min, 1.0);
        near(metrics.max, 100.0);
    }

    #[test]
    fn number_of_function_counters_is_limited() {
        let counters = Counters::default();
        for n in 0..MAX_FUNCTIONS + 2 {
            counters.of(&format!("f{n}").into()).fetch_add(1, Relaxed);
        }
        counters.of(&"f0".into()).fetch_add(1, Relaxed);
        let metrics = counters.snapshot(std::iter::empty());
        assert_eq!((metrics.by_function.len(), metrics.other_functions), (MAX_FUNCTIONS, 2));
        assert_eq!(metrics.by_function[0], ("f0".into(), 2));
    }
}
