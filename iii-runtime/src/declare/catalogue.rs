//! The catalogue: all declarations of a worker, gathered and checked before anything connects.

use std::collections::BTreeMap;
use std::fmt;

use super::endpoint::{Endpoint, Endpoints, resolve};
use super::service::{check_services, declared_services, services_of};
use super::{Declaration, FunctionDescriptor, Location, ServiceDescriptor, Signature, texts};
use crate::error::{Error, code};
use crate::extract::Resources;
use crate::intercept::{AnyInterceptor, Interceptor as _};
use crate::protocol::Payload;
use crate::provide::{
    StreamStoreDescriptor, TriggerTypeDescriptor, declared_stores, declared_types,
};
use crate::trigger::{Binding, TriggerKind};

/// The functions that the macros have declared in all crates that are linked in, sorted by id.
pub(crate) fn declared() -> Vec<&'static FunctionDescriptor> {
    let mut functions: Vec<_> =
        inventory::iter::<Declaration>().map(|declaration| declaration.0).collect();
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
        Self {
            functions: declared(),
            trigger_types: declared_types(),
            services: declared_services(),
            interceptors: Vec::new(),
            stream_stores: declared_stores(),
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
pub(crate) fn check_declared() -> Result<(), Problems> {
    let declarations = Declarations::linked();
    let mut problems = Vec::new();
    // What the environment says belongs to a start.
    let entries = entries(&declarations, Endpoints::Unused, &mut problems);
    problems.extend(check(&entries, &declarations));
    check_services(&declarations.services, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// What a worker serves. It can be read without a connection.
#[derive(Debug)]
pub struct Catalogue {
    entries: Vec<Entry>,
    trigger_types: Vec<&'static TriggerTypeDescriptor>,
    services: Vec<&'static ServiceDescriptor>,
    stream_stores: Vec<&'static StreamStoreDescriptor>,
}

/// One function of the catalogue.
#[derive(Debug)]
pub struct Entry {
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
    pub endpoint: Option<Endpoint>,
}

impl Catalogue {
    /// Gathers and checks declarations.
    ///
    /// # Errors
    ///
    /// All problems in one report: ids or routes that are declared twice, values that no one provides, path parameters
    /// that the payload does not have, interceptors that are set up wrongly, endpoints without a URL, and no functions
    /// at all.
    pub fn assemble(declarations: &Declarations, provided: &Resources) -> Result<Self, Problems> {
        Self::assemble_for(declarations, provided, Endpoints::Used)
    }

    /// As [`Catalogue::assemble`], also for a worker whose endpoints are not called.
    pub(crate) fn assemble_for(
        declarations: &Declarations,
        provided: &Resources,
        endpoints: Endpoints,
    ) -> Result<Self, Problems> {
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
            return Err(Problems(problems));
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
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The function with an id.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.function.id == id)
    }
}

/// Looks at each function, with those of stores.
fn entries(
    declarations: &Declarations,
    endpoints: Endpoints,
    problems: &mut Vec<Problem>,
) -> Vec<Entry> {
    let entry = |function: &&'static FunctionDescriptor| Entry {
        endpoint: resolve(function, endpoints, problems),
        ..Entry::new(function)
    };
    let mut entries: Vec<Entry> = declarations.functions.iter().map(entry).collect();
    let stores = &declarations.stream_stores;
    for (number, store) in stores.iter().enumerate() {
        // Two of one name are one problem, and not one for each function.
        if !stores[..number].iter().any(|before| before.name == store.name) {
            entries.extend(store.functions().iter().map(Entry::new));
        }
    }
    if !stores.is_empty() {
        entries.sort_by_key(|entry| entry.function.id);
    }
    entries
}

impl Entry {
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

    fn routes(&self) -> impl Iterator<Item = (&crate::trigger::Route, Location)> {
        self.triggers
            .iter()
            .filter_map(|(binding, location)| Some((binding.route.as_ref()?, *location)))
    }
}

/// Something that is wrong with the declarations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    /// The declarations that are part of it.
    pub places: Vec<Location>,
}

/// Everything that is wrong with the declarations, in one report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl Problems {
    /// One report of what a catalogue says and of more that is wrong.
    pub(crate) fn with<T>(assembled: Result<T, Self>, more: Vec<Problem>) -> Result<T, Self> {
        match assembled {
            Ok(assembled) if more.is_empty() => Ok(assembled),
            Ok(_) => Err(Self(more)),
            Err(Self(mut problems)) => {
                problems.extend(more);
                Err(Self(problems))
            }
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "the declarations of this worker have {count} {noun}")?;
        for (number, problem) in self.0.iter().enumerate() {
            write!(f, "\n\n{}. {}", number + 1, problem.message)?;
            for place in &problem.places {
                write!(f, "\n   at {place}")?;
            }
            write!(f, "\n   help: {}", problem.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Error::new(code::INVALID_CATALOGUE, problems.to_string())
    }
}

/// Everything but what the app provides.
fn check(entries: &[Entry], declarations: &Declarations) -> Vec<Problem> {
    let mut problems = Vec::new();
    let types = &declarations.trigger_types;
    if types.is_empty() {
        check_not_empty(entries, &mut problems);
    }
    check_ids(entries, &mut problems);
    check_type_ids(types, &mut problems);
    check_stores(&declarations.stream_stores, &mut problems);
    check_routes(entries, &mut problems);
    for entry in entries {
        let FunctionDescriptor { id, location, .. } = entry.function;
        texts::check(id, *location, &entry.triggers, &mut problems);
        check_path_params(entry, &mut problems);
        check_http_parts(entry, &mut problems);
        check_uses(entry, entries, &mut problems);
    }
    problems
}

fn check_not_empty(entries: &[Entry], problems: &mut Vec<Problem>) {
    if entries.is_empty() {
        problems.push(Problem {
            message: "no function is declared".to_owned(),
            help: "declare one with `#[iii::function(id = \"service::name\")]`. If the functions are in a \
                   library crate, the compiler leaves the crate out until somebody names it: \
                   `#[iii::main(link(my_crate))]`"
                .to_owned(),
            places: Vec::new(),
        });
    }
}

fn check_ids(entries: &[Entry], problems: &mut Vec<Problem>) {
    let mut places: BTreeMap<&str, Vec<Location>> = BTreeMap::new();
    for entry in entries {
        places.entry(entry.function.id).or_default().push(entry.function.location);
    }
    for (id, places) in places.into_iter().filter(|(_, places)| places.len() > 1) {
        problems.push(Problem {
            message: format!("the function id `{id}` is declared {} times", places.len()),
            help: "give each function an id of its own".to_owned(),
            places,
        });
    }
}

fn check_type_ids(types: &[&TriggerTypeDescriptor], problems: &mut Vec<Problem>) {
    let mut places: BTreeMap<&str, Vec<Location>> = BTreeMap::new();
    for one in types {
        places.entry(one.id).or_default().push(one.location);
    }
    for (id, places) in places.into_iter().filter(|(_, places)| places.len() > 1) {
        problems.push(Problem {
            message: format!("the trigger type `{id}` is declared {} times", places.len()),
            help: "give each trigger type an id of its own".to_owned(),
            places,
        });
    }
}

fn check_stores(stores: &[&StreamStoreDescriptor], problems: &mut Vec<Problem>) {
    let mut places: BTreeMap<&str, Vec<Location>> = BTreeMap::new();
    for one in stores {
        places.entry(one.name).or_default().push(one.location);
    }
    for (name, places) in places {
        let (message, help) = if places.len() > 1 {
            let message = format!("the stream `{name}` is kept {} times", places.len());
            (message, "give each store a name of its own")
        } else if name.is_empty() || name.chars().any(char::is_control) {
            let message = format!("a stream cannot be named `{}`", name.escape_debug());
            (message, "give the store a name of printable characters, such as `chat`")
        } else {
            continue;
        };
        problems.push(Problem { message, help: help.to_owned(), places });
    }
}

fn check_routes(entries: &[Entry], problems: &mut Vec<Problem>) {
    let mut places: BTreeMap<String, Vec<Location>> = BTreeMap::new();
    for (route, location) in entries.iter().flat_map(Entry::routes) {
        places.entry(route.shape()).or_default().push(location);
    }
    for (shape, places) in places.into_iter().filter(|(_, places)| places.len() > 1) {
        problems.push(Problem {
            message: format!("the route `{shape}` is declared {} times", places.len()),
            help: "give each route a method or a path of its own; the names of parameters do not count"
                .to_owned(),
            places,
        });
    }
}

fn check_provided(entries: &[Entry], provided: &Resources, problems: &mut Vec<Problem>) {
    let mut missing: BTreeMap<&str, Vec<Location>> = BTreeMap::new();
    for entry in entries {
        for requirement in entry.signature.requires() {
            if !provided.contains(requirement.type_id) {
                let places = missing.entry(requirement.type_name).or_default();
                // The functions of a store stand at one place.
                if !places.contains(&entry.function.location) {
                    places.push(entry.function.location);
                }
            }
        }
    }
    for (name, places) in missing {
        problems.push(Problem {
            message: format!("no one provides the state `{name}`"),
            help: "give it to the app, `app.state(value)`, or to the test, `iii.provide(value)`"
                .to_owned(),
            places,
        });
    }
}

fn check_interceptors(interceptors: &[AnyInterceptor], problems: &mut Vec<Problem>) {
    for interceptor in interceptors {
        if let Err(error) = interceptor.check() {
            problems.push(Problem {
                message: format!("an interceptor cannot be used: {}", error.message()),
                help: "change how it is set up".to_owned(),
                places: vec![interceptor.place()],
            });
        }
    }
}

/// A path parameter that nobody reads is a mistake in the path or in the payload type. Only a schema that lists all its
/// fields can tell.
fn check_path_params(entry: &Entry, problems: &mut Vec<Problem>) {
    let shape = entry.signature.shape();
    if entry.routes().all(|(route, _)| route.params().next().is_none()) {
        return;
    }
    let Some(schema) = entry.input_schema.as_ref().filter(|_| !shape.path && !shape.http) else {
        return;
    };
    let Ok(schema) = schema.parse::<serde_json::Value>() else { return };
    let open = ["allOf", "anyOf", "oneOf", "patternProperties", "$ref"]
        .iter()
        .any(|key| schema.get(key).is_some())
        || schema.get("additionalProperties").is_some_and(|more| more.as_bool() != Some(false));
    let Some(fields) = schema.get("properties").and_then(|p| p.as_object()).filter(|_| !open)
    else {
        return;
    };
    for (route, location) in entry.routes() {
        for param in route.params().filter(|param| !fields.contains_key(*param)) {
            let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
            problems.push(Problem {
                message: format!(
                    "the path `{}` has the parameter `{param}`, and the payload of `{}` has no such field",
                    route.path, entry.function.id
                ),
                help: format!(
                    "name it like a field ({}), or take it by `Path<…>`",
                    names.join(", ")
                ),
                places: vec![location],
            });
        }
    }
}

fn check_http_parts(entry: &Entry, problems: &mut Vec<Problem>) {
    if !entry.signature.shape().http {
        return;
    }
    for (binding, location) in &entry.triggers {
        if binding.kind != TriggerKind::Http {
            problems.push(Problem {
                message: format!(
                    "`{}` takes parts of an HTTP request, and a `{}` trigger has none",
                    entry.function.id, binding.kind
                ),
                help: "take a plain payload, or declare a function of its own for this trigger"
                    .to_owned(),
                places: vec![*location],
            });
        }
    }
}

fn check_uses(entry: &Entry, entries: &[Entry], problems: &mut Vec<Problem>) {
    for (binding, location) in &entry.triggers {
        for used in &binding.uses {
            let Some(function) = used.function else { continue };
            if !entries.iter().any(|entry| entry.function.id == function.id) {
                problems.push(Problem {
                    message: format!(
                        "the {} `{}` of `{}` is not part of this app",
                        used.role, used.id, entry.function.id
                    ),
                    help: "add it with `app.function::<…>()`".to_owned(),
                    places: vec![*location, function.location],
                });
            }
            let takes_request = (function.signature)().shape().http;
            if used.role == "condition" && binding.kind == TriggerKind::Http && !takes_request {
                problems.push(Problem {
                    message: format!(
                        "the condition `{}` of an http trigger must take the request",
                        used.id
                    ),
                    help: "let it take `HttpRequest<T>`, `Headers`, `Path<T>` or `Query<T>`"
                        .to_owned(),
                    places: vec![*location, function.location],
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::declare::{HandlerFuture, Shape, TriggerDescriptor};
    use crate::extract::{Input, Invocation};
    use crate::output::Output;
    use crate::trigger::{Cron, Http};

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
        signature.input(Wanted::schema);
        signature
    }

    fn takes_request() -> Signature {
        let mut signature = Signature::new();
        signature.takes(Shape::REQUEST);
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

    fn problems(functions: &[&'static FunctionDescriptor]) -> Vec<Problem> {
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
        assert_eq!(collision.places, [at(20), at(30)]);
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
