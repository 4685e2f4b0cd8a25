//! What a function takes and gives, told by the types of its arguments and its result.

use std::any::{Any, TypeId, type_name};
use std::fmt;

use iii_wire::schema::{SchemaFn, document};

use iii_wire::protocol::Payload;

/// A value that a function needs the app to provide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// The type of the value.
    pub type_id: TypeId,
    /// Its name, for people.
    pub type_name: &'static str,
}

/// Which parts of an HTTP request a function takes for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// It takes parts of the request, so a direct call must bring a whole request.
    pub http: bool,
    /// It takes the path parameters by `Path`, so they are not part of the payload.
    pub path: bool,
    /// It takes the query by `Query`, so it is not part of the payload.
    pub query: bool,
}

impl Shape {
    /// No part of a request.
    pub const NONE: Self = Self { http: false, path: false, query: false };
    /// Some part of a request: the headers, for example.
    pub const REQUEST: Self = Self { http: true, path: false, query: false };
    /// The path parameters.
    pub const PATH: Self = Self { http: true, path: true, query: false };
    /// The query.
    pub const QUERY: Self = Self { http: true, path: false, query: true };
    /// All of a request.
    pub const WHOLE_REQUEST: Self = Self { http: true, path: true, query: true };
}

/// The use of a configuration by a function, of a type that only the module `config` knows.
#[derive(Clone, Copy)]
pub(crate) struct ConfigUse {
    type_id: TypeId,
    make: fn() -> Box<dyn Any + Send>,
}

impl ConfigUse {
    /// The use of the configuration `type_id`. `make` creates the cell that holds its value.
    pub(crate) fn new(type_id: TypeId, make: fn() -> Box<dyn Any + Send>) -> Self {
        Self { type_id, make }
    }

    pub(crate) fn type_id(&self) -> TypeId {
        self.type_id
    }

    pub(crate) fn make(&self) -> Box<dyn Any + Send> {
        (self.make)()
    }
}

impl PartialEq for ConfigUse {
    fn eq(&self, other: &Self) -> bool {
        self.type_id == other.type_id
    }
}

impl fmt::Debug for ConfigUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigUse").field("type_id", &self.type_id).finish_non_exhaustive()
    }
}

/// What a function takes and gives.
#[derive(Debug, Default)]
pub struct Signature {
    shape: Shape,
    input: Option<SchemaFn>,
    output: Option<SchemaFn>,
    requires: Vec<Requirement>,
    configs: Vec<ConfigUse>,
}

impl Signature {
    /// The signature of a function without arguments and without result.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the function needs the app to provide a `T`.
    pub fn require<T: 'static>(&mut self) {
        let requirement = Requirement { type_id: TypeId::of::<T>(), type_name: type_name::<T>() };
        if !self.requires.contains(&requirement) {
            self.requires.push(requirement);
        }
    }

    /// Notes that the function needs a configuration.
    pub(crate) fn require_config(&mut self, used: ConfigUse) {
        if !self.configs.contains(&used) {
            self.configs.push(used);
        }
    }

    /// The configurations that the function needs.
    pub(crate) fn configs(&self) -> &[ConfigUse] {
        &self.configs
    }

    /// Notes which parts of an HTTP request the function takes.
    pub fn takes(&mut self, shape: Shape) {
        self.shape.http |= shape.http;
        self.shape.path |= shape.path;
        self.shape.query |= shape.query;
    }

    /// Notes the type of the payload.
    pub fn input(&mut self, schema: SchemaFn) {
        self.input = Some(schema);
    }

    /// Notes the type of the result.
    pub fn give(&mut self, schema: Option<SchemaFn>) {
        self.output = schema;
    }

    /// Which parts of an HTTP request the function takes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What the function needs the app to provide.
    pub fn requires(&self) -> &[Requirement] {
        &self.requires
    }

    /// JSON Schema of the payload; `None` if the function takes none.
    pub fn input_schema(&self) -> Option<Payload> {
        self.input.map(document)
    }

    /// JSON Schema of the result; `None` if the function gives none.
    pub fn output_schema(&self) -> Option<Payload> {
        self.output.map(document)
    }
}
