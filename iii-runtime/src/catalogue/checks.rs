//! The checks of a catalogue, which need more than one declaration.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{CatalogueEntry, CatalogueProblem, Declarations, name_checks};
use crate::declare::FunctionDescriptor;
use crate::extract::Resources;
use crate::function::Location;
use crate::intercept::{AnyInterceptor, Interceptor as _};
use crate::provide::StreamStoreDescriptor;
use iii_wire::TriggerKind;

/// Runs all checks that do not depend on what the app provides.
pub(super) fn check(
    entries: &[CatalogueEntry],
    declarations: &Declarations,
) -> Vec<CatalogueProblem> {
    let mut problems = Vec::new();
    let types = &declarations.trigger_types;
    if types.is_empty() {
        check_not_empty(entries, &mut problems);
    }
    let ids = entries.iter().map(|entry| (entry.function.id, entry.function.location));
    check_unique("function id", "give each function an id of its own", ids, &mut problems);
    let ids = types.iter().map(|trigger_type| (trigger_type.id, trigger_type.location));
    check_unique("trigger type", "give each trigger type an id of its own", ids, &mut problems);
    check_stores(&declarations.stream_stores, &mut problems);
    let routes = entries
        .iter()
        .flat_map(CatalogueEntry::routes)
        .map(|(route, location)| (route.conflict_key(), location));
    let help =
        "give each route a method or a path of its own; the names of parameters do not count";
    check_unique("route", help, routes, &mut problems);
    for entry in entries {
        let FunctionDescriptor { id, location, .. } = entry.function;
        name_checks::check(id, *location, &entry.triggers, &mut problems);
        check_path_params(entry, &mut problems);
        check_request_parts(entry, &mut problems);
        check_function_refs(entry, entries, &mut problems);
    }
    problems
}

fn check_not_empty(entries: &[CatalogueEntry], problems: &mut Vec<CatalogueProblem>) {
    if entries.is_empty() {
        problems.push(CatalogueProblem {
            message: "no function is declared".to_owned(),
            help: "declare one with `#[iii::function(id = \"service::name\")]`. If the functions are in a \
                   library crate, the compiler omits the crate unless it is named: \
                   `#[iii::main(link(my_crate))]`"
                .to_owned(),
            locations: Vec::new(),
        });
    }
}

/// Checks that no name is declared twice. `kind` says what the names are of, such as "function id".
pub(super) fn check_unique<N: Ord + Display>(
    kind: &str,
    help: &str,
    names: impl Iterator<Item = (N, Location)>,
    problems: &mut Vec<CatalogueProblem>,
) {
    for (name, locations) in locations_by_name(names) {
        if locations.len() > 1 {
            problems.push(CatalogueProblem {
                message: format!("the {kind} `{name}` is declared {} times", locations.len()),
                help: help.to_owned(),
                locations,
            });
        }
    }
}

/// The locations at which each name is declared.
fn locations_by_name<N: Ord>(
    names: impl Iterator<Item = (N, Location)>,
) -> BTreeMap<N, Vec<Location>> {
    let mut locations: BTreeMap<N, Vec<Location>> = BTreeMap::new();
    for (name, location) in names {
        locations.entry(name).or_default().push(location);
    }
    locations
}

fn check_stores(stores: &[&StreamStoreDescriptor], problems: &mut Vec<CatalogueProblem>) {
    let names = stores.iter().map(|store| (store.name, store.location));
    for (name, locations) in locations_by_name(names) {
        let (message, help) = if locations.len() > 1 {
            let message = format!("the stream `{name}` is declared {} times", locations.len());
            (message, "give each store a name of its own")
        } else if name.is_empty() || name.chars().any(char::is_control) {
            let message = format!("a stream cannot be named `{}`", name.escape_debug());
            (message, "give the store a name of printable characters, such as `chat`")
        } else {
            continue;
        };
        problems.push(CatalogueProblem { message, help: help.to_owned(), locations });
    }
}

/// Checks that the app provides the state that functions require.
pub(super) fn check_provided(
    entries: &[CatalogueEntry],
    provided: &Resources,
    problems: &mut Vec<CatalogueProblem>,
) {
    let mut missing: BTreeMap<&str, Vec<Location>> = BTreeMap::new();
    for entry in entries {
        for requirement in entry.signature.requires() {
            if !provided.contains(requirement.type_id) {
                let locations = missing.entry(requirement.type_name).or_default();
                // All functions of a store have the location of the store.
                if !locations.contains(&entry.function.location) {
                    locations.push(entry.function.location);
                }
            }
        }
    }
    for (name, locations) in missing {
        problems.push(CatalogueProblem {
            message: format!("the state `{name}` is not provided"),
            help: "call `app.state(value)`, or in a test `iii.provide(value)`".to_owned(),
            locations,
        });
    }
}

pub(super) fn check_interceptors(
    interceptors: &[AnyInterceptor],
    problems: &mut Vec<CatalogueProblem>,
) {
    for interceptor in interceptors {
        if let Err(error) = interceptor.check() {
            problems.push(CatalogueProblem {
                message: format!("an interceptor cannot be used: {}", error.message()),
                help: "change its options".to_owned(),
                locations: vec![interceptor.place()],
            });
        }
    }
}

/// Checks that the payload has a field for each path parameter. Checks only schemas that list all their fields.
fn check_path_params(entry: &CatalogueEntry, problems: &mut Vec<CatalogueProblem>) {
    if entry.routes().all(|(route, _)| route.params().next().is_none()) {
        return;
    }
    let request_parts = entry.signature.request_parts();
    if request_parts.path || request_parts.http {
        return;
    }
    let Some(schema) = &entry.input_schema else { return };
    let Ok(schema) = schema.parse::<serde_json::Value>() else { return };
    let is_open = ["allOf", "anyOf", "oneOf", "patternProperties", "$ref"]
        .iter()
        .any(|key| schema.get(key).is_some())
        || schema.get("additionalProperties").is_some_and(|more| more.as_bool() != Some(false));
    if is_open {
        return;
    }
    let Some(fields) = schema.get("properties").and_then(|p| p.as_object()) else { return };
    for (route, location) in entry.routes() {
        for param in route.params().filter(|param| !fields.contains_key(*param)) {
            let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
            problems.push(CatalogueProblem {
                message: format!(
                    "the path `{}` has the parameter `{param}`, and the payload of `{}` has no such field",
                    route.path, entry.function.id
                ),
                help: format!(
                    "name it like a field ({}), or take it with `Path<…>`",
                    names.join(", ")
                ),
                locations: vec![location],
            });
        }
    }
}

/// Checks that a function that takes parts of an HTTP request has only `http` triggers.
fn check_request_parts(entry: &CatalogueEntry, problems: &mut Vec<CatalogueProblem>) {
    if !entry.signature.request_parts().http {
        return;
    }
    for (binding, location) in &entry.triggers {
        if binding.kind != TriggerKind::Http {
            problems.push(CatalogueProblem {
                message: format!(
                    "`{}` takes parts of an HTTP request, and a `{}` trigger has none",
                    entry.function.id, binding.kind
                ),
                help: "take a plain payload, or declare a function of its own for this trigger"
                    .to_owned(),
                locations: vec![*location],
            });
        }
    }
}

/// Checks that the conditions and middleware of a function are served, and take what the trigger passes.
fn check_function_refs(
    entry: &CatalogueEntry,
    entries: &[CatalogueEntry],
    problems: &mut Vec<CatalogueProblem>,
) {
    for (binding, location) in &entry.triggers {
        for function_ref in &binding.function_refs {
            let Some(function) = function_ref.function else { continue };
            if !entries.iter().any(|entry| entry.function.id == function_ref.id) {
                problems.push(CatalogueProblem {
                    message: format!(
                        "the {} `{}` of `{}` is not part of this app",
                        function_ref.role, function_ref.id, entry.function.id
                    ),
                    help: "add it with `app.function::<…>()`".to_owned(),
                    locations: vec![*location, function.location],
                });
            }
            let takes_request = (function.signature)().request_parts().http;
            let is_http = binding.kind == TriggerKind::Http;
            if function_ref.role == "condition" && is_http && !takes_request {
                problems.push(CatalogueProblem {
                    message: format!(
                        "the condition `{}` of an http trigger must take the request",
                        function_ref.id
                    ),
                    help: "let it take `HttpRequest<T>`, `Headers`, `Path<T>` or `Query<T>`"
                        .to_owned(),
                    locations: vec![*location, function.location],
                });
            }
        }
    }
}
