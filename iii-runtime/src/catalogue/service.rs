//! The services of a worker: collects the declared ones, and checks their ids.

use super::CatalogueProblem;
use super::checks::check_unique;
use crate::declare::{FunctionDescriptor, ServiceDeclaration, ServiceDescriptor};

/// The services that the macros declared in all linked crates, sorted by id.
pub(super) fn declared_services() -> Vec<&'static ServiceDescriptor> {
    let mut services: Vec<_> =
        inventory::iter::<ServiceDeclaration>().map(|declaration| declaration.0).collect();
    services.sort_by_key(|service| (service.id, service.location.file, service.location.line));
    services
}

/// The services that contain a function, with their ancestors.
pub(super) fn services_of(function: &FunctionDescriptor) -> Vec<&'static ServiceDescriptor> {
    let all = declared_services();
    let contains = |service: &&'static ServiceDescriptor| service.contains(function);
    let mut found: Vec<_> = all.iter().copied().filter(contains).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|service| service.parent) {
        next += 1;
        let parents = all.iter().copied().filter(|service| Some(service.id) == parent);
        let new: Vec<_> = parents.filter(|service| !found.contains(service)).collect();
        found.extend(new);
    }
    found
}

/// Checks that no service id is declared twice.
pub(super) fn check_services(
    services: &[&ServiceDescriptor],
    problems: &mut Vec<CatalogueProblem>,
) {
    let help = "give each service an id of its own, or move its functions into one module";
    let ids = services.iter().map(|service| (service.id, service.location));
    check_unique("service", help, ids, problems);
}
