//! Finds the frame of ours that a recorded one is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::compare::Comparison;
use super::ids::Ids;
use super::recording::Frame;

/// Which of the waiting frames is the recorded one, with the function that is meant instead if there is one; and whether it has no difference. Among several it is one without
/// a difference, or else the first.
pub(super) fn claim(
    waiting: &[(usize, Frame)],
    recorded: &Frame,
    instead: Option<&str>,
    ids: &Ids,
    own: &BTreeSet<String>,
) -> Option<(usize, bool)> {
    let Frame::Json(recorded) = recorded else {
        return (!waiting.is_empty()).then_some((0, true));
    };
    let mut wanted = recorded.clone();
    if let Some(function) = instead {
        wanted["function_id"] = json!(function);
    }
    let mut candidates = Vec::new();
    for (index, (_, frame)) in waiting.iter().enumerate() {
        let Frame::Json(ours) = frame else { continue };
        let same = |key: &str| match (&wanted[key], &ours[key]) {
            (Value::String(wanted), Value::String(ours)) => ids.could_be_same(wanted, ours),
            (wanted, ours) => wanted == ours,
        };
        let parts = ["type", "id", "function_id", "invocation_id"];
        if parts.into_iter().all(same) && wanted["event"]["type"] == ours["event"]["type"] {
            candidates.push((index, ours.clone()));
        }
    }
    let first = candidates.first().map(|(index, _)| *index);
    let exact = candidates.into_iter().find(|(_, ours)| {
        let mut ids = ids.clone();
        let mut comparison = Comparison { ids: &mut ids, own, found: Vec::new() };
        comparison.values("", "", recorded, ours);
        comparison.found.is_empty()
    });
    exact.map(|(index, _)| (index, true)).or(first.map(|index| (index, false)))
}

/// A frame of the same type: probably what the engine has sent instead.
pub(super) fn similar(waiting: &[(usize, Frame)], recorded: &Frame) -> Option<usize> {
    let Frame::Json(recorded) = recorded else { return None };
    waiting.iter().position(|(_, frame)| match frame {
        Frame::Json(ours) => recorded["type"] == ours["type"],
        _ => false,
    })
}

/// Which frames come one after the other: answers among themselves, and the calls of one function. An answer and the
/// event of the same change run beside each other, as do the calls of different functions.
pub(super) fn row(recorded: &Frame) -> String {
    match recorded {
        Frame::Json(message) if message["type"] == "invokefunction" => {
            message["function_id"].to_string()
        }
        Frame::Json(message) => message["type"].to_string(),
        Frame::Text(_) | Frame::Binary(_) => String::new(),
    }
}

/// A message in few words.
pub(super) fn brief(message: &Value) -> String {
    let parts = ["type", "function_id", "id", "code"];
    let mut words: Vec<&str> = parts.iter().filter_map(|key| message[*key].as_str()).collect();
    words.extend(message["error"]["code"].as_str());
    words.extend(message["data"]["event"].as_str());
    let mut brief = words.join(" ");
    if let Some(result) = message.get("result") {
        brief.push_str(&format!(" = {result}"));
    }
    brief
}
