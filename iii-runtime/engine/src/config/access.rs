//! Worker listeners and their access rules, read from the file (protocol sections 9.1 and 11.3).

use std::time::Duration;

use super::file::named;
use super::listener::WorkerListener;
use super::parts::{MILLIS, address, origins};
use super::tree::{Block, Node, Problems, Value};
use crate::access::{Access, FunctionFilter, MetadataRule};
use crate::wildcard::WildcardPattern;

/// Reads a listener.
pub(super) fn listener(block: &mut Block<'_>, problems: &mut Problems) -> WorkerListener {
    let mut listener = WorkerListener::new();
    address(block, &mut listener.address, problems);
    if let Some(millis) = block.whole("handshake_timeout_ms", MILLIS, problems) {
        listener = listener.handshake_timeout(Duration::from_millis(millis));
    }
    listener.allowed_origins = origins(block, problems);
    if let Some(id) = function(block, "middleware_function_id", problems) {
        listener = listener.middleware(id);
    }
    block.not_blank("rbac", problems);
    if let Some(node) = block.take("rbac") {
        let mut rbac = Block::new("`rbac`", node, problems);
        listener = listener.access(rules(&mut rbac, problems));
        rbac.finish(problems);
    }
    listener
}

/// Reads the access rules of a listener.
fn rules(block: &mut Block<'_>, problems: &mut Problems) -> Access {
    let mut access = Access::new();
    if let Some(id) = function(block, "auth_function_id", problems) {
        access = access.auth_function(id);
    }
    if let Some(id) = function(block, "on_function_registration_function_id", problems) {
        access = access.on_function_registration(id);
    }
    if let Some(id) = function(block, "on_trigger_registration_function_id", problems) {
        access = access.on_trigger_registration(id);
    }
    if let Some(id) = function(block, "on_trigger_type_registration_function_id", problems) {
        access = access.on_trigger_type_registration(id);
    }
    match block.take("expose_functions") {
        None => {}
        Some(Node { value: Value::List(list), .. }) => {
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
    block: &mut Block<'a>,
    key: &'static str,
    problems: &mut Problems,
) -> Option<&'a str> {
    block.not_blank(key, problems);
    block.text(key, problems)
}

/// Reads a filter: a string `match("…")`, or a section with `match` or `metadata`.
fn filter(node: &Node, problems: &mut Problems) -> Option<FunctionFilter> {
    let entries = match &node.value {
        Value::Text(text) => {
            let filter = WildcardPattern::parse_match(text).map(FunctionFilter::from_pattern);
            if filter.is_none() {
                problems.add(
                    node.line,
                    format!(r#"a filter that is a string must have the form match("api::*"), not {text}"#),
                );
            }
            return filter;
        }
        Value::Block(entries) => entries,
        _ => {
            let kind = node.kind();
            let text = format!(
                r#"a filter must be match("…") or a section with `match` or `metadata`, not {kind}"#
            );
            problems.add(node.line, text);
            return None;
        }
    };
    let mut block = Block::new("a filter", node, problems);
    let before = problems.0.len();
    let pattern = block.text("match", problems);
    let metadata = block.take("metadata");
    let namespace = block.text("namespace", problems);
    block.finish(problems);
    let filter = match (pattern, metadata) {
        (Some(pattern), None) if WildcardPattern::parse_match(pattern).is_none() => {
            FunctionFilter::matching(pattern)
        }
        (Some(pattern), None) => {
            problems.add(
                node.line,
                format!("`match` of a filter must be the plain pattern, such as api::*, not {pattern}"),
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
fn metadata_rules(node: &Node, problems: &mut Problems) -> Option<Vec<(String, MetadataRule)>> {
    let block = Block::new("`metadata` of a filter", node, problems);
    let mut rules = Vec::new();
    for (name, node) in named(block.all()) {
        let rule = match &node.value {
            Value::Text(text) => WildcardPattern::parse_match(text).map(MetadataRule::from_pattern),
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
