//! The session of a worker: its current connection to the engine, and calls over it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::bindings::Bindings;
use super::pending::PendingCalls;
use super::readiness::Readiness;
use crate::time::deadline_after;
use crate::trace;
use iii_wire::TraceContext;
use iii_wire::protocol::{
    Action, ChannelRef, DEFAULT_NAMESPACE, FunctionId, InvocationId, InvokeFunction, Message,
    Namespace, Payload,
};
use iii_wire::sync::lock;
use iii_wire::transport::{
    ChannelError, ChannelSocket, ConnectError, Connection, Outbox, SendError, Transport,
};
use iii_wire::{Error, Result, code};

/// The state of the connection to the engine ([protocol 1.7](crate::protocol#s1-7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// The worker has stopped.
    Disconnected,
    /// The worker connects for the first time.
    Connecting,
    /// The worker is connected.
    Connected,
    /// The connection was lost, and the worker reconnects.
    Reconnecting,
    /// The worker has failed permanently and does not reconnect.
    Failed,
}

/// A call to be made.
#[derive(Debug, Clone)]
pub(crate) struct CallRequest {
    pub function_id: FunctionId,
    pub data: Payload,
    pub metadata: Option<Payload>,
    pub action: Option<Action>,
    /// `None`: that of the worker, and `default` for the functions of the engine.
    pub namespace: Option<Namespace>,
    /// `None`: the default of the worker.
    pub timeout: Option<Duration>,
}

impl CallRequest {
    pub(crate) fn new(function_id: impl Into<FunctionId>, data: Payload) -> Self {
        Self {
            function_id: function_id.into(),
            data,
            metadata: None,
            action: None,
            namespace: None,
            timeout: None,
        }
    }

    /// A call to a built-in function of the engine.
    pub(crate) fn builtin(function_id: &'static str, data: Payload) -> Self {
        Self { namespace: Some(Namespace::default()), ..Self::new(function_id, data) }
    }
}

/// The current connection, with its pending calls.
#[derive(Debug, Clone)]
pub(crate) struct ActiveConnection {
    pub outbox: Outbox,
    pub pending: Arc<PendingCalls>,
}

/// The state that a worker shares with its clients.
pub(crate) struct Session {
    transport: OnceLock<Arc<dyn Transport>>,
    namespace: Namespace,
    call_timeout: Duration,
    connection: Mutex<Option<ActiveConnection>>,
    state: watch::Sender<ConnectionState>,
    /// Whether calls avoid random delays.
    deterministic: AtomicBool,
    readiness: Arc<Readiness>,
    bindings: Bindings,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("namespace", &self.namespace)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(
        namespace: Namespace,
        call_timeout: Duration,
        readiness: Arc<Readiness>,
    ) -> Arc<Self> {
        Arc::new(Self {
            readiness,
            transport: OnceLock::new(),
            namespace,
            call_timeout,
            connection: Mutex::new(None),
            state: watch::Sender::new(ConnectionState::Connecting),
            deterministic: AtomicBool::new(false),
            bindings: Bindings::default(),
        })
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The default timeout of calls.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// Removes the jitter from retries, which makes tests deterministic.
    pub(crate) fn make_deterministic(&self) {
        self.deterministic.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_deterministic(&self) -> bool {
        self.deterministic.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }

    /// The number of calls that await a result.
    pub(crate) fn pending_calls(&self) -> usize {
        let connection = lock(&self.connection);
        connection.as_ref().map_or(0, |connection| connection.pending.len())
    }

    pub(crate) fn readiness(&self) -> &Arc<Readiness> {
        &self.readiness
    }

    /// The registrations that were made while the worker runs.
    pub(crate) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Sets how to reach the engine. Has an effect only the first time.
    pub(crate) fn set_transport(&self, transport: Arc<dyn Transport>) {
        let _ = self.transport.set(transport);
    }

    /// Opens one end of a channel.
    pub(crate) async fn open_channel(
        &self,
        at: &ChannelRef,
    ) -> Result<ChannelSocket, ChannelError> {
        match self.transport.get() {
            Some(transport) => transport.open_channel(at).await,
            None => {
                Err(ChannelError::Failed(ConnectError::unreachable("the worker is not running")))
            }
        }
    }

    /// Opens a connection to the engine.
    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        match self.transport.get() {
            Some(transport) => transport.connect().await,
            None => Err(ConnectError::permanent("the address of the engine is not set")),
        }
    }

    /// The engine as log messages name it.
    pub(crate) fn engine(&self) -> String {
        self.transport.get().map_or_else(|| "no engine".to_owned(), ToString::to_string)
    }

    /// Sends a message if the worker is connected.
    #[cfg(feature = "testing")]
    pub(crate) fn send(&self, message: Message) {
        if let Some(connection) = &*lock(&self.connection) {
            let _ = connection.outbox.send(message);
        }
    }

    /// Makes a connection current: calls are sent over it.
    pub(crate) fn set_connected(&self, connection: ActiveConnection) {
        *lock(&self.connection) = Some(connection);
        self.state.send_replace(ConnectionState::Connected);
    }

    /// Drops the current connection and fails its pending calls.
    pub(crate) fn set_disconnected(&self, state: ConnectionState) {
        let connection = lock(&self.connection).take();
        self.readiness.set_disconnected();
        self.state.send_replace(state);
        match state {
            ConnectionState::Disconnected | ConnectionState::Failed => self.bindings.close(),
            _ => self.bindings.detach(),
        }
        if let Some(connection) = connection {
            connection.pending.close(|| match state {
                ConnectionState::Disconnected => {
                    Error::new(code::SHUTTING_DOWN, "the worker stopped before the result arrived")
                }
                _ => Error::new(
                    code::CONNECTION_LOST,
                    "the connection to the engine was lost before the result arrived",
                ),
            });
        }
    }

    /// Makes a call and waits for its result, at most for its timeout.
    ///
    /// Without a connection it waits for one, within the same timeout.
    pub(crate) async fn call(&self, request: CallRequest) -> Result<Option<Payload>> {
        let timeout = request.timeout.unwrap_or(self.call_timeout);
        let deadline = deadline_after(timeout);
        let function_id = request.function_id.clone();
        let timed_out = || {
            Error::new(
                code::TIMEOUT,
                format!("`{function_id}` did not answer within {timeout:?}; it may still run"),
            )
        };
        loop {
            let connection = self.connection_before(deadline, &function_id, timeout).await?;
            if tokio::time::timeout_at(deadline, connection.outbox.ready()).await.is_err() {
                return Err(Error::new(
                    code::OVERLOADED,
                    format!(
                        "`{function_id}` was not sent: the connection was busy for {timeout:?}"
                    ),
                ));
            }
            let id = InvocationId::random();
            // Inserted before it is sent, so that its result cannot be missed. A void call has no result.
            let void = request.action == Some(Action::Void);
            let pending = if void { None } else { connection.pending.insert(id) };
            if !void && pending.is_none() {
                self.drop_connection(&connection);
                continue;
            }
            let message = self.message(&request, (!void).then_some(id));
            match connection.outbox.send(Message::InvokeFunction(Box::new(message))) {
                Ok(()) => {}
                Err(SendError::Closed) => {
                    self.drop_connection(&connection);
                    continue;
                }
                Err(SendError::TooLarge) => {
                    let text = "its input exceeds the maximum message size: send smaller inputs, or use a channel";
                    return Err(Error::new(
                        code::PAYLOAD_TOO_LARGE,
                        format!("`{function_id}` was not called: {text}"),
                    ));
                }
                Err(SendError::Full) => {
                    let text = "the outbox of the connection is full";
                    return Err(Error::new(
                        code::OVERLOADED,
                        format!("`{function_id}` was not sent: {text}"),
                    ));
                }
            }
            let Some(mut pending) = pending else { return Ok(None) };
            return match tokio::time::timeout_at(deadline, pending.result()).await {
                Err(_) => Err(timed_out()),
                Ok(Some(result)) => result,
                Ok(None) => {
                    Err(Error::new(code::CONNECTION_LOST, "the connection to the engine was lost"))
                }
            };
        }
    }

    /// The current connection. Without one, waits until the deadline.
    async fn connection_before(
        &self,
        deadline: Instant,
        function_id: &FunctionId,
        timeout: Duration,
    ) -> Result<ActiveConnection> {
        if let Some(connection) = lock(&self.connection).clone() {
            return Ok(connection);
        }
        let mut state = self.state.subscribe();
        let connected = async {
            loop {
                let current = *state.borrow_and_update();
                match current {
                    ConnectionState::Connected => {
                        let connection = lock(&self.connection).clone();
                        if let Some(connection) = connection {
                            return Ok(connection);
                        }
                    }
                    ConnectionState::Disconnected | ConnectionState::Failed => {
                        return Err(Error::new(
                            code::SHUTTING_DOWN,
                            format!("`{function_id}` was not called: the worker has stopped"),
                        ));
                    }
                    ConnectionState::Connecting | ConnectionState::Reconnecting => {}
                }
                if state.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout_at(deadline, connected).await.unwrap_or_else(|_| {
            Err(Error::new(
                code::NOT_CONNECTED,
                format!(
                    "`{function_id}` was not called: no connection to the engine within {timeout:?}"
                ),
            ))
        })
    }

    /// Drops a connection that a caller found closed before the connection loop did.
    fn drop_connection(&self, closed: &ActiveConnection) {
        let current = lock(&self.connection);
        let is_current =
            current.as_ref().is_some_and(|current| Arc::ptr_eq(&current.pending, &closed.pending));
        drop(current);
        if is_current {
            self.set_disconnected(ConnectionState::Reconnecting);
        }
    }

    fn message(
        &self,
        request: &CallRequest,
        invocation_id: Option<InvocationId>,
    ) -> InvokeFunction {
        let namespace = request.namespace.clone().unwrap_or_else(|| {
            if request.function_id.starts_with("engine::") {
                Namespace::default()
            } else {
                self.namespace.clone()
            }
        });
        let TraceContext { traceparent, baggage } = trace::current();
        InvokeFunction {
            invocation_id,
            function_id: request.function_id.clone(),
            data: request.data.clone(),
            caller: None,
            traceparent,
            baggage,
            action: request.action.clone(),
            metadata: request.metadata.clone(),
            namespace: (&*namespace != DEFAULT_NAMESPACE).then_some(namespace),
        }
    }
}
