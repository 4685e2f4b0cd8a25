//! The reading end of a channel: as a stream of messages, as an `AsyncRead`, or all bytes at once.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::Message;

use super::socket::{LazySocket, check_direction};
use super::{ChannelMessage, scope};
use crate::session::Session;
use iii_wire::protocol::{ChannelDirection, ChannelRef};
use iii_wire::{Error, Result, code};

/// The reading end of a channel.
///
/// A [`Stream`] of [`ChannelMessage`]s, and an [`AsyncRead`] of the bytes in them. As the payload of a function, or a field
/// of it, it is the end that the caller passed. It is opened when it is first read.
///
/// ```no_run
/// # use iii::prelude::*;
/// use iii::channel::ChannelReader;
///
/// /// Counts the lines of a file that the caller sends.
/// #[iii::function(id = "files::lines")]
/// async fn lines(mut file: ChannelReader) -> iii::Result<usize> {
///     let bytes = file.read_all().await?;
///     Ok(bytes.split(|byte| *byte == b'\n').count())
/// }
///
/// # async fn example(client: Client) -> iii::Result<()> {
/// let iii::channel::Channel { mut writer, reader } = client.channel().await?;
/// let counting = client.call::<lines>(reader);
/// let (_, count) = tokio::try_join!(
///     async { writer.send(&b"one\ntwo"[..]).await?; writer.finish().await },
///     counting.into_future(),
/// )?;
/// # Ok(())
/// # }
/// ```
///
/// The stream ends when the writer has finished. If the writer is dropped before, the last item is an error with the code
/// [`channel_broken`](code::CHANNEL_BROKEN). The official engine cannot tell the two apart, and ends the stream.
pub struct ChannelReader {
    pub(super) socket: LazySocket,
    /// The unread rest of a message that is read through [`AsyncRead`].
    rest: Bytes,
}

impl ChannelReader {
    pub(crate) fn new(channel_ref: ChannelRef, session: Option<Arc<Session>>) -> Self {
        Self { socket: LazySocket::new(channel_ref, session), rest: Bytes::new() }
    }

    /// The next message; `None` when the writer has finished.
    ///
    /// # Errors
    ///
    /// Code [`channel_not_found`](code::CHANNEL_NOT_FOUND) if the channel cannot be opened,
    /// [`channel_broken`](code::CHANNEL_BROKEN) if the writer was dropped before it finished.
    pub async fn message(&mut self) -> Result<Option<ChannelMessage>> {
        self.next().await.transpose()
    }

    /// Reads all bytes until the end into memory. Use [`AsyncReadExt::take`](tokio::io::AsyncReadExt::take) to bound the
    /// bytes of an untrusted writer.
    ///
    /// # Errors
    ///
    /// As [`ChannelReader::message`], and code [`invalid_payload`](code::INVALID_PAYLOAD) on a text message: use
    /// [`ChannelReader::message`] for channels that have them.
    pub async fn read_all(&mut self) -> Result<Bytes> {
        let mut all = BytesMut::from(std::mem::take(&mut self.rest));
        while let Some(message) = self.message().await? {
            match message {
                ChannelMessage::Binary(bytes) => all.extend_from_slice(&bytes),
                ChannelMessage::Text(_) => return Err(unexpected_text()),
            }
        }
        Ok(all.freeze())
    }
}

fn unexpected_text() -> Error {
    let text = "expected a binary message, found a text message: read the messages one by one";
    Error::new(code::INVALID_PAYLOAD, text)
}

impl Stream for ChannelReader {
    type Item = Result<ChannelMessage>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(ChannelMessage::Binary(rest))));
        }
        let next = ready!(self.socket.poll_next(context));
        Poll::Ready(next.map(|message| {
            message.map(|message| match message {
                Message::Text(text) => match bytestring::ByteString::try_from(Bytes::from(text)) {
                    Ok(text) => ChannelMessage::Text(text),
                    Err(_) => ChannelMessage::Binary(Bytes::new()),
                },
                other => ChannelMessage::Binary(other.into_data()),
            })
        }))
    }
}

impl AsyncRead for ChannelReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.as_mut().poll_next(context)) {
                Some(Ok(ChannelMessage::Binary(bytes))) => self.rest = bytes,
                Some(Ok(ChannelMessage::Text(_))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        unexpected_text(),
                    )));
                }
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => return Poll::Ready(Ok(())),
            }
        }
        let read = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..read]);
        self.rest.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for ChannelReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelReader").finish_non_exhaustive()
    }
}

impl Serialize for ChannelReader {
    /// Serialises the reference that opens this end, which passes it on. Fails if the end is in use here.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.socket.pass_on().map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ChannelReader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let channel_ref = ChannelRef::deserialize(deserializer)?;
        check_direction(&channel_ref, ChannelDirection::Read).map_err(serde::de::Error::custom)?;
        Ok(Self::new(channel_ref, scope::session()))
    }
}

impl JsonSchema for ChannelReader {
    fn schema_name() -> Cow<'static, str> {
        ChannelRef::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ChannelRef::json_schema(generator)
    }
}
