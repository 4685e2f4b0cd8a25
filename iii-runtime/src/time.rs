//! Time: deadlines, and the pauses between attempts.

use std::time::Duration;

use tokio::time::Instant;

/// Pauses that grow, with some chance in them, so that workers that lost an engine together do not come back together.
///
/// [`App::backoff`](crate::App::backoff) sets them. A factor below 1 counts as 1, and a jitter outside of 0 to 1 as the
/// nearest of the two.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first pause. Default 1 s.
    pub initial: Duration,
    /// The longest pause. Default 30 s.
    pub max: Duration,
    /// What each pause is multiplied by. Default 2.
    pub factor: f64,
    /// How much of a pause is chance, from 0 to 1. Default 0.3: from 70 to 130 per cent.
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
    /// The pause before attempt `attempt`, from 0.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        // What is no usual number counts as the nearest that is: a pause is never endless, and never nothing by mistake.
        let usual = |value: f64, from: f64, to: f64| {
            if value.is_nan() { from } else { value.clamp(from, to) }
        };
        let factor = usual(self.factor, 1.0, 1e6);
        let jitter = usual(self.jitter, 0.0, 1.0);
        let grown = self.initial.as_secs_f64() * factor.powf(f64::from(attempt.min(64)));
        let base = grown.min(self.max.as_secs_f64());
        let chance = 1.0 + jitter * (2.0 * random_fraction() - 1.0);
        Duration::try_from_secs_f64(base * chance).unwrap_or(self.max)
    }
}

/// A number from 0 to 1. The random bits of a UUID are good enough to spread reconnects.
fn random_fraction() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The upper 32 bits of a version 4 UUID are all random.
    (high >> 32) as f64 / f64::from(u32::MAX)
}

/// The instant after a timeout; a timeout without end ends in thirty years.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    const LONG: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    Instant::now() + timeout.min(LONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_do_no_harm() {
        let (second, most) = (Duration::from_secs(1), Duration::from_secs(30));
        for factor in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300] {
            for jitter in [f64::NAN, f64::INFINITY, -7.0, 1e300, 0.0] {
                let backoff = Backoff { initial: second, max: most, factor, jitter };
                for attempt in [0, 1, 63, u32::MAX] {
                    let pause = backoff.pause(attempt);
                    assert!(pause <= 2 * most, "{backoff:?}: {pause:?}");
                }
                let endless =
                    Backoff { initial: Duration::MAX, max: Duration::MAX, factor, jitter };
                endless.pause(7);
            }
        }
    }

    #[test]
    fn pauses_grow_to_the_maximum_and_stay_within_the_jitter() {
        let backoff = Backoff::default();
        for attempt in 0..100 {
            let base = 2f64.powf(f64::from(attempt.min(10))).min(30.0);
            let pause = backoff.pause(attempt).as_secs_f64();
            assert!(pause >= base * 0.69 && pause <= base * 1.31, "{attempt}: {pause}");
        }
    }
}
