//! The channels of a request: one streams its body to the function, one streams the response back ([protocol 5.1](iii_wire::protocol#s5-1)).

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
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::body::ResponseBody;
use super::request::RequestBody;
use super::response::{self, HttpResponse};
use crate::channel::{
    ChannelDirection, ChannelMessage, ChannelReader, ChannelWriter, Channels, OwnedChannel,
};
use crate::provider::Outcome;
use iii_wire::{BoxError, code};

/// How long to wait for the function to open the response channel after it returned no result. SDKs open the channel
/// with the first write, which may arrive after the result. Workers of this project always return a result.
const OPEN_GRACE: Duration = Duration::from_millis(100);

/// Maximum size of one message of a buffered body. Some SDKs silently lose messages over 1 MiB.
const MAX_CHUNK_BYTES: usize = 64 << 10;

/// The channels of one request. Dropping it closes them.
pub(crate) struct Exchange {
    request: OwnedChannel,
    response: OwnedChannel,
    body_writer: Option<ChannelWriter>,
    reader: ChannelReader,
    body_task: Option<AbortHandle>,
    /// Whether the client disconnected before the end of its body.
    client_disconnected: Arc<AtomicBool>,
}

/// A text message that sets the status or header fields of the response.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ControlMessage {
    SetStatus { status_code: u16 },
    SetHeaders { headers: HashMap<String, serde_json::Value> },
}

/// Status and header fields of the response, as set by control messages so far.
#[derive(Default)]
struct ResponseHead {
    status: StatusCode,
    headers: HeaderMap,
}

impl Exchange {
    /// Opens both channels. Returns `None` while the engine stops.
    pub(crate) fn open(channels: &Channels) -> Option<Self> {
        let (request, response) = (channels.create_owned(), channels.create_owned());
        let (body_writer, reader) = (request.writer(), response.reader()?);
        let client_disconnected = Arc::default();
        Some(Self { request, response, body_writer, reader, body_task: None, client_disconnected })
    }

    /// Writes the JSON reference of the channel with the request body.
    pub(crate) fn push_request_ref(&self, text: &mut String) {
        self.request.push_ref(ChannelDirection::Read, text);
    }

    /// Writes the JSON reference of the response channel.
    pub(crate) fn push_response_ref(&self, text: &mut String) {
        self.response.push_ref(ChannelDirection::Write, text);
    }

    /// Returns the reader of the response channel.
    pub(crate) fn reader(&mut self) -> &mut ChannelReader {
        &mut self.reader
    }

    /// Sends the request body through its channel. JSON is one message unless it exceeds the chunk size.
    pub(crate) fn send_body<B>(&mut self, body: RequestBody<B>)
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let Some(mut writer) = self.body_writer.take() else { return };
        match body {
            RequestBody::Json(Some(json)) if json.as_str().len() > MAX_CHUNK_BYTES => {
                let task = tokio::spawn(forward_body(chunked(json.into_bytes()), writer, || {}));
                self.body_task = Some(task.abort_handle());
            }
            RequestBody::Json(json) => {
                if let Some(json) = json {
                    // The channel is empty, so it has capacity. It is closed only while the engine stops.
                    let _ = writer.push(ChannelMessage::Binary(json.into_bytes()));
                }
                writer.finish();
            }
            RequestBody::Unread(body) if body.is_end_stream() => writer.finish(),
            RequestBody::Unread(body) => {
                let disconnected = self.client_disconnected.clone();
                let abort_response = self.response.aborter();
                let on_disconnect = move || {
                    disconnected.store(true, Ordering::Release);
                    abort_response();
                };
                let task = tokio::spawn(forward_body(body, writer, on_disconnect));
                self.body_task = Some(task.abort_handle());
            }
        }
    }

    /// Returns the response: the result of the function or what it writes to the channel, whichever comes first.
    pub(crate) async fn respond(
        mut self,
        call: impl Future<Output = Outcome>,
        deadline: Instant,
    ) -> HttpResponse {
        let mut call = pin!(call);
        let mut head = ResponseHead::default();
        let (mut returned, mut aborted) = (false, false);
        loop {
            tokio::select! {
                biased;
                item = self.reader.next(), if !aborted => match item {
                    Some(Ok(ChannelMessage::Text(text))) => head.apply(&text),
                    Some(Ok(ChannelMessage::Binary(first))) => return head.with_body(|| ResponseBody::streamed(first, self)),
                    None => return head.with_body(|| Bytes::new().into()),
                    Some(Err(_)) if returned || self.client_disconnected.load(Ordering::Acquire) => {
                        return response::bad_gateway();
                    }
                    // The result of the function may still be the response.
                    Some(Err(_)) => aborted = true,
                },
                outcome = &mut call, if !returned => match outcome {
                    Ok(Some(result)) => return response::from_result(&result),
                    Err(error) => return response::from_error(&error),
                    Ok(None) if aborted => return response::bad_gateway(),
                    Ok(None) if self.is_opened(deadline).await => returned = true,
                    Ok(None) => return response::no_content(),
                },
                () = sleep_until(deadline) => return response::timed_out(code::TIMEOUT),
            }
        }
    }

    /// Returns whether the function opens the response channel within the grace period.
    async fn is_opened(&mut self, deadline: Instant) -> bool {
        let until = deadline.min(Instant::now() + OPEN_GRACE);
        self.reader.is_opened() || timeout_at(until, self.reader.opened()).await.is_ok()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(task) = &self.body_task {
            task.abort();
        }
    }
}

impl ResponseHead {
    /// Applies a control message. Any other text message is ignored.
    fn apply(&mut self, text: &str) {
        match serde_json::from_str(text) {
            Ok(ControlMessage::SetStatus { status_code: code @ 200..=599 }) => {
                self.status = StatusCode::from_u16(code).unwrap_or(self.status);
            }
            Ok(ControlMessage::SetHeaders { headers }) => {
                for (name, value) in &headers {
                    let field = value.as_str().and_then(|value| response::field(name, value));
                    if let Some((name, value)) = field {
                        self.headers.insert(name, value);
                    }
                }
            }
            _ => {}
        }
    }

    fn with_body(self, body: impl FnOnce() -> ResponseBody) -> HttpResponse {
        let mut response = hyper::Response::new(body());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Splits buffered bytes into a body with one frame for each chunk.
fn chunked(mut rest: Bytes) -> impl Body<Data = Bytes, Error = Infallible> {
    let chunks = std::iter::from_fn(move || {
        let chunk = rest.split_to(rest.len().min(MAX_CHUNK_BYTES));
        (!chunk.is_empty()).then(|| Ok::<_, Infallible>(hyper::body::Frame::data(chunk)))
    });
    StreamBody::new(futures_util::stream::iter(chunks))
}

/// Forwards a body to a channel at the pace of its reader. Calls `on_disconnect` if the body ends prematurely.
async fn forward_body<B>(body: B, mut writer: ChannelWriter, on_disconnect: impl FnOnce())
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    // Once the reader is closed, nothing more is read from the client.
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
                tracing::debug!("a request body ended prematurely: {error}");
                return on_disconnect();
            }
            None => return writer.finish(),
        }
    }
}
