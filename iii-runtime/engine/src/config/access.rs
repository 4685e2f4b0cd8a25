//! Worker listeners and their access rules, read from the file ([protocol 9.1](iii_wire::protocol#s9-1), [11.3](iii_wire::protocol#s11-3)).

use std::time::Duration;

use super::components::{MILLIS, address, origins};
use super::file::named_entries;
use super::listener::WorkerListener;
use super::yaml::{Problems, Section, YamlNode, YamlValue};
use crate::access::{Access, FunctionFilter, MetadataRule};
use crate::wildcard::WildcardPattern;

/// Reads a listener.
pub(super) fn listener(section: &mut Section<'_>, problems: &mut Problems) -> WorkerListener {
    let mut listener = WorkerListener::new();
    address(section, &mut listener.address, problems);
    if let Some(millis) = section.unsigned("handshake_timeout_ms", MILLIS, problems) {
        listener = listener.handshake_timeout(Duration::from_millis(millis));
    }
    listener.allowed_origins = origins(section, problems);
    if let Some(id) = function(section, "middleware_function_id", problems) {
        listener = listener.middleware(id);
    }
    section.require_value("rbac", problems);
    if let Some(node) = section.take("rbac") {
        let mut rbac = Section::new("`rbac`", node, problems);
        listener = listener.access(rules(&mut rbac, problems));
        rbac.finish(problems);
    }
    listener
}

/// Reads the access rules of a listener.
fn rules(section: &mut Section<'_>, problems: &mut Problems) -> Access {
    let mut access = Access::new();
    if let Some(id) = function(section, "auth_function_id", problems) {
        access = access.auth_function(id);
    }
    if let Some(id) = function(section, "on_function_registration_function_id", problems) {
        access = access.on_function_registration(id);
    }
    if let Some(id) = function(section, "on_trigger_registration_function_id", problems) {
        access = access.on_trigger_registration(id);
    }
    if let Some(id) = function(section, "on_trigger_type_registration_function_id", problems) {
        access = access.on_trigger_type_registration(id);
    }
    match section.take("expose_functions") {
        None => {}
        Some(YamlNode { value: YamlValue::List(list), .. }) => {
            for node in list {
                if let Some(filter) = filter(node, problems) {
                    access = access.expose(filter);
                }
            }
        }
        Some(node) => problems.add(
            node.line,
            format!("`expose_functions` must be a list of filters, not {}", node.kind()),
        ),
    }
    access
}

/// Reads the id of a function that restricts access. A key without a value is an error, since it would lift the
/// restriction.
fn function<'a>(
    section: &mut Section<'a>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<&'a str> {
    section.require_value(key, problems);
    section.string(key, problems)
}

/// Reads a filter: a string `match("…")`, or a section with `match` or `metadata`.
fn filter(node: &YamlNode, problems: &mut Problems) -> Option<FunctionFilter> {
    let entries = match &node.value {
        YamlValue::String(text) => {
            let filter = WildcardPattern::parse_match(text).map(FunctionFilter::from_pattern);
            if filter.is_none() {
                problems.add(
                    node.line,
                    format!(r#"a filter that is a string must have the form match("api::*"), not {text}"#),
                );
            }
            return filter;
        }
        YamlValue::Map(entries) => entries,
        _ => {
            let kind = node.kind();
            let text = format!(
                r#"a filter must be match("…") or a section with `match` or `metadata`, not {kind}"#
            );
            problems.add(node.line, text);
            return None;
        }
    };
    let mut section = Section::new("a filter", node, problems);
    let before = problems.0.len();
    let pattern = section.string("match", problems);
    let metadata = section.take("metadata");
    let namespace = section.string("namespace", problems);
    section.finish(problems);
    let filter = match (pattern, metadata) {
        (Some(pattern), None) if WildcardPattern::parse_match(pattern).is_none() => {
            FunctionFilter::matching(pattern)
        }
        (Some(pattern), None) => {
            problems.add(
                node.line,
                format!(
                    "`match` of a filter must be the plain pattern, such as api::*, not {pattern}"
                ),
            );
            return None;
        }
        (None, Some(metadata)) => FunctionFilter::metadata(metadata_rules(metadata, problems)?),
        (Some(_), Some(_)) => {
            problems.add(node.line, "a filter has either `match` or `metadata`, not both");
            return None;
        }
        (None, None) => {
            if problems.0.len() == before || entries.is_empty() {
                problems.add(node.line, "a filter requires `match` or `metadata`");
            }
            return None;
        }
    };
    Some(match namespace {
        Some(namespace) => filter.namespace(namespace),
        None => filter,
    })
}

/// Reads the metadata that a filter requires.
fn metadata_rules(node: &YamlNode, problems: &mut Problems) -> Option<Vec<(String, MetadataRule)>> {
    let section = Section::new("`metadata` of a filter", node, problems);
    let mut rules = Vec::new();
    for (name, node) in named_entries(section.entries()) {
        let rule = match &node.value {
            YamlValue::String(text) => {
                WildcardPattern::parse_match(text).map(MetadataRule::from_pattern)
            }
            _ => None,
        };
        let equals = || node.to_json().map(MetadataRule::equals);
        match rule.or_else(equals) {
            Some(rule) => rules.push((name.to_owned(), rule)),
            None => problems.add(node.line, format!("the number `{name}` is out of range")),
        }
    }
    if rules.is_empty() {
        problems.add(node.line, "`metadata` of a filter is empty: it would expose nothing");
        return None;
    }
    Some(rules)
}
