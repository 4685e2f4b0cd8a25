//! Calls to functions, by type or by id, and what goes with them.

mod call;
mod catalogue_file;
mod changes;
mod channel;
mod discovery;
mod group;
mod listen;
mod queue;
mod retry;
mod state;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::extract::{Extract, Invocation};
use crate::function::Function;
use crate::names;
use crate::session::{ConnectionState, CallRequest, Session};
use iii_wire::protocol::{Action, FunctionId, Payload};
use iii_wire::{Error, Result, code};

pub use call::{Call, Receipt};
pub use catalogue_file::{CatalogueDifference, CatalogueFile, CatalogueFunction, CatalogueRequest};
pub use changes::{Watchable, ListWatch};
pub use channel::ChannelBuilder;
pub use discovery::{
    FunctionDetail, FunctionSummary, Listable, ListRequest, FunctionTrigger, TriggerSummary,
    TriggerTypeSummary, WorkerSummary,
};
pub use group::StreamGroup;
pub use listen::{Listen, Listener};
pub use queue::{DeadLetterCount, DeadLetter, DeadLettersRequest, QueueClient, QueueStats, QueueSummary};
pub use retry::Retry;
pub use state::StateClient;
pub use stream::StreamClient;

/// What a caller waits longer than the function that it calls may take.
const MARGIN: Duration = Duration::from_secs(1);

/// Calls functions of this worker and of others. Cheap to clone; also an extractor.
///
/// A call that is dropped is forgotten here. The function may still run: the protocol has no way to stop it.
#[derive(Debug, Clone)]
pub struct Client {
    session: Arc<Session>,
}

impl Client {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }

    /// Calls a function and waits for its result.
    ///
    /// How long is said by [`Call::timeout`], else by the function's own `timeout` and a second for the way, else by the
    /// app.
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
        let call = self.of::<F, _>(&input, None);
        // A caller that gives up first would miss the function's own answer.
        let own = || F::info()?.timeout.map(|limit| limit.saturating_add(MARGIN));
        match F::TIMEOUT.or_else(own) {
            Some(timeout) => call.timeout(timeout),
            None => call,
        }
    }

    /// Calls a function by its id, with any value for its input and any type for its result. An id that is blank, or has
    /// control characters, fails with `invalid_argument`.
    ///
    /// [`Payload`] takes and gives raw JSON.
    pub fn call_raw<T: DeserializeOwned>(
        &self,
        function_id: impl Into<FunctionId>,
        input: &(impl Serialize + ?Sized),
    ) -> Call<T> {
        self.request(function_id, input, None)
    }

    /// Calls a function and does not wait: no result, and no error if the call fails over there.
    ///
    /// The future is done when the call is queued for the engine.
    pub fn send<F: Function>(&self, input: F::Input) -> Call<()>
    where
        F::Input: Serialize,
    {
        self.of::<F, _>(&input, Some(Action::Void))
    }

    /// As [`Client::send`], by the id of the function.
    pub fn send_raw(
        &self,
        function_id: impl Into<FunctionId>,
        input: &(impl Serialize + ?Sized),
    ) -> Call<()> {
        self.request(function_id, input, Some(Action::Void))
    }

    /// Puts a call into a named queue: it is made later, at least once, and tried again if it fails.
    pub fn enqueue<F: Function>(&self, queue: impl Into<String>, input: F::Input) -> Call<Receipt>
    where
        F::Input: Serialize,
    {
        self.of::<F, _>(&input, Some(Action::Enqueue { queue: queue.into() }))
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

    /// Sends a message to all subscribers of a pub/sub topic, at most once to each (protocol section 5.5).
    pub fn publish(&self, topic: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        self.builtin("publish", &Publish { topic, data })
    }

    /// Puts a message into a durable topic: each function with a `queue` trigger for the topic gets it at least once, and
    /// again if it fails (protocol section 5.3).
    pub fn publish_durable(&self, topic: &str, data: &(impl Serialize + ?Sized)) -> Call<()> {
        self.builtin("iii::durable::publish", &Publish { topic, data })
    }

    /// The state of a scope: values of one type by key (protocol section 6.2). [`Payload`] stands for any type.
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

    /// The scopes that hold something, in order.
    pub fn state_scopes(&self) -> Call<Vec<String>> {
        state::scopes(self)
    }

    /// A stream: items of one type by group, and everybody who hears of their changes (protocol section 6.3).
    /// [`Payload`] stands for any type.
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

    /// Makes a channel: a pipe from one writer to one reader, in any two workers.
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

    /// What this client shares with its worker.
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// How many calls of this worker wait for an answer. A call that is dropped, or that has given up, is forgotten.
    pub fn pending_calls(&self) -> usize {
        self.session.pending_calls()
    }

    /// Whether the worker is ready, as a value to watch: see [`App::ready`](crate::App::ready).
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.session.readiness().watch()
    }

    /// The state of the connection, as a value to watch.
    pub fn connection_state(&self) -> watch::Receiver<ConnectionState> {
        self.session.state()
    }

    /// A call of a declared function, where it is.
    fn of<F: Function, T: DeserializeOwned>(
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

    /// A call of a function that the engine itself serves.
    pub(crate) fn builtin<T: DeserializeOwned>(
        &self,
        id: &'static str,
        input: &impl Serialize,
    ) -> Call<T> {
        self.reading(id, input, Payload::parse)
    }

    /// A call of a function that the engine itself serves, and whose answer does not have the form of `T`.
    fn reading<T>(
        &self,
        id: &'static str,
        input: &impl Serialize,
        read: fn(&Payload) -> Result<T, serde_json::Error>,
    ) -> Call<T> {
        let request = payload(input).map(|data| CallRequest::builtin(id, data));
        Call::reading(self.session.clone(), request, read)
    }

    fn request<T: DeserializeOwned>(
        &self,
        function_id: impl Into<FunctionId>,
        input: &(impl Serialize + ?Sized),
        action: Option<Action>,
    ) -> Call<T> {
        let function_id = function_id.into();
        let queue = match &action {
            Some(Action::Enqueue { queue }) => named("queue", queue),
            _ => Ok(()),
        };
        let checked = named("function id", &function_id).and(queue).and_then(|()| payload(input));
        let request = checked.map(|data| CallRequest { action, ..CallRequest::new(function_id, data) });
        Call::new(self.session.clone(), request)
    }
}

/// The input of the functions that publish.
#[derive(Serialize)]
struct Publish<'a, T: ?Sized> {
    topic: &'a str,
    data: &'a T,
}

/// A name that an engine can have something under.
fn named(what: &str, text: &str) -> Result<()> {
    names::validate(what, text).map_err(|text| Error::new(code::INVALID_ARGUMENT, text))
}

fn payload(input: &(impl Serialize + ?Sized)) -> Result<Payload> {
    Payload::new(input).map_err(|error| {
        Error::new(code::INVALID_PAYLOAD, format!("the input cannot be written as JSON: {error}"))
    })
}

impl Extract for Client {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        let session = call.session().cloned().ok_or_else(|| {
            Error::new(code::INTERNAL, "there is no client outside of a running worker")
        })?;
        Ok(Self { session })
    }
}
