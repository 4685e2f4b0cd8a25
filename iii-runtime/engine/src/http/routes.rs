//! The table of routes: which binding serves a method and a path (protocol section 5.1).

use std::collections::HashMap;
use std::sync::Arc;

use hyper::Method;
use matchit::Router;
use serde::Deserialize;

use crate::condition::Condition;
use crate::provider::{Binding, refused};
use iii_wire::protocol::{ErrorBody, FunctionId, TriggerId};

/// The config of an `http` binding.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(crate) struct HttpConfig {
    /// The path, such as `/orders/:id`. The leading slash may be left out.
    #[schemars(with = "String")]
    api_path: Option<String>,
    /// GET, POST, PUT, DELETE, PATCH, HEAD or OPTIONS. Default GET.
    http_method: Option<String>,
    /// A function that is asked first; `false` answers 422.
    condition_function_id: Option<String>,
    /// Functions that see the request before the handler, in their order.
    middleware_function_ids: Option<Vec<String>>,
}

/// One binding, ready to serve.
#[derive(Debug)]
pub(crate) struct Route {
    /// The binding.
    pub(crate) binding: Arc<Binding>,
    /// The method.
    pub(crate) method: Method,
    /// The path as the worker wrote it.
    pub(crate) api_path: String,
    /// Asked before the handler.
    pub(crate) condition: Condition,
    /// Asked before the handler, after the condition.
    pub(crate) middleware: Vec<FunctionId>,
    // The path in the router's own syntax.
    pattern: String,
}

impl Route {
    /// Reads a binding.
    ///
    /// # Errors
    ///
    /// If the method or the path cannot be used.
    pub(crate) fn new(binding: &Arc<Binding>) -> Result<Self, ErrorBody> {
        let config: HttpConfig = binding.config()?;
        let api_path = config.api_path.filter(|path| !path.is_empty());
        let api_path = api_path.ok_or_else(|| refused("an http trigger needs `api_path`"))?;
        let method = config.http_method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        let method = match method.as_str() {
            "GET" | "POST" | "PUT" | "DELETE" | "PATCH" | "HEAD" | "OPTIONS" => {
                Method::from_bytes(method.as_bytes()).map_err(|_| refused("no HTTP method"))?
            }
            other => {
                return Err(refused(format!(
                    "`{other}` cannot be the method of an http trigger: use GET, POST, PUT, DELETE, PATCH, HEAD or OPTIONS"
                )));
            }
        };
        let pattern = pattern_of(&api_path)?;
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

/// A path in the router's syntax: `:name` becomes a parameter, everything else is literal.
fn pattern_of(api_path: &str) -> Result<String, ErrorBody> {
    let bad = |why: String| {
        Err(refused(format!("`{api_path}` cannot be the path of an http trigger: {why}")))
    };
    if let Some(odd) = api_path.chars().find(|c| matches!(c, '?' | '#') || c.is_control()) {
        return bad(format!("it contains {odd:?}"));
    }
    let mut names: Vec<&str> = Vec::new();
    let mut pattern = String::with_capacity(api_path.len() + 8);
    for segment in api_path.strip_prefix('/').unwrap_or(api_path).split('/') {
        pattern.push('/');
        if segment.starts_with('*') {
            return bad(format!("`{segment}` would match several segments, which is not possible"));
        }
        let Some(name) = segment.strip_prefix(':') else {
            pattern.push_str(&segment.replace('{', "{{").replace('}', "}}"));
            continue;
        };
        if name.is_empty() {
            return bad("a parameter has no name after `:`".to_owned());
        }
        if name.contains(['{', '}', '*', ':']) {
            return bad(format!("a parameter cannot be called `{name}`"));
        }
        if names.contains(&name) {
            return bad(format!("the parameter `{name}` comes twice"));
        }
        names.push(name);
        pattern.push('{');
        pattern.push_str(name);
        pattern.push('}');
    }
    Ok(pattern)
}

/// All routes.
#[derive(Default)]
pub(crate) struct Routes {
    by_method: HashMap<Method, Router<Arc<Route>>>,
    by_binding: HashMap<TriggerId, Arc<Route>>,
}

/// The names and values of path parameters.
pub(crate) type Parameters = Vec<(String, String)>;

/// What a request finds.
pub(crate) enum Found {
    /// A route, and its path parameters as they are in the path.
    Route(Arc<Route>, Parameters),
    /// The path is there, but only for these methods.
    OtherMethods(Vec<Method>),
    /// Nothing.
    Nothing,
}

impl Routes {
    /// Adds a route, or replaces the one of the same binding.
    ///
    /// # Errors
    ///
    /// If another binding has the method and the path, or the same shape of path. Nothing changed then.
    pub(crate) fn insert(&mut self, route: Route) -> Result<(), ErrorBody> {
        let id = route.binding.id.clone();
        let before = self.remove(&id);
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
                        format!("it collides with `{method} {with}`, which another trigger serves")
                    }
                    other => other.to_string(),
                };
                let text = format!("`{method} {}` cannot be served: {why}", route.api_path);
                // Once the other trigger is gone, it can.
                let error = ErrorBody { retryable: Some(true), ..refused(text) };
                if let Some(before) = before {
                    // It was there a moment ago, so it fits.
                    let router = self.by_method.entry(before.method.clone()).or_default();
                    if router.insert(before.pattern.clone(), before.clone()).is_ok() {
                        self.by_binding.insert(id, before);
                    }
                }
                Err(error)
            }
        }
    }

    /// Removes the route of a binding.
    pub(crate) fn remove(&mut self, id: &TriggerId) -> Option<Arc<Route>> {
        let route = self.by_binding.remove(id)?;
        self.by_method.get_mut(&route.method)?.remove(route.pattern.as_str());
        Some(route)
    }

    /// The route for a request. A `GET` route also serves `HEAD`.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        let own = self.at(method, path);
        let own = match own {
            None if *method == Method::HEAD => self.at(&Method::GET, path),
            own => own,
        };
        if let Some((route, parameters)) = own {
            return Found::Route(route, parameters);
        }
        let mut methods: Vec<Method> = self
            .by_method
            .iter()
            .filter(|(_, router)| router.at(path).is_ok())
            .map(|(method, _)| method.clone())
            .collect();
        if methods.is_empty() {
            return Found::Nothing;
        }
        if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
            methods.push(Method::HEAD);
        }
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        Found::OtherMethods(methods)
    }

    fn at(&self, method: &Method, path: &str) -> Option<(Arc<Route>, Parameters)> {
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

    #[allow(clippy::needless_pass_by_value)] // so that the calls below are short
    fn at(routes: &Routes, method: Method, path: &str) -> String {
        match routes.find(&method, path) {
            Found::Route(route, parameters) => format!("{} {parameters:?}", route.binding.id),
            Found::OtherMethods(methods) => format!("{methods:?}"),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn paths_that_cannot_be_served_are_refused() {
        for path in ["", "/a/:", "/a/*rest", "/*", "/:a/:a", "/a?b", "/:{x}"] {
            let error = route("t", "get", path).unwrap_err();
            assert_eq!(error.code, "trigger_registration_failed", "{path}");
        }
        assert!(route("t", "TRACE", "/a").is_err());
    }

    #[test]
    fn a_route_is_found_by_method_and_path() {
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
    fn a_collision_changes_nothing_and_the_own_binding_is_replaced() {
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
    fn thousands_of_routes_are_no_trouble() {
        let mut routes = Routes::default();
        let begin = Instant::now();
        for n in 0..2_000 {
            routes.insert(route(&format!("t{n}"), "GET", &format!("/r{n}/:id")).unwrap()).unwrap();
        }
        assert_eq!(at(&routes, Method::GET, "/r1999/x"), r#"t1999 [("id", "x")]"#);
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}
