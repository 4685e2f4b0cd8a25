//! The catalogue: assembles all declarations of a worker, checks them, and describes them, without a connection.

#[expect(clippy::module_inception, reason = "the type that the module is named after")]
mod catalogue;
mod checks;
mod declarations;
mod endpoint;
mod name_checks;
mod problem;
mod service;

pub use catalogue::{Catalogue, CatalogueEntry};
pub use declarations::Declarations;
pub(crate) use declarations::check_linked_declarations;
#[cfg(feature = "testing")]
pub(crate) use declarations::declared_functions;
pub(crate) use endpoint::EndpointMode;
pub use endpoint::ResolvedEndpoint;
#[cfg(all(test, feature = "testing"))]
pub(crate) use name_checks::tests::UNUSUAL_STRINGS;
pub use problem::{CatalogueProblem, CatalogueProblems};

pub use crate::client::{CatalogueDifference, CatalogueFile, CatalogueFunction, CatalogueRequest};
pub use crate::config::ConfigDescriptor;
pub use crate::declare::{
    Declared, EndpointAuth, EndpointDescriptor, EndpointUrl, FunctionDescriptor, ServiceDescriptor,
    TriggerDescriptor,
};
pub use crate::function::{FunctionInfo, Location, RequestParts, Requirement, Signature};
pub use crate::provide::{StreamStoreDescriptor, TriggerTypeDescriptor};
