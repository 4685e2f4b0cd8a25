//! Authentication of connections by the auth function of a listener ([protocol 9.3](iii_wire::protocol#s9-3)).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::http::Request;
use serde::Serialize;

use super::Access;
use super::hooks::HookFunction;
use super::middleware::CallMiddleware;
use super::session::{Grants, Session};
use crate::broker::{Broker, ConnectionPolicy};
use crate::provider::to_payload;
use crate::request_fields;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, FunctionId};

/// Access rules and middleware of one listener.
pub(super) struct ListenerRules {
    /// `None` allows everything.
    pub(super) access: Option<Access>,
    /// `None` routes calls directly to their functions.
    pub(super) middleware: Option<CallMiddleware>,
}

impl ListenerRules {
    /// Returns the function that `select` picks from the access rules, if configured.
    pub(super) fn hook(
        &self,
        select: impl Fn(&Access) -> &Option<FunctionId>,
    ) -> Option<HookFunction<'_>> {
        let access = self.access.as_ref()?;
        let function_id = select(access).as_ref()?;
        Some(HookFunction { function_id, timeout: access.timeout })
    }
}

/// Authenticates the connections of one listener and opens a [`Session`] for each.
#[derive(Clone)]
pub(crate) struct AccessGuard {
    broker: Broker,
    rules: Arc<ListenerRules>,
}

/// The handshake of a connection, as the input of an auth function.
#[derive(Debug, Serialize)]
pub(crate) struct AuthRequest {
    /// Header fields, with names in lower case.
    headers: BTreeMap<String, String>,
    /// The decoded query, with all values of each name.
    query_params: BTreeMap<String, Vec<String>>,
    ip_address: IpAddr,
}

impl AuthRequest {
    /// Creates the input from a handshake request and the address of its client.
    pub(crate) fn new<T>(request: &Request<T>, ip_address: IpAddr) -> Self {
        Self {
            headers: request_fields::header_map(request.headers()),
            query_params: request_fields::query_map(request.uri().query()),
            ip_address,
        }
    }
}

impl AccessGuard {
    /// Creates the guard of a listener. Returns `None` if its connections have full access.
    pub(crate) fn new(
        broker: Broker,
        access: Option<Access>,
        middleware: Option<CallMiddleware>,
    ) -> Option<Self> {
        let needed = access.is_some() || middleware.is_some();
        needed.then(|| Self { broker, rules: Arc::new(ListenerRules { access, middleware }) })
    }

    /// Returns whether connections are authenticated by an auth function.
    pub(crate) fn has_auth_function(&self) -> bool {
        self.rules.hook(|access| &access.auth_function).is_some()
    }

    /// Authenticates a connection and opens its session.
    ///
    /// # Errors
    ///
    /// Code `AUTH_ERROR` if the auth function fails, times out, or returns anything but an object of the expected shape.
    /// The error is retryable if the error of the function is.
    pub(crate) async fn admit(
        &self,
        request: &AuthRequest,
    ) -> Result<Arc<dyn ConnectionPolicy>, ErrorBody> {
        let grants = match self.rules.hook(|access| &access.auth_function) {
            Some(auth) => self.authenticate(auth, request).await.inspect_err(|error| {
                let (ip, function) = (request.ip_address, auth.function_id);
                tracing::warn!(%ip, %function, "rejected a connection: {}", error.message);
            })?,
            None => Grants::unauthenticated(),
        };
        let (broker, rules) = (self.broker.clone(), self.rules.clone());
        Ok(Arc::new(Session { broker, rules, grants }))
    }

    async fn authenticate(
        &self,
        auth: HookFunction<'_>,
        request: &AuthRequest,
    ) -> Result<Grants, ErrorBody> {
        let rejected = |why: &str, retryable| ErrorBody {
            retryable,
            ..ErrorBody::new(code::AUTH_ERROR, format!("the connection was rejected: {why}"))
        };
        let result = auth.invoke(&self.broker, to_payload(request)?).await;
        let result = result.map_err(|error| rejected(&error.message, error.retryable))?;
        Grants::parse(&result.unwrap_or_default()).map_err(|why| {
            rejected(&format!("`{}` returned invalid grants: {why}", auth.function_id), None)
        })
    }
}
