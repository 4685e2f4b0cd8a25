//! HTTP triggers: requests that invoke functions (protocol section 5.1).

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

use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper::body::{Body, Bytes};
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
pub(crate) use cors::Cors;
pub use cors::CorsSettings;
pub(crate) use listener::Listener;
pub(crate) use response::{Answer, FRAMING, broken_off};

use exchange::Exchange;
use middleware::Middleware;
use request::Envelope;
use routes::{Found, HttpConfig, Route, Routes};

/// The limits of HTTP triggers, and what holds for all of them.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    /// For a request, until its response begins. Default 30 s.
    pub(crate) timeout: Duration,
    /// Requests at a time whose responses have not begun. Default 1024.
    pub(crate) concurrency: usize,
    /// Which pages may use HTTP triggers. Default: all.
    pub(crate) cors: CorsSettings,
    /// Functions that see every request that has a route, with their priorities. Default: none.
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
pub(crate) struct Http {
    broker: Broker,
    settings: HttpSettings,
    cors: Cors,
    /// In the order in which they are asked.
    middleware: Vec<FunctionId>,
    channels: Channels,
    places: Semaphore,
    routes: RwLock<Routes>,
}

impl Http {
    /// A provider without routes. `cors` is what the settings say about it.
    pub(crate) fn new(
        broker: Broker,
        mut settings: HttpSettings,
        cors: Cors,
        channels: Channels,
    ) -> Self {
        let places = Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS));
        // The sort is stable: those of one priority stay in the order in which they were given.
        settings.middleware.sort_by_key(|(priority, _)| *priority);
        let middleware = std::mem::take(&mut settings.middleware);
        let middleware = middleware.into_iter().map(|(_, function)| function).collect();
        Self { broker, settings, cors, middleware, channels, places, routes: RwLock::default() }
    }

    /// What requests may use up.
    fn limits(&self) -> &HttpLimits {
        &self.broker.limits().http
    }

    /// Answers a request. The only way in, over a socket and in memory alike.
    pub(crate) async fn respond<B>(&self, request: hyper::Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let origin = request.headers().get(header::ORIGIN).cloned();
        let answer = match self.places.try_acquire() {
            Ok(_place) => self.answer(request, Instant::now() + self.settings.timeout).await,
            Err(_) => response::busy(),
        };
        self.cors.allow(origin.as_ref(), answer)
    }

    async fn answer<B>(&self, request: hyper::Request<B>, deadline: Instant) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        if let Some(answer) = self.cors.preflight(&parts) {
            return answer;
        }
        let found = read(&self.routes).find(&parts.method, parts.uri.path());
        let (route, path_params) = match found {
            Found::Route(route, path_params) => (route, path_params),
            Found::OtherMethods(methods) if parts.method == Method::OPTIONS => {
                return response::options(&methods);
            }
            Found::OtherMethods(methods) => return response::method_not_allowed(&methods),
            Found::Nothing => return response::not_found(),
        };
        let late = || response::timed_out(code::TIMEOUT);
        let envelope = Envelope::new(&parts, &path_params);
        let traceparent = text_of(&parts.headers, "traceparent");
        let middleware = Middleware {
            broker: &self.broker,
            binding: &route.binding,
            envelope: &envelope,
            traceparent: traceparent.as_deref(),
            deadline,
        };
        if let Some(answer) = middleware.run(&self.middleware).await {
            return answer;
        }
        let body = request::read_body(&parts.headers, body, self.limits().body_bytes);
        let body = match timeout_at(deadline, body).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => return response::of_error(&error),
            Err(_) => return late(),
        };
        if route.condition.is_configured() {
            let data = envelope.payload(&route, &parts, body.json(), None);
            let allowed = route.condition.allows(&self.broker, &route.binding, &data);
            match timeout_at(deadline, allowed).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return response::condition_not_met(),
                Ok(Err(error)) => return response::of_error(&error),
                Err(_) => return late(),
            }
        }
        // The functions of all routes are named by the engine's settings, these by the worker.
        let named = |id| self.broker.named_by(&route.binding, id);
        let functions: Vec<_> = route.middleware.iter().map(named).collect();
        if let Some(answer) = middleware.run(&functions).await {
            return answer;
        }
        let Some(mut exchange) = Exchange::open(&self.channels) else { return response::busy() };
        let data = envelope.payload(&route, &parts, body.json(), Some(&exchange));
        let call = Request {
            traceparent,
            baggage: text_of(&parts.headers, "baggage"),
            ..Request::fired(&route.binding, data)
        };
        exchange.feed(body);
        exchange.answer(self.broker.invoke(call), deadline).await
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// What a function gets, for the list of trigger types.
#[derive(schemars::JsonSchema)]
#[allow(dead_code)]
struct HttpCall {
    /// The method of the request.
    method: String,
    /// The path of the route, as it was registered.
    path: String,
    /// The path of the request.
    raw_path: String,
    /// The parameters in the path, decoded.
    path_params: std::collections::BTreeMap<String, String>,
    /// The query; of a repeated name, the last value.
    query_params: std::collections::BTreeMap<String, String>,
    /// The query, all values of each name.
    query_params_multi: std::collections::BTreeMap<String, Vec<String>>,
    /// The address that the request came from; null for a request in memory.
    ip_address: Option<String>,
    /// The headers, names in lower case.
    headers: std::collections::BTreeMap<String, String>,
    /// The body if it is JSON, else null.
    body: Payload,
    /// What fired.
    trigger: Payload,
    /// The channel to read the body from as it came.
    request_body: ChannelRef,
    /// The channel to write the response to, if it is not returned.
    response: ChannelRef,
}

impl Provider for Http {
    fn name(&self) -> &'static str {
        "iii-http"
    }

    fn description(&self) -> &'static str {
        "Invoke functions by HTTP requests."
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        vec![TriggerTypeInfo {
            id: "http",
            description: "Fires for HTTP requests of one method and path.",
            config_schema: schema::<HttpConfig>(),
            request_schema: schema::<HttpCall>(),
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
