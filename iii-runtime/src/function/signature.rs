//! The signature of a function: what its argument and result types require and describe.

use std::any::{Any, TypeId, type_name};
use std::fmt;

use iii_wire::protocol::Payload;
use iii_wire::schema::{SchemaFn, document};

/// A value that the app must provide to a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// The type of the value.
    pub type_id: TypeId,
    /// The name of the type, for messages.
    pub type_name: &'static str,
}

/// The parts of an HTTP request that the extractors of a function take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestParts {
    /// Whether it takes any part, so that a direct call must pass a whole request.
    pub http: bool,
    /// Whether it takes the path parameters with `Path`, so that they are not part of the payload.
    pub path: bool,
    /// Whether it takes the query with `Query`, so that it is not part of the payload.
    pub query: bool,
}

impl RequestParts {
    /// No part.
    pub const NONE: Self = Self { http: false, path: false, query: false };
    /// Other parts than the path parameters and the query, such as the headers.
    pub const REQUEST: Self = Self { http: true, path: false, query: false };
    /// The path parameters.
    pub const PATH: Self = Self { http: true, path: true, query: false };
    /// The query.
    pub const QUERY: Self = Self { http: true, path: false, query: true };
    /// The whole request.
    pub const WHOLE_REQUEST: Self = Self { http: true, path: true, query: true };
}

/// A configuration that a function requires. The module `config` knows its type.
#[derive(Clone, Copy)]
pub(crate) struct ConfigRequirement {
    type_id: TypeId,
    create: fn() -> Box<dyn Any + Send>,
}

impl ConfigRequirement {
    /// A requirement of the configuration `type_id`. `create` creates the cell that holds its value.
    pub(crate) fn new(type_id: TypeId, create: fn() -> Box<dyn Any + Send>) -> Self {
        Self { type_id, create }
    }

    pub(crate) fn type_id(&self) -> TypeId {
        self.type_id
    }

    pub(crate) fn make(&self) -> Box<dyn Any + Send> {
        (self.create)()
    }
}

impl PartialEq for ConfigRequirement {
    fn eq(&self, other: &Self) -> bool {
        self.type_id == other.type_id
    }
}

impl fmt::Debug for ConfigRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigRequirement").field("type_id", &self.type_id).finish_non_exhaustive()
    }
}

/// What a function takes and returns.
#[derive(Debug, Default)]
pub struct Signature {
    request_parts: RequestParts,
    input: Option<SchemaFn>,
    output: Option<SchemaFn>,
    requires: Vec<Requirement>,
    configs: Vec<ConfigRequirement>,
}

impl Signature {
    /// A signature without arguments and result.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that the app must provide a `T`.
    pub fn require<T: 'static>(&mut self) {
        let requirement = Requirement { type_id: TypeId::of::<T>(), type_name: type_name::<T>() };
        if !self.requires.contains(&requirement) {
            self.requires.push(requirement);
        }
    }

    /// Records that the function requires a configuration.
    pub(crate) fn require_config(&mut self, requirement: ConfigRequirement) {
        if !self.configs.contains(&requirement) {
            self.configs.push(requirement);
        }
    }

    /// The configurations that the function requires.
    pub(crate) fn configs(&self) -> &[ConfigRequirement] {
        &self.configs
    }

    /// Adds parts of an HTTP request that the function takes.
    pub fn add_request_parts(&mut self, request_parts: RequestParts) {
        self.request_parts.http |= request_parts.http;
        self.request_parts.path |= request_parts.path;
        self.request_parts.query |= request_parts.query;
    }

    /// Sets the schema of the payload.
    pub fn set_input(&mut self, schema: SchemaFn) {
        self.input = Some(schema);
    }

    /// Sets the schema of the result; `None` if the function returns none.
    pub fn set_output(&mut self, schema: Option<SchemaFn>) {
        self.output = schema;
    }

    /// The parts of an HTTP request that the function takes.
    pub fn request_parts(&self) -> RequestParts {
        self.request_parts
    }

    /// The values that the app must provide.
    pub fn requires(&self) -> &[Requirement] {
        &self.requires
    }

    /// JSON Schema of the payload; `None` if the function takes none.
    pub fn input_schema(&self) -> Option<Payload> {
        self.input.map(document)
    }

    /// JSON Schema of the result; `None` if the function returns none.
    pub fn output_schema(&self) -> Option<Payload> {
        self.output.map(document)
    }
}
