//! The body of a response: whole, or streamed from a channel.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use http_body_util::Full;
use hyper::body::{Body, Bytes, SizeHint};

use super::exchange::Exchange;
use crate::channel::{ChannelMessage, WriterDisconnected};

/// The body of a response.
pub(crate) enum ResponseBody {
    /// It is there.
    Whole(Full<Bytes>),
    /// It comes through the channel of the request.
    Streamed(Box<Streamed>),
}

/// A body that comes through a channel. Dropping it ends the channels of the request.
pub(crate) struct Streamed {
    /// The message that began the response.
    first: Option<Bytes>,
    exchange: Exchange,
}

impl ResponseBody {
    /// The rest of a response that `first` began.
    pub(crate) fn streamed(first: Bytes, exchange: Exchange) -> Self {
        Self::Streamed(Box::new(Streamed { first: Some(first), exchange }))
    }

    /// The bytes, if they are there.
    pub(crate) fn into_whole(self) -> Bytes {
        match self {
            Self::Whole(mut body) => {
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
        Self::Whole(Full::new(bytes))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    /// The worker left before the end. The connection is then ended without the end of the response, so that the
    /// client does not take it for complete.
    type Error = WriterDisconnected;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, WriterDisconnected>>> {
        match self.get_mut() {
            Self::Whole(body) => {
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
                        // Control messages come too late now.
                        Some(Ok(ChannelMessage::Binary(_) | ChannelMessage::Text(_))) => continue,
                        Some(Err(broken)) => {
                            tracing::warn!("a response broke off: {broken}");
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
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(_) => SizeHint::default(),
        }
    }
}
