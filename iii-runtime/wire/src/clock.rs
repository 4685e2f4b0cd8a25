//! The clock that all time-dependent code reads, either the system clock or a virtual one that follows Tokio's paused
//! clock.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A source of wall-clock time.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    /// `start` plus the time that Tokio's clock has advanced since `origin`.
    Virtual {
        start: SystemTime,
        origin: Instant,
    },
}

impl Clock {
    /// Returns the system clock.
    #[inline]
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// Returns a clock that starts at `start` and advances with Tokio's clock.
    ///
    /// # Panics
    ///
    /// If called outside of a Tokio runtime.
    #[inline]
    pub fn starting_at(start: SystemTime) -> Self {
        Self { source: Source::Virtual { start, origin: Instant::now() } }
    }

    /// Returns the current time.
    #[inline]
    pub fn now(&self) -> SystemTime {
        match &self.source {
            Source::System => SystemTime::now(),
            Source::Virtual { start, origin } => *start + origin.elapsed(),
        }
    }

    /// Returns the milliseconds since the Unix epoch.
    #[inline]
    pub fn unix_millis(&self) -> u64 {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until `time`. Returns immediately if it has passed.
    pub async fn sleep_until(&self, time: SystemTime) {
        // The system clock may be set while this waits, so it re-reads the clock at intervals.
        const INTERVAL: Duration = Duration::from_secs(30);
        loop {
            let Ok(left) = time.duration_since(self.now()) else { return };
            if left.is_zero() {
                return;
            }
            let piece = match self.source {
                Source::System => left.min(INTERVAL),
                Source::Virtual { .. } => left,
            };
            tokio::time::sleep(piece).await;
        }
    }
}

impl Default for Clock {
    /// The system clock.
    #[inline]
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_clock_follows_tokio() {
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
