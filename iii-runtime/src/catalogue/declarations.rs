//! The declarations of a worker: those that the macros submitted to the inventory, and those that the app adds.

use super::CatalogueProblems;
use super::catalogue::collect_entries;
use super::checks::check;
use super::endpoint::EndpointMode;
use super::service::{check_services, declared_services, services_of};
use crate::declare::{FunctionDeclaration, FunctionDescriptor, ServiceDescriptor};
use crate::intercept::AnyInterceptor;
use crate::provide::{
    StreamStoreDescriptor, TriggerTypeDescriptor, declared_stream_stores, declared_trigger_types,
};

/// The functions that the macros declared in all linked crates, sorted by id.
pub(crate) fn declared_functions() -> Vec<&'static FunctionDescriptor> {
    let mut functions: Vec<_> =
        inventory::iter::<FunctionDeclaration>().map(|declaration| declaration.0).collect();
    functions.sort_by_key(|function| (function.id, function.location.file, function.location.line));
    functions
}

/// The declarations of a worker, before they are checked.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    /// The functions, with their triggers.
    pub functions: Vec<&'static FunctionDescriptor>,
    /// The trigger types that the worker provides.
    pub trigger_types: Vec<&'static TriggerTypeDescriptor>,
    /// The interceptors of all functions, the outermost first.
    pub interceptors: Vec<AnyInterceptor>,
    /// The services of the functions.
    pub services: Vec<&'static ServiceDescriptor>,
    /// The stream stores that the worker provides.
    pub stream_stores: Vec<&'static StreamStoreDescriptor>,
}

impl Declarations {
    /// Everything that the macros declared in all linked crates.
    pub fn linked() -> Self {
        Self::linked_with_functions(declared_functions())
    }

    /// As [`Declarations::linked`], but with these functions instead.
    pub(crate) fn linked_with_functions(functions: Vec<&'static FunctionDescriptor>) -> Self {
        Self {
            functions,
            trigger_types: declared_trigger_types(),
            services: declared_services(),
            interceptors: Vec::new(),
            stream_stores: declared_stream_stores(),
        }
    }

    /// Adds a function, with its triggers and its services, unless it was added before.
    pub(crate) fn add(&mut self, function: &'static FunctionDescriptor) {
        if self.functions.iter().any(|known| std::ptr::eq(*known, function)) {
            return;
        }
        self.functions.push(function);
        for service in services_of(function) {
            if !self.services.iter().any(|known| std::ptr::eq(*known, service)) {
                self.services.push(service);
            }
        }
    }
}

/// Checks everything that the macros declared in all linked crates, except what depends on the app.
///
/// # Errors
///
/// All problems in one report.
pub(crate) fn check_linked_declarations() -> Result<(), CatalogueProblems> {
    let declarations = Declarations::linked();
    let mut problems = Vec::new();
    // Endpoints depend on the environment of a start.
    let entries = collect_entries(&declarations, EndpointMode::Skip, &mut problems);
    problems.extend(check(&entries, &declarations));
    check_services(&declarations.services, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(CatalogueProblems(problems)) }
}
