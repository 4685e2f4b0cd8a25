//! Reads the YAML file of an engine and reports all of its errors at once, each with its line (protocol section 11).

use std::time::Duration;

use super::limits_block;
use super::observing;
use super::parts;
use super::settings::EngineSettings;
use super::tree::{Block, Key, Node, Problems, Value, parse};
use super::{EngineBuilder, access};
use crate::expand::expand_variables;
use iii_wire::{Error, Result, code};

/// Components of every engine, without settings here.
const FIXED: [&str; 2] = ["iii-engine-functions", "iii-telemetry"];
/// Components that only the official engine has.
const ELSEWHERE: [&str; 2] = ["iii-exec", "iii-bridge"];
/// Components with settings.
const PARTS: [&str; 10] = [
    "iii-worker-manager",
    "iii-http",
    "iii-http-functions",
    "iii-stream",
    "iii-state",
    "iii-queue",
    "iii-pubsub",
    "iii-cron",
    "iii-observability",
    "configuration",
];

/// Reads a file into a builder.
///
/// # Errors
///
/// All problems, each with its line.
pub(super) fn read(
    name: &str,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<EngineBuilder> {
    let mut problems = Problems::default();
    let builder = read_into(text, variable, &mut problems);
    if problems.0.is_empty() {
        return Ok(builder);
    }
    problems.0.sort_by_key(|(line, _)| *line);
    let mut message = format!("{name} is invalid:");
    for (line, problem) in problems.0 {
        message.push_str(&format!("\n  line {line}: {problem}"));
    }
    Err(Error::new(code::INVALID_CONFIGURATION, message))
}

fn read_into(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> EngineBuilder {
    let mut builder =
        EngineBuilder { settings: EngineSettings::mandatory(), ..EngineBuilder::default() };
    let text = with_variables(text, variable, problems);
    if !problems.0.is_empty() {
        return builder;
    }
    let root = match parse(&text) {
        Ok(root) => root,
        Err((line, problem)) => {
            problems.add(line, problem);
            return builder;
        }
    };
    let mut top = Block::new("the file", &root, problems);
    let grace = "registration_namespace_grace_ms";
    if let Some(grace) = top.whole(grace, 0..=3_600_000, problems) {
        builder.namespace_grace = Duration::from_millis(grace);
    }
    // An extension of this engine.
    if let Some(limits) = top.take("limits") {
        builder.limits = limits_block::read(limits, problems);
    }
    let workers = match (top.take("workers"), top.take("modules")) {
        (Some(_), Some(modules)) => {
            problems
                .add(modules.line, "`modules` is the old name of `workers`: use only one of them");
            None
        }
        (workers, modules) => workers.or(modules),
    };
    top.finish(problems);
    if let Some(workers) = workers {
        match &workers.value {
            Value::List(entries) => read_entries(entries, &mut builder, problems),
            _ => problems.add(workers.line, "`workers` must be a list"),
        }
    }
    builder
}

/// Expands environment variables, except in comment lines.
fn with_variables(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> String {
    let one_line = |name: &str| variable(name).filter(|value| !value.contains(['\n', '\r']));
    let mut expanded = String::with_capacity(text.len());
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        if line.trim_start().starts_with('#') {
            expanded.push_str(line);
            continue;
        }
        match expand_variables(line, &one_line) {
            Ok(line) => expanded.push_str(&line),
            Err(unset) if variable(&unset.name).is_some() => {
                let name = unset.name;
                problems.add(number, format!("the variable {name} contains several lines"));
            }
            Err(unset) => {
                let name = unset.name;
                problems.add(
                    number,
                    format!("the variable {name} is not set; `${{{name}:default}}` sets a default"),
                );
            }
        }
    }
    expanded
}

/// Reads the list of components.
fn read_entries(entries: &[Node], builder: &mut EngineBuilder, problems: &mut Problems) {
    let mut seen: Vec<(&str, u64)> = Vec::new();
    for entry in entries {
        let mut block = Block::new("an entry of `workers`", entry, problems);
        let line = block.line();
        let before = problems.0.len();
        let name = block.text("name", problems);
        let config = block.take("config");
        if let Some(image) = block.take("image") {
            problems.add(
                image.line,
                "`image` is not supported: this engine does not start containers; connect the worker to its port",
            );
        }
        block.finish(problems);
        let Some(name) = name else {
            if problems.0.len() == before {
                problems.add(line, "the entry has no `name`");
            }
            continue;
        };
        // Each entry is another listener.
        let repeats = name == "iii-worker-manager";
        let before = seen.iter().find(|(known, _)| *known == name && !repeats);
        if let Some((_, first)) = before {
            problems.add(line, format!("`{name}` is listed twice (first in line {first})"));
            continue;
        }
        seen.push((name, line));
        read_entry(name, line, config, builder, problems);
    }
}

fn read_entry(
    name: &str,
    line: u64,
    config: Option<&Node>,
    builder: &mut EngineBuilder,
    problems: &mut Problems,
) {
    let nothing = Node { line, value: Value::Null };
    let mut block = Block::new(format!("`{name}`"), config.unwrap_or(&nothing), problems);
    let settings = &mut builder.settings;
    let directories = &mut builder.directories;
    match name {
        "iii-worker-manager" => settings.workers.declare(access::listener(&mut block, problems)),
        "iii-http" => settings.http = Some(parts::http(&mut block, problems)),
        "iii-http-functions" => {
            settings.http_functions = Some(parts::http_functions(&mut block, problems));
        }
        "iii-stream" => settings.stream = Some(parts::stream(&mut block, directories, problems)),
        "iii-state" => settings.state = Some(parts::state(&mut block, directories, problems)),
        "iii-queue" => settings.queue = Some(parts::queue(&mut block, directories, problems)),
        "iii-pubsub" => {
            parts::pubsub(&mut block, problems);
            settings.pubsub = true;
        }
        "iii-cron" => {
            parts::cron(&mut block, directories, problems);
            settings.cron = true;
        }
        "iii-observability" => settings.observability = observing::read(&mut block, problems),
        "configuration" => parts::configuration(&mut block, problems),
        name if FIXED.contains(&name) => block.ignore(&[
            "enabled",
            "sdk_api_key",
            "posthog_api_key",
            "posthog_host",
            "heartbeat_interval_secs",
        ]),
        name if ELSEWHERE.contains(&name) => {
            problems.add(
                line,
                format!("`{name}` is not supported by this engine: use the official engine"),
            );
            return;
        }
        name => {
            problems.add(line, unknown(name));
            return;
        }
    }
    block.finish(problems);
}

fn unknown(name: &str) -> String {
    let prefixed = format!("iii-{name}");
    if PARTS.contains(&prefixed.as_str()) {
        return format!(
            "`{name}` is a program that the official engine starts; the component of this engine is `{prefixed}`"
        );
    }
    format!(
        "unknown component `{name}`: the components of this engine are `{}`; it does not start other programs, they \
         connect to it",
        PARTS.join("`, `")
    )
}

/// The entries of a section by name.
pub(super) fn named(entries: &[(Key, Node)]) -> impl Iterator<Item = (&str, &Node)> {
    entries.iter().map(|(key, node)| (key.name.as_str(), node))
}
