//! HTTP endpoints that serve functions: the static descriptor that `#[iii::http_function]` emits.

use std::fmt;

use iii_wire::{Error, code};

use super::FunctionDescriptor;
use crate::extract::Invocation;
use crate::function::{Location, Signature};
use crate::output::HandlerFuture;

/// The endpoint that serves a function, as it is declared by [`macro@crate::http_function`].
#[derive(Debug)]
pub struct EndpointDescriptor {
    /// Where it is.
    pub url: EndpointUrl,
    /// How it is called: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Headers of every request, each a name and a value. They are no place for secrets.
    pub headers: &'static [(&'static str, &'static str)],
    /// What proves to the endpoint who calls.
    pub auth: Option<EndpointAuth>,
}

/// Where an endpoint is. It is not printed, since a path or a query may hold a secret.
pub enum EndpointUrl {
    /// A URL that was checked while compiling.
    Literal(&'static str),
    /// The environment variable of the worker that has it when the worker starts.
    Variable(&'static str),
    /// Code that tells it when the worker starts.
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

/// What proves to an endpoint who calls. Secrets are in environment variables of the engine, which reads them when the
/// function is registered; here are only their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointAuth {
    /// The header `x-iii-signature`, over the time and the body.
    Hmac {
        /// The variable with the secret.
        secret_key: &'static str,
    },
    /// The header `authorization`, with `Bearer` and the token.
    Bearer {
        /// The variable with the token.
        token_key: &'static str,
    },
    /// A header of its own.
    ApiKey {
        /// The name of the header.
        header: &'static str,
        /// The variable with its value.
        value_key: &'static str,
    },
}

impl FunctionDescriptor {
    /// A function that an endpoint serves, without a word about it.
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
            handler: not_here,
            signature,
            timeout: None,
            concurrency: None,
            intercept: Vec::new,
            triggers: &[],
            endpoint: Some(endpoint),
        }
    }
}

/// Answers a call that comes to the worker all the same.
fn not_here(call: Invocation) -> HandlerFuture {
    let id = call.context().function_id().clone();
    Box::pin(async move {
        let text = format!(
            "`{id}` is served by an HTTP endpoint, which is not called here: a test mocks it by `iii.mock`, or takes \
             the option `real_time`"
        );
        Err(Error::new(code::FUNCTION_NOT_INVOKABLE, text).with_status(501))
    })
}
