//! The static descriptor of an HTTP endpoint that serves a function, which `#[iii::http_function]` emits.

use std::fmt;

use iii_wire::{Error, code};

use super::FunctionDescriptor;
use crate::extract::Invocation;
use crate::function::{Location, Signature};
use crate::output::HandlerFuture;

/// The HTTP endpoint of a function that is declared with [`macro@crate::http_function`].
#[derive(Debug)]
pub struct EndpointDescriptor {
    /// The URL.
    pub url: EndpointUrl,
    /// The method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Headers of each request, by name and value. Do not put secrets here.
    pub headers: &'static [(&'static str, &'static str)],
    /// How the engine authenticates to the endpoint.
    pub auth: Option<EndpointAuth>,
}

/// The URL of an endpoint. `Debug` omits it, since its path or query may contain a secret.
pub enum EndpointUrl {
    /// A URL that was checked at compile time.
    Literal(&'static str),
    /// The name of an environment variable of the worker, read when the worker starts.
    Variable(&'static str),
    /// A function, called when the worker starts.
    Computed(fn() -> String),
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Literal"),
            Self::Variable(name) => f.debug_tuple("Variable").field(name).finish(),
            Self::Computed(_) => f.write_str("Computed"),
        }
    }
}

/// The authentication of requests to an endpoint. The fields name environment variables of the engine, which reads the
/// secrets from them when the function is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointAuth {
    /// An HMAC of the time and the body, in the header `x-iii-signature`.
    Hmac {
        /// The variable with the key.
        secret_key: &'static str,
    },
    /// A bearer token in the header `authorization`.
    Bearer {
        /// The variable with the token.
        token_key: &'static str,
    },
    /// An API key in a custom header.
    ApiKey {
        /// The name of the header.
        header: &'static str,
        /// The variable with the key.
        value_key: &'static str,
    },
}

impl FunctionDescriptor {
    /// The descriptor of a function that an endpoint serves, with defaults for all options.
    pub const fn at_endpoint(
        id: &'static str,
        endpoint: &'static EndpointDescriptor,
        signature: fn() -> Signature,
        module: &'static str,
        location: Location,
    ) -> Self {
        Self {
            id,
            description: None,
            metadata: None,
            module,
            location,
            handler: endpoint_only,
            signature,
            timeout: None,
            concurrency: None,
            intercept: Vec::new,
            triggers: &[],
            endpoint: Some(endpoint),
        }
    }
}

/// The handler of a function that an endpoint serves: fails, since the worker does not run it.
fn endpoint_only(call: Invocation) -> HandlerFuture {
    let id = call.context().function_id().clone();
    Box::pin(async move {
        let text = format!(
            "`{id}` is served by an HTTP endpoint, which tests with virtual time do not call: mock it with \
             `iii.mock`, or use the option `real_time`"
        );
        Err(Error::new(code::FUNCTION_NOT_INVOKABLE, text).with_status(501))
    })
}
