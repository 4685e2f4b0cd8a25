//! Services: groups of functions, as the macro writes them and as they are registered (protocol section 2.11).

use super::checks::check_alone;
use super::{FunctionDescriptor, Location, Problem};
use crate::protocol::RegisterService;

/// A declared service: see [`macro@crate::service`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceDescriptor {
    /// The id on the wire; the ids of its functions begin with it.
    pub id: &'static str,
    /// Its name for people. `None`: its id.
    pub name: Option<&'static str>,
    /// What it is: the doc comment of its module.
    pub description: Option<&'static str>,
    /// The id of the service that it belongs to.
    pub parent: Option<&'static str>,
    /// The module that it is; its first segment is the crate.
    pub module: &'static str,
    /// Where it is declared.
    pub location: Location,
}

impl ServiceDescriptor {
    /// What is sent to the engine.
    pub(crate) fn registration(&self) -> RegisterService {
        RegisterService {
            id: self.id.to_owned(),
            name: self.name.map(str::to_owned),
            description: self.description.map(str::to_owned),
            parent_service_id: self.parent.map(str::to_owned),
        }
    }

    /// Whether a function is declared in its module, or in one inside.
    fn contains(&self, function: &FunctionDescriptor) -> bool {
        let rest = function.module.strip_prefix(self.module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// What the macros put into the inventory.
#[derive(Debug, Clone, Copy)]
pub struct ServiceDeclaration(pub &'static ServiceDescriptor);

inventory::collect!(ServiceDeclaration);

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
pub(super) fn check_services(services: &[&ServiceDescriptor], problems: &mut Vec<Problem>) {
    let help = "give each service an id of its own, or move its functions into one module";
    let ids = services.iter().map(|one| (one.id, one.location));
    check_alone("service", help, ids, problems);
}
