//! The listeners for workers: where each of them is, and what its connections may do.

use std::time::Duration;

use super::settings::Address;
use crate::access::{Access, CallMiddleware};
use iii_wire::protocol::FunctionId;

/// A listener for workers. It also takes the sockets of channels, and telemetry at `/otel`.
///
/// An engine has one unless it is told otherwise, on `127.0.0.1:49134`, whose workers may do everything. See
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
    /// A listener on `127.0.0.1:49134` whose workers may do everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name or address to listen on. Default `127.0.0.1`: only programs of this machine get in.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.address.host = host.into();
        self
    }

    /// The port; 0 picks a free one. Default 49134.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.address.port = port;
        self
    }

    /// How long it may take from the connection to the end of the WebSocket handshake. Default 10 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Pages of other machines that may connect, as [`EngineBuilder::allowed_origins`](super::EngineBuilder::allowed_origins)
    /// says it. With an [auth function](Access::auth_function), any page may connect, and the function sees its origin.
    /// Default: none.
    #[must_use]
    pub fn allowed_origins<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.allowed_origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// What its connections may do. Default: everything.
    #[must_use]
    pub fn access(mut self, rules: Access) -> Self {
        self.access = Some(rules);
        self
    }

    /// A function that gets all calls of this listener's workers instead of the functions that are called, but for those
    /// of the engine itself, `engine::*` (protocol section 9.5). Default: none.
    ///
    /// It is looked for in the namespace of the target, then in `default`, and gets
    /// `{"function_id","payload","action","context","namespace"}`. It makes the call itself, and what it gives is the
    /// answer of the call. Calls that want no answer get none.
    #[must_use]
    pub fn middleware(mut self, function_id: impl Into<String>) -> Self {
        self.middleware = Some(function_id.into().into());
        self
    }

    /// How long the [middleware](Self::middleware) may take to answer a call, with the call that it makes; then the
    /// caller gets an error with the code `timeout`. Default 30 s, as long as SDKs wait.
    #[must_use]
    pub fn middleware_timeout(mut self, timeout: Duration) -> Self {
        self.middleware_timeout = timeout;
        self
    }

    /// The middleware, if there is one.
    pub(crate) fn to_middleware(&self) -> Option<CallMiddleware> {
        let function_id = self.middleware.clone()?;
        Some(CallMiddleware { function_id, timeout: self.middleware_timeout })
    }
}

/// All listeners for workers, in the order in which they were declared.
#[derive(Debug, Clone)]
pub(crate) struct WorkerListeners {
    all: Vec<WorkerListener>,
    /// Whether the first of them is the one that nobody asked for.
    by_default: bool,
}

impl Default for WorkerListeners {
    fn default() -> Self {
        Self { all: vec![WorkerListener::default()], by_default: true }
    }
}

impl WorkerListeners {
    /// Adds a listener. The first one takes the place of the default one.
    pub(crate) fn declare(&mut self, listener: WorkerListener) {
        if std::mem::take(&mut self.by_default) {
            self.all.clear();
        }
        self.all.push(listener);
    }

    /// The first one, which settings without a name are about.
    pub(crate) fn first_mut(&mut self) -> &mut WorkerListener {
        &mut self.all[0]
    }

    /// All of them.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, WorkerListener> {
        self.all.iter()
    }

    /// All of them, to alter.
    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, WorkerListener> {
        self.all.iter_mut()
    }
}
