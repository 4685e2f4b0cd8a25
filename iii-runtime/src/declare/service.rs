//! The static descriptor of a service, a group of functions ([protocol 2.11](crate::protocol#s2-11)).

use super::FunctionDescriptor;
use crate::function::Location;
use iii_wire::protocol::RegisterService;

/// The declaration of a service: see [`macro@crate::service`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceDescriptor {
    /// The id on the wire, which prefixes the ids of its functions.
    pub id: &'static str,
    /// The display name. `None`: the id.
    pub name: Option<&'static str>,
    /// The description: the doc comment of its module.
    pub description: Option<&'static str>,
    /// The id of the parent service.
    pub parent: Option<&'static str>,
    /// The module of the service; its first segment is the crate.
    pub module: &'static str,
    /// The location of the declaration.
    pub location: Location,
}

impl ServiceDescriptor {
    /// The message that registers the service.
    pub(crate) fn registration(&self) -> RegisterService {
        RegisterService {
            id: self.id.to_owned(),
            name: self.name.map(str::to_owned),
            description: self.description.map(str::to_owned),
            parent_service_id: self.parent.map(str::to_owned),
        }
    }

    /// Whether a function is declared in the module of the service, or in a submodule.
    pub(crate) fn contains(&self, function: &FunctionDescriptor) -> bool {
        let rest = function.module.strip_prefix(self.module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// A declaration in the inventory, which collects those of all linked crates.
#[derive(Debug, Clone, Copy)]
pub struct ServiceDeclaration(pub &'static ServiceDescriptor);

inventory::collect!(ServiceDeclaration);
