//! Responses that are written piece by piece, through the channel of the HTTP request (protocol section 5.1).

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use super::{Body, Reply};
use crate::channel::ChannelWriter;
use crate::session::Session;
use iii_wire::protocol::{ChannelRef, Payload};
use iii_wire::{BoxError, Error, Result, code};

/// The pieces of a body.
///
/// The lock is never waited for: it lets several look at a reply at the same time, who leave its pieces alone.
pub(crate) struct Pieces(Mutex<BoxedPieces>);

type BoxedPieces = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

impl Pieces {
    pub(crate) fn new<S, B, E>(pieces: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        let pieces = pieces.map(|piece| piece.map(Into::into).map_err(Into::into));
        Self(Mutex::new(Box::pin(pieces)))
    }
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pieces")
    }
}

/// Writes a reply that is a stream to where the request says. Any other reply is given back as it is.
///
/// # Errors
///
/// If nothing was written yet: the stream failed at once, or there is nowhere to write to. An error after that is only
/// logged: the client sees that the body broke off.
pub(crate) async fn write_stream_body(reply: Reply, data: &Payload, session: &Arc<Session>) -> Result<Reply> {
    let Reply { status, headers, body: Body::Stream(Pieces(pieces)) } = reply else {
        return Ok(reply);
    };
    let mut pieces = pieces.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut writer = response_of(data, session)?;
    // As long as nothing was written, an error can still be a response of its own.
    let mut next = pieces.next().await.transpose().map_err(Error::internal)?;
    let head = async {
        writer.send(Control::SetStatus { status_code: status.unwrap_or(200) }.text()).await?;
        if !headers.is_empty() {
            writer.send(Control::SetHeaders { headers: &headers }.text()).await?;
        }
        Ok::<_, Error>(())
    };
    head.await?;
    while let Some(piece) = next {
        // An empty message says nothing.
        if !piece.is_empty() && writer.send(piece).await.is_err() {
            tracing::debug!("the client left before the end of the response");
            return Ok(written());
        }
        next = match pieces.next().await {
            Some(Ok(piece)) => Some(piece),
            Some(Err(error)) => {
                tracing::error!("the response broke off: {error}");
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

/// The reply after everything went through the channel.
fn written() -> Reply {
    Reply { status: None, headers: BTreeMap::new(), body: Body::Written }
}

/// The writing end of the response of a request.
fn response_of(data: &Payload, session: &Arc<Session>) -> Result<ChannelWriter> {
    #[derive(serde::Deserialize)]
    struct Request {
        response: ChannelRef,
    }
    match data.parse::<Request>() {
        Ok(Request { response }) => Ok(ChannelWriter::new(response, Some(session.clone()))),
        Err(_) => Err(Error::new(
            code::STREAM_NEEDS_HTTP,
            "this function writes its response piece by piece, so it must be called over HTTP",
        )),
    }
}

/// A message that says how the response begins.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Control<'a> {
    SetStatus { status_code: u16 },
    SetHeaders { headers: &'a BTreeMap<String, String> },
}

impl Control<'_> {
    fn text(&self) -> String {
        serde_json::to_string(self).expect("text and numbers serialise")
    }
}
