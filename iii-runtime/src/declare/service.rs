//! Services: groups of functions, as the macro writes them and as they are registered (protocol section 2.11).

use super::FunctionDescriptor;
use crate::function::Location;
use iii_wire::protocol::RegisterService;

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
    pub(crate) fn contains(&self, function: &FunctionDescriptor) -> bool {
        let rest = function.module.strip_prefix(self.module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// What the macros put into the inventory.
#[derive(Debug, Clone, Copy)]
pub struct ServiceDeclaration(pub &'static ServiceDescriptor);

inventory::collect!(ServiceDeclaration);
