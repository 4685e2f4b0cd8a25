//! Who may connect: the function that decides about each client, and what it is told (protocol section 8.1).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::Streams;
use super::gate::{PATIENCE, slow};
use crate::broker::Request;
use crate::handshake;
use crate::provider::to_payload;
use iii_wire::protocol::{ErrorBody, FunctionId, Payload};

/// What the function gets.
#[derive(Serialize)]
struct Connecting {
    /// The headers, names in lower case.
    headers: BTreeMap<String, String>,
    path: String,
    /// The query, decoded, all values of each name.
    query_params: BTreeMap<String, Vec<String>>,
    /// The address of the client.
    addr: String,
}

/// What the function must give.
#[derive(Deserialize)]
struct Admission<'a> {
    /// Handed to the functions that are asked about subscriptions.
    #[serde(borrow)]
    context: &'a RawValue,
}

impl Streams {
    /// The context of a client; null if no function is asked.
    ///
    /// # Errors
    ///
    /// If the function fails, takes too long, or gives anything but an object with `context`: then the client is not
    /// let in.
    pub(super) async fn admit(
        &self,
        parts: &Parts,
        addr: SocketAddr,
    ) -> Result<Payload, ErrorBody> {
        let Some(auth) = &self.auth else { return Ok(Payload::null()) };
        let asked = timeout(PATIENCE, self.ask(auth, parts, addr)).await;
        asked.unwrap_or_else(|_| Err(slow())).inspect_err(|error| {
            tracing::warn!(%addr, function = %auth, "a client was not let in: {error}");
        })
    }

    async fn ask(
        &self,
        auth: &FunctionId,
        parts: &Parts,
        addr: SocketAddr,
    ) -> Result<Payload, ErrorBody> {
        let answer = self.broker.invoke(Request {
            namespace: Default::default(),
            function_id: auth.clone(),
            data: to_payload(&connecting(parts, addr))?,
            metadata: None,
            traceparent: None,
            baggage: None,
        });
        let answer = answer.await?.unwrap_or_default();
        let admission: Admission<'_> = answer.parse_borrowed().map_err(|error| {
            ErrorBody::new("AUTH_ERROR", format!("the answer is no object with `context`: {error}"))
        })?;
        Ok(answer.part(admission.context))
    }
}

fn connecting(parts: &Parts, addr: SocketAddr) -> Connecting {
    Connecting {
        headers: handshake::headers(&parts.headers),
        path: parts.uri.path().to_owned(),
        query_params: handshake::query(parts.uri.query()),
        addr: addr.to_string(),
    }
}
