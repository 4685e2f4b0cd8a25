//! HTTP functions: functions that are invoked by a request to the URL with which a worker registered them ([protocol 4.8](iii_wire::protocol#s4-8)).

mod address;
mod auth;
mod client;
mod invocation;
mod policy;
mod response;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::expand::env_variable;
use super::provider::{Call, Handler, Outcome, Provider};
use crate::provider::overloaded;
use iii_wire::clock::Clock;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, RegisterFunction};

use client::HttpClient;
use invocation::Endpoint;
use policy::EndpointPolicy;
use response::BAD_GATEWAY;

/// Which endpoints HTTP functions may use, with the limits of their responses ([protocol 4.8](iii_wire::protocol#s4-8), [11.3](iii_wire::protocol#s11-3)).
///
/// The settings apply to every worker. By default only public addresses can be reached, and only over TLS.
///
/// # Security
///
/// A worker names both the environment variable with the secret of its function and the URL that receives the secret.
/// If not all workers are trusted, allow only trusted hosts or disable HTTP functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFunctionSettings {
    /// Whether URLs must use the scheme `https`. Default: true.
    pub require_https: bool,
    /// Allow list of host patterns, such as `*.example.com`. `*` matches any string, including dots, `?` any character.
    /// IPv6 addresses are written without brackets. Default: empty, which allows all hosts.
    pub url_allowlist: Vec<String>,
    /// Whether every address of a host must be public: neither local, private nor reserved. Default: true.
    pub block_private_ips: bool,
    /// Maximum size of a response body, in bytes. A longer response fails the call. Default: 4 MiB.
    pub response_limit: usize,
    /// Maximum number of concurrent calls. Further calls fail with the code `overloaded`. Default: 1024.
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
    /// Validates the host patterns.
    ///
    /// # Errors
    ///
    /// The invalid pattern, with the reason.
    pub(crate) fn check(&self) -> Result<(), String> {
        EndpointPolicy::new(self).map(drop)
    }
}

/// The provider of HTTP functions.
pub(crate) struct HttpFunctions {
    invoker: Arc<EndpointInvoker>,
}

/// Invokes endpoints, with the policy, the client and the limits that they share.
struct EndpointInvoker {
    policy: Arc<EndpointPolicy>,
    /// Created by the first call, since most engines have no HTTP function.
    client: OnceLock<HttpClient>,
    permits: Semaphore,
    response_limit: usize,
    clock: Clock,
    /// Reads an environment variable.
    variable: fn(&str) -> Option<String>,
}

impl HttpFunctions {
    /// Creates the provider.
    ///
    /// # Errors
    ///
    /// See [`HttpFunctionSettings::check`].
    pub(crate) fn new(settings: &HttpFunctionSettings, clock: Clock) -> Result<Self, String> {
        Self::with(settings, clock, env_variable)
    }

    fn with(
        settings: &HttpFunctionSettings,
        clock: Clock,
        variable: fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let invoker = EndpointInvoker {
            client: OnceLock::new(),
            policy: Arc::new(EndpointPolicy::new(settings)?),
            permits: Semaphore::new(settings.concurrency.min(Semaphore::MAX_PERMITS)),
            response_limit: settings.response_limit,
            clock,
            variable,
        };
        Ok(Self { invoker: Arc::new(invoker) })
    }
}

impl EndpointInvoker {
    async fn invoke(&self, endpoint: &Endpoint, call: Call) -> Outcome {
        let Ok(_permit) = self.permits.try_acquire() else {
            return Err(overloaded("too many concurrent calls of HTTP functions, try again"));
        };
        match timeout(endpoint.timeout, self.exchange(endpoint, call)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let (origin, limit) = (endpoint.origin(), endpoint.timeout);
                let message =
                    format!("the request to `{origin}` timed out after {} ms", limit.as_millis());
                Err(ErrorBody {
                    status: Some(504),
                    ..ErrorBody::new(code::HTTP_REQUEST_FAILED, message)
                })
            }
        }
    }

    async fn exchange(&self, endpoint: &Endpoint, call: Call) -> Outcome {
        let request = endpoint.request(call, self.clock.unix_millis() / 1000);
        let response = self
            .client
            .get_or_init(|| HttpClient::new(&self.policy))
            .send(request, &endpoint.origin())
            .await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.response_limit).collect().await.map_err(|error| {
            let origin = endpoint.origin();
            let message = if error.is::<LengthLimitError>() {
                let limit = self.response_limit;
                format!("the response of `{origin}` exceeds {limit} bytes")
            } else {
                format!("the response of `{origin}` ended prematurely")
            };
            ErrorBody {
                status: Some(BAD_GATEWAY),
                ..ErrorBody::new(code::HTTP_RESPONSE_FAILED, message)
            }
        })?;
        response::into_outcome(head.status, body.to_bytes())
    }
}

impl Provider for HttpFunctions {
    fn name(&self) -> &'static str {
        "iii-http-functions"
    }

    fn description(&self) -> &'static str {
        "Call functions at HTTP endpoints."
    }

    fn external_handler(&self, function: &RegisterFunction) -> Option<Result<Handler, ErrorBody>> {
        let invoker = self.invoker.clone();
        Some(Endpoint::new(function, &invoker.policy, invoker.variable).map(|endpoint| {
            let endpoint = Arc::new(endpoint);
            let handler: Handler = Arc::new(move |call| {
                let (invoker, endpoint) = (invoker.clone(), endpoint.clone());
                Box::pin(async move { invoker.invoke(&endpoint, call).await })
            });
            handler
        }))
    }
}
