//! Authentication of subscribers by the configured auth function ([protocol 8.1](iii_wire::protocol#s8-1)).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::Streams;
use super::subscription_triggers::{FUNCTION_TIMEOUT, timeout_error};
use crate::broker::Request;
use crate::provider::to_payload;
use crate::request_fields;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, FunctionId, Payload};

/// The input of the auth function.
#[derive(Serialize)]
struct AuthInput {
    /// The headers, with names in lower case.
    headers: BTreeMap<String, String>,
    path: String,
    /// The decoded query, with all values of each name.
    query_params: BTreeMap<String, Vec<String>>,
    /// The address of the client.
    addr: String,
}

/// The output of the auth function.
#[derive(Deserialize)]
struct AuthOutput<'a> {
    /// Passed to `stream:join` and `stream:leave` functions.
    #[serde(borrow)]
    context: &'a RawValue,
}

impl Streams {
    /// Authenticates a client. Returns its context, which is null if no auth function is configured.
    ///
    /// # Errors
    ///
    /// If the function fails, times out, or returns anything but an object with `context`. The client must be rejected
    /// then.
    pub(super) async fn authenticate(
        &self,
        parts: &Parts,
        addr: SocketAddr,
    ) -> Result<Payload, ErrorBody> {
        let Some(auth) = &self.auth else { return Ok(Payload::null()) };
        let context = timeout(FUNCTION_TIMEOUT, self.call_auth(auth, parts, addr)).await;
        context.unwrap_or_else(|_| Err(timeout_error())).inspect_err(|error| {
            tracing::warn!(%addr, function = %auth, "a subscriber was rejected: {error}");
        })
    }

    async fn call_auth(
        &self,
        auth: &FunctionId,
        parts: &Parts,
        addr: SocketAddr,
    ) -> Result<Payload, ErrorBody> {
        let input = AuthInput {
            headers: request_fields::header_map(&parts.headers),
            path: parts.uri.path().to_owned(),
            query_params: request_fields::query_map(parts.uri.query()),
            addr: addr.to_string(),
        };
        let output = self.broker.invoke(Request {
            namespace: Default::default(),
            function_id: auth.clone(),
            data: to_payload(&input)?,
            metadata: None,
            traceparent: None,
            baggage: None,
        });
        let output = output.await?.unwrap_or_default();
        let parsed: AuthOutput<'_> = output.parse_borrowed().map_err(|error| {
            let text = format!("the output must be an object with `context`: {error}");
            ErrorBody::new(code::AUTH_ERROR, text)
        })?;
        Ok(output.part(parsed.context))
    }
}
