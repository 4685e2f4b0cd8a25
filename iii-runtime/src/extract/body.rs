//! The body of an HTTP request as it came: all of it, or piece by piece.

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

/// How long a body may be that is taken as a whole.
const WHOLE: usize = 16 << 20;

/// The whole body of an HTTP request, of any content type. At most 16 MiB: [`BodyStream`] takes longer ones.
///
/// In a call that is made without a request around it, it is the JSON text of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBody(pub Bytes);

impl Extract for RawBody {
    const REQUEST_PARTS: RequestParts = RequestParts::REQUEST;

    async fn extract(call: &mut Invocation) -> Result<Self> {
        let mut body = BodyStream::extract(call).await?;
        let mut all = BytesMut::new();
        while let Some(piece) = body.next().await {
            let piece = piece?;
            if all.len() + piece.len() > WHOLE {
                let text = format!("the body is longer than the {WHOLE} bytes that are taken");
                return Err(Error::new(code::PAYLOAD_TOO_LARGE, text));
            }
            all.extend_from_slice(&piece);
        }
        Ok(Self(all.freeze()))
    }
}

/// The body of an HTTP request, piece by piece, of any content type and length.
///
/// It is a [`Stream`] of [`Bytes`], and an [`AsyncRead`]. While it is not read, the client is slowed down. If the client
/// leaves before the end, the last item is an error with the code [`channel_broken`](code::CHANNEL_BROKEN).
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
/// In a call that is made without a request around it, it is the JSON text of the body.
pub struct BodyStream {
    from: From,
}

enum From {
    Channel(ChannelReader),
    Whole(Bytes),
}

impl BodyStream {
    /// A body that is there already, for tests of a handler.
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { from: From::Whole(body.into()) }
    }
}

impl Extract for BodyStream {
    const REQUEST_PARTS: RequestParts = RequestParts::REQUEST;

    async fn extract(call: &mut Invocation) -> Result<Self> {
        let session = call.session().cloned();
        let parts = call.http()?;
        let Some(at) = parts.request_body.clone() else {
            let body = &parts.body;
            let text = if body.is_null() { "" } else { body.as_str() };
            return Ok(Self::new(text.to_owned()));
        };
        Ok(Self { from: From::Channel(ChannelReader::new(at, session)) })
    }
}

impl Stream for BodyStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.from {
            From::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            From::Whole(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            From::Channel(reader) => loop {
                match ready!(reader.poll_next_unpin(context)) {
                    Some(Ok(ChannelMessage::Binary(bytes))) => {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    // Engines send a body as bytes only.
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
        match &mut self.from {
            From::Channel(reader) => Pin::new(reader).poll_read(context, buffer),
            From::Whole(bytes) => {
                let taken = bytes.len().min(buffer.remaining());
                buffer.put_slice(&bytes[..taken]);
                bytes.advance(taken);
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
