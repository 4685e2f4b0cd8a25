//! The reading half of a connection: decodes messages, passes telemetry to its handler, and detects a silent peer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytestring::ByteString;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{SplitStream, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message as Frame};

use super::failed::FailedConnection;
use super::{TELEMETRY_PREFIXES, TelemetryHandler};
use crate::protocol::{self, InvalidFrame, Message};

/// Resolves when the other half of the connection ends.
pub(super) type ClosedSignal = oneshot::Receiver<Infallible>;

/// The messages of the peer. Invalid frames are logged and returned as [`Message::Invalid`].
pub(super) struct Inbox<S> {
    /// `None` after a read error.
    frames: Option<SplitStream<WebSocketStream<S>>>,
    idle: IdleTimer,
    ended: ClosedSignal,
    /// Resolves `stopped_reading` of the writing half when dropped.
    _reading: oneshot::Sender<Infallible>,
    /// Passes a read error to the writing half, which reports it to the peer.
    failure: Option<oneshot::Sender<FailedConnection<S>>>,
    telemetry: Option<TelemetryHandler>,
    /// The telemetry frame being handled; no frame is read until it completes.
    handling: Option<BoxFuture<'static, ()>>,
}

impl<S> Inbox<S> {
    pub(super) fn new(
        frames: SplitStream<WebSocketStream<S>>,
        timeout: Duration,
        ended: ClosedSignal,
        reading: oneshot::Sender<Infallible>,
        failure: oneshot::Sender<FailedConnection<S>>,
        telemetry: Option<TelemetryHandler>,
    ) -> Self {
        Self {
            frames: Some(frames),
            idle: IdleTimer::new(timeout),
            ended,
            _reading: reading,
            failure: Some(failure),
            telemetry,
            handling: None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Inbox<S> {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = self.get_mut();
        while this.ended.poll_unpin(context).is_pending() {
            if let Some(handling) = &mut this.handling {
                ready!(handling.poll_unpin(context));
                this.handling = None;
                this.idle.reset();
            }
            let Some(frames) = &mut this.frames else { break };
            match frames.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(Frame::Close(_))) | None) => break,
                Poll::Ready(Some(Ok(frame))) => {
                    this.idle.reset();
                    match frame {
                        Frame::Binary(bytes) if is_telemetry(&bytes) => {
                            this.handling = this.telemetry.as_ref().map(|handle| handle(bytes));
                        }
                        frame => {
                            if let Some(message) = message(frame) {
                                return Poll::Ready(Some(message));
                            }
                        }
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    match FailedConnection::<S>::close_frame_for(&error) {
                        Some(close) => {
                            tracing::warn!("closing the connection: {error}");
                            let parts = this.frames.take().zip(this.failure.take());
                            if let Some((frames, failure)) = parts {
                                let _ = failure.send(FailedConnection { frames, close });
                            }
                        }
                        None => tracing::debug!(%error, "WebSocket read failed"),
                    }
                    break;
                }
                Poll::Pending => {
                    ready!(this.idle.poll_elapsed(context));
                    let limit = this.idle.limit;
                    tracing::warn!("nothing received for {limit:?}, closing the connection");
                    break;
                }
            }
        }
        this.frames = None;
        Poll::Ready(None)
    }
}

fn is_telemetry(bytes: &Bytes) -> bool {
    TELEMETRY_PREFIXES.iter().any(|prefix| bytes.starts_with(prefix))
}

/// Decodes the message of a data frame.
fn message(frame: Frame) -> Option<Message> {
    let text = match frame {
        Frame::Text(text) => ByteString::try_from(Bytes::from(text)),
        Frame::Binary(bytes) => ByteString::try_from(bytes),
        Frame::Close(_) | Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => return None,
    };
    let decoded = match &text {
        Ok(text) => protocol::decode(text).map_err(|error| InvalidFrame::new(text, &error)),
        Err(_) => Err(InvalidFrame::not_utf8()),
    };
    decoded.unwrap_or_else(|invalid| {
        tracing::warn!("received an invalid frame: {}", invalid.error.message);
        Some(Message::Invalid(Box::new(invalid)))
    })
}

/// Detects that nothing was received for too long.
///
/// One timer serves the whole connection, because a timer per frame would be armed and cancelled per frame. When it
/// fires, it is re-armed relative to the last frame.
struct IdleTimer {
    limit: Duration,
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

impl IdleTimer {
    fn new(limit: Duration) -> Self {
        Self { limit, last: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    /// Records that a frame was received.
    fn reset(&mut self) {
        self.last = Instant::now();
    }

    fn poll_elapsed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.poll_unpin(context));
            let due = self.last + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}
