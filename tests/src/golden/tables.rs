//! What a replay must know beyond the recordings: what the engine cannot do yet, and causes recorded after their effect.

use std::ops::RangeInclusive;

/// Lines that are not replayed as long as the engine lacks what they are about.
#[derive(Debug)]
pub struct NotYet {
    /// The number of the recording.
    pub recording: &'static str,
    /// The lines.
    pub lines: RangeInclusive<usize>,
    /// Only this part of the messages; without it the lines are left out as a whole.
    pub path: Option<&'static str>,
    /// What ends this: once the engine has it, the lines are replayed and compared.
    pub until: Until,
    /// What is missing.
    pub reason: &'static str,
}

/// How it shows that the engine can do something.
#[derive(Debug)]
pub enum Until {
    /// It has this function.
    Function(&'static str),
}

/// All lines of a recording.
const ALL: RangeInclusive<usize> = 1..=usize::MAX;

/// What is not replayed, and why.
pub const NOT_YET: &[NotYet] = &[
    whole("02", 48..=57, Until::Function("engine::queue::list_topics"), "no queues"),
    part("03", "data.request_body", "engine::channels::create", "no channels to stream a body"),
    part("03", "data.response", "engine::channels::create", "no channels to stream an answer"),
    whole("05", ALL, Until::Function("stream::set"), "no streams"),
    whole("06", 33..=62, Until::Function("iii::durable::publish"), "no durable topics"),
    whole("09", ALL, Until::Function("engine::channels::create"), "no channels"),
];

/// Lines that must come earlier than recorded. (recording, line, the line that it goes before)
pub const MOVES: &[(&str, usize, usize)] = &[
    // The recorder wrote the end of a connection after what another connection got of it.
    ("02", 61, 60),
    // Likewise the beginning of one.
    ("08", 12, 11),
    ("08", 44, 41),
    // The bindings of one change fire one after the other, which first is not promised.
    ("04", 23, 21),
    ("04", 24, 21),
    ("04", 45, 43),
    ("04", 46, 43),
];

const fn whole(
    recording: &'static str,
    lines: RangeInclusive<usize>,
    until: Until,
    reason: &'static str,
) -> NotYet {
    NotYet { recording, lines, path: None, until, reason }
}

const fn part(
    recording: &'static str,
    path: &'static str,
    until: &'static str,
    reason: &'static str,
) -> NotYet {
    NotYet { recording, lines: ALL, path: Some(path), until: Until::Function(until), reason }
}
