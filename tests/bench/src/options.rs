//! The arguments: how long, how often, how large, and what is required.

use std::time::Duration;

use lexopt::prelude::*;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Measures the engine beside bare servers, and prints ratios: 1.00 is as fast as the bare server.

usage: cargo run --release -p bench -- [options]

  --rounds N       rounds of each pair; the ratio is their median (default 7)
  --time MS        milliseconds of each side in a round (default 1000)
  --warm-up MS     milliseconds before the first round (default 1000)
  --connections N  HTTP connections (default 32)
  --in-flight N    calls at a time, beside the run with one (default 64)
  --size BYTES     about the size of a payload (default 100; 10240 shows what copies cost)
  --only PART      http, calls or growth (default all)
  --check          fails if a ratio is below what is required
  --tolerance F    with --check: what a noisy machine may take off a ratio (default 0.1, a tenth)
  --help           prints this
";

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Measure.
    Run(Options),
    /// Be one of the measured processes.
    Role {
        /// Which one.
        name: String,
        /// Whom it connects to, if it connects to somebody.
        address: String,
    },
    /// Say what can be said.
    Help,
}

/// How to measure.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    pub(crate) size: usize,
    pub(crate) growth: bool,
    pub(crate) check: bool,
    pub(crate) tolerance: f64,
    only: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rounds: 7,
            time: Duration::from_millis(1000),
            warm_up: Duration::from_millis(1000),
            connections: 32,
            in_flight: 64,
            size: 100,
            growth: true,
            check: false,
            tolerance: 0.1,
            only: None,
        }
    }
}

impl Options {
    /// Whether a part is to be measured.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

/// Reads the arguments of this process.
pub(crate) fn parse() -> Result<Command, lexopt::Error> {
    read(lexopt::Parser::from_env())
}

fn read(mut arguments: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("rounds") => options.rounds = at_least_one(&mut arguments)?,
            Long("time") => options.time = millis(&mut arguments)?,
            Long("warm-up") => options.warm_up = millis(&mut arguments)?,
            Long("connections") => options.connections = at_least_one(&mut arguments)?,
            Long("in-flight") => options.in_flight = at_least_one(&mut arguments)?,
            Long("size") => options.size = arguments.value()?.parse()?,
            Long("check") => options.check = true,
            Long("tolerance") => options.tolerance = arguments.value()?.parse()?,
            Long("only") => {
                let part = arguments.value()?.string()?;
                if !matches!(part.as_str(), "http" | "calls" | "growth") {
                    return Err(format!("`{part}` is not http, calls or growth").into());
                }
                options.growth = part == "growth";
                options.only = Some(part);
            }
            Long("role") => {
                let name = arguments.value()?.string()?;
                let address = arguments.raw_args()?.next().unwrap_or_default().string()?;
                return Ok(Command::Role { name, address });
            }
            Long("help") | Short('h') => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

fn at_least_one(arguments: &mut lexopt::Parser) -> Result<usize, lexopt::Error> {
    let count: usize = arguments.value()?.parse()?;
    if count == 0 { Err("0 is too few: give at least 1".into()) } else { Ok(count) }
}

fn millis(arguments: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    Ok(Duration::from_millis(arguments.value()?.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let words = ["--rounds", "3", "--time", "20", "--only", "calls", "--check"];
        let Command::Run(options) = read(lexopt::Parser::from_args(words)).unwrap() else {
            panic!("it is a run");
        };
        assert_eq!((options.rounds, options.time), (3, Duration::from_millis(20)));
        assert!(options.check && options.wants("calls") && !options.wants("http"));
        assert!(!options.growth);
        for bad in [["--rounds", "0"], ["--only", "all"], ["--fast", ""]] {
            assert!(read(lexopt::Parser::from_args(bad)).is_err(), "{bad:?}");
        }
    }
}
