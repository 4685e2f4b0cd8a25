//! The catalogue: all declarations of a worker, gathered and checked before anything connects.

use super::checks::{check, check_interceptors, check_provided};
use super::endpoint::{ResolvedEndpoint, EndpointMode, resolve};
use super::service::{check_services, declared_services, services_of};
use super::{CatalogueProblem, CatalogueProblems};
use crate::declare::{FunctionDeclaration, FunctionDescriptor, ServiceDescriptor};
use crate::extract::Resources;
use crate::function::{ConfigRequirement, Location, Signature};
use crate::intercept::AnyInterceptor;
use crate::provide::{
    StreamStoreDescriptor, TriggerTypeDescriptor, declared_stream_stores, declared_trigger_types,
};
use crate::trigger::Binding;
use iii_wire::protocol::Payload;

/// The functions that the macros have declared in all crates that are linked in, sorted by id.
pub(crate) fn declared() -> Vec<&'static FunctionDescriptor> {
    let mut functions: Vec<_> =
        inventory::iter::<FunctionDeclaration>().map(|declaration| declaration.0).collect();
    functions.sort_by_key(|function| (function.id, function.location.file, function.location.line));
    functions
}

/// What a worker declares, before anybody has looked at it.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    /// Functions, with their triggers.
    pub functions: Vec<&'static FunctionDescriptor>,
    /// Trigger types that it provides.
    pub trigger_types: Vec<&'static TriggerTypeDescriptor>,
    /// What runs around each function, the outermost first.
    pub interceptors: Vec<AnyInterceptor>,
    /// Services that its functions are grouped in.
    pub services: Vec<&'static ServiceDescriptor>,
    /// Streams that it keeps.
    pub stream_stores: Vec<&'static StreamStoreDescriptor>,
}

impl Declarations {
    /// What the macros have declared in all crates that are linked in.
    pub fn linked() -> Self {
        Self::linked_with_functions(declared())
    }

    /// As [`Declarations::linked`], with these functions in place of those that are declared.
    pub(crate) fn linked_with_functions(functions: Vec<&'static FunctionDescriptor>) -> Self {
        Self {
            functions,
            trigger_types: declared_trigger_types(),
            services: declared_services(),
            interceptors: Vec::new(),
            stream_stores: declared_stream_stores(),
        }
    }

    /// Adds a function, with its triggers and its services. What is there already is not added twice.
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

/// Checks all that is declared, but for what only the app can provide.
///
/// # Errors
///
/// All problems in one report.
pub(crate) fn check_linked_declarations() -> Result<(), CatalogueProblems> {
    let declarations = Declarations::linked();
    let mut problems = Vec::new();
    // What the environment says belongs to a start.
    let entries = entries(&declarations, EndpointMode::Skip, &mut problems);
    problems.extend(check(&entries, &declarations));
    check_services(&declarations.services, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(CatalogueProblems(problems)) }
}

/// What a worker serves. It can be read without a connection.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<CatalogueEntry>,
    trigger_types: Vec<&'static TriggerTypeDescriptor>,
    services: Vec<&'static ServiceDescriptor>,
    stream_stores: Vec<&'static StreamStoreDescriptor>,
}

/// One function of the catalogue.
#[derive(Debug)]
pub struct CatalogueEntry {
    /// Its declaration.
    pub function: &'static FunctionDescriptor,
    /// What it takes and gives.
    pub signature: Signature,
    /// JSON Schema of the payload; `None` if it takes none.
    pub input_schema: Option<Payload>,
    /// JSON Schema of the result; `None` if it gives none.
    pub output_schema: Option<Payload>,
    /// What invokes it, with the place of each declaration.
    pub triggers: Vec<(Binding, Location)>,
    /// What runs around it, the outermost first: what the app says, then what its declaration says.
    pub interceptors: Vec<AnyInterceptor>,
    /// The HTTP endpoint that serves it, if the worker does not.
    pub endpoint: Option<ResolvedEndpoint>,
}

impl Catalogue {
    /// Gathers and checks declarations.
    ///
    /// # Errors
    ///
    /// All problems in one report: ids or routes that are declared twice, values that no one provides, path parameters
    /// that the payload does not have, interceptors that are set up wrongly, endpoints without a URL, and no functions
    /// at all.
    pub fn assemble(declarations: &Declarations, provided: &Resources) -> Result<Self, CatalogueProblems> {
        Self::assemble_for(declarations, provided, EndpointMode::Resolve)
    }

    /// As [`Catalogue::assemble`], also for a worker whose endpoints are not called.
    pub(crate) fn assemble_for(
        declarations: &Declarations,
        provided: &Resources,
        endpoints: EndpointMode,
    ) -> Result<Self, CatalogueProblems> {
        let interceptors = &declarations.interceptors;
        let mut problems = Vec::new();
        let mut entries = entries(declarations, endpoints, &mut problems);
        problems.extend(check(&entries, declarations));
        check_services(&declarations.services, &mut problems);
        check_provided(&entries, provided, &mut problems);
        check_interceptors(interceptors, &mut problems);
        for entry in &mut entries {
            let own = (entry.function.intercept)();
            check_interceptors(&own, &mut problems);
            entry.interceptors = interceptors.iter().cloned().chain(own).collect();
        }
        if !problems.is_empty() {
            return Err(CatalogueProblems(problems));
        }
        let Declarations { trigger_types, services, stream_stores, .. } = declarations.clone();
        Ok(Self { entries, trigger_types, services, stream_stores })
    }

    /// The trigger types that the worker provides, sorted by id.
    pub fn trigger_types(&self) -> &[&'static TriggerTypeDescriptor] {
        &self.trigger_types
    }

    /// The services that its functions are grouped in, sorted by id where the macros gathered them.
    pub fn services(&self) -> &[&'static ServiceDescriptor] {
        &self.services
    }

    /// The streams that the worker keeps, sorted by name. Their functions are among the entries.
    pub fn stream_stores(&self) -> &[&'static StreamStoreDescriptor] {
        &self.stream_stores
    }

    /// The catalogue of a worker that serves nothing by itself.
    #[cfg(any(feature = "cli", feature = "testing"))]
    pub(crate) fn empty() -> Self {
        Self {
            entries: Vec::new(),
            trigger_types: Vec::new(),
            services: Vec::new(),
            stream_stores: Vec::new(),
        }
    }

    /// The functions, sorted by id.
    pub fn entries(&self) -> &[CatalogueEntry] {
        &self.entries
    }

    /// The configurations that functions use, each with the location of the function.
    pub(crate) fn config_requirements(&self) -> impl Iterator<Item = (ConfigRequirement, Location)> {
        self.entries.iter().flat_map(|entry| {
            entry.signature.configs().iter().map(|used| (*used, entry.function.location))
        })
    }

    /// The function with an id.
    pub fn get(&self, id: &str) -> Option<&CatalogueEntry> {
        self.entries.iter().find(|entry| entry.function.id == id)
    }
}

/// Looks at each function, with those of stores.
fn entries(
    declarations: &Declarations,
    endpoints: EndpointMode,
    problems: &mut Vec<CatalogueProblem>,
) -> Vec<CatalogueEntry> {
    let entry = |function: &&'static FunctionDescriptor| CatalogueEntry {
        endpoint: resolve(function, endpoints, problems),
        ..CatalogueEntry::new(function)
    };
    let mut entries: Vec<CatalogueEntry> = declarations.functions.iter().map(entry).collect();
    let stores = &declarations.stream_stores;
    for (number, store) in stores.iter().enumerate() {
        // Two of one name are one problem, and not one for each function.
        if !stores[..number].iter().any(|before| before.name == store.name) {
            entries.extend(store.functions().iter().map(CatalogueEntry::new));
        }
    }
    if !stores.is_empty() {
        entries.sort_by_key(|entry| entry.function.id);
    }
    entries
}

impl CatalogueEntry {
    fn new(function: &'static FunctionDescriptor) -> Self {
        let signature = (function.signature)();
        Self {
            function,
            input_schema: signature.input_schema(),
            output_schema: signature.output_schema(),
            signature,
            triggers: function
                .triggers
                .iter()
                .map(|trigger| ((trigger.binding)(), trigger.location))
                .collect(),
            interceptors: Vec::new(),
            endpoint: None,
        }
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = (&crate::trigger::Route, Location)> {
        self.triggers
            .iter()
            .filter_map(|(binding, location)| Some((binding.route.as_ref()?, *location)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::declare::TriggerDescriptor;
    use crate::extract::{Input, Invocation};
    use crate::function::RequestParts;
    use crate::output::HandlerFuture;
    use crate::output::Output;
    use crate::trigger::{Cron, Http};
    use iii_wire::{Error, code};

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[allow(dead_code)]
    struct Wanted {
        id: u64,
    }

    fn handler(_: Invocation) -> HandlerFuture {
        Box::pin(async { ().into_reply() })
    }

    fn nothing() -> Signature {
        Signature::new()
    }

    fn needs_a_number() -> Signature {
        let mut signature = Signature::new();
        signature.require::<u32>();
        signature
    }

    fn takes_wanted() -> Signature {
        let mut signature = Signature::new();
        signature.set_input(Wanted::schema);
        signature
    }

    fn takes_request() -> Signature {
        let mut signature = Signature::new();
        signature.add_request_parts(RequestParts::REQUEST);
        signature
    }

    const fn at(line: u32) -> Location {
        Location { file: "src/a.rs", line, column: 1 }
    }

    const fn function(id: &'static str, line: u32) -> FunctionDescriptor {
        FunctionDescriptor {
            id,
            description: None,
            metadata: None,
            module: "shop::orders",
            location: at(line),
            handler,
            signature: nothing,
            timeout: None,
            concurrency: None,
            intercept: Vec::new,
            triggers: &[],
            endpoint: None,
        }
    }

    static BY_ID: [TriggerDescriptor; 1] = [TriggerDescriptor {
        location: at(20),
        binding: || Http { path: "/orders/:id", ..Http::default() }.into(),
    }];
    static BY_KEY: [TriggerDescriptor; 1] = [TriggerDescriptor {
        location: at(30),
        binding: || Http { path: "orders/:key", ..Http::default() }.into(),
    }];
    static NIGHTLY: [TriggerDescriptor; 1] = [TriggerDescriptor {
        location: at(40),
        binding: || Cron { expression: "0 0 3 * * *", ..Cron::default() }.into(),
    }];

    static ONE: FunctionDescriptor = function("orders::one", 1);
    static ONE_AGAIN: FunctionDescriptor = function("orders::one", 2);
    static NEEDS: FunctionDescriptor =
        FunctionDescriptor { signature: needs_a_number, ..function("orders::needs", 3) };
    static GET: FunctionDescriptor = FunctionDescriptor {
        signature: takes_wanted,
        triggers: &BY_ID,
        ..function("orders::get", 4)
    };
    static FIND: FunctionDescriptor = FunctionDescriptor {
        signature: takes_wanted,
        triggers: &BY_KEY,
        ..function("orders::find", 5)
    };
    static REPORT: FunctionDescriptor = FunctionDescriptor {
        signature: takes_request,
        triggers: &NIGHTLY,
        ..function("orders::report", 6)
    };

    fn of(functions: &[&'static FunctionDescriptor]) -> Declarations {
        Declarations { functions: functions.to_vec(), ..Declarations::default() }
    }

    fn problems(functions: &[&'static FunctionDescriptor]) -> Vec<CatalogueProblem> {
        match Catalogue::assemble(&of(functions), &Resources::default()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().cloned().collect(),
        }
    }

    #[test]
    fn all_problems_are_in_one_report_with_their_places() {
        let functions = of(&[&ONE, &ONE_AGAIN, &NEEDS, &REPORT]);
        let error = Catalogue::assemble(&functions, &Resources::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("the declarations of this worker have 3 problems"), "{text}");
        for part in [
            "`orders::one` is declared 2 times",
            "src/a.rs:1:1",
            "src/a.rs:2:1",
            "no one provides the state `u32`",
            "src/a.rs:3:1",
            "a `cron` trigger has none",
            "src/a.rs:40:1",
        ] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
        assert_eq!(Error::from(error).code(), code::INVALID_CATALOGUE);
    }

    #[test]
    fn a_state_that_is_provided_is_no_problem() {
        let mut provided = Resources::default();
        provided.insert(Arc::new(7u32));
        let catalogue = Catalogue::assemble(&of(&[&NEEDS]), &provided).unwrap();
        assert!(catalogue.get("orders::needs").is_some());
    }

    #[test]
    fn routes_that_differ_by_names_only_collide() {
        let problems = problems(&[&GET, &FIND]);
        let collision = problems.iter().find(|p| p.message.contains("`GET /orders/:`")).unwrap();
        assert_eq!(collision.locations, [at(20), at(30)]);
    }

    #[test]
    fn a_path_parameter_must_be_a_field() {
        assert_eq!(problems(&[&GET]), []);
        let problems = problems(&[&FIND]);
        assert!(problems[0].message.contains("the parameter `key`"), "{problems:?}");
        assert!(problems[0].help.contains("`id`"), "{problems:?}");
    }

    #[test]
    fn a_worker_without_functions_is_told_about_linking() {
        assert!(problems(&[])[0].help.contains("link(my_crate)"));
    }
}
