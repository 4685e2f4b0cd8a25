//! The catalogue: joins all declarations of a worker, checks them, and describes them, without a connection.

#[expect(clippy::module_inception, reason = "the type that the module is named after")]
mod catalogue;
mod checks;
mod endpoint;
mod problem;
mod service;
mod name_checks;

pub(crate) use catalogue::check_linked_declarations;
#[cfg(feature = "testing")]
pub(crate) use catalogue::declared_functions;
pub use catalogue::{Catalogue, Declarations, CatalogueEntry};
pub use endpoint::ResolvedEndpoint;
pub(crate) use endpoint::EndpointMode;
pub use problem::{CatalogueProblem, CatalogueProblems};
#[cfg(all(test, feature = "testing"))]
pub(crate) use name_checks::tests::UNUSUAL_STRINGS;

pub use crate::client::{CatalogueDifference, CatalogueFile, CatalogueFunction, CatalogueRequest};
pub use crate::config::ConfigDescriptor;
pub use crate::declare::{
    Declared, EndpointAuth, EndpointDescriptor, EndpointUrl, FunctionDescriptor, ServiceDescriptor,
    TriggerDescriptor,
};
pub use crate::function::{FunctionInfo, Location, Requirement, RequestParts, Signature};
pub use crate::provide::{StreamStoreDescriptor, TriggerTypeDescriptor};
