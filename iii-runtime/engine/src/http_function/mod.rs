//! Functions that HTTP endpoints serve (protocol section 4.8).
//!
//! A worker registers such a function with a URL, and every call of it is a request to that URL. Where a worker may send
//! the engine is bounded by rules, of which the usual ones let it reach the public internet over TLS only.

mod address;
mod auth;
mod client;
mod invocation;
mod response;
mod rules;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::expand::environment;
use super::provider::{Call, Handler, Outcome, Provider};
use crate::provider::overloaded;
use iii_wire::clock::Clock;
use iii_wire::protocol::{ErrorBody, RegisterFunction};

use client::Client;
use invocation::Endpoint;
use response::BAD_GATEWAY;
use rules::Rules;

/// Which endpoints may serve functions, and how much they may answer (protocol sections 4.8 and 11.3).
///
/// The rules hold for every worker. A worker names the environment variable that holds the secret of its function, and
/// the URL that gets it: in an engine whose workers are not all trusted, allow only hosts that are, or switch HTTP
/// functions off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFunctionSettings {
    /// Whether URLs must begin with `https://`. Default: yes.
    pub require_https: bool,
    /// Patterns of the hosts that may be called, such as `*.example.com`; `*` is any text, dots too, `?` any character.
    /// IPv6 addresses are written without brackets. Default: empty, which allows all.
    pub url_allowlist: Vec<String>,
    /// Whether every address of a host must be public: not of this machine, not of a private network, not reserved.
    /// Default: yes.
    pub block_private_ips: bool,
    /// How long the body of a response may be, in bytes; a longer one fails the call. Default 4 MiB.
    pub response_limit: usize,
    /// How many calls may wait for endpoints at a time; one more fails with the code `overloaded`. Default 1024.
    pub concurrency: usize,
}

impl Default for HttpFunctionSettings {
    fn default() -> Self {
        Self {
            require_https: true,
            url_allowlist: Vec::new(),
            block_private_ips: true,
            response_limit: 4 << 20,
            concurrency: 1024,
        }
    }
}

impl HttpFunctionSettings {
    /// Checks the patterns.
    ///
    /// # Errors
    ///
    /// Which one cannot be used, and why.
    pub(crate) fn check(&self) -> Result<(), String> {
        Rules::new(self).map(drop)
    }
}

/// The provider of functions that HTTP endpoints serve.
pub(crate) struct HttpFunctions {
    caller: Arc<Caller>,
}

/// What all endpoints share.
struct Caller {
    rules: Arc<Rules>,
    /// Made for the first call: most engines have no such function.
    client: OnceLock<Client>,
    places: Semaphore,
    response_limit: usize,
    clock: Clock,
    /// Reads an environment variable.
    variable: fn(&str) -> Option<String>,
}

impl HttpFunctions {
    /// A provider with its rules.
    ///
    /// # Errors
    ///
    /// As [`HttpFunctionSettings::check`].
    pub(crate) fn new(settings: &HttpFunctionSettings, clock: Clock) -> Result<Self, String> {
        Self::with(settings, clock, environment)
    }

    fn with(
        settings: &HttpFunctionSettings,
        clock: Clock,
        variable: fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let rules = Arc::new(Rules::new(settings)?);
        let caller = Caller {
            client: OnceLock::new(),
            rules,
            places: Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS)),
            response_limit: settings.response_limit,
            clock,
            variable,
        };
        Ok(Self { caller: Arc::new(caller) })
    }
}

impl Caller {
    async fn call(&self, endpoint: &Endpoint, call: Call) -> Outcome {
        let Ok(_place) = self.places.try_acquire() else {
            return Err(overloaded("too many calls wait for HTTP endpoints, try again"));
        };
        match timeout(endpoint.timeout, self.exchange(endpoint, call)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let (origin, limit) = (endpoint.origin(), endpoint.timeout);
                let message = format!("no answer from `{origin}` within {} ms", limit.as_millis());
                Err(ErrorBody {
                    status: Some(504),
                    ..ErrorBody::new("http_request_failed", message)
                })
            }
        }
    }

    async fn exchange(&self, endpoint: &Endpoint, call: Call) -> Outcome {
        let request = endpoint.request(call, self.clock.unix_millis() / 1000);
        let response = self
            .client
            .get_or_init(|| Client::new(&self.rules))
            .send(request, &endpoint.origin())
            .await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.response_limit).collect().await.map_err(|error| {
            let origin = endpoint.origin();
            let message = if error.is::<LengthLimitError>() {
                let limit = self.response_limit;
                format!("the answer of `{origin}` is longer than {limit} bytes")
            } else {
                format!("the answer of `{origin}` broke off")
            };
            ErrorBody {
                status: Some(BAD_GATEWAY),
                ..ErrorBody::new("http_response_failed", message)
            }
        })?;
        response::outcome(head.status, body.to_bytes())
    }
}

impl Provider for HttpFunctions {
    fn name(&self) -> &'static str {
        "iii-http-functions"
    }

    fn description(&self) -> &'static str {
        "Call functions that HTTP endpoints serve."
    }

    fn external(&self, function: &RegisterFunction) -> Option<Result<Handler, ErrorBody>> {
        let caller = self.caller.clone();
        Some(Endpoint::new(function, &caller.rules, caller.variable).map(|endpoint| {
            let endpoint = Arc::new(endpoint);
            let handler: Handler = Arc::new(move |call| {
                let (caller, endpoint) = (caller.clone(), endpoint.clone());
                Box::pin(async move { caller.call(&endpoint, call).await })
            });
            handler
        }))
    }
}
