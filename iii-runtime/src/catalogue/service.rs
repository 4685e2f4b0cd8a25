//! The services of a worker: gathers those that are declared, and checks their ids.

use super::CatalogueProblem;
use super::checks::check_alone;
use crate::declare::{FunctionDescriptor, ServiceDeclaration, ServiceDescriptor};

/// The services that the macros have declared in all crates that are linked in, sorted by id.
pub(super) fn declared_services() -> Vec<&'static ServiceDescriptor> {
    let mut services: Vec<_> =
        inventory::iter::<ServiceDeclaration>().map(|declaration| declaration.0).collect();
    services.sort_by_key(|one| (one.id, one.location.file, one.location.line));
    services
}

/// The services that a function is declared in, with those they belong to.
pub(super) fn services_of(function: &FunctionDescriptor) -> Vec<&'static ServiceDescriptor> {
    let all = declared_services();
    let mut found: Vec<_> = all.iter().copied().filter(|one| one.contains(function)).collect();
    let mut at = 0;
    while let Some(parent) = found.get(at).map(|one| one.parent) {
        at += 1;
        let parents = all.iter().copied().filter(|one| Some(one.id) == parent);
        let new: Vec<_> = parents.filter(|one| !found.contains(one)).collect();
        found.extend(new);
    }
    found
}

/// An id names one service.
pub(super) fn check_services(services: &[&ServiceDescriptor], problems: &mut Vec<CatalogueProblem>) {
    let help = "give each service an id of its own, or move its functions into one module";
    let ids = services.iter().map(|one| (one.id, one.location));
    check_alone("service", help, ids, problems);
}
