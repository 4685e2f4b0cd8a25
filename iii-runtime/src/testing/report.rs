//! What is printed when a test fails: what was called, with what, in order.

use std::fmt::Write as _;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};

use super::record::{End, Facts};
use iii_wire::protocol::Payload;

/// The longest payload that is shown whole, in characters.
const LONGEST: usize = 200;
/// The most invocations that are shown: the newest.
const MOST: usize = 50;

/// A time, as in RFC 3339.
pub(super) fn time(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A payload, cut if it is long.
pub(super) fn short(payload: &Payload) -> String {
    let text = payload.as_str();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// An error with its causes.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let _ = write!(text, ": {next}");
        cause = next.source();
    }
    text
}

/// Invocations, one a line.
pub(super) fn list(all: &[Facts]) -> String {
    let mut text = String::new();
    let skipped = all.len().saturating_sub(MOST);
    if skipped > 0 {
        let _ = writeln!(text, "   … {skipped} before");
    }
    for (number, facts) in all.iter().enumerate().skip(skipped) {
        let _ = writeln!(text, "   {}. {}", number + 1, line(facts));
    }
    text.pop();
    text
}

/// One invocation.
pub(super) fn line(facts: &Facts) -> String {
    let context = &facts.context;
    let mut text = format!("{} {}", time(facts.began), context.function_id);
    if facts.mocked {
        text.push_str(" (mocked)");
    }
    if let Some(trigger) = &context.trigger {
        let _ = write!(text, " by {}", trigger.kind);
    }
    if let Some(attempt) = context.attempt.filter(|attempt| *attempt > 1) {
        let _ = write!(text, ", attempt {attempt}");
    }
    let _ = write!(text, ", took {}", short(&facts.data));
    match &facts.end {
        None => text.push_str(", still runs"),
        Some(End { at, result }) => {
            if *at != facts.began {
                let _ = write!(text, ", until {}", time(*at));
            }
            match result {
                Ok(None) => text.push_str(", gave nothing"),
                Ok(Some(output)) => {
                    let _ = write!(text, ", gave {}", short(output));
                }
                Err(error) => {
                    let _ = write!(text, ", failed: {error}");
                }
            }
        }
    }
    text
}

/// All that happened in a test.
pub(super) fn whole(all: &[Facts]) -> String {
    let running: Vec<Facts> = all.iter().filter(|facts| facts.end.is_none()).cloned().collect();
    let mut text = match all {
        [] => "in this test, no function was called".to_owned(),
        all => format!("what was called in this test:\n{}", list(all)),
    };
    if !running.is_empty() {
        let _ = write!(text, "\nin flight:\n{}", list(&running));
    }
    text
}
