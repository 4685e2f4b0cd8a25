//! The checks of a catalogue: what no declaration can see by itself.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{Declarations, CatalogueEntry};
use super::{CatalogueProblem, name_checks};
use crate::declare::FunctionDescriptor;
use crate::extract::Resources;
use crate::function::Location;
use crate::intercept::{AnyInterceptor, Interceptor as _};
use crate::provide::StreamStoreDescriptor;
use iii_wire::TriggerKind;

/// Everything but what the app provides.
pub(super) fn check(entries: &[CatalogueEntry], declarations: &Declarations) -> Vec<CatalogueProblem> {
    let mut problems = Vec::new();
    let types = &declarations.trigger_types;
    if types.is_empty() {
        check_not_empty(entries, &mut problems);
    }
    let ids = entries.iter().map(|entry| (entry.function.id, entry.function.location));
    check_alone("function id", "give each function an id of its own", ids, &mut problems);
    let ids = types.iter().map(|one| (one.id, one.location));
    check_alone("trigger type", "give each trigger type an id of its own", ids, &mut problems);
    check_stores(&declarations.stream_stores, &mut problems);
    let routes =
        entries.iter().flat_map(CatalogueEntry::routes).map(|(route, place)| (route.conflict_key(), place));
    let help =
        "give each route a method or a path of its own; the names of parameters do not count";
    check_alone("route", help, routes, &mut problems);
    for entry in entries {
        let FunctionDescriptor { id, location, .. } = entry.function;
        name_checks::check(id, *location, &entry.triggers, &mut problems);
        check_path_params(entry, &mut problems);
        check_http_parts(entry, &mut problems);
        check_uses(entry, entries, &mut problems);
    }
    problems
}

fn check_not_empty(entries: &[CatalogueEntry], problems: &mut Vec<CatalogueProblem>) {
    if entries.is_empty() {
        problems.push(CatalogueProblem {
            message: "no function is declared".to_owned(),
            help: "declare one with `#[iii::function(id = \"service::name\")]`. If the functions are in a \
                   library crate, the compiler leaves the crate out until somebody names it: \
                   `#[iii::main(link(my_crate))]`"
                .to_owned(),
            locations: Vec::new(),
        });
    }
}

/// A name is declared once. `what` is named, such as "function id", and what to do if several share a name.
pub(super) fn check_alone<N: Ord + Display>(
    what: &str,
    help: &str,
    names: impl Iterator<Item = (N, Location)>,
    problems: &mut Vec<CatalogueProblem>,
) {
    for (name, locations) in by_name(names).into_iter().filter(|(_, locations)| locations.len() > 1) {
        problems.push(CatalogueProblem {
            message: format!("the {what} `{name}` is declared {} times", locations.len()),
            help: help.to_owned(),
            locations,
        });
    }
}

/// Where each name stands.
fn by_name<N: Ord>(names: impl Iterator<Item = (N, Location)>) -> BTreeMap<N, Vec<Location>> {
    let mut locations: BTreeMap<N, Vec<Location>> = BTreeMap::new();
    for (name, place) in names {
        locations.entry(name).or_default().push(place);
    }
    locations
}

fn check_stores(stores: &[&StreamStoreDescriptor], problems: &mut Vec<CatalogueProblem>) {
    for (name, locations) in by_name(stores.iter().map(|one| (one.name, one.location))) {
        let (message, help) = if locations.len() > 1 {
            let message = format!("the stream `{name}` is kept {} times", locations.len());
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

pub(super) fn check_provided(entries: &[CatalogueEntry], provided: &Resources, problems: &mut Vec<CatalogueProblem>) {
    let mut missing: BTreeMap<&str, Vec<Location>> = BTreeMap::new();
    for entry in entries {
        for requirement in entry.signature.requires() {
            if !provided.contains(requirement.type_id) {
                let locations = missing.entry(requirement.type_name).or_default();
                // The functions of a store stand at one place.
                if !locations.contains(&entry.function.location) {
                    locations.push(entry.function.location);
                }
            }
        }
    }
    for (name, locations) in missing {
        problems.push(CatalogueProblem {
            message: format!("no one provides the state `{name}`"),
            help: "give it to the app, `app.state(value)`, or to the test, `iii.provide(value)`"
                .to_owned(),
            locations,
        });
    }
}

pub(super) fn check_interceptors(interceptors: &[AnyInterceptor], problems: &mut Vec<CatalogueProblem>) {
    for interceptor in interceptors {
        if let Err(error) = interceptor.check() {
            problems.push(CatalogueProblem {
                message: format!("an interceptor cannot be used: {}", error.message()),
                help: "change how it is set up".to_owned(),
                locations: vec![interceptor.place()],
            });
        }
    }
}

/// A path parameter that nobody reads is a mistake in the path or in the payload type. Only a schema that lists all its
/// fields can tell.
fn check_path_params(entry: &CatalogueEntry, problems: &mut Vec<CatalogueProblem>) {
    let request_parts = entry.signature.request_parts();
    if entry.routes().all(|(route, _)| route.params().next().is_none()) {
        return;
    }
    let Some(schema) = entry.input_schema.as_ref().filter(|_| !request_parts.path && !request_parts.http) else {
        return;
    };
    let Ok(schema) = schema.parse::<serde_json::Value>() else { return };
    let open = ["allOf", "anyOf", "oneOf", "patternProperties", "$ref"]
        .iter()
        .any(|key| schema.get(key).is_some())
        || schema.get("additionalProperties").is_some_and(|more| more.as_bool() != Some(false));
    let Some(fields) = schema.get("properties").and_then(|p| p.as_object()).filter(|_| !open)
    else {
        return;
    };
    for (route, location) in entry.routes() {
        for param in route.params().filter(|param| !fields.contains_key(*param)) {
            let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
            problems.push(CatalogueProblem {
                message: format!(
                    "the path `{}` has the parameter `{param}`, and the payload of `{}` has no such field",
                    route.path, entry.function.id
                ),
                help: format!(
                    "name it like a field ({}), or take it by `Path<…>`",
                    names.join(", ")
                ),
                locations: vec![location],
            });
        }
    }
}

fn check_http_parts(entry: &CatalogueEntry, problems: &mut Vec<CatalogueProblem>) {
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

fn check_uses(entry: &CatalogueEntry, entries: &[CatalogueEntry], problems: &mut Vec<CatalogueProblem>) {
    for (binding, location) in &entry.triggers {
        for used in &binding.function_refs {
            let Some(function) = used.function else { continue };
            if !entries.iter().any(|entry| entry.function.id == used.id) {
                problems.push(CatalogueProblem {
                    message: format!(
                        "the {} `{}` of `{}` is not part of this app",
                        used.role, used.id, entry.function.id
                    ),
                    help: "add it with `app.function::<…>()`".to_owned(),
                    locations: vec![*location, function.location],
                });
            }
            let takes_request = (function.signature)().request_parts().http;
            if used.role == "condition" && binding.kind == TriggerKind::Http && !takes_request {
                problems.push(CatalogueProblem {
                    message: format!(
                        "the condition `{}` of an http trigger must take the request",
                        used.id
                    ),
                    help: "let it take `HttpRequest<T>`, `Headers`, `Path<T>` or `Query<T>`"
                        .to_owned(),
                    locations: vec![*location, function.location],
                });
            }
        }
    }
}
