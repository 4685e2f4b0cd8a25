//! The extractors of path parameters and query, and the payload type of a whole HTTP request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::http_parts::CowStr;
use super::params::{ParamValue, Params};
use super::payload::{parse_json, parse_params};
use super::{Extract, Headers, Input, Invocation};
use crate::channel::deserialize_with_session;
use crate::function::RequestParts;
use iii_wire::{Result, code};

/// The path parameters of an HTTP request, deserialised.
///
/// A struct or a map takes them by name, a tuple in the order of the path, and any other type a single one: `Path<u64>` for
/// `/orders/:id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> Extract for Path<T> {
    const REQUEST_PARTS: RequestParts = RequestParts::PATH;

    async fn extract(call: &mut Invocation) -> Result<Self> {
        let parts = call.http()?;
        // The order of the pattern, which is that of a tuple.
        let in_order = parts.route.split('/').filter_map(|segment| segment.strip_prefix(':'));
        let mut params: Vec<(&str, ParamValue<'_>)> = in_order
            .filter_map(|name| parts.path_params.get_key_value(name))
            .map(|(name, value)| (name.as_str(), ParamValue::Str(value)))
            .collect();
        if params.len() != parts.path_params.len() {
            let by_name = parts.path_params.iter();
            params = by_name.map(|(name, value)| (name.as_str(), ParamValue::Str(value))).collect();
        }
        parse_params(Params(params))
            .map(Self)
            .map_err(|error| error.into_error(code::INVALID_ARGUMENT, "the path"))
    }
}

/// The query of an HTTP request, deserialised into a struct or a map.
///
/// `?tag=a&tag=b` fills a list. The official engine sends only the last value of a repeated parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> Extract for Query<T> {
    const REQUEST_PARTS: RequestParts = RequestParts::QUERY;

    async fn extract(call: &mut Invocation) -> Result<Self> {
        let parts = call.http()?;
        let owned = |value: &'_ String| CowStr(Cow::Owned(value.clone()));
        let query: Vec<(&str, Vec<CowStr<'_>>)> = parts
            .query
            .iter()
            .map(|(name, values)| (name.as_str(), values.iter().map(owned).collect()))
            .collect();
        let params =
            query.iter().map(|(name, values)| (*name, ParamValue::Repeated(values))).collect();
        parse_params(Params(params))
            .map(Self)
            .map_err(|error| error.into_error(code::INVALID_ARGUMENT, "the query"))
    }
}

/// A whole HTTP request with a typed JSON body.
///
/// Callers build it for direct calls of functions that take parts of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest<T = ()> {
    /// The method, in upper case.
    pub method: String,
    /// The pattern of the matched route, such as `/orders/:id`.
    pub route: String,
    /// The path parameters, by name.
    pub path_params: BTreeMap<String, String>,
    /// The query parameters, by name, with all values of a repeated one.
    pub query: BTreeMap<String, Vec<String>>,
    /// The headers.
    pub headers: Headers,
    /// The JSON body.
    pub body: T,
}

impl<T> HttpRequest<T> {
    /// A `POST` request with this body.
    pub fn new(body: T) -> Self {
        Self {
            method: "POST".to_owned(),
            route: String::new(),
            path_params: BTreeMap::new(),
            query: BTreeMap::new(),
            headers: Headers::default(),
            body,
        }
    }

    /// Sets the method. Default: `POST`.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = method.into();
        self
    }

    /// Sets a path parameter.
    #[must_use]
    pub fn path_param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.path_params.insert(name.into(), value.into());
        self
    }

    /// Adds a query parameter. A name may be added several times.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.entry(name.into()).or_default().push(value.into());
        self
    }

    /// Sets a header, replacing an earlier value.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Input for HttpRequest<T> {
    const IS_HTTP_REQUEST: bool = true;

    fn from_invocation(call: &mut Invocation) -> Result<Self> {
        let session = call.session().cloned();
        let parts = call.http()?;
        let body = deserialize_with_session(session, || parse_json(parts.body.as_str()))
            .map_err(|error| error.into_error(code::INVALID_PAYLOAD, "the body"))?;
        Ok(Self {
            method: parts.method.clone(),
            route: parts.route.clone(),
            path_params: parts.path_params.clone(),
            query: parts.query.clone(),
            headers: parts.headers.clone(),
            body,
        })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        generator.root_schema_for::<T>()
    }
}

impl<T: Serialize> Serialize for HttpRequest<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a, T> {
            method: &'a str,
            path: &'a str,
            path_params: &'a BTreeMap<String, String>,
            query_params: BTreeMap<&'a str, &'a str>,
            query_params_multi: &'a BTreeMap<String, Vec<String>>,
            headers: &'a Headers,
            body: &'a T,
        }
        let last = |(name, values)| {
            let values: &Vec<String> = values;
            let name: &String = name;
            values.last().map(|value| (name.as_str(), value.as_str()))
        };
        Wire {
            method: &self.method,
            path: &self.route,
            path_params: &self.path_params,
            query_params: self.query.iter().filter_map(last).collect(),
            query_params_multi: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
        .serialize(serializer)
    }
}
