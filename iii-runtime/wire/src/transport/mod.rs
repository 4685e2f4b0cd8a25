//! Links between a worker and an engine: what both sides hold, whatever carries the messages.
//!
//! A [`Transport`] opens [`Link`]s. Over a WebSocket ([`ws`]) messages become text; in process ([`local`]) they are
//! handed over as they are. Both give the same two ends: an [`Outbox`] to put messages into, and a stream of messages
//! that ends when the link is lost.

pub mod local;
mod outbox;
pub mod ws;

use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite;

use crate::protocol::{ChannelRef, Message};

pub use outbox::{Limits, Outbox, OutboxReader, SendError};

/// One open connection, seen from either side.
pub struct Link {
    /// Where messages to the other side go.
    pub outbox: Outbox,
    /// The messages of the other side. The end of the stream is the end of the link; it may be polled after that.
    pub inbox: BoxStream<'static, Message>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// A way to reach an engine.
pub trait Transport: fmt::Display + Send + Sync + 'static {
    /// Opens a new link. Called again each time a link was lost.
    fn connect(&self) -> BoxFuture<'_, Result<Link, ConnectError>>;

    /// Opens one side of a channel of the engine (protocol section 7.2).
    fn open_channel(&self, at: &ChannelRef) -> BoxFuture<'_, Result<ChannelSocket, ChannelError>>;

    /// Opens a way for telemetry: binary frames with a prefix, which the other side never answers (protocol section 1.6).
    /// By default there is none.
    fn open_telemetry(&self) -> BoxFuture<'_, Result<ChannelSocket, ConnectError>> {
        let error = ConnectError::permanent(format!("{self} takes no telemetry"));
        Box::pin(std::future::ready(Err(error)))
    }
}

/// The frames of one side of a channel, both ways. The end of the stream is the end of the socket.
pub type ChannelSocket = Box<dyn Frames>;

/// WebSocket frames both ways, whatever carries them.
pub trait Frames:
    Stream<Item = Result<tungstenite::Message, tungstenite::Error>>
    + Sink<tungstenite::Message, Error = tungstenite::Error>
    + Send
    + Sync
    + Unpin
{
}

impl<T> Frames for T where
    T: Stream<Item = Result<tungstenite::Message, tungstenite::Error>>
        + Sink<tungstenite::Message, Error = tungstenite::Error>
        + Send
        + Sync
        + Unpin
{
}

/// Why a side of a channel could not be opened.
#[derive(Debug)]
pub enum ChannelError {
    /// The engine knows no such channel: it has ended, nobody opened it in time, or the key is wrong.
    NotFound,
    /// The engine could not be reached, or has another reason.
    Failed(ConnectError),
}

/// Why no link could be opened.
#[derive(Debug)]
pub struct ConnectError {
    message: String,
    permanent: bool,
}

impl ConnectError {
    /// The engine cannot be reached now; it may be later.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: false }
    }

    /// Trying again cannot help: for example an address that is no URL.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: true }
    }

    /// Whether trying again cannot help.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConnectError {}
