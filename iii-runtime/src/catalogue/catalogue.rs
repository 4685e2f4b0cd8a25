//! The catalogue of a worker: its declarations, assembled and checked without a connection.

use super::checks::{check, check_interceptors, check_provided};
use super::endpoint::{EndpointMode, ResolvedEndpoint, resolve};
use super::service::check_services;
use super::{CatalogueProblem, CatalogueProblems, Declarations};
use crate::declare::{FunctionDescriptor, ServiceDescriptor};
use crate::extract::Resources;
use crate::function::{ConfigRequirement, Location, Signature};
use crate::intercept::AnyInterceptor;
use crate::provide::{StreamStoreDescriptor, TriggerTypeDescriptor};
use crate::trigger::{Binding, Route};
use iii_wire::protocol::Payload;

/// Everything that a worker serves. Assembled without a connection.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<CatalogueEntry>,
    trigger_types: Vec<&'static TriggerTypeDescriptor>,
    services: Vec<&'static ServiceDescriptor>,
    stream_stores: Vec<&'static StreamStoreDescriptor>,
}

/// A function of the catalogue.
#[derive(Debug)]
pub struct CatalogueEntry {
    /// The declaration of the function.
    pub function: &'static FunctionDescriptor,
    /// What the function takes and returns.
    pub signature: Signature,
    /// JSON Schema of the payload; `None` if it takes none.
    pub input_schema: Option<Payload>,
    /// JSON Schema of the result; `None` if it returns none.
    pub output_schema: Option<Payload>,
    /// The triggers, with the location of each declaration.
    pub triggers: Vec<(Binding, Location)>,
    /// The interceptors, the outermost first: those of the app, then those of its declaration.
    pub interceptors: Vec<AnyInterceptor>,
    /// The HTTP endpoint that serves it; `None` if the worker does.
    pub endpoint: Option<ResolvedEndpoint>,
}

impl Catalogue {
    /// Assembles and checks declarations. `provided` has the state that the app provides.
    ///
    /// # Errors
    ///
    /// All problems in one report: duplicate ids and routes, missing state, path parameters that the payload lacks, invalid
    /// interceptors, endpoints without a URL, and a worker without functions.
    pub fn assemble(
        declarations: &Declarations,
        provided: &Resources,
    ) -> Result<Self, CatalogueProblems> {
        Self::assemble_for(declarations, provided, EndpointMode::Resolve)
    }

    /// As [`Catalogue::assemble`], with a choice of what happens with endpoints.
    pub(crate) fn assemble_for(
        declarations: &Declarations,
        provided: &Resources,
        endpoints: EndpointMode,
    ) -> Result<Self, CatalogueProblems> {
        let interceptors = &declarations.interceptors;
        let mut problems = Vec::new();
        let mut entries = collect_entries(declarations, endpoints, &mut problems);
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

    /// The services of its functions. Those that the macros declare are sorted by id.
    pub fn services(&self) -> &[&'static ServiceDescriptor] {
        &self.services
    }

    /// The stream stores of the worker, sorted by name. Their functions are among the entries.
    pub fn stream_stores(&self) -> &[&'static StreamStoreDescriptor] {
        &self.stream_stores
    }

    /// The catalogue of a worker that serves nothing by itself.
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

    /// The configurations that functions require, each with the location of the function.
    pub(crate) fn config_requirements(
        &self,
    ) -> impl Iterator<Item = (ConfigRequirement, Location)> {
        self.entries.iter().flat_map(|entry| {
            entry.signature.configs().iter().map(|config| (*config, entry.function.location))
        })
    }

    /// The function with an id.
    pub fn get(&self, id: &str) -> Option<&CatalogueEntry> {
        self.entries.iter().find(|entry| entry.function.id == id)
    }
}

/// Creates an entry for each function, including those of stream stores.
pub(super) fn collect_entries(
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
        // A duplicate store is reported once, and not for each of its functions.
        if !stores[..number].iter().any(|earlier| earlier.name == store.name) {
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

    pub(super) fn routes(&self) -> impl Iterator<Item = (&Route, Location)> {
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
    struct OrderKey {
        id: u64,
    }

    fn handler(_: Invocation) -> HandlerFuture {
        Box::pin(async { ().into_reply() })
    }

    fn no_arguments() -> Signature {
        Signature::new()
    }

    fn requires_state() -> Signature {
        let mut signature = Signature::new();
        signature.require::<u32>();
        signature
    }

    fn takes_payload() -> Signature {
        let mut signature = Signature::new();
        signature.set_input(OrderKey::schema);
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
            signature: no_arguments,
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
        FunctionDescriptor { signature: requires_state, ..function("orders::needs", 3) };
    static GET: FunctionDescriptor = FunctionDescriptor {
        signature: takes_payload,
        triggers: &BY_ID,
        ..function("orders::get", 4)
    };
    static FIND: FunctionDescriptor = FunctionDescriptor {
        signature: takes_payload,
        triggers: &BY_KEY,
        ..function("orders::find", 5)
    };
    static REPORT: FunctionDescriptor = FunctionDescriptor {
        signature: takes_request,
        triggers: &NIGHTLY,
        ..function("orders::report", 6)
    };

    fn declarations(functions: &[&'static FunctionDescriptor]) -> Declarations {
        Declarations { functions: functions.to_vec(), ..Declarations::default() }
    }

    fn problems(functions: &[&'static FunctionDescriptor]) -> Vec<CatalogueProblem> {
        match Catalogue::assemble(&declarations(functions), &Resources::default()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().cloned().collect(),
        }
    }

    #[test]
    fn all_problems_are_reported_at_once_with_their_locations() {
        let functions = declarations(&[&ONE, &ONE_AGAIN, &NEEDS, &REPORT]);
        let error = Catalogue::assemble(&functions, &Resources::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("the declarations of this worker have 3 problems"), "{text}");
        for part in [
            "`orders::one` is declared 2 times",
            "src/a.rs:1:1",
            "src/a.rs:2:1",
            "the state `u32` is not provided",
            "src/a.rs:3:1",
            "a `cron` trigger has none",
            "src/a.rs:40:1",
        ] {
            assert!(text.contains(part), "`{part}` is missing in:\n{text}");
        }
        assert_eq!(Error::from(error).code(), code::INVALID_CATALOGUE);
    }

    #[test]
    fn provided_state_is_accepted() {
        let mut provided = Resources::default();
        provided.insert(Arc::new(7u32));
        let catalogue = Catalogue::assemble(&declarations(&[&NEEDS]), &provided).unwrap();
        assert!(catalogue.get("orders::needs").is_some());
    }

    #[test]
    fn routes_that_differ_only_in_parameter_names_conflict() {
        let problems = problems(&[&GET, &FIND]);
        let conflict = problems.iter().find(|p| p.message.contains("`GET /orders/:`")).unwrap();
        assert_eq!(conflict.locations, [at(20), at(30)]);
    }

    #[test]
    fn a_path_parameter_must_be_a_field_of_the_payload() {
        assert_eq!(problems(&[&GET]), []);
        let problems = problems(&[&FIND]);
        assert!(problems[0].message.contains("the parameter `key`"), "{problems:?}");
        assert!(problems[0].help.contains("`id`"), "{problems:?}");
    }

    #[test]
    fn the_help_for_a_worker_without_functions_mentions_linking() {
        assert!(problems(&[])[0].help.contains("link(my_crate)"));
    }
}
