//! The speed of the engine beside that of bare servers: one command, one table of ratios.
//!
//! Every process that is measured is this program again, started with the name of a role. See `README.md` beside it.

mod bare;
mod calls;
mod growth;
mod http;
mod options;
mod orders;
mod process;
mod stats;
mod worker;

use std::io::Write as _;
use std::process::ExitCode;

use options::{Command, Options};
use stats::{Comparison, Outcome};

/// What can go wrong: it is shown, and ends the run.
type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let done = match options::parse() {
        Ok(Command::Help) => say(options::HELP).map(|()| ExitCode::SUCCESS),
        Ok(Command::Role { name, address }) => return play(&name, &address),
        Ok(Command::Run(options)) => run(&options),
        Err(error) => Err(error.into()),
    };
    done.unwrap_or_else(|error| failed(&error))
}

/// Becomes one of the processes that are measured.
fn play(role: &str, address: &str) -> ExitCode {
    process::end_with_parent();
    let done = match role {
        "worker" => return worker::main(),
        "engine" => worker::engine(),
        "axum" => bare::axum(),
        "relay" => bare::relay(address),
        "relayed" => bare::relayed(address),
        other => Err(format!("there is no role `{other}`").into()),
    };
    done.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn run(options: &Options) -> Result<ExitCode, Error> {
    let comparisons = compare(options)?;
    if options.growth {
        say(&growth::measure(options)?)?;
    }
    if !options.check {
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    for one in comparisons.iter().filter(|one| !one.holds(options.tolerance)) {
        let (ratio, required) = (one.ratio().median, one.required.unwrap_or_default());
        say(&format!("too slow: {}: {ratio:.2}, and {required:.2} is required\n", one.title))?;
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

/// Measures all pairs, and shows each one as soon as it is measured.
fn compare(options: &Options) -> Result<Vec<Comparison>, Error> {
    say(&stats::head(options.rounds))?;
    let mut comparisons = Vec::new();
    let mut show = |comparison: Comparison| {
        let shown = say(&comparison.to_string());
        comparisons.push(comparison);
        shown
    };
    if options.wants("http") {
        http::measure(options, &mut show)?;
    }
    if options.wants("calls") {
        calls::measure(options, &mut show)?;
    }
    Ok(comparisons)
}

/// Runs both sides of a comparison in turn, `rounds` times.
fn rounds(
    options: &Options,
    mut one: impl FnMut(bool, std::time::Duration) -> Result<Outcome, Error>,
) -> Result<Vec<[Outcome; 2]>, Error> {
    for ours in [false, true] {
        one(ours, options.warm_up)?;
    }
    (0..options.rounds).map(|_| Ok([one(false, options.time)?, one(true, options.time)?])).collect()
}

fn say(text: &str) -> Result<(), Error> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn failed(error: &Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::FAILURE
}
