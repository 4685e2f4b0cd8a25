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
use hyper::{HeaderMap, Method};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::broker::{Broker, Request, read, write};
use super::channel::{ChannelRef, Channels};
use super::config::HttpLimits;
use super::provider::{Binding, Provider, TriggerTypeInfo, schema};
use crate::error::{BoxError, code};
use crate::protocol::{ErrorBody, Payload};

pub(crate) use body::ResponseBody;
pub(crate) use listener::Listener;
pub(crate) use response::{Answer, broken_off};

use exchange::Exchange;
use request::Envelope;
use routes::{Found, HttpConfig, Route, Routes};

/// The limits of HTTP triggers.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    /// For a request, until its response begins. Default 30 s.
    pub(crate) timeout: Duration,
    /// Requests at a time whose responses have not begun. Default 1024.
    pub(crate) concurrency: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), concurrency: 1024 }
    }
}

/// The provider of the trigger type `http`.
pub(crate) struct Http {
    broker: Broker,
    settings: HttpSettings,
    channels: Channels,
    places: Semaphore,
    routes: RwLock<Routes>,
}

impl Http {
    /// A provider without routes.
    pub(crate) fn new(broker: Broker, settings: HttpSettings, channels: Channels) -> Self {
        let places = Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS));
        Self { broker, settings, channels, places, routes: RwLock::default() }
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
        let Ok(_place) = self.places.try_acquire() else { return cors::allow(response::busy()) };
        let deadline = Instant::now() + self.settings.timeout;
        cors::allow(self.answer(request, deadline).await)
    }

    async fn answer<B>(&self, request: hyper::Request<B>, deadline: Instant) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        if let Some(answer) = cors::preflight(&parts) {
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
        let body = request::read_body(&parts.headers, body, self.limits().body_bytes);
        let body = match timeout_at(deadline, body).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => return response::of_error(&error),
            Err(_) => return late(),
        };
        let envelope = Envelope::new(&parts, &path_params);
        if route.condition.asks() {
            let data = envelope.payload(&route, &parts, body.json(), None);
            let allowed = route.condition.allows(&self.broker, &route.binding, &data);
            match timeout_at(deadline, allowed).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return response::condition_not_met(),
                Ok(Err(error)) => return response::of_error(&error),
                Err(_) => return late(),
            }
        }
        let traceparent = text_of(&parts.headers, "traceparent");
        let answered =
            middleware::run(&self.broker, &route, &envelope, traceparent.as_deref(), deadline);
        if let Some(answer) = answered.await {
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
