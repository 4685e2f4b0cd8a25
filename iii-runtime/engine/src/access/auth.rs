//! Who is let in: the auth function that is asked about each connection, and the session that it grants (protocol section
//! 9.3).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::http::Request;
use serde::Serialize;

use super::Access;
use super::hooks::Hook;
use super::middleware::CallMiddleware;
use super::session::{Grants, Session};
use crate::broker::{Broker, Gate};
use crate::handshake;
use crate::provider::to_payload;
use iii_wire::protocol::{ErrorBody, FunctionId};

/// The code of a connection that is not let in (protocol section 2.13).
const AUTH_ERROR: &str = "AUTH_ERROR";

/// The rules of one listener.
pub(super) struct Rules {
    /// `None`: everything is allowed.
    pub(super) access: Option<Access>,
    /// `None`: calls go to their functions.
    pub(super) middleware: Option<CallMiddleware>,
}

impl Rules {
    /// The hook that `which` picks, if there is one.
    pub(super) fn hook(&self, which: impl Fn(&Access) -> &Option<FunctionId>) -> Option<Hook<'_>> {
        let access = self.access.as_ref()?;
        let function_id = which(access).as_ref()?;
        Some(Hook { function_id, timeout: access.timeout })
    }
}

/// Guards a listener: each of its connections gets a session.
#[derive(Clone)]
pub(crate) struct AccessGuard {
    broker: Broker,
    rules: Arc<Rules>,
}

/// Who asks to be let in; what an auth function gets.
#[derive(Debug, Serialize)]
pub(crate) struct AuthRequest {
    /// The headers, names in lower case.
    headers: BTreeMap<String, String>,
    /// The query, decoded, all values of each name.
    query_params: BTreeMap<String, Vec<String>>,
    ip_address: IpAddr,
}

impl AuthRequest {
    /// The one who sent a handshake from an address.
    pub(crate) fn new<T>(request: &Request<T>, ip_address: IpAddr) -> Self {
        Self {
            headers: handshake::headers(request.headers()),
            query_params: handshake::query(request.uri().query()),
            ip_address,
        }
    }
}

impl AccessGuard {
    /// The guard of a listener; `None` if all of its connections may do everything.
    pub(crate) fn new(
        broker: Broker,
        access: Option<Access>,
        middleware: Option<CallMiddleware>,
    ) -> Option<Self> {
        let needed = access.is_some() || middleware.is_some();
        needed.then(|| Self { broker, rules: Arc::new(Rules { access, middleware }) })
    }

    /// Whether a function decides who gets in.
    pub(crate) fn has_auth_function(&self) -> bool {
        self.rules.hook(|access| &access.auth).is_some()
    }

    /// The session of a connection.
    ///
    /// # Errors
    ///
    /// Code `AUTH_ERROR` if the auth function fails, takes too long, or gives anything but an object of its shape. The
    /// error is retryable if the function says so of its own.
    pub(crate) async fn admit(&self, visitor: &AuthRequest) -> Result<Arc<dyn Gate>, ErrorBody> {
        let grants = match self.rules.hook(|access| &access.auth) {
            Some(auth) => self.ask(auth, visitor).await.inspect_err(|error| {
                let (ip, function) = (visitor.ip_address, auth.function_id);
                tracing::warn!(%ip, %function, "a connection was not let in: {}", error.message);
            })?,
            None => Grants::unasked(),
        };
        let (broker, rules) = (self.broker.clone(), self.rules.clone());
        Ok(Arc::new(Session { broker, rules, grants }))
    }

    async fn ask(&self, auth: Hook<'_>, visitor: &AuthRequest) -> Result<Grants, ErrorBody> {
        let refused = |why: &str, retryable| ErrorBody {
            retryable,
            ..ErrorBody::new(AUTH_ERROR, format!("this connection was not let in: {why}"))
        };
        let answer = auth.ask(&self.broker, to_payload(visitor)?).await;
        let answer = answer.map_err(|error| refused(&error.message, error.retryable))?;
        Grants::read(&answer.unwrap_or_default())
            .map_err(|why| refused(&format!("`{}` gave no grants: {why}", auth.function_id), None))
    }
}
