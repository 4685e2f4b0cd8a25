//! From times to a table: percentiles, medians of rounds, and how far the rounds are apart.

use std::fmt;
use std::time::Duration;

/// What one side did in one round.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Processor time of the measured processes for one request.
    pub(crate) processor: Duration,
}

impl Outcome {
    /// Of the times of all requests of a round, and what it took to make them.
    pub(crate) fn new(mut times: Vec<Duration>, wall: Duration, processor: Duration) -> Self {
        times.sort_unstable();
        let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
        Self {
            per_second: f64::from(count) / wall.as_secs_f64(),
            p50: percentile(&times, 50),
            p99: percentile(&times, 99),
            processor: processor.checked_div(count).unwrap_or_default(),
        }
    }
}

/// The value below which so many per cent of the sorted values are.
fn percentile(sorted: &[Duration], per_cent: usize) -> Duration {
    let place = (sorted.len() * per_cent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

/// Several values of one thing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { least: at(0), median: (at(last / 2) + at(last.div_ceil(2))) / 2.0, most: at(last) }
    }
}

/// One pair: a bare server and ours, round by round.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) title: String,
    /// What the bare side is.
    pub(crate) bare: &'static str,
    /// The least ratio that is good enough; `None`: any.
    pub(crate) required: Option<f64>,
    pub(crate) rounds: Vec<[Outcome; 2]>,
}

impl Comparison {
    /// Our requests in a second to those of the bare side. Both sides of a round ran one after the other, so what the
    /// machine does besides falls on both.
    pub(crate) fn ratio(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|[bare, ours]| ours.per_second / bare.per_second))
    }

    /// Whether the ratio is good enough, with some tolerance.
    pub(crate) fn holds(&self, tolerance: f64) -> bool {
        self.required.is_none_or(|required| self.ratio().median >= required * (1.0 - tolerance))
    }

    fn side(&self, side: usize) -> (f64, [f64; 3]) {
        let median = |value: fn(&Outcome) -> f64| {
            Spread::of(self.rounds.iter().map(|round| value(&round[side]))).median
        };
        let micros = [
            median(|one| one.p50.as_secs_f64() * 1e6),
            median(|one| one.p99.as_secs_f64() * 1e6),
            median(|one| one.processor.as_secs_f64() * 1e6),
        ];
        (median(|one| one.per_second), micros)
    }
}

/// The head of the table.
pub(crate) fn head(rounds: usize) -> String {
    format!(
        "medians of {rounds} rounds; times in microseconds; ratio: median (least to most)\n\n\
         {:<30} {:<8} {:>10} {:>8} {:>8} {:>8}  ratio\n",
        "", "", "per second", "p50", "p99", "cpu"
    )
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (side, name) in [self.bare, "iii"].into_iter().enumerate() {
            let title = if side == 0 { self.title.as_str() } else { "" };
            let (per_second, [p50, p99, processor]) = self.side(side);
            write!(
                f,
                "{title:<30} {name:<8} {per_second:>10.0} {p50:>8.0} {p99:>8.0} {processor:>8.1}"
            )?;
            if side == 0 {
                writeln!(f)?;
            }
        }
        let ratio = self.ratio();
        writeln!(f, "  {:.2} ({:.2} to {:.2})", ratio.median, ratio.least, ratio.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(per_second: f64) -> Outcome {
        Outcome { per_second, ..Outcome::default() }
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_micros).collect();
        let outcome = Outcome::new(times, Duration::from_secs(2), Duration::from_micros(400));
        assert_eq!(outcome.p50, Duration::from_micros(100));
        assert_eq!(outcome.p99, Duration::from_micros(198));
        assert_eq!(outcome.processor, Duration::from_micros(2));
        assert!((outcome.per_second - 100.0).abs() < 1e-9);
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds() {
        let rounds = [[10.0, 5.0], [100.0, 90.0], [10.0, 6.0]];
        let comparison = Comparison {
            title: "t".to_owned(),
            bare: "bare",
            required: Some(0.65),
            rounds: rounds.map(|round| round.map(outcome)).to_vec(),
        };
        assert_eq!(comparison.ratio(), Spread { least: 0.5, median: 0.6, most: 0.9 });
        assert!(comparison.holds(0.1) && !comparison.holds(0.05));
        assert!(Comparison { required: None, ..comparison }.holds(0.0));
        let even = Spread::of([1.0, 2.0, 4.0, 9.0].into_iter());
        assert_eq!(even, Spread { least: 1.0, median: 3.0, most: 9.0 });
    }
}
