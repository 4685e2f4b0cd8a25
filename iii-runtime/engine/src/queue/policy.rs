//! How the messages of one consumer are worked on: order, attempts, pauses, limits.

use std::time::Duration;

use iii_wire::protocol::ErrorBody;

/// The longest pause before a retry.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// How messages are worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    /// One job at a time in each group, in order, retries in place.
    pub(super) grouped: bool,
    /// How many jobs run at the same time.
    pub(super) concurrency: usize,
    /// How often a message is tried in all.
    pub(super) attempts: u32,
    /// The pause before the first retry.
    pub(super) backoff: Duration,
    /// How the pause grows.
    pub(super) growth: Growth,
    /// How long an attempt may take before it counts as failed; `None`: as long as it likes.
    pub(super) limit: Option<Duration>,
}

/// How the pause before a retry grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// It doubles with each attempt.
    Exponential,
    /// It stays as it is.
    Fixed,
}

impl Policy {
    /// The pause after so many failed attempts, the last of them with this error: what the error asks for, if it asks.
    pub(super) fn pause_after(&self, error: &ErrorBody, attempts: u32) -> Duration {
        let asked = error.retry_after_ms.map(|asked| Duration::from_millis(asked.into()));
        asked.map_or_else(|| self.pause(attempts), |asked| asked.min(LONGEST_PAUSE))
    }

    /// The pause after so many failed attempts.
    pub(super) fn pause(&self, attempts: u32) -> Duration {
        let factor = match self.growth {
            Growth::Fixed => 1,
            Growth::Exponential => {
                2_u32.checked_pow(attempts.saturating_sub(1)).unwrap_or(u32::MAX)
            }
        };
        self.backoff.saturating_mul(factor).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_day() {
        let policy = Policy {
            grouped: false,
            concurrency: 1,
            attempts: 3,
            backoff: Duration::from_millis(100),
            growth: Growth::Exponential,
            limit: None,
        };
        let pauses: Vec<_> = (1..5).map(|n| policy.pause(n).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800]);
        assert_eq!(policy.pause(u32::MAX), LONGEST_PAUSE);
        let asks = |ms| ErrorBody { retry_after_ms: Some(ms), ..ErrorBody::new("c", "m") };
        assert_eq!(policy.pause_after(&asks(7), 3).as_millis(), 7);
        assert_eq!(policy.pause_after(&asks(u32::MAX), 3), LONGEST_PAUSE);
        assert_eq!(policy.pause_after(&ErrorBody::new("c", "m"), 3).as_millis(), 400);
        let fixed = Policy { growth: Growth::Fixed, ..policy };
        assert_eq!(fixed.pause(9).as_millis(), 100);
    }
}
