//! Streamed response bodies, written to the response channel of the HTTP request ([protocol 5.1](crate::protocol#s5-1)).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use super::reply::{Reply, ReplyBody};
use crate::channel::ChannelWriter;
use crate::session::Session;
use iii_wire::protocol::{ChannelRef, Payload};
use iii_wire::sync::into_inner;
use iii_wire::{BoxError, Error, Result, code};

/// The chunks of a body.
///
/// The mutex is never contended: it only makes a [`Reply`] `Sync`.
pub(crate) struct ChunkStream(Mutex<BoxedChunks>);

type BoxedChunks = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

impl ChunkStream {
    pub(crate) fn new<S, B, E>(chunks: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        let chunks = chunks.map(|chunk| chunk.map(Into::into).map_err(Into::into));
        Self(Mutex::new(Box::pin(chunks)))
    }
}

impl std::fmt::Debug for ChunkStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChunkStream")
    }
}

/// Writes a streamed reply to the response channel of the request in `data`. Returns any other reply unchanged.
///
/// # Errors
///
/// If nothing was written yet: the stream failed at the first chunk, or the request has no response channel. Logs a later
/// error, on which the client sees an incomplete body.
pub(crate) async fn write_stream_body(
    reply: Reply,
    data: &Payload,
    session: &Arc<Session>,
) -> Result<Reply> {
    let Reply { status, headers, body: ReplyBody::Stream(ChunkStream(chunks)) } = reply else {
        return Ok(reply);
    };
    let mut chunks = into_inner(chunks);
    let mut writer = response_writer(data, session)?;
    // Waits for the first chunk before the head is written, so that an error can still be an error response.
    let mut next = chunks.next().await.transpose().map_err(Error::internal)?;
    let head = async {
        let status = ControlMessage::SetStatus { status_code: status.unwrap_or(200) };
        writer.send(status.to_json()).await?;
        if !headers.is_empty() {
            writer.send(ControlMessage::SetHeaders { headers: &headers }.to_json()).await?;
        }
        Ok::<_, Error>(())
    };
    head.await?;
    while let Some(chunk) = next {
        if !chunk.is_empty() && writer.send(chunk).await.is_err() {
            tracing::debug!("the client disconnected before the end of the response");
            return Ok(written());
        }
        next = match chunks.next().await {
            Some(Ok(chunk)) => Some(chunk),
            Some(Err(error)) => {
                tracing::error!("the stream of the response failed: {error}");
                return Ok(written());
            }
            None => None,
        };
    }
    if let Err(error) = writer.finish().await {
        tracing::debug!("the end of the response may not have arrived: {error}");
    }
    Ok(written())
}

/// The reply after its chunks were written.
fn written() -> Reply {
    Reply::new(ReplyBody::Written)
}

/// The writing end of the response channel of a request.
fn response_writer(data: &Payload, session: &Arc<Session>) -> Result<ChannelWriter> {
    #[derive(serde::Deserialize)]
    struct HttpRequestData {
        response: ChannelRef,
    }
    match data.parse::<HttpRequestData>() {
        Ok(HttpRequestData { response }) => Ok(ChannelWriter::new(response, Some(session.clone()))),
        Err(_) => Err(Error::new(
            code::STREAM_NEEDS_HTTP,
            "this function streams its response, so it must be called over HTTP",
        )),
    }
}

/// A text message that sets the head of the response.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ControlMessage<'a> {
    SetStatus { status_code: u16 },
    SetHeaders { headers: &'a BTreeMap<String, String> },
}

impl ControlMessage<'_> {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers serialise")
    }
}
