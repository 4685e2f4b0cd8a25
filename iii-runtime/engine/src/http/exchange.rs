//! The two channels of a request: its body for the function, and the response from it (protocol section 5.1).

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::poll_fn;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Bytes};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::body::ResponseBody;
use super::request::Read;
use super::response::{self, Answer, FRAMING};
use crate::channel::{
    ChannelDirection, ChannelMessage, ChannelReader, ChannelWriter, Channels, OwnedChannel,
};
use crate::provider::Outcome;
use iii_wire::{BoxError, code};

/// How long the response channel may stay unopened after the function returned nothing. SDKs open it when it is first
/// written to, which may be seen here after the result; workers of this project always return something.
const OPENING: Duration = Duration::from_millis(100);

/// How long a message of a body that is there may be: some SDKs take no longer ones than 1 MiB, and lose such a body
/// without a word.
const PIECE: usize = 64 << 10;

/// The channels of one request. Dropping it ends them.
pub(crate) struct Exchange {
    request: OwnedChannel,
    response: OwnedChannel,
    body: Option<ChannelWriter>,
    reader: ChannelReader,
    pump: Option<AbortHandle>,
    /// The client left in the middle of its body.
    lost: Arc<AtomicBool>,
}

/// A message that says how the response begins.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Control {
    SetStatus { status_code: u16 },
    SetHeaders { headers: HashMap<String, serde_json::Value> },
}

/// How the response begins, as far as the function has said.
#[derive(Default)]
struct Head {
    status: StatusCode,
    headers: HeaderMap,
}

impl Exchange {
    /// Opens both channels; `None` while the engine stops.
    pub(crate) fn open(channels: &Channels) -> Option<Self> {
        let (request, response) = (channels.create_owned(), channels.create_owned());
        let (body, reader) = (request.writer(), response.reader()?);
        Some(Self { request, response, body, reader, pump: None, lost: Arc::default() })
    }

    /// Writes what opens the body of the request, as JSON.
    pub(crate) fn push_request_ref(&self, text: &mut String) {
        self.request.push_ref(ChannelDirection::Read, text);
    }

    /// Writes what opens the response, as JSON.
    pub(crate) fn push_response_ref(&self, text: &mut String) {
        self.response.push_ref(ChannelDirection::Write, text);
    }

    /// The messages of the function.
    pub(crate) fn reader(&mut self) -> &mut ChannelReader {
        &mut self.reader
    }

    /// Lets the body of the request flow into its channel. JSON is one message, unless it is long.
    pub(crate) fn feed<B>(&mut self, body: Read<B>)
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Some(mut writer) = self.body.take() else { return };
        match body {
            Read::Json(Some(json)) if json.as_str().len() > PIECE => {
                let mut rest = json.into_bytes();
                let pieces = std::iter::from_fn(move || {
                    let piece = rest.split_to(rest.len().min(PIECE));
                    (!piece.is_empty())
                        .then(|| Ok::<_, Infallible>(hyper::body::Frame::data(piece)))
                });
                let body = StreamBody::new(futures_util::stream::iter(pieces));
                self.pump = Some(tokio::spawn(pump(body, writer, || {})).abort_handle());
            }
            Read::Json(json) => {
                if let Some(json) = json {
                    // The channel is empty, so there is room. It may be gone only while the engine stops.
                    let _ = writer.push(ChannelMessage::Binary(json.into_bytes()));
                }
                writer.finish();
            }
            Read::Raw(body) if body.is_end_stream() => writer.finish(),
            Read::Raw(body) => {
                let (lost, end) = (self.lost.clone(), self.response.aborter());
                let lost = move || {
                    lost.store(true, Ordering::Release);
                    end();
                };
                self.pump = Some(tokio::spawn(pump(body, writer, lost)).abort_handle());
            }
        }
    }

    /// The answer of the function: its result, or what it writes to the channel, whichever comes first.
    pub(crate) async fn answer(
        mut self,
        call: impl Future<Output = Outcome>,
        deadline: Instant,
    ) -> Answer {
        let mut call = pin!(call);
        let mut head = Head::default();
        let (mut called, mut broken) = (false, false);
        loop {
            tokio::select! {
                biased;
                item = self.reader.next(), if !broken => match item {
                    Some(Ok(ChannelMessage::Text(text))) => head.control(&text),
                    Some(Ok(ChannelMessage::Binary(first))) => return head.with(|| ResponseBody::streamed(first, self)),
                    None => return head.with(|| Bytes::new().into()),
                    Some(Err(_)) if called || self.lost.load(Ordering::Acquire) => {
                        return response::broken_off();
                    }
                    // The result may still be a response.
                    Some(Err(_)) => broken = true,
                },
                outcome = &mut call, if !called => match outcome {
                    Ok(Some(result)) => return response::of_result(&result),
                    Err(error) => return response::of_error(&error),
                    Ok(None) if broken => return response::broken_off(),
                    Ok(None) if self.is_opened(deadline).await => called = true,
                    Ok(None) => return response::nothing(),
                },
                () = sleep_until(deadline) => return response::timed_out(code::TIMEOUT),
            }
        }
    }

    /// Whether the function opened the response, or does so very soon.
    async fn is_opened(&mut self, deadline: Instant) -> bool {
        let soon = deadline.min(Instant::now() + OPENING);
        self.reader.is_opened() || timeout_at(soon, self.reader.opened()).await.is_ok()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(pump) = &self.pump {
            pump.abort();
        }
    }
}

impl Head {
    /// Takes what a text message says. What is no control message is ignored.
    fn control(&mut self, text: &str) {
        match serde_json::from_str(text) {
            Ok(Control::SetStatus { status_code: code @ 200..=599 }) => {
                self.status = StatusCode::from_u16(code).unwrap_or(self.status);
            }
            Ok(Control::SetHeaders { headers }) => {
                for (name, value) in headers {
                    let name = HeaderName::from_bytes(name.trim().as_bytes());
                    let value = value.as_str().and_then(|text| HeaderValue::from_str(text).ok());
                    if let (Ok(name), Some(value)) = (name, value)
                        && !FRAMING.contains(&name.as_str())
                    {
                        self.headers.insert(name, value);
                    }
                }
            }
            _ => {}
        }
    }

    fn with(self, body: impl FnOnce() -> ResponseBody) -> Answer {
        let mut answer = hyper::Response::new(body());
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers;
        answer
    }
}

/// Moves a body into a channel, as fast as it is read there. If it breaks off, the client is `lost`.
async fn pump<B>(body: B, mut writer: ChannelWriter, lost: impl FnOnce())
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    // Nobody to read it: nothing more is taken from the client.
    while poll_fn(|context| writer.poll_ready_unpin(context)).await.is_ok() {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = writer.closed() => return,
        };
        match frame {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                if !data.is_empty() && writer.push(ChannelMessage::Binary(data)).is_err() {
                    return;
                }
            }
            Some(Err(error)) => {
                let error: BoxError = error.into();
                tracing::debug!("the body of a request broke off: {error}");
                return lost();
            }
            None => return writer.finish(),
        }
    }
}
