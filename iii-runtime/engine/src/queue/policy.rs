//! The delivery policy of a consumer: ordering, concurrency, attempts, backoff and timeout.

use std::time::Duration;

use iii_wire::protocol::ErrorBody;

/// The longest delay before a redelivery.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(24 * 3600);

/// How messages are delivered to a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeliveryPolicy {
    /// Delivers the messages of a group one at a time and in order. A redelivery holds back the rest of its group.
    pub(super) fifo: bool,
    /// The maximum number of messages in flight.
    pub(super) concurrency: usize,
    /// The maximum number of delivery attempts of a message.
    pub(super) max_attempts: u32,
    /// The delay before the first redelivery.
    pub(super) backoff: Duration,
    /// How the delay grows.
    pub(super) backoff_kind: BackoffKind,
    /// The time after which an unacknowledged attempt has failed; `None`: unlimited.
    pub(super) attempt_timeout: Option<Duration>,
}

/// How the delay before a redelivery grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackoffKind {
    /// Doubles with each attempt.
    Exponential,
    /// Stays constant.
    Fixed,
}

impl DeliveryPolicy {
    /// Returns the delay before the next attempt after `attempts` failed ones: the `retry_after_ms` of the last error if it
    /// has one, else the backoff.
    pub(super) fn retry_delay(&self, error: &ErrorBody, attempts: u32) -> Duration {
        let requested = error.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
        requested.map_or_else(|| self.backoff_delay(attempts), |delay| delay.min(MAX_RETRY_DELAY))
    }

    /// Returns the backoff after `attempts` failed attempts.
    pub(super) fn backoff_delay(&self, attempts: u32) -> Duration {
        let factor = match self.backoff_kind {
            BackoffKind::Fixed => 1,
            BackoffKind::Exponential => {
                2_u32.checked_pow(attempts.saturating_sub(1)).unwrap_or(u32::MAX)
            }
        };
        self.backoff.saturating_mul(factor).min(MAX_RETRY_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_doubles_up_to_one_day() {
        let policy = DeliveryPolicy {
            fifo: false,
            concurrency: 1,
            max_attempts: 3,
            backoff: Duration::from_millis(100),
            backoff_kind: BackoffKind::Exponential,
            attempt_timeout: None,
        };
        let delays: Vec<_> = (1..5).map(|n| policy.backoff_delay(n).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800]);
        assert_eq!(policy.backoff_delay(u32::MAX), MAX_RETRY_DELAY);
        let retry_after = |ms| ErrorBody { retry_after_ms: Some(ms), ..ErrorBody::new("c", "m") };
        assert_eq!(policy.retry_delay(&retry_after(7), 3).as_millis(), 7);
        assert_eq!(policy.retry_delay(&retry_after(u32::MAX), 3), MAX_RETRY_DELAY);
        assert_eq!(policy.retry_delay(&ErrorBody::new("c", "m"), 3).as_millis(), 400);
        let fixed = DeliveryPolicy { backoff_kind: BackoffKind::Fixed, ..policy };
        assert_eq!(fixed.backoff_delay(9).as_millis(), 100);
    }
}
