//! The writing end of a channel: as a sink of messages, or as an `AsyncWrite`.

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

use super::socket::{LazySocket, check_direction, write_failed};
use super::{ChannelMessage, MAX_FRAME_BYTES, scope};
use crate::session::Session;
use iii_wire::protocol::{ChannelDirection, ChannelRef};
use iii_wire::transport::ChannelSocket;
use iii_wire::{Error, Result, code};

/// How long [`ChannelWriter::finish`] waits for the engine to confirm the close.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// The writing end of a channel.
///
/// A [`Sink`] of [`ChannelMessage`]s, and an [`AsyncWrite`] of bytes. Writes wait while the reader falls behind. Bytes are
/// sent in frames of at most 64 KiB. [`ChannelWriter::finish`] ends the channel; if the writer is dropped without it, the
/// reader gets an error.
pub struct ChannelWriter {
    socket: LazySocket,
    /// Whether the close frame was sent.
    closing: bool,
}

impl ChannelWriter {
    pub(crate) fn new(channel_ref: ChannelRef, session: Option<Arc<Session>>) -> Self {
        Self { socket: LazySocket::new(channel_ref, session), closing: false }
    }

    /// Sends one message, and waits until the engine accepts it. Splits a binary message of more than 64 KiB.
    ///
    /// # Errors
    ///
    /// Code [`channel_not_found`](code::CHANNEL_NOT_FOUND) if the channel cannot be opened,
    /// [`channel_broken`](code::CHANNEL_BROKEN) if the reader is gone.
    pub async fn send(&mut self, message: impl Into<ChannelMessage>) -> Result<()> {
        match message.into() {
            text @ ChannelMessage::Text(_) => self.feed(text).await?,
            ChannelMessage::Binary(mut bytes) => loop {
                let frame = bytes.split_to(bytes.len().min(MAX_FRAME_BYTES));
                self.feed(frame.into()).await?;
                if bytes.is_empty() {
                    break;
                }
            },
        }
        self.flush().await
    }

    /// Flushes what was written through [`AsyncWrite`] and [`Sink::start_send`].
    ///
    /// # Errors
    ///
    /// As [`ChannelWriter::send`].
    pub async fn flush(&mut self) -> Result<()> {
        SinkExt::flush(self).await
    }

    /// Ends the channel: the reader receives everything, and then the end. Waits at most 10 s for the engine.
    ///
    /// # Errors
    ///
    /// As [`ChannelWriter::send`], and code [`timeout`](code::TIMEOUT). The reader may then not have received everything.
    pub async fn finish(mut self) -> Result<()> {
        match tokio::time::timeout(FINISH_TIMEOUT, self.close()).await {
            Ok(closed) => closed,
            Err(_) => Err(Error::new(
                code::TIMEOUT,
                format!(
                    "the engine did not confirm the end of the channel within {FINISH_TIMEOUT:?}"
                ),
            )),
        }
    }

    /// The open socket. Fails if the reader is gone.
    fn poll_socket(&mut self, context: &mut Context<'_>) -> Poll<Result<&mut ChannelSocket>> {
        let reader_gone = || Error::new(code::CHANNEL_BROKEN, "the reader of the channel is gone");
        let Some(socket) = ready!(self.socket.poll_open(context))? else {
            return Poll::Ready(Err(reader_gone()));
        };
        // The reader sends nothing but its close; reading also answers pings.
        loop {
            match Pin::new(&mut **socket).poll_next(context) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) if !frame.is_close() => {}
                Poll::Ready(_) => {
                    self.socket = LazySocket::Closed;
                    return Poll::Ready(Err(reader_gone()));
                }
            }
        }
        match &mut self.socket {
            LazySocket::Open(socket) => Poll::Ready(Ok(socket)),
            _ => Poll::Ready(Err(reader_gone())),
        }
    }
}

impl Sink<ChannelMessage> for ChannelWriter {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let socket = ready!(self.poll_socket(context))?;
        Pin::new(&mut **socket).poll_ready(context).map_err(|error| write_failed(&error))
    }

    fn start_send(mut self: Pin<&mut Self>, message: ChannelMessage) -> Result<()> {
        let frame = match message {
            ChannelMessage::Binary(bytes) => Message::Binary(bytes),
            ChannelMessage::Text(text) => Message::Text(to_utf8(text.into_bytes())),
        };
        match &mut self.socket {
            LazySocket::Open(socket) => {
                Pin::new(&mut **socket).start_send(frame).map_err(|error| write_failed(&error))
            }
            _ => Err(Error::new(code::CHANNEL_BROKEN, "the channel is not open")),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.socket {
            LazySocket::Open(socket) => {
                Pin::new(&mut **socket).poll_flush(context).map_err(|error| write_failed(&error))
            }
            // Nothing was written.
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Sends the close frame, and waits for the engine's, which confirms that it has received everything.
    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.closing {
            let socket = ready!(self.poll_socket(context))?;
            ready!(Pin::new(&mut **socket).poll_ready(context))
                .map_err(|error| write_failed(&error))?;
            let close = CloseFrame {
                code: CloseCode::Normal,
                reason: Utf8Bytes::from_static("stream_complete"),
            };
            Pin::new(&mut **socket)
                .start_send(Message::Close(Some(close)))
                .map_err(|error| write_failed(&error))?;
            self.closing = true;
        }
        let LazySocket::Open(socket) = &mut self.socket else { return Poll::Ready(Ok(())) };
        // The engine's close may arrive while the last frames are flushed.
        let _ = Pin::new(&mut **socket).poll_flush(context);
        while let Some(Ok(frame)) = ready!(Pin::new(&mut **socket).poll_next(context)) {
            if frame.is_close() {
                break;
            }
        }
        self.socket = LazySocket::Closed;
        Poll::Ready(Ok(()))
    }
}

/// Converts bytes that are known to be UTF-8.
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
        let written = bytes.len().min(MAX_FRAME_BYTES);
        let frame = Bytes::copy_from_slice(&bytes[..written]);
        self.start_send(frame.into()).map_err(io::Error::from)?;
        Poll::Ready(Ok(written))
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
    /// Serialises the reference that opens this end, which passes it on. Fails if the end is in use here.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.socket.pass_on().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ChannelWriter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let channel_ref = ChannelRef::deserialize(deserializer)?;
        check_direction(&channel_ref, ChannelDirection::Write).map_err(serde::de::Error::custom)?;
        Ok(Self::new(channel_ref, scope::session()))
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
