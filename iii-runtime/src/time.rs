//! Deadlines, and exponential backoff with jitter.

use std::time::Duration;

use tokio::time::Instant;

/// Exponential backoff with jitter: spreads the reconnects of workers that lost an engine at the same time.
///
/// [`App::backoff`](crate::App::backoff) sets it for reconnects, and [`Retry::backoff`](crate::Retry::backoff) for calls. A
/// factor below 1 counts as 1, and a jitter outside of 0 to 1 is clamped.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first delay. Default: 1 s.
    pub initial: Duration,
    /// The maximum delay, before jitter. Default: 30 s.
    pub max: Duration,
    /// The multiplier of each further delay. Default: 2.
    pub factor: f64,
    /// The fraction of a delay that is random, from 0 to 1. Default: 0.3, which is 70 to 130 percent of the delay.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.3,
        }
    }
}

impl Backoff {
    /// The delay before an attempt. The first retry is attempt 0.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        // Clamps NaN and infinities: a delay is never infinite, and never zero by mistake.
        let finite = |value: f64, min: f64, max: f64| {
            if value.is_nan() { min } else { value.clamp(min, max) }
        };
        let factor = finite(self.factor, 1.0, 1e6);
        let jitter = finite(self.jitter, 0.0, 1.0);
        let grown = self.initial.as_secs_f64() * factor.powf(f64::from(attempt.min(64)));
        let base = grown.min(self.max.as_secs_f64());
        let scale = 1.0 + jitter * (2.0 * random_fraction() - 1.0);
        Duration::try_from_secs_f64(base * scale).unwrap_or(self.max)
    }
}

/// A random number from 0 to 1. The random bits of a UUID are good enough for jitter.
fn random_fraction() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 32 bits of a version 4 UUID are all random.
    (high >> 32) as f64 / f64::from(u32::MAX)
}

/// The instant at which a timeout elapses. Timeouts longer than thirty years count as thirty years.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    Instant::now() + timeout.min(MAX_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_numbers_are_clamped() {
        let (initial, max) = (Duration::from_secs(1), Duration::from_secs(30));
        for factor in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300] {
            for jitter in [f64::NAN, f64::INFINITY, -7.0, 1e300, 0.0] {
                let backoff = Backoff { initial, max, factor, jitter };
                for attempt in [0, 1, 63, u32::MAX] {
                    let pause = backoff.pause(attempt);
                    assert!(pause <= 2 * max, "{backoff:?}: {pause:?}");
                }
                let longest =
                    Backoff { initial: Duration::MAX, max: Duration::MAX, factor, jitter };
                longest.pause(7);
            }
        }
    }

    #[test]
    fn delays_grow_to_the_maximum_and_stay_within_the_jitter() {
        let backoff = Backoff::default();
        for attempt in 0..100 {
            let base = 2f64.powf(f64::from(attempt.min(10))).min(30.0);
            let pause = backoff.pause(attempt).as_secs_f64();
            assert!(pause >= base * 0.69 && pause <= base * 1.31, "{attempt}: {pause}");
        }
    }
}
