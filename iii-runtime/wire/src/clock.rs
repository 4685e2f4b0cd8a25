//! The one clock: everything that depends on time asks it what time it is.
//!
//! Waiting is done with Tokio's timer. Under a paused Tokio clock both stand still together, which is how tests own
//! the time.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Tells the time of day.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    /// `start` plus what Tokio's clock has advanced since `origin`.
    Virtual {
        start: SystemTime,
        origin: Instant,
    },
}

impl Clock {
    /// The clock of the machine.
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// A clock that shows `start` now and goes on with Tokio's clock. Must be made inside a Tokio runtime.
    pub fn starting_at(start: SystemTime) -> Self {
        Self { source: Source::Virtual { start, origin: Instant::now() } }
    }

    /// The time of day.
    pub fn now(&self) -> SystemTime {
        match &self.source {
            Source::System => SystemTime::now(),
            Source::Virtual { start, origin } => *start + origin.elapsed(),
        }
    }

    /// Milliseconds since the start of 1970 in UTC.
    pub fn unix_millis(&self) -> u64 {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until the clock shows `time`; not at all if it is past.
    pub async fn sleep_until(&self, time: SystemTime) {
        // The system clock may be set while we wait, so the wait is cut into pieces and looked at anew.
        const PIECE: Duration = Duration::from_secs(30);
        loop {
            let Ok(left) = time.duration_since(self.now()) else { return };
            if left.is_zero() {
                return;
            }
            let piece = match self.source {
                Source::System => left.min(PIECE),
                Source::Virtual { .. } => left,
            };
            tokio::time::sleep(piece).await;
        }
    }
}

impl Default for Clock {
    /// The clock of the machine.
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_clock_goes_with_tokio() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let clock = Clock::starting_at(start);
        assert_eq!(clock.now(), start);
        let year = Duration::from_secs(365 * 24 * 3600);
        clock.sleep_until(start + year).await;
        assert_eq!(clock.now(), start + year);
        clock.sleep_until(start).await;
        assert_eq!(clock.now(), start + year);
    }
}
