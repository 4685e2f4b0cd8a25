//! Reads the YAML file of an engine and reports all of its errors at once, each with its line ([protocol 11](iii_wire::protocol#s11)).

use std::time::Duration;

use super::components;
use super::limits;
use super::observability;
use super::settings::EngineSettings;
use super::yaml::{Problems, Section, YamlKey, YamlNode, YamlValue, parse};
use super::{EngineBuilder, access};
use crate::expand::expand_variables;
use iii_wire::{Error, Result, code};

/// Components of every engine, without settings here.
const WITHOUT_SETTINGS: [&str; 2] = ["iii-engine-functions", "iii-telemetry"];
/// Components that only the official engine has.
const UNSUPPORTED: [&str; 2] = ["iii-exec", "iii-bridge"];
/// Components with settings.
const COMPONENTS: [&str; 10] = [
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
        EngineBuilder { settings: EngineSettings::minimal(), ..EngineBuilder::default() };
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
    let mut top = Section::new("the file", &root, problems);
    let grace = "registration_namespace_grace_ms";
    if let Some(grace) = top.unsigned(grace, 0..=3_600_000, problems) {
        builder.namespace_grace = Duration::from_millis(grace);
    }
    // An extension of this engine.
    if let Some(limits) = top.take("limits") {
        builder.limits = limits::read(limits, problems);
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
            YamlValue::List(entries) => read_entries(entries, &mut builder, problems),
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
fn read_entries(entries: &[YamlNode], builder: &mut EngineBuilder, problems: &mut Problems) {
    let mut listed: Vec<(&str, u64)> = Vec::new();
    for entry in entries {
        let mut section = Section::new("an entry of `workers`", entry, problems);
        let line = section.line();
        let before = problems.0.len();
        let name = section.string("name", problems);
        let config = section.take("config");
        if let Some(image) = section.take("image") {
            problems.add(
                image.line,
                "`image` is not supported: this engine does not start containers; connect the worker to its port",
            );
        }
        section.finish(problems);
        let Some(name) = name else {
            if problems.0.len() == before {
                problems.add(line, "the entry has no `name`");
            }
            continue;
        };
        // Each entry is another listener.
        let repeats = name == "iii-worker-manager";
        let before = listed.iter().find(|(known, _)| *known == name && !repeats);
        if let Some((_, first)) = before {
            problems.add(line, format!("`{name}` is listed twice (first in line {first})"));
            continue;
        }
        listed.push((name, line));
        read_entry(name, line, config, builder, problems);
    }
}

fn read_entry(
    name: &str,
    line: u64,
    config: Option<&YamlNode>,
    builder: &mut EngineBuilder,
    problems: &mut Problems,
) {
    let nothing = YamlNode { line, value: YamlValue::Null };
    let mut section = Section::new(format!("`{name}`"), config.unwrap_or(&nothing), problems);
    let settings = &mut builder.settings;
    let directories = &mut builder.file_directories;
    match name {
        "iii-worker-manager" => settings.workers.declare(access::listener(&mut section, problems)),
        "iii-http" => settings.http = Some(components::http(&mut section, problems)),
        "iii-http-functions" => {
            settings.http_functions = Some(components::http_functions(&mut section, problems));
        }
        "iii-stream" => {
            settings.stream = Some(components::stream(&mut section, directories, problems));
        }
        "iii-state" => {
            settings.state = Some(components::state(&mut section, directories, problems));
        }
        "iii-queue" => {
            settings.queue = Some(components::queue(&mut section, directories, problems));
        }
        "iii-pubsub" => {
            components::pubsub(&mut section, problems);
            settings.pubsub = true;
        }
        "iii-cron" => {
            components::cron(&mut section, directories, problems);
            settings.cron = true;
        }
        "iii-observability" => settings.observability = observability::read(&mut section, problems),
        "configuration" => components::configuration(&mut section, problems),
        name if WITHOUT_SETTINGS.contains(&name) => section.ignore(&[
            "enabled",
            "sdk_api_key",
            "posthog_api_key",
            "posthog_host",
            "heartbeat_interval_secs",
        ]),
        name if UNSUPPORTED.contains(&name) => {
            problems.add(
                line,
                format!("`{name}` is not supported by this engine: use the official engine"),
            );
            return;
        }
        name => {
            problems.add(line, unknown_component(name));
            return;
        }
    }
    section.finish(problems);
}

fn unknown_component(name: &str) -> String {
    let prefixed = format!("iii-{name}");
    if COMPONENTS.contains(&prefixed.as_str()) {
        return format!(
            "`{name}` is a program that the official engine starts; the component of this engine is `{prefixed}`"
        );
    }
    format!(
        "unknown component `{name}`: the components of this engine are `{}`; it does not start other programs, they \
         connect to it",
        COMPONENTS.join("`, `")
    )
}

/// The entries of a section by name.
pub(super) fn named_entries(
    entries: &[(YamlKey, YamlNode)],
) -> impl Iterator<Item = (&str, &YamlNode)> {
    entries.iter().map(|(key, node)| (key.name.as_str(), node))
}
