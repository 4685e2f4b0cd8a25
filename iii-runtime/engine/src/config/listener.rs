//! The listeners for workers: their addresses, and the access rules of their connections.

use std::time::Duration;

use super::settings::Address;
use crate::access::{Access, CallMiddleware};
use iii_wire::protocol::FunctionId;

/// A listener for workers, which also accepts channel endpoints, and telemetry at `/otel`.
///
/// An engine has one by default, on `127.0.0.1:49134`, whose workers are unrestricted. See
/// [`EngineBuilder::listener`](super::EngineBuilder::listener) for others.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerListener {
    pub(crate) address: Address,
    pub(crate) handshake_timeout: Duration,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) access: Option<Access>,
    middleware: Option<FunctionId>,
    middleware_timeout: Duration,
}

impl Default for WorkerListener {
    fn default() -> Self {
        Self {
            address: Address::loopback(49134),
            handshake_timeout: Duration::from_secs(10),
            allowed_origins: Vec::new(),
            access: None,
            middleware: None,
            middleware_timeout: CallMiddleware::DEFAULT_TIMEOUT,
        }
    }
}

impl WorkerListener {
    /// Creates a listener on `127.0.0.1:49134` for unrestricted workers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the host name or address to listen on. Default `127.0.0.1`: only programs on this machine can connect.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.address.host = host.into();
        self
    }

    /// Sets the port; 0 selects a free one. Default 49134.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.address.port = port;
        self
    }

    /// Sets the timeout from accepting a connection to the end of its WebSocket handshake. Default 10 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Sets other browser origins that may connect, see
    /// [`EngineBuilder::allowed_origins`](super::EngineBuilder::allowed_origins). With an [auth
    /// function](Access::auth_function), any origin may connect, and the function receives it. Default: none.
    #[must_use]
    pub fn allowed_origins<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.allowed_origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the access rules of its connections. Default: unrestricted.
    #[must_use]
    pub fn access(mut self, rules: Access) -> Self {
        self.access = Some(rules);
        self
    }

    /// Sets a function that receives all calls of this listener's workers in place of the called functions, except for
    /// functions of the engine itself, `engine::*` ([protocol 9.5](iii_wire::protocol#s9-5)). Default: none.
    ///
    /// It is looked up in the namespace of the called function, then in `default`, and receives
    /// `{"function_id","payload","action","context","namespace"}`. It makes the call itself, and its result is the
    /// result of the call. Void calls have no result.
    #[must_use]
    pub fn middleware(mut self, function_id: impl Into<String>) -> Self {
        self.middleware = Some(function_id.into().into());
        self
    }

    /// Sets the timeout of the [middleware](Self::middleware) for a call, including the call that it makes; the caller
    /// then gets an error with the code `timeout`. Default 30 s, the timeout of SDKs.
    #[must_use]
    pub fn middleware_timeout(mut self, timeout: Duration) -> Self {
        self.middleware_timeout = timeout;
        self
    }

    /// Returns the middleware, if there is one.
    pub(crate) fn to_middleware(&self) -> Option<CallMiddleware> {
        let function_id = self.middleware.clone()?;
        Some(CallMiddleware { function_id, timeout: self.middleware_timeout })
    }
}

/// All listeners for workers, in declaration order.
#[derive(Debug, Clone)]
pub(crate) struct WorkerListeners {
    all: Vec<WorkerListener>,
    /// Whether the only listener is the default one.
    by_default: bool,
}

impl Default for WorkerListeners {
    fn default() -> Self {
        Self { all: vec![WorkerListener::default()], by_default: true }
    }
}

impl WorkerListeners {
    /// Adds a listener. The first one replaces the default listener.
    pub(crate) fn declare(&mut self, listener: WorkerListener) {
        if std::mem::take(&mut self.by_default) {
            self.all.clear();
        }
        self.all.push(listener);
    }

    /// Returns the first listener.
    pub(crate) fn first_mut(&mut self) -> &mut WorkerListener {
        &mut self.all[0]
    }

    /// Returns all listeners.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, WorkerListener> {
        self.all.iter()
    }

    /// Returns all listeners for modification.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, WorkerListener> {
        self.all.iter_mut()
    }
}
