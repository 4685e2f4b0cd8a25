//! The kind `http`: a request to a route invokes the function ([protocol 5.1](crate::protocol#s5-1)).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, FunctionRef, Route, TriggerKind, condition_id};
use crate::extract::Headers;

/// Configuration of an `http` trigger.
#[derive(Debug, Clone, Default)]
pub struct Http {
    /// The method. Default (if empty): `GET`.
    pub method: &'static str,
    /// The path; segments that begin with `:` are parameters.
    pub path: &'static str,
    /// Evaluated first; on `false` the response has the status 422.
    pub condition: Option<FunctionRef>,
    /// Called before the function, in order.
    pub middleware: Vec<FunctionRef>,
}

impl From<Http> for Binding {
    fn from(http: Http) -> Self {
        #[derive(Serialize)]
        struct Config<'a> {
            api_path: &'a str,
            http_method: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            condition_function_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            middleware_function_ids: Vec<&'a str>,
        }
        let method = if http.method.is_empty() { "GET" } else { http.method };
        let config = Config {
            api_path: http.path,
            http_method: method,
            condition_function_id: condition_id(&http.condition),
            middleware_function_ids: http.middleware.iter().map(|used| used.id).collect(),
        };
        let summary = format!("{method} {}", http.path);
        let mut binding =
            Binding::new(TriggerKind::Http, &config, summary).with_condition(http.condition);
        binding.function_refs.extend(http.middleware);
        binding.route = Some(Route { method: method.to_owned(), path: http.path.to_owned() });
        binding
    }
}

/// The input of middleware of an `http` trigger: the request without its body.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct MiddlewareRequest {
    /// The request.
    pub request: RequestHead,
}

impl MiddlewareRequest {
    /// A request without parameters and headers, for unit tests and direct calls.
    pub fn new(method: impl Into<String>) -> Self {
        Self {
            request: RequestHead {
                method: method.into(),
                path_params: BTreeMap::new(),
                query_params: BTreeMap::new(),
                headers: Headers::default(),
            },
        }
    }

    /// Sets a header, replacing an earlier value.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.request.headers.insert(name, value);
        self
    }
}

/// The head of an HTTP request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RequestHead {
    /// The method, in upper case.
    pub method: String,
    /// The path parameters, by name.
    #[serde(default)]
    pub path_params: BTreeMap<String, String>,
    /// The query parameters, by name, with the last value of a repeated one.
    #[serde(default)]
    pub query_params: BTreeMap<String, String>,
    /// The headers.
    #[serde(default)]
    pub headers: Headers,
}

/// The decision of middleware of an `http` trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Middleware {
    /// Continues with the next middleware, or with the function.
    Continue,
    /// Ends the request with this response.
    Respond {
        /// The response.
        response: MiddlewareResponse,
    },
}

/// The response of middleware that ends a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MiddlewareResponse {
    /// The HTTP status.
    pub status_code: u16,
    /// The headers.
    #[serde(default)]
    pub headers: Headers,
    /// The body, always sent as JSON.
    #[serde(default)]
    pub body: serde_json::Value,
}

impl Middleware {
    /// Ends the request with a status and a JSON body. A body that cannot be serialised becomes `null`.
    pub fn respond(status: u16, body: &impl Serialize) -> Self {
        Self::Respond {
            response: MiddlewareResponse {
                status_code: status,
                headers: Headers::default(),
                body: serde_json::to_value(body).unwrap_or_default(),
            },
        }
    }
}
