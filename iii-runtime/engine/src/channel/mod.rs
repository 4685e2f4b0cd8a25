//! Channels: one-way pipes from one writer to one reader, opened over WebSockets ([protocol 7](iii_wire::protocol#s7)).

mod pipe;
mod socket;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, Weak};

use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::provider::{BuiltIn, Provider};
use crate::function_ids::CHANNELS_CREATE;
use crate::limits::ChannelLimits;
use crate::provider::overloaded;
use iii_wire::protocol::{ChannelRef, ErrorBody, WorkerId, push_json_uuid};
use iii_wire::sync::lock;

pub(crate) use iii_wire::protocol::ChannelDirection;
pub(crate) use pipe::{ChannelMessage, ChannelReader, ChannelWriter, WriterDisconnected};
pub(crate) use socket::{serve, serve_local};

use pipe::Channel;

/// The default capacity of a channel, in messages.
const DEFAULT_CAPACITY: usize = 64;

/// The references to both endpoints of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct ChannelRefs {
    /// The reference for the writer.
    pub(crate) writer: ChannelRef,
    /// The reference for the reader.
    pub(crate) reader: ChannelRef,
}

/// The input of `engine::channels::create`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct CreateChannelInput {
    /// The capacity of the channel, in messages. Clamped to the range from 1 to 1024, or to the engine's configured limit.
    /// Default 64.
    #[serde(default)]
    buffer_size: Option<u64>,
}

/// Why an endpoint of a channel cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelOpenError {
    /// The channel does not exist, or the key is wrong.
    NotFound,
    /// The endpoint was opened before.
    AlreadyOpened,
}

/// The channels of one engine. Clones share the same channels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channels {
    registry: Arc<ChannelRegistry>,
}

#[derive(Debug, Default)]
pub(super) struct ChannelRegistry {
    limits: ChannelLimits,
    state: Mutex<RegistryState>,
}

#[derive(Debug, Default)]
struct RegistryState {
    channels: HashMap<Uuid, RegisteredChannel>,
    /// When unopened channels expire, the earliest first.
    deadlines: BTreeSet<(Instant, Uuid)>,
    /// The number of channels that functions created.
    created: usize,
    /// The number of them by creating connection.
    created_by: HashMap<WorkerId, usize>,
    /// The task that expires channels.
    sweeper: Option<AbortHandle>,
    stopped: bool,
}

#[derive(Debug)]
struct RegisteredChannel {
    channel: Arc<Channel>,
    deadline: Option<Instant>,
    creator: Creator,
}

/// Who created a channel.
#[derive(Debug, Clone, Copy)]
enum Creator {
    /// The engine itself.
    Engine,
    /// A call of `engine::channels::create`, by this connection if there is one.
    Function(Option<WorkerId>),
}

impl Channels {
    /// No channels.
    pub(crate) fn new(limits: ChannelLimits) -> Self {
        let registry = ChannelRegistry { limits, state: Mutex::default() };
        Self { registry: Arc::new(registry) }
    }

    /// Creates a channel for a connection; `None` is the engine. The channel expires unless both endpoints are opened within
    /// [`ChannelLimits::wait`].
    ///
    /// # Errors
    ///
    /// Code `overloaded` if a limit is reached.
    pub(crate) fn create(
        &self,
        capacity: Option<u64>,
        creator: Option<WorkerId>,
    ) -> Result<ChannelRefs, ErrorBody> {
        let limits = &self.registry.limits;
        let capacity = capacity.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let capacity = capacity.unwrap_or(DEFAULT_CAPACITY).clamp(1, limits.messages);
        let channel = Channel::new(Arc::downgrade(&self.registry), capacity, limits.bytes);
        let deadline = Instant::now() + limits.wait;
        let mut state = lock(&self.registry.state);
        if state.created >= limits.open || state.stopped {
            return Err(overloaded("too many channels are open"));
        }
        if let Some(creator) = creator {
            let count = state.created_by.entry(creator).or_default();
            if *count >= limits.per_connection {
                return Err(overloaded("this connection has too many open channels"));
            }
            *count += 1;
        }
        state.created += 1;
        state.deadlines.insert((deadline, channel.id));
        let refs = ChannelRefs {
            writer: channel.reference(ChannelDirection::Write),
            reader: channel.reference(ChannelDirection::Read),
        };
        let id = channel.id;
        let creator = Creator::Function(creator);
        let registered = RegisteredChannel { channel, deadline: Some(deadline), creator };
        state.channels.insert(id, registered);
        if state.sweeper.is_none() {
            let task = tokio::spawn(expire_channels(Arc::downgrade(&self.registry)));
            state.sweeper = Some(task.abort_handle());
        }
        Ok(refs)
    }

    /// Creates a channel that exists until the returned value is dropped. It does not count against the limits: the caller
    /// must bound the number of such channels.
    pub(crate) fn create_owned(&self) -> OwnedChannel {
        let limits = &self.registry.limits;
        let capacity = DEFAULT_CAPACITY.min(limits.messages);
        let channel = Channel::new(Arc::downgrade(&self.registry), capacity, limits.bytes);
        let registered = RegisteredChannel {
            channel: channel.clone(),
            deadline: None,
            creator: Creator::Engine,
        };
        let mut state = lock(&self.registry.state);
        if state.stopped {
            channel.abort();
        } else {
            state.channels.insert(channel.id, registered);
        }
        OwnedChannel { channel }
    }

    /// Opens the reading endpoint.
    ///
    /// # Errors
    ///
    /// If the channel does not exist, the key is wrong, or the endpoint was opened before.
    pub(crate) fn open_reader(
        &self,
        id: &str,
        key: &str,
    ) -> Result<ChannelReader, ChannelOpenError> {
        let channel = self.find(id, key).ok_or(ChannelOpenError::NotFound)?;
        channel.open_reader().ok_or(ChannelOpenError::AlreadyOpened)
    }

    /// Opens the writing endpoint.
    ///
    /// # Errors
    ///
    /// If the channel does not exist, the key is wrong, or the endpoint was opened before.
    pub(crate) fn open_writer(
        &self,
        id: &str,
        key: &str,
    ) -> Result<ChannelWriter, ChannelOpenError> {
        let channel = self.find(id, key).ok_or(ChannelOpenError::NotFound)?;
        channel.open_writer().ok_or(ChannelOpenError::AlreadyOpened)
    }

    /// Returns whether a channel has this id and this key.
    pub(crate) fn contains(&self, id: &str, key: &str) -> bool {
        self.find(id, key).is_some()
    }

    fn find(&self, id: &str, key: &str) -> Option<Arc<Channel>> {
        let (id, key) = (Uuid::try_parse(id).ok()?, Uuid::try_parse(key).ok()?);
        let state = lock(&self.registry.state);
        let channel = state.channels.get(&id).map(|registered| &registered.channel);
        channel.filter(|channel| channel.key == key).cloned()
    }

    /// Returns the number of channels.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.registry.state).channels.len()
    }
}

/// A channel of the engine. Dropping it ends the channel.
#[derive(Debug)]
pub(crate) struct OwnedChannel {
    channel: Arc<Channel>,
}

impl OwnedChannel {
    /// Opens the writing endpoint. Returns `None` if it was opened before.
    pub(crate) fn writer(&self) -> Option<ChannelWriter> {
        self.channel.open_writer()
    }

    /// Opens the reading endpoint. Returns `None` if it was opened before.
    pub(crate) fn reader(&self) -> Option<ChannelReader> {
        self.channel.open_reader()
    }

    /// Returns a function that aborts the channel.
    pub(crate) fn aborter(&self) -> impl FnOnce() + Send + 'static + use<> {
        let channel = self.channel.clone();
        move || channel.abort()
    }

    /// Appends the reference to an endpoint, as the JSON of a [`ChannelRef`].
    pub(crate) fn push_ref(&self, direction: ChannelDirection, json: &mut String) {
        json.push_str("{\"channel_id\":");
        push_json_uuid(json, self.channel.id);
        json.push_str(",\"access_key\":");
        push_json_uuid(json, self.channel.key);
        json.push_str(match direction {
            ChannelDirection::Read => ",\"direction\":\"read\"}",
            ChannelDirection::Write => ",\"direction\":\"write\"}",
        });
    }
}

impl Drop for OwnedChannel {
    fn drop(&mut self) {
        self.channel.unregister();
        self.channel.abort();
    }
}

impl ChannelRegistry {
    /// Removes a channel. Endpoints that are open stay usable.
    fn remove(&self, id: Uuid) {
        let removed = lock(&self.state).remove(id);
        drop(removed);
    }
}

impl RegistryState {
    fn remove(&mut self, id: Uuid) -> Option<Arc<Channel>> {
        let registered = self.channels.remove(&id)?;
        if let Some(deadline) = registered.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        if let Creator::Function(creator) = registered.creator {
            self.created -= 1;
            if let Some(creator) = creator
                && let Some(count) = self.created_by.get_mut(&creator)
            {
                *count -= 1;
                if *count == 0 {
                    self.created_by.remove(&creator);
                }
            }
        }
        Some(registered.channel)
    }

    /// Removes and returns the channels whose deadline has passed and that have an unopened endpoint.
    fn take_expired(&mut self, now: Instant) -> Vec<Arc<Channel>> {
        let mut expired = Vec::new();
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let Some(registered) = self.channels.get_mut(&id) else { continue };
            registered.deadline = None;
            if !registered.channel.is_opened() {
                expired.extend(self.remove(id));
            }
        }
        expired
    }
}

/// Aborts channels whose endpoints were not both opened in time. Ends when no deadline is left.
async fn expire_channels(registry: Weak<ChannelRegistry>) {
    loop {
        let next = {
            let Some(registry) = registry.upgrade() else { return };
            let mut state = lock(&registry.state);
            match state.deadlines.first() {
                Some((next, _)) => *next,
                None => {
                    state.sweeper = None;
                    return;
                }
            }
        };
        sleep_until(next).await;
        let Some(registry) = registry.upgrade() else { return };
        let expired = lock(&registry.state).take_expired(Instant::now());
        for channel in expired {
            tracing::debug!(channel = %channel.id, "a channel expired: an endpoint was not opened");
            channel.abort();
        }
    }
}

/// The provider of `engine::channels::create`.
pub(crate) struct ChannelFunctions {
    channels: Channels,
}

impl ChannelFunctions {
    /// The functions of `channels`.
    pub(crate) fn new(channels: Channels) -> Self {
        Self { channels }
    }
}

impl Provider for ChannelFunctions {
    fn name(&self) -> &'static str {
        "iii-worker-manager"
    }

    fn description(&self) -> &'static str {
        "Connects workers, and pipes data between them."
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        vec![BuiltIn::sync(
            CHANNELS_CREATE,
            "Creates a channel: a pipe from one writer to one reader.",
            move |input: CreateChannelInput, call| {
                self.channels.create(input.buffer_size, call.caller).map(Some)
            },
        )]
    }

    fn stop(&self) {
        let channels = {
            let mut state = lock(&self.channels.registry.state);
            state.stopped = true;
            if let Some(sweeper) = state.sweeper.take() {
                sweeper.abort();
            }
            state.deadlines.clear();
            std::mem::take(&mut state.channels)
        };
        for registered in channels.into_values() {
            registered.channel.abort();
        }
    }
}
