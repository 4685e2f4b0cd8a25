//! HTTP triggers: routes whose requests invoke functions ([protocol 5.1](iii_wire::protocol#s5-1)).

mod body;
mod cors;
mod exchange;
mod listener;
mod middleware;
mod request;
mod response;
mod routes;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, header};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::broker::{Broker, Request};
use super::channel::Channels;
use super::provider::{Binding, Provider, TriggerTypeInfo, schema};
use crate::limits::HttpLimits;
use iii_wire::protocol::{ChannelRef, ErrorBody, FunctionId, Payload};
use iii_wire::sync::{read, write};
use iii_wire::{BoxError, code};

pub(crate) use body::ResponseBody;
pub(crate) use cors::CorsPolicy;
pub use cors::CorsSettings;
pub(crate) use listener::HttpListener;
pub(crate) use response::{HttpResponse, bad_gateway};

use exchange::Exchange;
use middleware::MiddlewareChain;
use request::RequestJson;
use routes::{HttpTriggerConfig, Route, RouteMatch, Routes};

/// Settings of all HTTP triggers.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    /// Timeout from the request until its response starts. Default: 30 s.
    pub(crate) timeout: Duration,
    /// Maximum number of concurrent requests whose response has not started. Default: 1024.
    pub(crate) concurrency: usize,
    /// Cross-origin policy. Default: all origins are allowed.
    pub(crate) cors: CorsSettings,
    /// Functions that run before every request that matches a route, with their priorities. Default: none.
    pub(crate) middleware: Vec<(i64, FunctionId)>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            concurrency: 1024,
            cors: CorsSettings::default(),
            middleware: Vec::new(),
        }
    }
}

/// The provider of the trigger type `http`.
pub(crate) struct HttpTriggers {
    broker: Broker,
    settings: HttpSettings,
    cors: CorsPolicy,
    /// In the order of their invocation.
    middleware: Vec<FunctionId>,
    channels: Channels,
    permits: Semaphore,
    routes: RwLock<Routes>,
}

impl HttpTriggers {
    /// Creates a provider without routes. `cors` is the policy of the settings.
    pub(crate) fn new(
        broker: Broker,
        mut settings: HttpSettings,
        cors: CorsPolicy,
        channels: Channels,
    ) -> Self {
        let permits = Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS));
        // The sort is stable: functions of equal priority keep the order of their declaration.
        settings.middleware.sort_by_key(|(priority, _)| *priority);
        let middleware = std::mem::take(&mut settings.middleware);
        let middleware = middleware.into_iter().map(|(_, function)| function).collect();
        Self { broker, settings, cors, middleware, channels, permits, routes: RwLock::default() }
    }

    fn limits(&self) -> &HttpLimits {
        &self.broker.limits().http
    }

    /// Handles a request, received over a socket or passed in memory.
    pub(crate) async fn respond<B>(&self, request: hyper::Request<B>) -> HttpResponse
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let response = match self.permits.try_acquire() {
            Ok(_permit) => self.dispatch(request, Instant::now() + self.settings.timeout).await,
            Err(_) => response::overloaded(),
        };
        self.cors.apply(origin.as_ref(), response)
    }

    /// Responds to preflight requests and routes all other requests.
    async fn dispatch<B>(&self, request: hyper::Request<B>, deadline: Instant) -> HttpResponse
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        if let Some(response) = self.cors.preflight(&parts) {
            return response;
        }
        let found = read(&self.routes).find(&parts.method, parts.uri.path());
        let (route, path_params) = match found {
            RouteMatch::Found(route, path_params) => (route, path_params),
            RouteMatch::MethodNotAllowed(methods) if parts.method == Method::OPTIONS => {
                return response::allowed_methods(&methods);
            }
            RouteMatch::MethodNotAllowed(methods) => {
                return response::method_not_allowed(&methods);
            }
            RouteMatch::NotFound => return response::not_found(),
        };
        let json = RequestJson::new(&parts, &path_params);
        let routed = RoutedRequest { route: &route, parts: &parts, json: &json, deadline };
        self.handle(routed, body).await.unwrap_or_else(|response| response)
    }

    /// Handles a routed request: middleware of all routes, body, condition, middleware of the route, function. An early
    /// response is the error.
    async fn handle<B>(
        &self,
        request: RoutedRequest<'_>,
        body: B,
    ) -> Result<HttpResponse, HttpResponse>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let RoutedRequest { route, parts, json, deadline } = request;
        let traceparent = field_value(&parts.headers, "traceparent");
        let middleware = MiddlewareChain {
            broker: &self.broker,
            binding: &route.binding,
            request: json,
            traceparent: traceparent.as_deref(),
            deadline,
        };
        middleware.run(&self.middleware).await?;
        let body = request::read_body(&parts.headers, body, self.limits().body_bytes);
        let body = before(deadline, body).await?;
        if route.condition.is_configured() {
            let data = json.payload(route, parts, body.json(), None);
            let allowed = route.condition.allows(&self.broker, &route.binding, &data);
            if !before(deadline, allowed).await? {
                return Err(response::condition_not_met());
            }
        }
        // Middleware of all routes is named by the settings, middleware of a route by its worker.
        let named = |id| self.broker.resolve_function_id(&route.binding, id);
        let functions: Vec<_> = route.middleware.iter().map(named).collect();
        middleware.run(&functions).await?;
        let mut exchange = Exchange::open(&self.channels).ok_or_else(response::overloaded)?;
        let data = json.payload(route, parts, body.json(), Some(&exchange));
        let call = Request {
            traceparent,
            baggage: field_value(&parts.headers, "baggage"),
            ..Request::fired(&route.binding, data)
        };
        exchange.send_body(body);
        Ok(exchange.respond(self.broker.invoke(call), deadline).await)
    }
}

/// A request with its route and the deadline of its response.
struct RoutedRequest<'a> {
    route: &'a Route,
    parts: &'a Parts,
    json: &'a RequestJson,
    deadline: Instant,
}

/// Waits for one step of a request. An error and a timeout become the response.
async fn before<T>(
    deadline: Instant,
    step: impl Future<Output = Result<T, ErrorBody>>,
) -> Result<T, HttpResponse> {
    match timeout_at(deadline, step).await {
        Ok(outcome) => outcome.map_err(|error| response::from_error(&error)),
        Err(_) => Err(response::timed_out(code::TIMEOUT)),
    }
}

fn field_value(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Payload of the function of an `http` trigger. Only its schema is used.
#[derive(schemars::JsonSchema)]
#[allow(dead_code)]
struct HttpTriggerPayload {
    /// The request method.
    method: String,
    /// The path of the route, as registered.
    path: String,
    /// The path of the request target.
    raw_path: String,
    /// The path parameters, percent-decoded.
    path_params: std::collections::BTreeMap<String, String>,
    /// The query parameters. The last value of a repeated name counts.
    query_params: std::collections::BTreeMap<String, String>,
    /// The query parameters, with all values of each name.
    query_params_multi: std::collections::BTreeMap<String, Vec<String>>,
    /// The IP address of the client; null for an in-memory request.
    ip_address: Option<String>,
    /// The header fields, with names in lower case.
    headers: std::collections::BTreeMap<String, String>,
    /// The JSON body; null for any other content.
    body: Payload,
    /// The trigger that fired.
    trigger: Payload,
    /// The channel from which the unparsed body can be read.
    request_body: ChannelRef,
    /// The channel to which a streamed response can be written.
    response: ChannelRef,
}

impl Provider for HttpTriggers {
    fn name(&self) -> &'static str {
        "iii-http"
    }

    fn description(&self) -> &'static str {
        "Invoke functions on HTTP requests."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        vec![TriggerTypeInfo {
            id: "http",
            description: "Fires on HTTP requests with one method and path.",
            config_schema: schema::<HttpTriggerConfig>(),
            request_schema: schema::<HttpTriggerPayload>(),
        }]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let route = Route::new(binding)?;
        write(&self.routes).insert(route)
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        write(&self.routes).remove(&binding.id);
    }
}
