//! Transports: how a worker connects to an engine, over a WebSocket ([`ws`]) or within one process ([`local`]).

pub mod local;
mod outbox;
pub mod ws;

use std::fmt;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite;

use crate::protocol::{ChannelRef, Message};

pub use outbox::{Outbox, OutboxLimits, OutboxReader, SendError};

/// One endpoint of an open connection.
pub struct Connection {
    /// Queues messages to the peer.
    pub outbox: Outbox,
    /// The messages of the peer. The stream ends when the connection is closed; it is fused.
    pub inbox: BoxStream<'static, Message>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Opens connections to an engine.
pub trait Transport: fmt::Display + Send + Sync + 'static {
    /// Opens a new connection. Called again for each reconnect.
    fn connect(&self) -> BoxFuture<'_, Result<Connection, ConnectError>>;

    /// Opens one endpoint of a channel of the engine ([protocol 7.2](crate::protocol#s7-2)).
    fn open_channel(&self, at: &ChannelRef) -> BoxFuture<'_, Result<ChannelSocket, ChannelError>>;

    /// Opens a telemetry connection: it carries prefixed binary frames, which the engine does not answer ([protocol 1.6](crate::protocol#s1-6)). The default implementation fails permanently.
    #[inline]
    fn open_telemetry(&self) -> BoxFuture<'_, Result<ChannelSocket, ConnectError>> {
        let error = ConnectError::permanent(format!("{self} does not accept telemetry"));
        Box::pin(std::future::ready(Err(error)))
    }
}

/// The WebSocket frames of one endpoint of a channel. The stream ends when the socket is closed.
pub type ChannelSocket = Box<dyn FrameDuplex>;

/// A duplex of WebSocket frames over any carrier.
pub trait FrameDuplex:
    Stream<Item = Result<tungstenite::Message, tungstenite::Error>>
    + Sink<tungstenite::Message, Error = tungstenite::Error>
    + Send
    + Sync
    + Unpin
{
}

impl<T> FrameDuplex for T where
    T: Stream<Item = Result<tungstenite::Message, tungstenite::Error>>
        + Sink<tungstenite::Message, Error = tungstenite::Error>
        + Send
        + Sync
        + Unpin
{
}

/// Why an endpoint of a channel could not be opened.
#[derive(Debug)]
pub enum ChannelError {
    /// The engine has no such channel: it has ended, was not opened in time, or the key is wrong.
    NotFound,
    /// The engine could not be reached or refused the handshake.
    Failed(ConnectError),
}

/// Why a connection could not be opened.
#[derive(Debug)]
pub struct ConnectError {
    message: String,
    permanent: bool,
}

impl ConnectError {
    /// Creates a transient error: a retry may succeed.
    #[inline]
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: false }
    }

    /// Creates a permanent error: no retry can succeed, for example because the URL is invalid.
    #[inline]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), permanent: true }
    }

    /// Returns whether no retry can succeed.
    #[inline]
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
