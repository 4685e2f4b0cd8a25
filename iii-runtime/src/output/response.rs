//! An HTTP response that a function builds itself.

use bytes::Bytes;
use futures_util::Stream;
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;

use super::reply::{Reply, ReplyBody};
use super::stream::ChunkStream;
use super::{Output, to_payload};
use iii_wire::protocol::Payload;
use iii_wire::{BoxError, Result};

/// An HTTP response with status, headers and body. A direct caller gets the body.
///
/// A streamed body needs an HTTP request. A response with an invalid status or header fails with the code
/// [`invalid_response`](iii_wire::code::INVALID_RESPONSE).
#[derive(Debug)]
pub struct Response {
    reply: Reply,
}

impl Response {
    /// A response without a body. The status is from 200 to 999.
    pub fn new(status: u16) -> Self {
        Self { reply: Reply { status: Some(status), ..Reply::new(ReplyBody::Empty) } }
    }

    /// Sets a header, replacing an earlier value.
    ///
    /// The server sets the headers that frame the response, such as `content-length`, and ignores those set here.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.reply.headers.insert(name.into().to_ascii_lowercase(), value.into());
        self
    }

    /// Sets a JSON body.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialised.
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Result<Self> {
        self.reply.body = ReplyBody::Json(to_payload(&body)?);
        Ok(self)
    }

    /// Sets a text body. Default content type: `text/plain; charset=utf-8`.
    #[must_use]
    pub fn text(mut self, body: impl Into<String>) -> Self {
        self.reply.body = ReplyBody::Text(body.into());
        self
    }

    /// Sets a streamed body, with backpressure from the client. Set the header `content-type` as well.
    ///
    /// The first error ends the stream. Before the first chunk, the client gets an error response, with the code of an
    /// [`Error`](struct@crate::Error), else with [`internal`](iii_wire::code::INTERNAL); later, it sees an incomplete body.
    /// The stream is dropped when the client disconnects. A direct caller gets an error with the code
    /// [`stream_needs_http`](iii_wire::code::STREAM_NEEDS_HTTP).
    #[must_use]
    pub fn stream<S, B, E>(mut self, chunks: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        self.reply.body = ReplyBody::Stream(ChunkStream::new(chunks));
        self
    }
}

impl Output for Response {
    type Value = Payload;

    fn into_reply(self) -> Result<Reply> {
        self.reply.check()?;
        Ok(self.reply)
    }

    fn schema() -> Option<fn(&mut SchemaGenerator) -> Schema> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iii_wire::{Error, code};

    #[test]
    fn an_invalid_status_or_header_is_an_error() {
        for (response, expected) in [
            (Response::new(42), "status 42"),
            (Response::new(1000), "status 1000"),
            (Response::new(200).header("x y", "1"), "\"x y\""),
            (Response::new(200).header("", "1"), "\"\""),
            (Response::new(302).header("location", "/a\r\nset-cookie: b"), "`location`"),
        ] {
            let error = response.into_reply().unwrap_err();
            assert_eq!((error.code(), error.status()), (code::INVALID_RESPONSE, 500));
            assert!(error.message().contains(expected), "{error}");
            assert!(!error.message().contains("set-cookie"), "{error}");
        }
        assert!(Response::new(999).header("X-Any", "a, b; c=\u{e9}").into_reply().is_ok());
        assert_eq!(Error::new("a/b", "text").with_status(42).status(), 500);
    }
}
