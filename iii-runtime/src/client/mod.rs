//! The client: calls by type or by id, and the built-in functions of the engine.

mod call;
mod catalogue_file;
mod catalogue_request;
mod channel;
mod discovery;
mod list_watch;
mod listen;
mod queue;
mod retry;
mod state;
mod stream;
mod stream_group;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::extract::{Extract, Invocation};
use crate::function::Function;
use crate::names;
use crate::session::{CallRequest, ConnectionState, Session};
use iii_wire::protocol::{Action, FunctionId, Payload};
use iii_wire::{Error, Result, code};

pub use call::{Call, Receipt};
pub use catalogue_file::{CatalogueDifference, CatalogueFile, CatalogueFunction};
pub use catalogue_request::CatalogueRequest;
pub use channel::ChannelBuilder;
pub use discovery::{
    FunctionDetail, FunctionSummary, FunctionTrigger, ListRequest, Listable, TriggerSummary,
    TriggerTypeSummary, WorkerSummary,
};
pub use list_watch::{ListWatch, Watchable};
pub use listen::{Listen, Listener};
pub use queue::{
    DeadLetter, DeadLetterCount, DeadLettersRequest, QueueClient, QueueStats, QueueSummary,
};
pub use retry::Retry;
pub use state::StateClient;
pub use stream::StreamClient;
pub use stream_group::StreamGroup;

/// The margin of a call's timeout over the timeout of its function.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(1);

/// Calls functions of this worker and of others. Cheap to clone; also an extractor.
///
/// Dropping a call cancels the wait only. The function may still run: the protocol cannot cancel it.
#[derive(Debug, Clone)]
pub struct Client {
    session: Arc<Session>,
    /// The connection, if it belongs to this client and its clones and not to a worker.
    connection: Option<Arc<dyn OwnedConnection>>,
}

/// A connection that belongs to a client. It closes when it is dropped.
pub(crate) trait OwnedConnection: fmt::Debug + Send + Sync {
    /// Closes the connection, and waits until it is closed.
    fn close(&self) -> BoxFuture<'_, ()>;
}

impl Client {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session, connection: None }
    }

    /// The client that owns its connection.
    pub(crate) fn owning(session: Arc<Session>, connection: Arc<dyn OwnedConnection>) -> Self {
        Self { session, connection: Some(connection) }
    }

    /// Closes the connection of a client that [`Client::connect`] made, and waits until it is closed. Calls in flight
    /// fail with `shutting_down`, as do later ones.
    ///
    /// Without this, the connection closes when the last clone of the client is dropped. The client of a worker shares
    /// the connection of the worker: then this does nothing.
    pub async fn close(&self) {
        if let Some(connection) = &self.connection {
            connection.close().await;
        }
    }

    /// Calls a function and waits for its result.
    ///
    /// The timeout is that of [`Call::timeout`], else one second more than the `timeout` of the function, else the default
    /// of the app.
    ///
    /// ```no_run
    /// # use iii::prelude::*;
    /// #[iii::function(id = "math::double")]
    /// async fn double(n: u32) -> u32 { n * 2 }
    ///
    /// # async fn example(client: Client) -> iii::Result<()> {
    /// let four = client.call::<double>(2).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<F: Function>(&self, input: F::Input) -> Call<F::Output>
    where
        F::Input: Serialize,
        F::Output: DeserializeOwned,
    {
        let call = self.typed_request::<F, _>(&input, None);
        // With an equal timeout, the caller would time out before the function's own error arrives.
        let own = || F::info()?.timeout.map(|limit| limit.saturating_add(TIMEOUT_MARGIN));
        match F::TIMEOUT.or_else(own) {
            Some(timeout) => call.timeout(timeout),
            None => call,
        }
    }

    /// Calls a function by its id, with an input and a result of any type; use [`Payload`] for raw JSON. An id that is blank
    /// or contains control characters fails with `invalid_argument`.
    pub fn call_raw<T: DeserializeOwned>(
        &self,
        function_id: impl Into<FunctionId>,
        input: &(impl Serialize + ?Sized),
    ) -> Call<T> {
        self.request(function_id, input, None)
    }

    /// Calls a function without waiting for it: returns neither its result nor its error.
    ///
    /// Completes when the call is queued for the engine.
    pub fn send<F: Function>(&self, input: F::Input) -> Call<()>
    where
        F::Input: Serialize,
    {
        self.typed_request::<F, _>(&input, Some(Action::Void))
    }

    /// As [`Client::send`], by the id of the function.
    pub fn send_raw(
        &self,
        function_id: impl Into<FunctionId>,
        input: &(impl Serialize + ?Sized),
    ) -> Call<()> {
        self.request(function_id, input, Some(Action::Void))
    }

    /// Enqueues a call in a named queue: it is delivered at least once, and retried if it fails.
    pub fn enqueue<F: Function>(&self, queue: impl Into<String>, input: F::Input) -> Call<Receipt>
    where
        F::Input: Serialize,
    {
        self.typed_request::<F, _>(&input, Some(Action::Enqueue { queue: queue.into() }))
    }

    /// As [`Client::enqueue`], by the id of the function.
    pub fn enqueue_raw(
        &self,
        queue: impl Into<String>,
        function_id: impl Into<FunctionId>,
        input: &(impl Serialize + ?Sized),
    ) -> Call<Receipt> {
        self.request(function_id, input, Some(Action::Enqueue { queue: queue.into() }))
    }

    /// Publishes a message to all subscribers of a pub/sub topic, at most once to each ([protocol 5.5](crate::protocol#s5-5)).
    pub fn publish(&self, topic: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        self.builtin("publish", &PublishInput { topic, data })
    }

    /// Publishes a message to a durable topic: each function with a `queue` trigger for it gets the message at least once,
    /// and again if it fails ([protocol 5.3](crate::protocol#s5-3)).
    pub fn publish_durable(&self, topic: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        self.builtin("iii::durable::publish", &PublishInput { topic, data })
    }

    /// The state of a scope: values of one type, by key ([protocol 6.2](crate::protocol#s6-2)). Use [`Payload`] for values of any type.
    ///
    /// ```no_run
    /// # use iii::prelude::*;
    /// # #[derive(Serialize, Deserialize)] struct Order { id: u64 }
    /// # async fn example(client: Client) -> iii::Result<()> {
    /// let orders = client.state::<Order>("orders");
    /// orders.set("7", &Order { id: 7 }).await?;
    /// let order: Option<Order> = orders.get("7").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn state<T>(&self, scope: impl Into<String>) -> StateClient<T> {
        StateClient::new(self.clone(), scope.into())
    }

    /// Lists the scopes that have values, in order.
    pub fn state_scopes(&self) -> Call<Vec<String>> {
        state::scopes(self)
    }

    /// A stream: items of one type, by group, whose changes subscribers receive ([protocol 6.3](crate::protocol#s6-3)). Use [`Payload`] for
    /// items of any type.
    ///
    /// ```no_run
    /// # use iii::prelude::*;
    /// # #[derive(Serialize, Deserialize)] struct Message { text: String }
    /// # async fn example(client: Client) -> iii::Result<()> {
    /// let chat = client.stream::<Message>("chat");
    /// chat.set("room1", "m1", &Message { text: "hello".into() }).await?;
    /// chat.send("room1", "typing", &"Ada").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream<T>(&self, name: impl Into<String>) -> StreamClient<T> {
        StreamClient::new(self.clone(), name.into())
    }

    /// Creates a channel: a pipe from one writer to one reader, in any two workers.
    ///
    /// ```no_run
    /// # async fn example(client: iii::Client) -> iii::Result<()> {
    /// let channel = client.channel().buffer(16).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn channel(&self) -> ChannelBuilder {
        ChannelBuilder::new(self.session.clone())
    }

    /// The session that this client shares with its worker.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The number of calls of this worker that await a result. Calls that were dropped or timed out do not count.
    pub fn pending_calls(&self) -> usize {
        self.session.pending_calls()
    }

    /// Watches whether the worker is ready: see [`App::ready`](crate::App::ready).
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.session.readiness().watch()
    }

    /// Watches the state of the connection.
    pub fn connection_state(&self) -> watch::Receiver<ConnectionState> {
        self.session.state()
    }

    /// A call of a declared function, in its namespace.
    fn typed_request<F: Function, T: DeserializeOwned>(
        &self,
        input: &F::Input,
        action: Option<Action>,
    ) -> Call<T>
    where
        F::Input: Serialize,
    {
        let call = self.request(F::ID, input, action);
        match F::NAMESPACE {
            Some(namespace) => call.namespace(namespace),
            None => call,
        }
    }

    /// A call of a built-in function of the engine.
    pub(crate) fn builtin<T: DeserializeOwned>(
        &self,
        id: &'static str,
        input: &impl Serialize,
    ) -> Call<T> {
        self.builtin_with(id, input, Payload::parse)
    }

    /// A call of a built-in function of the engine, whose result `decode` converts.
    fn builtin_with<T>(
        &self,
        id: &'static str,
        input: &impl Serialize,
        decode: fn(&Payload) -> Result<T, serde_json::Error>,
    ) -> Call<T> {
        let request = payload(input).map(|data| CallRequest::builtin(id, data));
        Call::with_decoder(self.session.clone(), request, decode)
    }

    fn request<T: DeserializeOwned>(
        &self,
        function_id: impl Into<FunctionId>,
        input: &(impl Serialize + ?Sized),
        action: Option<Action>,
    ) -> Call<T> {
        let function_id = function_id.into();
        let queue = match &action {
            Some(Action::Enqueue { queue }) => validate_name("queue", queue),
            _ => Ok(()),
        };
        let data =
            validate_name("function id", &function_id).and(queue).and_then(|()| payload(input));
        let request =
            data.map(|data| CallRequest { action, ..CallRequest::new(function_id, data) });
        Call::new(self.session.clone(), request)
    }
}

/// The input of the functions that publish messages.
#[derive(Serialize)]
struct PublishInput<'a, T: ?Sized> {
    topic: &'a str,
    data: &'a T,
}

/// The input of built-in functions without options.
#[derive(Serialize)]
struct NoInput {}

fn validate_name(kind: &str, name: &str) -> Result<()> {
    names::validate(kind, name).map_err(|text| Error::new(code::INVALID_ARGUMENT, text))
}

fn payload(input: &(impl Serialize + ?Sized)) -> Result<Payload> {
    Payload::new(input).map_err(|error| {
        Error::new(code::INVALID_PAYLOAD, format!("the input cannot be serialised: {error}"))
    })
}

impl Extract for Client {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        let session = call.session().cloned().ok_or_else(|| {
            Error::new(code::INTERNAL, "there is no client outside of a running worker")
        })?;
        Ok(Self::new(session))
    }
}
