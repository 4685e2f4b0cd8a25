//! The end of a channel that writes: messages or bytes, and the end that the reader sees.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::socket::{Socket, check_direction, not_written};
use super::{ChannelMessage, FRAME, scope};
use crate::session::Session;
use iii_wire::protocol::{ChannelDirection, ChannelRef};
use iii_wire::transport::ChannelSocket;
use iii_wire::{Error, Result, code};

/// How long the engine may take to say that it has everything.
const FINISH: Duration = Duration::from_secs(10);

/// The writing end of a channel.
///
/// It is a [`Sink`] of [`ChannelMessage`]s, and an [`AsyncWrite`] of bytes. Writing waits while the reader is behind.
/// Bytes travel in frames of at most 64 KiB. [`ChannelWriter::finish`] tells the reader that this is all; a writer that is
/// dropped without it tells the reader that something is missing.
pub struct ChannelWriter {
    socket: Socket,
    /// A close was sent.
    closing: bool,
}

impl ChannelWriter {
    pub(crate) fn new(at: ChannelRef, session: Option<Arc<Session>>) -> Self {
        Self { socket: Socket::new(at, session), closing: false }
    }

    /// Writes one message, and waits until the engine takes it. Bytes of more than 64 KiB are several messages.
    ///
    /// # Errors
    ///
    /// Code [`channel_not_found`](code::CHANNEL_NOT_FOUND) if the channel cannot be opened,
    /// [`channel_broken`](code::CHANNEL_BROKEN) if the reader has gone.
    pub async fn send(&mut self, message: impl Into<ChannelMessage>) -> Result<()> {
        match message.into() {
            text @ ChannelMessage::Text(_) => self.feed(text).await?,
            ChannelMessage::Binary(mut bytes) => loop {
                let frame = bytes.split_to(bytes.len().min(FRAME));
                self.feed(frame.into()).await?;
                if bytes.is_empty() {
                    break;
                }
            },
        }
        self.flush().await
    }

    /// Sends what [`AsyncWrite`] and [`Sink::start_send`] have put together so far.
    ///
    /// # Errors
    ///
    /// As [`ChannelWriter::send`].
    pub async fn flush(&mut self) -> Result<()> {
        SinkExt::flush(self).await
    }

    /// Ends the channel: the reader gets everything, and then the end.
    ///
    /// # Errors
    ///
    /// As [`ChannelWriter::send`]: then the reader may not have everything.
    pub async fn finish(mut self) -> Result<()> {
        match tokio::time::timeout(FINISH, self.close()).await {
            Ok(closed) => closed,
            Err(_) => Err(Error::new(
                code::TIMEOUT,
                format!("the engine did not take the end of the channel within {FINISH:?}"),
            )),
        }
    }

    /// The open socket, if the reader is still there.
    fn poll_socket(&mut self, context: &mut Context<'_>) -> Poll<Result<&mut ChannelSocket>> {
        let gone = || Error::new(code::CHANNEL_BROKEN, "nobody reads the channel any more");
        let Some(socket) = ready!(self.socket.poll_open(context))? else {
            return Poll::Ready(Err(gone()));
        };
        // Nothing is expected from the reader but its leaving; reading also answers pings.
        loop {
            match Pin::new(&mut **socket).poll_next(context) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) if !frame.is_close() => {}
                Poll::Ready(_) => {
                    self.socket = Socket::Ended;
                    return Poll::Ready(Err(gone()));
                }
            }
        }
        match &mut self.socket {
            Socket::Open(socket) => Poll::Ready(Ok(socket)),
            _ => Poll::Ready(Err(gone())),
        }
    }
}

impl Sink<ChannelMessage> for ChannelWriter {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let socket = ready!(self.poll_socket(context))?;
        Pin::new(&mut **socket).poll_ready(context).map_err(|error| not_written(&error))
    }

    fn start_send(mut self: Pin<&mut Self>, message: ChannelMessage) -> Result<()> {
        let frame = match message {
            ChannelMessage::Binary(bytes) => Message::Binary(bytes),
            ChannelMessage::Text(text) => Message::Text(to_utf8(text.into_bytes())),
        };
        match &mut self.socket {
            Socket::Open(socket) => {
                Pin::new(&mut **socket).start_send(frame).map_err(|error| not_written(&error))
            }
            _ => Err(Error::new(code::CHANNEL_BROKEN, "the channel is not open")),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.socket {
            Socket::Open(socket) => {
                Pin::new(&mut **socket).poll_flush(context).map_err(|error| not_written(&error))
            }
            // Nothing was written.
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Says the end, and waits until the engine has answered it: then it has everything.
    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.closing {
            let socket = ready!(self.poll_socket(context))?;
            ready!(Pin::new(&mut **socket).poll_ready(context))
                .map_err(|error| not_written(&error))?;
            let close = CloseFrame {
                code: CloseCode::Normal,
                reason: Utf8Bytes::from_static("stream_complete"),
            };
            Pin::new(&mut **socket)
                .start_send(Message::Close(Some(close)))
                .map_err(|error| not_written(&error))?;
            self.closing = true;
        }
        let Socket::Open(socket) = &mut self.socket else { return Poll::Ready(Ok(())) };
        // Its answer may come while the last frames go out.
        let _ = Pin::new(&mut **socket).poll_flush(context);
        while let Some(Ok(frame)) = ready!(Pin::new(&mut **socket).poll_next(context)) {
            if frame.is_close() {
                break;
            }
        }
        self.socket = Socket::Ended;
        Poll::Ready(Ok(()))
    }
}

/// Text that is known to be UTF-8, in the type of the socket.
fn to_utf8(bytes: Bytes) -> Utf8Bytes {
    Utf8Bytes::try_from(bytes).unwrap_or_default()
}

impl AsyncWrite for ChannelWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_ready(context)).map_err(io::Error::from)?;
        let taken = bytes.len().min(FRAME);
        let frame = Bytes::copy_from_slice(&bytes[..taken]);
        self.start_send(frame.into()).map_err(io::Error::from)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Sink::poll_flush(self, context).map_err(io::Error::from)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_close(context).map_err(io::Error::from)
    }
}

impl fmt::Debug for ChannelWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelWriter").finish_non_exhaustive()
    }
}

impl Serialize for ChannelWriter {
    /// The ref that opens this end: it is given away. An end that is in use cannot be.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.socket.give().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ChannelWriter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let at = ChannelRef::deserialize(deserializer)?;
        check_direction(&at, ChannelDirection::Write).map_err(serde::de::Error::custom)?;
        Ok(Self::new(at, scope::session()))
    }
}

impl JsonSchema for ChannelWriter {
    fn schema_name() -> Cow<'static, str> {
        ChannelRef::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ChannelRef::json_schema(generator)
    }
}
