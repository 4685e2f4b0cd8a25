//! Triggers that are bound while the worker runs: what they fire, as a stream.

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
use crate::session::{ListenerEvent, ListenerInbox, CallRequest, Session};
use crate::trigger::Binding;
use iii_wire::TriggerKind;
use iii_wire::protocol::{ErrorBody, FunctionId, Namespace, Payload, RegisterTrigger, TriggerId};
use iii_wire::{Error, Result, code};

/// The events that may wait, if nobody says how many.
const CAPACITY: usize = 1024;

impl Client {
    /// Listens to a trigger from now on, until what it gives is dropped. What fires comes as a [`Stream`] of `E`.
    ///
    /// Functions that are always bound are declared, with [`macro@crate::trigger`]. This is for what a worker wants to hear
    /// for a while, or learns while it runs.
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
    /// The worker registers a function of its own for it, which is in no list, and binds it (protocol sections 2.3 and
    /// 2.6). That works on every engine, and needs no port but that of the workers. After a lost link both are registered
    /// again. What fires is answered at once, without a result: so an `http` trigger cannot be listened to, and a message
    /// of a durable topic counts as done when it has arrived.
    ///
    /// # Errors
    ///
    /// [`registration_rejected`](code::REGISTRATION_REJECTED) if the engine refuses it,
    /// [`invalid_argument`](code::INVALID_ARGUMENT) for an `http` trigger, and as for a call if there is no link.
    pub fn listen<E: DeserializeOwned>(&self, trigger: impl Into<Binding>) -> Listen<E> {
        let Binding { kind, config, .. } = trigger.into();
        Listen::new(self.session().clone(), kind, Ok(config))
    }

    /// As [`Client::listen`], to a trigger type by its id, with any value for its config.
    ///
    /// A type that nobody provides yet is waited for: the listener hears nothing until then.
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

/// A trigger that is listened to when this is awaited. Made by [`Client::listen`].
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
        Self { session, kind, config, capacity: CAPACITY, timeout, events: PhantomData }
    }

    /// How many events may wait to be read, at least 1. Default: 1,024. Nor may they be more than 16 MiB. What does not fit
    /// is lost, and [`Listener`] says so.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// How long to wait for the engine, also for a link to it. Default: as long as a call of the app, which is 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<E: DeserializeOwned + 'static> IntoFuture for Listen<E> {
    type Output = Result<Listener<E>>;
    type IntoFuture = BoxFuture<'static, Result<Listener<E>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(begin(self))
    }
}

/// What a trigger fires, as a [`Stream`]. Dropping it ends the binding.
///
/// An item is an error, and the stream goes on:
///
/// * with the code [`events_missed`](code::EVENTS_MISSED), if events may be missing at this place: the link to the engine
///   was lost for a while, or more were waiting than fit. Whoever keeps a copy of something reads it again now.
/// * with the code [`invalid_payload`](code::INVALID_PAYLOAD), if an event does not fit the type.
/// * with the code [`registration_rejected`](code::REGISTRATION_REJECTED), if the engine, or the worker that provides the
///   trigger type, refuses the trigger. Then nothing more comes.
///
/// The stream ends when the worker stops. Two events of one thing, such as an item of a stream, come in their order; the
/// engine fires for different things at the same time.
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
    /// Waits for the next event; `None` when the worker has stopped. Nothing is lost if it is dropped.
    pub async fn next(&mut self) -> Option<Result<E>> {
        StreamExt::next(self).await
    }

    fn read(&self, heard: ListenerEvent) -> Result<E> {
        match heard {
            ListenerEvent::Fired(data) => {
                let parsed = deserialize_with_session(Some(self.session.clone()), || data.parse());
                parsed.map_err(|error| {
                    let text = format!("an event of the trigger does not fit: {error}");
                    Error::new(code::INVALID_PAYLOAD, text)
                })
            }
            ListenerEvent::Missed { events, link } => Err(missed(events, link)),
            ListenerEvent::Refused(error) => Err(refused(&error)),
        }
    }
}

impl<E: DeserializeOwned> Stream for Listener<E> {
    type Item = Result<E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_next(context).map(|heard| heard.map(|heard| self.read(heard)))
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

fn missed(events: u64, link: bool) -> Error {
    let text = match (events, link) {
        (0, _) => {
            "the link to the engine was lost for a while: events may be missing here".to_owned()
        }
        (events, false) => format!("{events} events are missing here: more were waiting than fit"),
        (events, true) => format!(
            "{events} events are missing here, or more: more were waiting than fit, and the link to the engine was lost"
        ),
    };
    Error::new(code::EVENTS_MISSED, text)
}

fn refused(error: &ErrorBody) -> Error {
    Error::new(code::REGISTRATION_REJECTED, format!("the engine refused the trigger: {error}"))
        .with_details(error)
}

/// Binds, and returns when the engine has taken it.
async fn begin<E>(listen: Listen<E>) -> Result<Listener<E>> {
    let Listen { session, kind, config, capacity, timeout, .. } = listen;
    if kind == TriggerKind::Http {
        let text = "an `http` trigger needs an answer: declare a function for it";
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
    // From here on, dropping it takes everything back.
    let listener = Listener { session, function_id, trigger_id, inbox, events: PhantomData };
    taken(&listener.session, &listener.function_id, timeout).await?;
    match listener.inbox.refusal() {
        Some(error) => Err(refused(&error)),
        None => Ok(listener),
    }
}

/// Waits until the engine has the function. It handles messages in their order: then it has looked at the trigger as well.
async fn taken(session: &Session, function_id: &FunctionId, timeout: Duration) -> Result<()> {
    #[derive(Serialize)]
    struct Query<'a> {
        function_ids: [&'a FunctionId; 1],
        namespace: &'a Namespace,
    }
    #[derive(Deserialize)]
    struct Info {
        functions: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        error: Option<String>,
    }
    let query = payload(&Query { function_ids: [function_id], namespace: session.namespace() })?;
    let began = Instant::now();
    loop {
        let request = CallRequest::builtin("engine::functions::info", query.clone());
        let left = timeout.saturating_sub(began.elapsed());
        let answer = match session.call(CallRequest { timeout: Some(left), ..request }).await {
            Ok(answer) => answer.unwrap_or_default(),
            // The next link registers it again.
            Err(error) if error.code() == code::CONNECTION_LOST && began.elapsed() < timeout => {
                continue;
            }
            Err(error) => match error.code() {
                code::CONNECTION_LOST
                | code::TIMEOUT
                | code::NOT_CONNECTED
                | code::SHUTTING_DOWN
                | code::OVERLOADED => return Err(error),
                _ => {
                    // An engine that does not let us look cannot confirm; that is no reason to stop.
                    tracing::debug!("a listener cannot be confirmed: {error}");
                    return Ok(());
                }
            },
        };
        let missing = answer.parse::<Info>().is_ok_and(|info| {
            info.functions.iter().any(|one| one.error.as_deref().is_some_and(|e| e != "forbidden"))
        });
        if missing {
            let text = "the engine did not take the function of the listener: its access rules may forbid it";
            return Err(Error::new(code::REGISTRATION_REJECTED, text));
        }
        return Ok(());
    }
}
