//! Handler results: what a function gives back, as a plain value to a caller and as a response over HTTP.

mod into_error;
mod sse;
mod stream;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

use iii_wire::protocol::Payload;
use iii_wire::{BoxError, Error, Result, RESPONSE_STATUSES, code};

pub use into_error::IntoError;
pub use sse::{Sse, SseEvent};
use stream::Pieces;
pub(crate) use stream::write;

/// What a handler returns, boxed.
pub type HandlerFuture = BoxFuture<'static, Result<Reply>>;

/// What a handler gave back, before anybody decided how it travels.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status. `None`: 200 with a body, 204 without.
    pub(crate) status: Option<u16>,
    /// Headers of the HTTP response.
    pub(crate) headers: BTreeMap<String, String>,
    /// The value.
    pub(crate) body: Body,
}

/// The value of a [`Reply`].
#[derive(Debug)]
pub(crate) enum Body {
    /// Nothing: no result to a caller, no content over HTTP.
    Empty,
    /// A value.
    Json(Payload),
    /// Text of the content type in the headers; a caller gets it as JSON text.
    Text(String),
    /// Pieces, to be written to the response of the request.
    Stream(Pieces),
    /// All pieces were written: there is nothing more to say.
    Written,
}

impl Reply {
    fn new(body: Body) -> Self {
        Self { status: None, headers: BTreeMap::new(), body }
    }

    /// A value; null is none.
    #[cfg(feature = "testing")]
    pub(crate) fn json(value: Payload) -> Self {
        Self::new(if value.is_null() { Body::Empty } else { Body::Json(value) })
    }

    /// The value that a direct caller gets; `None` for nothing, for text of another content type and for a stream.
    pub fn value(&self) -> Option<&Payload> {
        match &self.body {
            Body::Json(payload) => Some(payload),
            Body::Empty | Body::Text(_) | Body::Stream(_) | Body::Written => None,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(if matches!(self.body, Body::Empty) { 204 } else { 200 })
    }

    /// The same once more; `None` if it is a stream, which can be read once only.
    pub(crate) fn copy(&self) -> Option<Self> {
        let body = match &self.body {
            Body::Empty => Body::Empty,
            Body::Json(payload) => Body::Json(payload.clone()),
            Body::Text(text) => Body::Text(text.clone()),
            Body::Stream(_) | Body::Written => return None,
        };
        Some(Self { status: self.status, headers: self.headers.clone(), body })
    }

    /// How many bytes it holds, about.
    pub(crate) fn size(&self) -> usize {
        let body = match &self.body {
            Body::Json(payload) => payload.as_str().len(),
            Body::Text(text) => text.len(),
            Body::Empty | Body::Stream(_) | Body::Written => 0,
        };
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        size_of::<Self>() + body + headers.sum::<usize>()
    }

    /// Says what cannot be sent as an HTTP response.
    fn check(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::new(code::INVALID_RESPONSE, text));
        if let Some(status) = self.status.filter(|status| !RESPONSE_STATUSES.contains(status)) {
            return wrong(format!(
                "the function gives a response with the status {status}: use one from 200 to 999"
            ));
        }
        for (name, value) in &self.headers {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                return wrong(format!(
                    "the function gives a response with the header {name:?}: a name is of letters, digits and `-`"
                ));
            }
            // What the value is may be a secret.
            if HeaderValue::from_str(value).is_err() {
                return wrong(format!(
                    "the function gives a response whose header `{name}` has a value with control characters: leave \
                     them out, or encode them"
                ));
            }
        }
        Ok(())
    }

    /// The value as it is given to a direct caller.
    pub(crate) fn result(&self) -> Option<Payload> {
        match &self.body {
            Body::Json(payload) => Some(payload.clone()),
            Body::Text(text) => Payload::new(text).ok(),
            // A stream was written before anybody asks for a result.
            Body::Empty | Body::Stream(_) | Body::Written => None,
        }
    }

    /// The result that an `http` trigger turns into a response (protocol section 5.1). `None`: it was written already.
    pub(crate) fn into_http(mut self) -> Option<Payload> {
        let (body, default_status) = match self.body {
            Body::Stream(_) | Body::Written => return None,
            Body::Empty => {
                // With a content type, the official engine writes an empty body for null.
                self.headers
                    .entry("content-type".to_owned())
                    .or_insert_with(|| "application/json".to_owned());
                (Payload::null(), 204)
            }
            Body::Json(payload) => (payload, 200),
            Body::Text(text) => {
                self.headers
                    .entry("content-type".to_owned())
                    .or_insert_with(|| "text/plain; charset=utf-8".to_owned());
                (Payload::new(&text).unwrap_or_default(), 200)
            }
        };
        Some(http_result(self.status.unwrap_or(default_status), &self.headers, &body))
    }
}

/// The HTTP form of an error: its status, `{"error":{"code","message","details"}}`, and the header `retry-after` where it
/// says when to try again.
pub(crate) fn error_into_http(error: &Error) -> Payload {
    #[derive(Serialize)]
    struct Shown<'a> {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<&'a Payload>,
    }
    let shown =
        Shown { code: error.code(), message: error.message(), details: error.details_raw() };
    let shown = Payload::new(&shown).unwrap_or_default();
    let body = Payload::from_built(format!(r#"{{"error":{}}}"#, shown.as_str()));
    let mut headers = BTreeMap::new();
    if let Some(wait) = error.retry_after() {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        // The type is named, as some engines write JSON as text when there are headers of our own.
        headers.insert("content-type".to_owned(), "application/json".to_owned());
        headers.insert("retry-after".to_owned(), seconds.to_string());
    }
    http_result(error.status(), &headers, &body)
}

fn http_result(status: u16, headers: &BTreeMap<String, String>, body: &Payload) -> Payload {
    let mut text = String::with_capacity(64 + body.as_str().len());
    text.push_str(r#"{"status_code":"#);
    text.push_str(&status.to_string());
    if !headers.is_empty() {
        text.push_str(r#","headers":"#);
        text.push_str(&serde_json::to_string(headers).expect("a map of text serialises"));
    }
    text.push_str(r#","body":"#);
    text.push_str(body.as_str());
    text.push('}');
    Payload::from_built(text)
}

/// A value that a function can give back.
///
/// Any type that is `Serialize` and `JsonSchema` is one. Over HTTP it becomes status 200 and JSON; `()` becomes 204,
/// and `None` 404.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a function",
    label = "not a result",
    note = "derive `Serialize` and `JsonSchema` for it: `#[derive(Serialize, iii::JsonSchema)]`"
)]
pub trait Output: Sized + Send + 'static {
    /// What a caller gets.
    type Value;

    /// The value, before anybody decided how it travels.
    ///
    /// # Errors
    ///
    /// If the value cannot be serialised.
    fn into_reply(self) -> Result<Reply>;

    /// JSON Schema of the value; `None` if there never is one.
    fn schema() -> Option<fn(&mut SchemaGenerator) -> Schema>;
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for T {
    type Value = T;

    fn into_reply(self) -> Result<Reply> {
        let payload = to_payload(&self)?;
        if !payload.is_null() {
            return Ok(Reply::new(Body::Json(payload)));
        }
        // Only `()` has nothing to say; any other null is an absent value.
        let status = if is_unit::<T>() { 204 } else { 404 };
        Ok(Reply { status: Some(status), ..Reply::new(Body::Empty) })
    }

    fn schema() -> Option<fn(&mut SchemaGenerator) -> Schema> {
        if is_unit::<T>() { None } else { Some(SchemaGenerator::root_schema_for::<T>) }
    }
}

fn is_unit<T: 'static>() -> bool {
    std::any::TypeId::of::<T>() == std::any::TypeId::of::<()>()
}

fn to_payload<T: Serialize>(value: &T) -> Result<Payload> {
    Payload::new(value).map_err(|error| {
        Error::new(code::INTERNAL, "the result of the function could not be serialised")
            .with_source(error)
    })
}

/// A value that was made: status 201 over HTTP, the value itself to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created<T>(pub T);

impl<T: Serialize + JsonSchema + Send + 'static> Output for Created<T> {
    type Value = T;

    fn into_reply(self) -> Result<Reply> {
        Ok(Reply { status: Some(201), ..Reply::new(Body::Json(to_payload(&self.0)?)) })
    }

    fn schema() -> Option<fn(&mut SchemaGenerator) -> Schema> {
        Some(SchemaGenerator::root_schema_for::<T>)
    }
}

/// An HTTP response with a status, headers and a body of its own. A direct caller gets the body.
///
/// A body that is a stream is written piece by piece, over HTTP only. A response that cannot be sent is the error
/// [`invalid_response`](code::INVALID_RESPONSE).
#[derive(Debug)]
pub struct Response {
    reply: Reply,
}

impl Response {
    /// A response without a body. The status is from 200 to 999.
    pub fn new(status: u16) -> Self {
        Self { reply: Reply { status: Some(status), ..Reply::new(Body::Empty) } }
    }

    /// Sets a header. A header that is set twice keeps the later value.
    ///
    /// What frames the response, such as `content-length`, is left out: the server sets it.
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
        self.reply.body = Body::Json(to_payload(&body)?);
        Ok(self)
    }

    /// Sets a text body. Default content type: `text/plain; charset=utf-8`.
    #[must_use]
    pub fn text(mut self, body: impl Into<String>) -> Self {
        self.reply.body = Body::Text(body.into());
        self
    }

    /// Sets a body that is written piece by piece, as fast as the client reads. Set the content type beside it.
    ///
    /// The first error of the stream ends it: before the first piece, the client gets an error response, with the code of
    /// an [`Error`](struct@crate::Error) and else with [`internal`](code::INTERNAL); later, it sees that the body broke off. The stream is dropped when the client leaves.
    /// A caller that is no HTTP request gets an error with the code [`stream_needs_http`](code::STREAM_NEEDS_HTTP).
    #[must_use]
    pub fn stream<S, B, E>(mut self, pieces: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        self.reply.body = Body::Stream(Pieces::new(pieces));
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

    fn http(output: impl Output) -> String {
        output.into_reply().unwrap().into_http().unwrap().as_str().to_owned()
    }

    #[test]
    fn a_response_that_cannot_be_sent_is_an_error() {
        for (response, told) in [
            (Response::new(42), "status 42"),
            (Response::new(1000), "status 1000"),
            (Response::new(200).header("x y", "1"), "\"x y\""),
            (Response::new(200).header("", "1"), "\"\""),
            (Response::new(302).header("location", "/a\r\nset-cookie: b"), "`location`"),
        ] {
            let error = response.into_reply().unwrap_err();
            assert_eq!((error.code(), error.status()), (code::INVALID_RESPONSE, 500));
            assert!(error.message().contains(told), "{error}");
            assert!(!error.message().contains("set-cookie"), "{error}");
        }
        assert!(Response::new(999).header("X-Any", "a, b; c=\u{e9}").into_reply().is_ok());
        assert_eq!(Error::new("a/b", "text").with_status(42).status(), 500);
    }

    #[test]
    fn each_result_has_its_http_form() {
        assert_eq!(http(7), r#"{"status_code":200,"body":7}"#);
        assert_eq!(http(Created("x")), r#"{"status_code":201,"body":"x"}"#);
        let empty = r#"{"content-type":"application/json"}"#;
        assert_eq!(http(()), format!(r#"{{"status_code":204,"headers":{empty},"body":null}}"#));
        assert_eq!(
            http(None::<u8>),
            format!(r#"{{"status_code":404,"headers":{empty},"body":null}}"#)
        );
        assert_eq!(
            http(Response::new(418).header("X-A", "b").text("tea")),
            r#"{"status_code":418,"headers":{"content-type":"text/plain; charset=utf-8","x-a":"b"},"body":"tea"}"#
        );
        assert_eq!(
            http(Response::new(202).json(&[1]).unwrap()),
            r#"{"status_code":202,"body":[1]}"#
        );
    }

    #[test]
    fn each_result_has_its_plain_form() {
        fn plain(output: impl Output) -> Option<String> {
            output.into_reply().unwrap().result().map(|p| p.as_str().to_owned())
        }
        assert_eq!(plain(7).as_deref(), Some("7"));
        assert_eq!(plain(Created(7)).as_deref(), Some("7"));
        assert_eq!(plain(()), None);
        assert_eq!(plain(None::<u8>), None);
        assert_eq!(plain(Response::new(200).text("a\"b")).as_deref(), Some(r#""a\"b""#));
    }

    #[test]
    fn an_error_has_its_http_form() {
        let error = Error::new("orders/out-of-stock", "no tea").with_status(409);
        assert_eq!(
            error_into_http(&error).as_str(),
            r#"{"status_code":409,"body":{"error":{"code":"orders/out-of-stock","message":"no tea"}}}"#
        );
        let later = error.with_retry_after(std::time::Duration::from_millis(1500));
        assert!(
            error_into_http(&later).as_str().contains(r#""retry-after":"2""#),
            "{:?}",
            error_into_http(&later)
        );
    }
}
