//! In which order the steps of a recording are replayed.

use serde_json::Value;

use super::recording::{Frame, Recording, Socket, Step};
use super::tables::MOVES;

/// The steps in the order in which they must be replayed.
pub(super) fn arranged(recording: &Recording) -> Vec<(usize, &Step)> {
    let mut steps: Vec<(usize, &Step)> =
        recording.steps.iter().map(|(line, step)| (*line, step)).collect();
    for (_, line, before) in MOVES.iter().filter(|(name, ..)| *name == recording.number) {
        let from = steps.iter().position(|(number, _)| number == line).expect("the line is there");
        let moved = steps.remove(from);
        let to = steps.iter().position(|(number, _)| number == before).expect("the line is there");
        steps.insert(to, moved);
    }
    steps
}

/// The HTTP request that starts before a step: the recorder wrote it down with its answer, after all that it caused.
pub(super) fn request_that_starts<'a>(
    steps: &[(usize, &'a Step)],
    index: usize,
) -> Option<(usize, &'a Value)> {
    let follows_on = index > 0 && !steps[index].1.is_begun_by_us() && {
        // Something before has begun what this step belongs to, unless that has ended with its answer.
        !steps[index - 1].1.is_begun_by_us()
    };
    if follows_on {
        return None;
    }
    let (line, step) = steps[index..].iter().find(|(_, step)| step.is_begun_by_us())?;
    match step {
        Step::Http(request, _) => Some((*line, request)),
        _ => None,
    }
}

/// What a handler of the recording answered to one of its calls, and on which connection.
pub(super) fn recorded_answer<'a>(
    recording: &'a Recording,
    function: &str,
) -> Option<(&'a Socket, &'a Value)> {
    recording.steps.iter().find_map(|(_, step)| match step {
        Step::Send(socket, Frame::Json(message)) => {
            let is_answer = message["type"] == "invocationresult";
            (is_answer && message["function_id"] == function).then_some((socket, message))
        }
        _ => None,
    })
}
