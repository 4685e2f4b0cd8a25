//! The body of a response: buffered, or streamed from a channel.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use http_body_util::Full;
use hyper::body::{Body, Bytes, SizeHint};

use super::exchange::Exchange;
use crate::channel::{ChannelMessage, WriterDisconnected};

/// The body of a response.
pub(crate) enum ResponseBody {
    /// The complete body.
    Buffered(Full<Bytes>),
    /// The messages of the response channel.
    Streamed(Box<StreamedBody>),
}

/// A body that is read from the response channel. Dropping it closes the channels of the request.
pub(crate) struct StreamedBody {
    /// The message that started the response.
    first: Option<Bytes>,
    exchange: Exchange,
}

impl ResponseBody {
    /// Creates a streamed body whose first message has been read already.
    pub(crate) fn streamed(first: Bytes, exchange: Exchange) -> Self {
        Self::Streamed(Box::new(StreamedBody { first: Some(first), exchange }))
    }

    /// Returns the bytes of a buffered body, or the first message of a streamed one.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Buffered(mut body) => {
                let frame = Pin::new(&mut body)
                    .poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
                match frame {
                    Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                    _ => Bytes::new(),
                }
            }
            Self::Streamed(body) => body.first.unwrap_or_default(),
        }
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::Buffered(Full::new(bytes))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    /// The worker disconnected before the end of the body. The server then closes the connection without completing the
    /// response, so that the client does not treat it as complete.
    type Error = WriterDisconnected;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, WriterDisconnected>>> {
        match self.get_mut() {
            Self::Buffered(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::Streamed(body) => {
                if let Some(first) = body.first.take().filter(|first| !first.is_empty()) {
                    return Poll::Ready(Some(Ok(hyper::body::Frame::data(first))));
                }
                loop {
                    return match ready!(body.exchange.reader().poll_next_unpin(context)) {
                        Some(Ok(ChannelMessage::Binary(bytes))) if !bytes.is_empty() => {
                            Poll::Ready(Some(Ok(hyper::body::Frame::data(bytes))))
                        }
                        // Control messages have no effect once the response has started.
                        Some(Ok(ChannelMessage::Binary(_) | ChannelMessage::Text(_))) => continue,
                        Some(Err(broken)) => {
                            tracing::warn!("aborted a streamed response: {broken}");
                            Poll::Ready(Some(Err(broken)))
                        }
                        None => Poll::Ready(None),
                    };
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Buffered(body) => body.is_end_stream(),
            Self::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Buffered(body) => body.size_hint(),
            Self::Streamed(_) => SizeHint::default(),
        }
    }
}
