//! Server-sent events as a streamed response (HTML Standard, section 9.2).

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use tokio::time::{Instant, Sleep};

use super::{Output, Reply, Response};
use iii_wire::{BoxError, Result};

/// The default interval of keep-alive comments.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A response of server-sent events, with the content type `text/event-stream`.
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use iii::{Sse, output::SseEvent};
///
/// /// Counts to three.
/// #[iii::function(id = "count::watch")]
/// #[iii::trigger(http, path = "/count")]
/// async fn watch() -> Sse {
///     let numbers = stream::iter(1..=3).then(|n| async move {
///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///         SseEvent::new().event("count").json(&n)
///     });
///     Sse::new(numbers)
/// }
/// ```
///
/// The stream is dropped when the client disconnects. While no events are sent, a comment is sent every 15 s, so that
/// proxies do not close an idle connection.
pub struct Sse {
    events: BoxStream<'static, Result<SseEvent, BoxError>>,
    keep_alive: Option<Duration>,
}

impl Sse {
    /// Streams events. An error ends the response; the client sees an incomplete body and reconnects.
    pub fn new<S, E>(events: S) -> Self
    where
        S: Stream<Item = Result<SseEvent, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let events = events.map(|event| event.map_err(Into::into)).boxed();
        Self { events, keep_alive: Some(KEEP_ALIVE) }
    }

    /// Sets after how long without events a comment is sent; `None` disables comments. Default: 15 s.
    #[must_use]
    pub fn keep_alive(mut self, every: impl Into<Option<Duration>>) -> Self {
        self.keep_alive = every.into();
        self
    }
}

impl std::fmt::Debug for Sse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sse").field("keep_alive", &self.keep_alive).finish_non_exhaustive()
    }
}

impl Output for Sse {
    type Value = ();

    fn into_reply(self) -> Result<Reply> {
        let idle = self.keep_alive.map(|every| (every, Box::pin(tokio::time::sleep(every))));
        let events = KeepAliveStream { events: self.events, idle };
        Response::new(200)
            .header("content-type", "text/event-stream")
            .header("cache-control", "no-cache")
            .stream(events)
            .into_reply()
    }

    fn schema() -> Option<fn(&mut SchemaGenerator) -> Schema> {
        None
    }
}

/// Encodes events, and inserts a comment after an idle interval.
struct KeepAliveStream {
    events: BoxStream<'static, Result<SseEvent, BoxError>>,
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Stream for KeepAliveStream {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = match self.events.poll_next_unpin(context) {
            Poll::Ready(next) => next.map(|event| event.map(SseEvent::into_bytes)),
            Poll::Pending => {
                let Some((_, sleep)) = &mut self.idle else { return Poll::Pending };
                ready!(sleep.as_mut().poll(context));
                Some(Ok(Bytes::from_static(b":\n\n")))
            }
        };
        if let Some((every, sleep)) = &mut self.idle {
            let until = Instant::now() + *every;
            sleep.as_mut().reset(until);
        }
        Poll::Ready(next)
    }
}

/// A server-sent event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    text: String,
}

impl SseEvent {
    /// An empty event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the type of the event. Default: browsers use `message`. Line breaks in it become spaces.
    #[must_use]
    pub fn event(self, name: &str) -> Self {
        self.field("event", name)
    }

    /// Sets the id, which a browser sends as `last-event-id` when it reconnects. Line breaks in it become spaces.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        // The standard ignores ids that contain a null character.
        self.field("id", &id.replace('\0', " "))
    }

    /// Sets how long a browser waits before it reconnects.
    #[must_use]
    pub fn retry(self, after: Duration) -> Self {
        self.field("retry", &after.as_millis().to_string())
    }

    /// Adds text. Preserves line breaks.
    #[must_use]
    pub fn data(mut self, text: &str) -> Self {
        for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "data: {line}");
        }
        self
    }

    /// Adds a value as JSON.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialised.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self> {
        Ok(self.data(&serde_json::to_string(value)?))
    }

    fn field(mut self, name: &str, value: &str) -> Self {
        let value = value.replace(['\n', '\r'], " ");
        let _ = writeln!(self.text, "{name}: {value}");
        self
    }

    fn into_bytes(mut self) -> Bytes {
        self.text.push('\n');
        self.text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use iii_wire::Error;

    #[test]
    fn an_event_is_encoded_as_lines() {
        let event = SseEvent::new()
            .event("order\npaid")
            .id("7")
            .retry(Duration::from_secs(2))
            .data("a\r\nb\rc\n");
        assert_eq!(
            event.into_bytes(),
            "event: order paid\nid: 7\nretry: 2000\ndata: a\ndata: b\ndata: c\ndata: \n\n"
        );
        let event = SseEvent::new().json(&["x"]).unwrap();
        assert_eq!(event.into_bytes(), "data: [\"x\"]\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_stream_sends_comments() {
        let begin = Instant::now();
        let slow = stream::once(async {
            tokio::time::sleep(Duration::from_secs(40)).await;
            Ok::<_, Error>(SseEvent::new().data("late"))
        });
        let Sse { events, keep_alive } = Sse::new(slow);
        let idle = keep_alive.map(|every| (every, Box::pin(tokio::time::sleep(every))));
        let all: Vec<_> = KeepAliveStream { events, idle }
            .map(|piece| (begin.elapsed().as_secs(), piece.unwrap()))
            .collect()
            .await;
        let comment = Bytes::from_static(b":\n\n");
        assert_eq!(
            all,
            [(15, comment.clone()), (30, comment), (40, Bytes::from_static(b"data: late\n\n"))]
        );
    }
}
