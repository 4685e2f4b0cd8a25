//! Listeners: triggers that are bound while the worker runs, and their events as a stream.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Client, payload};
use crate::channel::deserialize_with_session;
use crate::session::{CallRequest, ListenerEvent, ListenerInbox, Session};
use crate::trigger::Binding;
use iii_wire::TriggerKind;
use iii_wire::protocol::{ErrorBody, FunctionId, Namespace, Payload, RegisterTrigger, TriggerId};
use iii_wire::{Error, Result, code};

/// The default number of events that a listener buffers.
const DEFAULT_CAPACITY: usize = 1024;

impl Client {
    /// Binds a trigger while the worker runs, and returns its events as a [`Stream`] of `E`. Dropping the listener unbinds it.
    ///
    /// Declare functions that are always bound with [`macro@crate::trigger`]. Use a listener for triggers that are bound for
    /// a limited time, or whose configuration is known only at run time.
    ///
    /// ```no_run
    /// # use iii::prelude::*;
    /// # async fn example(client: Client) -> iii::Result<()> {
    /// let scope = iii::trigger::State { scope: Some("prices"), ..Default::default() };
    /// let mut changes = client.listen::<StateEvent<f64>>(scope).await?;
    /// while let Some(change) = changes.next().await {
    ///     println!("{:?}", change?.new_value);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The worker registers a private function for the listener, which lists omit, and binds the trigger to it
    /// ([protocol 2.3](crate::protocol#s2-3), [2.6](crate::protocol#s2-6)). This works with every engine, and needs only the connection of the worker. Both are
    /// registered again after a reconnect. Invocations are answered immediately, without a result. Therefore an `http`
    /// trigger cannot be listened to, and a message of a durable topic is acknowledged when it arrives.
    ///
    /// # Errors
    ///
    /// [`registration_rejected`](code::REGISTRATION_REJECTED) if the engine refuses the trigger,
    /// [`invalid_argument`](code::INVALID_ARGUMENT) for an `http` trigger, and the errors of a call without a connection.
    pub fn listen<E: DeserializeOwned>(&self, trigger: impl Into<Binding>) -> Listen<E> {
        let Binding { kind, config, .. } = trigger.into();
        Listen::new(self.session().clone(), kind, Ok(config))
    }

    /// As [`Client::listen`], for a trigger type by its id, with a configuration of any type.
    ///
    /// If no worker provides the type yet, the listener receives no events until one does.
    ///
    /// ```no_run
    /// # use iii::{Client, Payload};
    /// # async fn example(client: Client, topic: String) -> iii::Result<()> {
    /// let config = serde_json::json!({ "topic": topic });
    /// let mut messages = client.listen_raw::<Payload>("subscribe", &config).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Client::listen`].
    pub fn listen_raw<E: DeserializeOwned>(
        &self,
        trigger_type: &str,
        config: &(impl Serialize + ?Sized),
    ) -> Listen<E> {
        Listen::new(self.session().clone(), TriggerKind::from(trigger_type), payload(config))
    }
}

/// Binds a trigger when it is awaited. Created by [`Client::listen`].
#[must_use = "a trigger is bound when it is awaited"]
#[derive(Debug)]
pub struct Listen<E> {
    session: Arc<Session>,
    kind: TriggerKind,
    config: Result<Payload>,
    capacity: usize,
    timeout: Duration,
    events: PhantomData<fn() -> E>,
}

impl<E> Listen<E> {
    pub(super) fn new(session: Arc<Session>, kind: TriggerKind, config: Result<Payload>) -> Self {
        let timeout = session.call_timeout();
        let capacity = DEFAULT_CAPACITY;
        Self { session, kind, config, capacity, timeout, events: PhantomData }
    }

    /// Sets how many events are buffered, at least 1. Default: 1,024. The buffer is also limited to 16 MiB. Further events
    /// are dropped, and [`Listener`] reports them as missed.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// Sets how long to wait for the engine, including for a connection. Default: the call timeout of the app, which is 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<E: DeserializeOwned + 'static> IntoFuture for Listen<E> {
    type Output = Result<Listener<E>>;
    type IntoFuture = BoxFuture<'static, Result<Listener<E>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(bind(self))
    }
}

/// The events of a trigger, as a [`Stream`]. Dropping it unbinds the trigger.
///
/// An item may be an error:
///
/// * [`events_missed`](code::EVENTS_MISSED): events may be missing at this position, since the connection was lost, or the
///   buffer was full. The stream continues. Read derived state again.
/// * [`invalid_payload`](code::INVALID_PAYLOAD): an event does not match the type. The stream continues.
/// * [`registration_rejected`](code::REGISTRATION_REJECTED): the engine, or the worker that provides the trigger type,
///   refused the trigger. No further events follow.
///
/// The stream ends when the worker stops. Events of one object, such as an item of a stream, keep their order; events of
/// different objects are concurrent.
pub struct Listener<E> {
    session: Arc<Session>,
    function_id: FunctionId,
    trigger_id: TriggerId,
    inbox: Arc<ListenerInbox>,
    events: PhantomData<fn() -> E>,
}

impl<E> Listener<E> {
    /// The id of the trigger.
    pub fn trigger_id(&self) -> &TriggerId {
        &self.trigger_id
    }
}

impl<E: DeserializeOwned> Listener<E> {
    /// Waits for the next event; `None` when the worker has stopped. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<E>> {
        StreamExt::next(self).await
    }

    fn decode(&self, event: ListenerEvent) -> Result<E> {
        match event {
            ListenerEvent::Fired(data) => {
                let parsed = deserialize_with_session(Some(self.session.clone()), || data.parse());
                parsed.map_err(|error| {
                    let text = format!("an event of the trigger does not match its type: {error}");
                    Error::new(code::INVALID_PAYLOAD, text)
                })
            }
            ListenerEvent::Missed { events, reconnected } => {
                Err(events_missed(events, reconnected))
            }
            ListenerEvent::Refused(error) => Err(trigger_refused(&error)),
        }
    }
}

impl<E: DeserializeOwned> Stream for Listener<E> {
    type Item = Result<E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_next(context).map(|event| event.map(|event| self.decode(event)))
    }
}

impl<E> Drop for Listener<E> {
    fn drop(&mut self) {
        self.session.bindings().unbind(&self.function_id);
    }
}

impl<E> fmt::Debug for Listener<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("trigger_id", &self.trigger_id).finish_non_exhaustive()
    }
}

fn events_missed(events: u64, reconnected: bool) -> Error {
    let text = match (events, reconnected) {
        (0, _) => "events may be missing: the connection to the engine was lost".to_owned(),
        (events, false) => {
            format!("{events} events are missing: the buffer of the listener was full")
        }
        (events, true) => format!(
            "at least {events} events are missing: the buffer of the listener was full, and the connection to the engine \
             was lost"
        ),
    };
    Error::new(code::EVENTS_MISSED, text)
}

fn trigger_refused(error: &ErrorBody) -> Error {
    Error::new(code::REGISTRATION_REJECTED, format!("the engine refused the trigger: {error}"))
        .with_details(error)
}

/// Binds the trigger, and waits until the engine has accepted it.
async fn bind<E>(listen: Listen<E>) -> Result<Listener<E>> {
    let Listen { session, kind, config, capacity, timeout, .. } = listen;
    if kind == TriggerKind::Http {
        let text = "an `http` trigger needs a response: declare a function for it";
        return Err(Error::new(code::INVALID_ARGUMENT, text));
    }
    let id = Uuid::new_v4();
    let function_id = FunctionId::from(format!("listener::{id}"));
    let trigger_id = TriggerId::from(id.to_string());
    let trigger = RegisterTrigger {
        id: trigger_id.clone(),
        trigger_type: kind.as_str().into(),
        function_id: function_id.clone(),
        config: config?,
        metadata: None,
        namespace: Some(session.namespace().clone()),
        trigger_namespace: None,
    };
    let inbox = ListenerInbox::new(capacity);
    session.bindings().bind(trigger, inbox.clone())?;
    // From here on, dropping the listener unbinds it.
    let listener = Listener { session, function_id, trigger_id, inbox, events: PhantomData };
    confirm_function(&listener.session, &listener.function_id, timeout).await?;
    match listener.inbox.take_refusal() {
        Some(error) => Err(trigger_refused(&error)),
        None => Ok(listener),
    }
}

/// Waits until the engine has registered the function. Engines handle messages in order, so the trigger was handled as well.
async fn confirm_function(
    session: &Session,
    function_id: &FunctionId,
    timeout: Duration,
) -> Result<()> {
    #[derive(Serialize)]
    struct InfoQuery<'a> {
        function_ids: [&'a FunctionId; 1],
        namespace: &'a Namespace,
    }
    #[derive(Deserialize)]
    struct InfoResult {
        functions: Vec<InfoEntry>,
    }
    #[derive(Deserialize)]
    struct InfoEntry {
        #[serde(default)]
        error: Option<String>,
    }
    let namespace = session.namespace();
    let query = payload(&InfoQuery { function_ids: [function_id], namespace })?;
    let started = Instant::now();
    loop {
        let request = CallRequest::builtin("engine::functions::info", query.clone());
        let left = timeout.saturating_sub(started.elapsed());
        let result = match session.call(CallRequest { timeout: Some(left), ..request }).await {
            Ok(result) => result.unwrap_or_default(),
            // The next connection registers the function again.
            Err(error) if error.code() == code::CONNECTION_LOST && started.elapsed() < timeout => {
                continue;
            }
            Err(error) => match error.code() {
                code::CONNECTION_LOST
                | code::TIMEOUT
                | code::NOT_CONNECTED
                | code::SHUTTING_DOWN
                | code::OVERLOADED => return Err(error),
                _ => {
                    // Access rules may forbid the query; the registration may still have succeeded.
                    tracing::debug!("the registration of a listener cannot be confirmed: {error}");
                    return Ok(());
                }
            },
        };
        let is_error =
            |entry: &InfoEntry| entry.error.as_deref().is_some_and(|error| error != "forbidden");
        let missing =
            result.parse::<InfoResult>().is_ok_and(|info| info.functions.iter().any(is_error));
        if missing {
            let text = "the engine did not register the function of the listener: its access rules may forbid it";
            return Err(Error::new(code::REGISTRATION_REJECTED, text));
        }
        return Ok(());
    }
}
