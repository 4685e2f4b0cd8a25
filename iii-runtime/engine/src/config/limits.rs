//! The section `limits` of the file.

use std::time::Duration;

use super::yaml::{Problems, Section, YamlNode};
use crate::limits::{LimitField, LimitValue, Limits, silence_message};

/// Reads the section. Absent limits keep their defaults.
pub(super) fn read(node: &YamlNode, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let mut top = Section::new("`limits`", node, problems);
    let before = problems.0.len();
    let mut blocks: Vec<(&'static str, Option<Section<'_>>)> = Vec::new();
    for LimitField { block, key, range, value } in limits.fields() {
        if !block.is_empty() && blocks.last().is_none_or(|(name, _)| *name != block) {
            let what = format!("`{block}` of `limits`");
            let inner = top.take(block).map(|node| Section::new(what, node, problems));
            blocks.push((block, inner));
        }
        let number = match blocks.last_mut() {
            Some((name, inner)) if *name == block => {
                inner.as_mut().and_then(|inner| inner.unsigned(key, range, problems))
            }
            _ => top.unsigned(key, range, problems),
        };
        let Some(number) = number else { continue };
        match value {
            LimitValue::Count(count) => *count = usize::try_from(number).unwrap_or(usize::MAX),
            LimitValue::Time(wait) => *wait = Duration::from_millis(number),
        }
    }
    for block in blocks.into_iter().filter_map(|(_, block)| block) {
        block.finish(problems);
    }
    let heartbeats = [
        ("workers", limits.workers.ping, limits.workers.silence),
        ("streams", limits.streams.ping, limits.streams.silence),
    ];
    for (name, ping, silence) in heartbeats {
        if silence <= ping && problems.0.len() == before {
            problems.add(top.line_of(name), silence_message(name));
        }
    }
    top.finish(problems);
    limits
}
