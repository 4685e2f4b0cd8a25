//! The routing table of HTTP triggers: method and path to trigger ([protocol 5.1](iii_wire::protocol#s5-1)).

use std::collections::HashMap;
use std::sync::Arc;

use hyper::Method;
use matchit::Router;
use serde::Deserialize;

use crate::condition::Condition;
use crate::provider::{Binding, refused};
use iii_wire::protocol::{ErrorBody, FunctionId, TriggerId};

/// Configuration of an `http` trigger.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(crate) struct HttpTriggerConfig {
    /// The path, such as `/orders/:id`. The leading slash is optional.
    #[schemars(with = "String")]
    api_path: Option<String>,
    /// GET, POST, PUT, DELETE, PATCH, HEAD or OPTIONS. Default: GET.
    http_method: Option<String>,
    /// Condition function. If it returns `false`, the response has status 422.
    condition_function_id: Option<String>,
    /// Middleware functions, which run in this order before the function of the trigger.
    middleware_function_ids: Option<Vec<String>>,
}

/// The route of one trigger.
#[derive(Debug)]
pub(crate) struct Route {
    /// The trigger.
    pub(crate) binding: Arc<Binding>,
    /// The method.
    pub(crate) method: Method,
    /// The path as registered.
    pub(crate) api_path: String,
    /// Evaluated before the middleware of the route.
    pub(crate) condition: Condition,
    /// Middleware of the route, in the order of its invocation.
    pub(crate) middleware: Vec<FunctionId>,
    /// The path in the syntax of the router.
    pattern: String,
}

impl Route {
    /// Creates the route of a trigger from its config.
    ///
    /// # Errors
    ///
    /// If the method or the path is not supported.
    pub(crate) fn new(binding: &Arc<Binding>) -> Result<Self, ErrorBody> {
        let config: HttpTriggerConfig = binding.config()?;
        let api_path = config.api_path.filter(|path| !path.is_empty());
        let api_path = api_path.ok_or_else(|| refused("an http trigger requires `api_path`"))?;
        let method = config.http_method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        let method = match method.as_str() {
            "GET" | "POST" | "PUT" | "DELETE" | "PATCH" | "HEAD" | "OPTIONS" => {
                Method::from_bytes(method.as_bytes()).map_err(|_| refused("invalid HTTP method"))?
            }
            other => {
                return Err(refused(format!(
                    "an http trigger does not support the method `{other}`: use GET, POST, PUT, DELETE, PATCH, HEAD or \
                     OPTIONS"
                )));
            }
        };
        let pattern = router_pattern(&api_path)?;
        let condition_function_id = config.condition_function_id.map(Into::into);
        let middleware = config.middleware_function_ids.unwrap_or_default();
        Ok(Self {
            binding: binding.clone(),
            method,
            api_path,
            condition: Condition { condition_function_id },
            middleware: middleware.into_iter().map(Into::into).collect(),
            pattern,
        })
    }
}

/// Converts a path to the syntax of the router. `:name` is a path parameter, everything else is literal.
fn router_pattern(api_path: &str) -> Result<String, ErrorBody> {
    let invalid = |why: String| {
        Err(refused(format!("`{api_path}` is not a valid path of an http trigger: {why}")))
    };
    if let Some(invalid_char) = api_path.chars().find(|c| matches!(c, '?' | '#') || c.is_control())
    {
        return invalid(format!("it contains {invalid_char:?}"));
    }
    let mut names: Vec<&str> = Vec::new();
    let mut pattern = String::with_capacity(api_path.len() + 8);
    for segment in api_path.strip_prefix('/').unwrap_or(api_path).split('/') {
        pattern.push('/');
        if segment.starts_with('*') {
            return invalid(format!(
                "`{segment}` would match several segments, which is not supported"
            ));
        }
        let Some(name) = segment.strip_prefix(':') else {
            pattern.push_str(&segment.replace('{', "{{").replace('}', "}}"));
            continue;
        };
        if name.is_empty() {
            return invalid("a path parameter has no name after `:`".to_owned());
        }
        if name.contains(['{', '}', '*', ':']) {
            return invalid(format!("`{name}` is not a valid name of a path parameter"));
        }
        if names.contains(&name) {
            return invalid(format!("it has the path parameter `{name}` twice"));
        }
        names.push(name);
        pattern.push('{');
        pattern.push_str(name);
        pattern.push('}');
    }
    Ok(pattern)
}

/// The routing table.
#[derive(Default)]
pub(crate) struct Routes {
    by_method: HashMap<Method, Router<Arc<Route>>>,
    by_binding: HashMap<TriggerId, Arc<Route>>,
}

/// Names and values of path parameters.
pub(crate) type PathParameters = Vec<(String, String)>;

/// The result of a route lookup.
pub(crate) enum RouteMatch {
    /// The route, with the path parameters still percent-encoded.
    Found(Arc<Route>, PathParameters),
    /// The path has routes for these methods only.
    MethodNotAllowed(Vec<Method>),
    /// The path has no route.
    NotFound,
}

impl Routes {
    /// Inserts a route. Replaces the route of the same trigger.
    ///
    /// # Errors
    ///
    /// If a route of another trigger has the same method and an equal or conflicting path. The table is unchanged then.
    pub(crate) fn insert(&mut self, route: Route) -> Result<(), ErrorBody> {
        let id = route.binding.id.clone();
        let previous = self.remove(&id);
        let (method, pattern) = (route.method.clone(), route.pattern.clone());
        let route = Arc::new(route);
        let router = self.by_method.entry(method.clone()).or_default();
        match router.insert(pattern, route.clone()) {
            Ok(()) => {
                self.by_binding.insert(id, route);
                Ok(())
            }
            Err(error) => {
                let why = match &error {
                    matchit::InsertError::Conflict { with } => {
                        format!("it conflicts with `{method} {with}` of another trigger")
                    }
                    other => other.to_string(),
                };
                let message =
                    format!("the route `{method} {}` is not available: {why}", route.api_path);
                // It becomes available when the other trigger is removed.
                let error = ErrorBody { retryable: Some(true), ..refused(message) };
                if let Some(previous) = previous {
                    // The previous route was in the table a moment ago, so it does not conflict.
                    let router = self.by_method.entry(previous.method.clone()).or_default();
                    if router.insert(previous.pattern.clone(), previous.clone()).is_ok() {
                        self.by_binding.insert(id, previous);
                    }
                }
                Err(error)
            }
        }
    }

    /// Removes and returns the route of a trigger.
    pub(crate) fn remove(&mut self, id: &TriggerId) -> Option<Arc<Route>> {
        let route = self.by_binding.remove(id)?;
        self.by_method.get_mut(&route.method)?.remove(route.pattern.as_str());
        Some(route)
    }

    /// Looks up the route of a request. A `GET` route also handles `HEAD`.
    pub(crate) fn find(&self, method: &Method, path: &str) -> RouteMatch {
        let found = match self.at(method, path) {
            None if *method == Method::HEAD => self.at(&Method::GET, path),
            found => found,
        };
        if let Some((route, parameters)) = found {
            return RouteMatch::Found(route, parameters);
        }
        let mut methods: Vec<Method> = self
            .by_method
            .iter()
            .filter(|(_, router)| router.at(path).is_ok())
            .map(|(method, _)| method.clone())
            .collect();
        if methods.is_empty() {
            return RouteMatch::NotFound;
        }
        if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
            methods.push(Method::HEAD);
        }
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        RouteMatch::MethodNotAllowed(methods)
    }

    fn at(&self, method: &Method, path: &str) -> Option<(Arc<Route>, PathParameters)> {
        let found = self.by_method.get(method)?.at(path).ok()?;
        let parameters =
            found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some((found.value.clone(), parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::json;
    use std::time::{Duration, Instant};

    fn route(id: &str, method: &str, path: &str) -> Result<Route, ErrorBody> {
        Route::new(&Arc::new(Binding {
            id: id.into(),
            trigger_type: "http".into(),
            function_id: "f".into(),
            namespace: "default".into(),
            config: json(&format!(r#"{{"api_path":"{path}","http_method":"{method}"}}"#)),
            metadata: None,
            home: "default".into(),
            provider_namespace: None,
            owner: None,
        }))
    }

    #[allow(clippy::needless_pass_by_value)] // keeps the calls below short
    fn at(routes: &Routes, method: Method, path: &str) -> String {
        match routes.find(&method, path) {
            RouteMatch::Found(route, parameters) => format!("{} {parameters:?}", route.binding.id),
            RouteMatch::MethodNotAllowed(methods) => format!("{methods:?}"),
            RouteMatch::NotFound => "nothing".to_owned(),
        }
    }

    #[test]
    fn invalid_paths_and_methods_are_rejected() {
        for path in ["", "/a/:", "/a/*rest", "/*", "/:a/:a", "/a?b", "/:{x}"] {
            let error = route("t", "get", path).unwrap_err();
            assert_eq!(error.code, "trigger_registration_failed", "{path}");
        }
        assert!(route("t", "TRACE", "/a").is_err());
    }

    #[test]
    fn routes_are_found_by_method_and_path() {
        let mut routes = Routes::default();
        for (id, method, path) in [
            ("a", "get", "a/:id"),
            ("b", "POST", "/a/:name"),
            ("c", "GET", "/a/new"),
            ("d", "GET", "/b/{x}"),
            ("e", "DELETE", "/a/:id/"),
        ] {
            routes.insert(route(id, method, path).unwrap()).unwrap();
        }
        assert_eq!(at(&routes, Method::GET, "/a/7"), r#"a [("id", "7")]"#);
        assert_eq!(at(&routes, Method::POST, "/a/7"), r#"b [("name", "7")]"#);
        assert_eq!(at(&routes, Method::GET, "/a/new"), "c []");
        assert_eq!(at(&routes, Method::HEAD, "/a/new"), "c []");
        assert_eq!(at(&routes, Method::GET, "/b/{x}"), "d []");
        assert_eq!(at(&routes, Method::GET, "/b/7"), "nothing");
        assert_eq!(at(&routes, Method::GET, "/a/7/"), "[DELETE]");
        assert_eq!(at(&routes, Method::PUT, "/a/7"), "[GET, HEAD, POST]");
    }

    #[test]
    fn conflict_keeps_the_table_and_same_trigger_is_replaced() {
        let mut routes = Routes::default();
        routes.insert(route("a", "GET", "/x/:id").unwrap()).unwrap();
        routes.insert(route("b", "GET", "/y").unwrap()).unwrap();
        for path in ["/x/:id", "/x/:name"] {
            assert!(routes.insert(route("b", "GET", path).unwrap()).is_err());
        }
        assert_eq!(at(&routes, Method::GET, "/y"), "b []");
        routes.insert(route("a", "GET", "/x/:name").unwrap()).unwrap();
        assert_eq!(at(&routes, Method::GET, "/x/1"), r#"a [("name", "1")]"#);
        routes.insert(route("a", "GET", "/z").unwrap()).unwrap();
        assert_eq!(at(&routes, Method::GET, "/x/1"), "nothing");
        routes.remove(&"a".into());
        assert_eq!(at(&routes, Method::GET, "/z"), "nothing");
    }

    #[test]
    fn thousands_of_routes_are_inserted_quickly() {
        let mut routes = Routes::default();
        let start = Instant::now();
        for n in 0..2_000 {
            routes.insert(route(&format!("t{n}"), "GET", &format!("/r{n}/:id")).unwrap()).unwrap();
        }
        assert_eq!(at(&routes, Method::GET, "/r1999/x"), r#"t1999 [("id", "x")]"#);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
