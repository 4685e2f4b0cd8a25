//! Channels: one-way pipes between one writer and one reader, made by functions and reached over sockets (protocol
//! section 7).

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
use crate::limits::ChannelLimits;
use crate::provider::overloaded;
use iii_wire::protocol::{ChannelRef, ErrorBody, WorkerId, push_uuid};
use iii_wire::sync::lock;

pub(crate) use iii_wire::protocol::ChannelDirection;
pub(crate) use pipe::{WriterDisconnected, ChannelMessage, ChannelReader, ChannelWriter};
pub(crate) use socket::{serve, serve_local};

use pipe::Channel;

/// Messages that wait in a channel, if its maker names no number.
const BUFFER: usize = 64;

/// Both sides of a new channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Refs {
    /// For the one who writes.
    pub(crate) writer: ChannelRef,
    /// For the one who reads.
    pub(crate) reader: ChannelRef,
}

/// The input of `engine::channels::create`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Create {
    /// How many messages may wait in the channel: 1 to 1024, or what the engine is set to; values outside are brought to
    /// the nearer end. Default 64.
    #[serde(default)]
    buffer_size: Option<u64>,
}

/// Why a side of a channel cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// There is no such channel, or the key is not its own.
    Unknown,
    /// The side was taken before.
    Taken,
}

/// The channels of one engine. Clones are the same channels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Channels {
    table: Arc<Table>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    limits: ChannelLimits,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    channels: HashMap<Uuid, Entry>,
    /// When channels that functions made are given up, the earliest first.
    deadlines: BTreeSet<(Instant, Uuid)>,
    /// How many channels functions made.
    made: usize,
    /// How many of them each connection made.
    made_by: HashMap<WorkerId, usize>,
    sweeper: Option<AbortHandle>,
    stopped: bool,
}

#[derive(Debug)]
struct Entry {
    channel: Arc<Channel>,
    deadline: Option<Instant>,
    /// Set if a function made it: the connection that called it, if any.
    made_by: Option<Option<WorkerId>>,
}

impl Channels {
    /// Without channels.
    pub(crate) fn new(limits: ChannelLimits) -> Self {
        Self { table: Arc::new(Table { limits, inner: Mutex::default() }) }
    }

    /// Makes a channel for `maker`; `None` is the engine. Both sides must be opened within some minutes.
    ///
    /// # Errors
    ///
    /// Code `overloaded` if there are too many.
    pub(crate) fn create(
        &self,
        buffer_size: Option<u64>,
        maker: Option<WorkerId>,
    ) -> Result<Refs, ErrorBody> {
        let limits = &self.table.limits;
        let wanted = buffer_size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let capacity = wanted.unwrap_or(BUFFER).clamp(1, limits.messages);
        let channel = Channel::new(Arc::downgrade(&self.table), capacity, limits.bytes);
        let deadline = Instant::now() + limits.wait;
        let mut inner = lock(&self.table.inner);
        if inner.made >= limits.open || inner.stopped {
            return Err(overloaded("too many channels are open"));
        }
        if let Some(maker) = maker {
            let count = inner.made_by.entry(maker).or_default();
            if *count >= limits.per_connection {
                return Err(overloaded("this connection has made too many channels that are open"));
            }
            *count += 1;
        }
        inner.made += 1;
        inner.deadlines.insert((deadline, channel.id));
        let refs =
            Refs { writer: channel.side(ChannelDirection::Write), reader: channel.side(ChannelDirection::Read) };
        let entry = Entry { channel, deadline: Some(deadline), made_by: Some(maker) };
        inner.channels.insert(entry.channel.id, entry);
        if inner.sweeper.is_none() {
            let sweep = tokio::spawn(sweep(Arc::downgrade(&self.table)));
            inner.sweeper = Some(sweep.abort_handle());
        }
        Ok(refs)
    }

    /// A channel of the engine's own: it can be found for as long as the lease is held. Who lends bounds their number.
    pub(crate) fn create_owned(&self) -> OwnedChannel {
        let limits = &self.table.limits;
        let capacity = BUFFER.min(limits.messages);
        let channel = Channel::new(Arc::downgrade(&self.table), capacity, limits.bytes);
        let entry = Entry { channel: channel.clone(), deadline: None, made_by: None };
        let mut inner = lock(&self.table.inner);
        if inner.stopped {
            channel.abort();
        } else {
            inner.channels.insert(channel.id, entry);
        }
        OwnedChannel { channel }
    }

    /// Opens the reading side.
    ///
    /// # Errors
    ///
    /// If there is no such side to open.
    pub(crate) fn open_reader(&self, id: &str, key: &str) -> Result<ChannelReader, OpenError> {
        self.find(id, key).ok_or(OpenError::Unknown)?.reader().ok_or(OpenError::Taken)
    }

    /// Opens the writing side.
    ///
    /// # Errors
    ///
    /// If there is no such side to open.
    pub(crate) fn open_writer(&self, id: &str, key: &str) -> Result<ChannelWriter, OpenError> {
        self.find(id, key).ok_or(OpenError::Unknown)?.writer().ok_or(OpenError::Taken)
    }

    /// Whether the key opens a channel of this id.
    pub(crate) fn contains(&self, id: &str, key: &str) -> bool {
        self.find(id, key).is_some()
    }

    fn find(&self, id: &str, key: &str) -> Option<Arc<Channel>> {
        let (id, key) = (Uuid::try_parse(id).ok()?, Uuid::try_parse(key).ok()?);
        let inner = lock(&self.table.inner);
        inner.channels.get(&id).map(|entry| &entry.channel).filter(|one| one.key == key).cloned()
    }

    /// How many channels there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.table.inner).channels.len()
    }
}

/// Keeps a channel of the engine's own. Dropping it ends the channel.
#[derive(Debug)]
pub(crate) struct OwnedChannel {
    channel: Arc<Channel>,
}

impl OwnedChannel {
    /// The writing end, if nobody has it.
    pub(crate) fn writer(&self) -> Option<ChannelWriter> {
        self.channel.writer()
    }

    /// The reading end, if nobody has it.
    pub(crate) fn reader(&self) -> Option<ChannelReader> {
        self.channel.reader()
    }

    /// Ends the channel early, from elsewhere.
    pub(crate) fn aborter(&self) -> impl FnOnce() + Send + 'static + use<> {
        let channel = self.channel.clone();
        move || channel.abort()
    }

    /// Writes what opens a side for somebody else, as the JSON of a [`ChannelRef`].
    pub(crate) fn push_ref(&self, direction: ChannelDirection, text: &mut String) {
        text.push_str("{\"channel_id\":");
        push_uuid(text, self.channel.id);
        text.push_str(",\"access_key\":");
        push_uuid(text, self.channel.key);
        text.push_str(match direction {
            ChannelDirection::Read => ",\"direction\":\"read\"}",
            ChannelDirection::Write => ",\"direction\":\"write\"}",
        });
    }
}

impl Drop for OwnedChannel {
    fn drop(&mut self) {
        self.channel.forget();
        self.channel.abort();
    }
}

impl Table {
    /// Takes a channel out. Who holds an end of it keeps that.
    fn remove(&self, id: Uuid) {
        let removed = lock(&self.inner).remove(id);
        drop(removed);
    }
}

impl Inner {
    fn remove(&mut self, id: Uuid) -> Option<Arc<Channel>> {
        let entry = self.channels.remove(&id)?;
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        if let Some(maker) = entry.made_by {
            self.made -= 1;
            if let Some(maker) = maker
                && let Some(count) = self.made_by.get_mut(&maker)
            {
                *count -= 1;
                if *count == 0 {
                    self.made_by.remove(&maker);
                }
            }
        }
        Some(entry.channel)
    }

    /// Takes out what is due and has a side that nobody took.
    fn expired(&mut self, now: Instant) -> Vec<Arc<Channel>> {
        let mut expired = Vec::new();
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            let Some(entry) = self.channels.get_mut(&id) else { continue };
            entry.deadline = None;
            if !entry.channel.is_complete() {
                expired.extend(self.remove(id));
            }
        }
        expired
    }
}

/// Gives up channels whose sides were not both opened in time. Ends when none waits.
async fn sweep(table: Weak<Table>) {
    loop {
        let next = {
            let Some(table) = table.upgrade() else { return };
            let mut inner = lock(&table.inner);
            match inner.deadlines.first() {
                Some((next, _)) => *next,
                None => {
                    inner.sweeper = None;
                    return;
                }
            }
        };
        sleep_until(next).await;
        let Some(table) = table.upgrade() else { return };
        let expired = lock(&table.inner).expired(Instant::now());
        for channel in expired {
            tracing::debug!(channel = %channel.id, "nobody opened both sides of a channel");
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
        "Connect workers, and pipe data between them."
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        vec![BuiltIn::sync(
            "engine::channels::create",
            "Makes a channel: a pipe from one writer to one reader.",
            move |input: Create, call| {
                self.channels.create(input.buffer_size, call.caller).map(Some)
            },
        )]
    }

    fn stop(&self) {
        let channels = {
            let mut inner = lock(&self.channels.table.inner);
            inner.stopped = true;
            if let Some(sweeper) = inner.sweeper.take() {
                sweeper.abort();
            }
            inner.deadlines.clear();
            std::mem::take(&mut inner.channels)
        };
        for entry in channels.into_values() {
            entry.channel.abort();
        }
    }
}
