//! What a worker and its clients share: the link of the moment, and calls over it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::time::after;

use super::bindings::Bindings;
use super::pending::Pending;
use super::readiness::Readiness;
use crate::trace;
use iii_wire::TraceContext;
use iii_wire::protocol::{
    Action, ChannelRef, DEFAULT_NAMESPACE, FunctionId, InvocationId, InvokeFunction, Message,
    Namespace, Payload,
};
use iii_wire::transport::{
    ChannelError, ChannelSocket, ConnectError, Connection, Outbox, SendError, Transport,
};
use iii_wire::{Error, Result, code};

/// The state of the connection to the engine (protocol section 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// The worker has stopped.
    Disconnected,
    /// It connects for the first time.
    Connecting,
    /// It is connected.
    Connected,
    /// The link was lost; it connects again.
    Reconnecting,
    /// It has given up for good.
    Failed,
}

/// One call to make.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub function_id: FunctionId,
    pub data: Payload,
    pub metadata: Option<Payload>,
    pub action: Option<Action>,
    /// `None`: the worker's own, and `default` for ids of the engine.
    pub namespace: Option<Namespace>,
    /// `None`: the worker's default.
    pub timeout: Option<Duration>,
}

impl Request {
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

    /// A call of a function that the engine itself serves.
    pub(crate) fn builtin(function_id: &'static str, data: Payload) -> Self {
        Self { namespace: Some(Namespace::default()), ..Self::new(function_id, data) }
    }
}

/// The link of the moment.
#[derive(Debug, Clone)]
pub(crate) struct Up {
    pub outbox: Outbox,
    pub pending: Arc<Pending>,
}

/// What a worker and its clients share.
pub(crate) struct Session {
    transport: OnceLock<Arc<dyn Transport>>,
    namespace: Namespace,
    call_timeout: Duration,
    link: Mutex<Option<Up>>,
    state: watch::Sender<ConnectionState>,
    /// Nothing that its calls do is left to chance.
    steady: AtomicBool,
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
            link: Mutex::new(None),
            state: watch::Sender::new(ConnectionState::Connecting),
            steady: AtomicBool::new(false),
            bindings: Bindings::default(),
        })
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// How long a call may take that does not say.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// Leaves nothing that its calls do to chance, as tests want it.
    pub(crate) fn keep_steady(&self) {
        self.steady.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_steady(&self) -> bool {
        self.steady.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }

    /// How many calls wait for an answer.
    pub(crate) fn waiting_calls(&self) -> usize {
        let link = self.link.lock().expect("no panic under this lock");
        link.as_ref().map_or(0, |up| up.pending.len())
    }

    pub(crate) fn readiness(&self) -> &Arc<Readiness> {
        &self.readiness
    }

    /// What is registered beside the declarations.
    pub(crate) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Says how the engine is reached, the first time.
    pub(crate) fn reach_by(&self, transport: Arc<dyn Transport>) {
        let _ = self.transport.set(transport);
    }

    /// Opens one side of a channel.
    pub(crate) async fn open_channel(
        &self,
        at: &ChannelRef,
    ) -> Result<ChannelSocket, ChannelError> {
        match self.transport.get() {
            Some(transport) => transport.open_channel(at).await,
            None => Err(ChannelError::Failed(ConnectError::unreachable("the worker does not run"))),
        }
    }

    /// Opens a new link to the engine.
    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        match self.transport.get() {
            Some(transport) => transport.connect().await,
            None => Err(ConnectError::permanent("nobody has said where the engine is")),
        }
    }

    /// The engine, for people.
    pub(crate) fn engine(&self) -> String {
        self.transport.get().map_or_else(|| "no engine".to_owned(), ToString::to_string)
    }

    /// Sends a message, if there is a link.
    #[cfg(feature = "testing")]
    pub(crate) fn send(&self, message: Message) {
        if let Some(up) = &*self.link.lock().expect("no panic under this lock") {
            let _ = up.outbox.send(message);
        }
    }

    /// The link is there; calls go over it from now on.
    pub(crate) fn up(&self, up: Up) {
        *self.link.lock().expect("no panic under this lock") = Some(up);
        self.state.send_replace(ConnectionState::Connected);
    }

    /// The link is gone, and all calls over it with it.
    pub(crate) fn down(&self, state: ConnectionState) {
        let up = self.link.lock().expect("no panic under this lock").take();
        self.readiness.lost();
        self.state.send_replace(state);
        match state {
            ConnectionState::Disconnected | ConnectionState::Failed => self.bindings.end(),
            _ => self.bindings.unlinked(),
        }
        if let Some(up) = up {
            up.pending.close(|| match state {
                ConnectionState::Disconnected => {
                    Error::new(code::SHUTTING_DOWN, "the worker stopped before the answer came")
                }
                _ => Error::new(
                    code::CONNECTION_LOST,
                    "the link to the engine was lost before the answer came",
                ),
            });
        }
    }

    /// Makes a call, and waits for its answer no longer than its timeout.
    ///
    /// A call that finds no link waits for one; it is sent only if its caller still waits then.
    pub(crate) async fn call(&self, request: Request) -> Result<Option<Payload>> {
        let timeout = request.timeout.unwrap_or(self.call_timeout);
        let deadline = after(timeout);
        let function_id = request.function_id.clone();
        let too_late = || {
            Error::new(
                code::TIMEOUT,
                format!("`{function_id}` did not answer within {timeout:?}; it may still run"),
            )
        };
        loop {
            let up = self.link_before(deadline, &function_id, timeout).await?;
            if tokio::time::timeout_at(deadline, up.outbox.ready()).await.is_err() {
                return Err(Error::new(
                    code::OVERLOADED,
                    format!("`{function_id}` was not sent: the link is busy for {timeout:?}"),
                ));
            }
            let id = InvocationId::random();
            // The place is taken before the call is sent: no answer can be missed. A void call has none.
            let void = request.action == Some(Action::Void);
            let waiting = if void { None } else { up.pending.insert(id) };
            if !void && waiting.is_none() {
                self.lost(&up);
                continue;
            }
            let message = self.message(&request, (!void).then_some(id));
            match up.outbox.send(Message::InvokeFunction(Box::new(message))) {
                Ok(()) => {}
                Err(SendError::Closed) => {
                    self.lost(&up);
                    continue;
                }
                Err(SendError::TooLarge) => {
                    let text = "its input is larger than a message may be: send less at a time, or use a channel";
                    return Err(Error::new(
                        code::PAYLOAD_TOO_LARGE,
                        format!("`{function_id}` was not called: {text}"),
                    ));
                }
                Err(SendError::Full) => {
                    let text = "too much is waiting to be sent to the engine";
                    return Err(Error::new(
                        code::OVERLOADED,
                        format!("`{function_id}` was not sent: {text}"),
                    ));
                }
            }
            let Some(mut waiting) = waiting else { return Ok(None) };
            return match tokio::time::timeout_at(deadline, waiting.answer()).await {
                Err(_) => Err(too_late()),
                Ok(Some(answer)) => answer,
                Ok(None) => {
                    Err(Error::new(code::CONNECTION_LOST, "the link to the engine was lost"))
                }
            };
        }
    }

    /// The link; waits for one until the deadline.
    async fn link_before(
        &self,
        deadline: Instant,
        function_id: &FunctionId,
        timeout: Duration,
    ) -> Result<Up> {
        if let Some(up) = self.link.lock().expect("no panic under this lock").clone() {
            return Ok(up);
        }
        let mut state = self.state.subscribe();
        let settled = async {
            loop {
                let now = *state.borrow_and_update();
                match now {
                    ConnectionState::Connected => {
                        let up = self.link.lock().expect("no panic under this lock").clone();
                        if let Some(up) = up {
                            return Ok(up);
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
        tokio::time::timeout_at(deadline, settled).await.unwrap_or_else(|_| {
            Err(Error::new(
                code::NOT_CONNECTED,
                format!("`{function_id}` was not called: no link to the engine within {timeout:?}"),
            ))
        })
    }

    /// A caller has noticed that a link is gone, before the worker has.
    fn lost(&self, up: &Up) {
        let link = self.link.lock().expect("no panic under this lock");
        let is_current = link.as_ref().is_some_and(|now| Arc::ptr_eq(&now.pending, &up.pending));
        drop(link);
        if is_current {
            self.down(ConnectionState::Reconnecting);
        }
    }

    fn message(&self, request: &Request, invocation_id: Option<InvocationId>) -> InvokeFunction {
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
