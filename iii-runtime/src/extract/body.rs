//! The raw body of an HTTP request, in memory or as a stream.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncRead, ReadBuf};

use super::{Extract, Invocation};
use crate::channel::{ChannelMessage, ChannelReader};
use crate::function::RequestParts;
use iii_wire::{Error, Result, code};

/// The maximum size of a [`RawBody`].
const MAX_RAW_BODY_BYTES: usize = 16 << 20;

/// The raw body of an HTTP request, of any content type, in memory. At most 16 MiB: use [`BodyStream`] for larger ones.
///
/// For a direct call without a channel for the body, it is the JSON of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBody(pub Bytes);

impl Extract for RawBody {
    const REQUEST_PARTS: RequestParts = RequestParts::REQUEST;

    async fn extract(call: &mut Invocation) -> Result<Self> {
        let mut body = BodyStream::extract(call).await?;
        let mut all = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            if all.len() + chunk.len() > MAX_RAW_BODY_BYTES {
                let text = format!("the body exceeds the maximum of {MAX_RAW_BODY_BYTES} bytes");
                return Err(Error::new(code::PAYLOAD_TOO_LARGE, text));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(Self(all.freeze()))
    }
}

/// The raw body of an HTTP request as a stream, of any content type and size.
///
/// A [`Stream`] of [`Bytes`], and an [`AsyncRead`]. Applies backpressure to the client. If the client disconnects before the
/// end, the last item is an error with the code [`channel_broken`](code::CHANNEL_BROKEN).
///
/// ```
/// use iii::BodyStream;
///
/// /// Counts the bytes of an upload.
/// #[iii::function(id = "files::upload")]
/// #[iii::trigger(http, method = "POST", path = "/upload")]
/// async fn upload(mut body: BodyStream) -> iii::Result<u64> {
///     Ok(tokio::io::copy(&mut body, &mut tokio::io::sink()).await?)
/// }
/// ```
///
/// For a direct call without a channel for the body, it is the JSON of the body.
pub struct BodyStream {
    source: BodySource,
}

enum BodySource {
    Channel(ChannelReader),
    Buffered(Bytes),
}

impl BodyStream {
    /// A body in memory, for unit tests of a handler.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { source: BodySource::Buffered(body.into()) }
    }
}

impl Extract for BodyStream {
    const REQUEST_PARTS: RequestParts = RequestParts::REQUEST;

    async fn extract(call: &mut Invocation) -> Result<Self> {
        let session = call.session().cloned();
        let parts = call.http()?;
        let Some(channel_ref) = parts.request_body.clone() else {
            let body = &parts.body;
            let json = if body.is_null() { "" } else { body.as_str() };
            return Ok(Self::new(json.to_owned()));
        };
        Ok(Self { source: BodySource::Channel(ChannelReader::new(channel_ref, session)) })
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.source {
            BodySource::Buffered(bytes) if bytes.is_empty() => Poll::Ready(None),
            BodySource::Buffered(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            BodySource::Channel(reader) => loop {
                match ready!(reader.poll_next_unpin(context)) {
                    Some(Ok(ChannelMessage::Binary(bytes))) => {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    // Engines send only binary messages.
                    Some(Ok(ChannelMessage::Text(_))) => {}
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => return Poll::Ready(None),
                }
            },
        }
    }
}

impl AsyncRead for BodyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.source {
            BodySource::Channel(reader) => Pin::new(reader).poll_read(context, buffer),
            BodySource::Buffered(bytes) => {
                let read = bytes.len().min(buffer.remaining());
                buffer.put_slice(&bytes[..read]);
                bytes.advance(read);
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").finish_non_exhaustive()
    }
}
