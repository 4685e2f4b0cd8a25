//! The reply of a handler, and its forms for a direct caller and for an `http` trigger.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

use super::stream::ChunkStream;
use iii_wire::protocol::Payload;
use iii_wire::{Error, RESPONSE_STATUSES, Result, code};

/// The future of a handler, boxed.
pub type HandlerFuture = BoxFuture<'static, Result<Reply>>;

/// The result of a handler, before it is converted for its caller.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status. `None`: 200 with a body, 204 without.
    pub(crate) status: Option<u16>,
    /// The headers of the HTTP response.
    pub(crate) headers: BTreeMap<String, String>,
    /// The value.
    pub(crate) body: ReplyBody,
}

/// The value of a [`Reply`].
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// No result for a direct caller, no content over HTTP.
    Empty,
    /// A JSON value.
    Json(Payload),
    /// A string of the content type in the headers. A direct caller gets a JSON string.
    Text(String),
    /// Chunks that are written to the response channel of the request.
    Stream(ChunkStream),
    /// The chunks were written.
    Written,
}

impl Reply {
    pub(super) fn new(body: ReplyBody) -> Self {
        Self { status: None, headers: BTreeMap::new(), body }
    }

    /// A JSON value. Null counts as empty.
    #[cfg(feature = "testing")]
    pub(crate) fn json(value: Payload) -> Self {
        Self::new(if value.is_null() { ReplyBody::Empty } else { ReplyBody::Json(value) })
    }

    /// The JSON value for a direct caller. `None` if there is none, for a string of another content type, and for a stream.
    pub fn value(&self) -> Option<&Payload> {
        match &self.body {
            ReplyBody::Json(payload) => Some(payload),
            ReplyBody::Empty | ReplyBody::Text(_) | ReplyBody::Stream(_) | ReplyBody::Written => {
                None
            }
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(if matches!(self.body, ReplyBody::Empty) { 204 } else { 200 })
    }

    /// Clones the reply. Returns `None` for a stream, which can be read only once.
    pub(crate) fn try_clone(&self) -> Option<Self> {
        let body = match &self.body {
            ReplyBody::Empty => ReplyBody::Empty,
            ReplyBody::Json(payload) => ReplyBody::Json(payload.clone()),
            ReplyBody::Text(text) => ReplyBody::Text(text.clone()),
            ReplyBody::Stream(_) | ReplyBody::Written => return None,
        };
        Some(Self { status: self.status, headers: self.headers.clone(), body })
    }

    /// The approximate size in memory, in bytes.
    pub(crate) fn approximate_size(&self) -> usize {
        let body = match &self.body {
            ReplyBody::Json(payload) => payload.as_str().len(),
            ReplyBody::Text(text) => text.len(),
            ReplyBody::Empty | ReplyBody::Stream(_) | ReplyBody::Written => 0,
        };
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        size_of::<Self>() + body + headers.sum::<usize>()
    }

    /// Checks that the status and the headers can be sent in an HTTP response.
    pub(super) fn check(&self) -> Result<()> {
        let invalid = |text: String| Err(Error::new(code::INVALID_RESPONSE, text));
        if let Some(status) = self.status.filter(|status| !RESPONSE_STATUSES.contains(status)) {
            return invalid(format!(
                "the function returned a response with the status {status}: use one from 200 to 999"
            ));
        }
        for (name, value) in &self.headers {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                return invalid(format!(
                    "the function returned a response with the invalid header name {name:?}: use letters, digits and `-`"
                ));
            }
            // The value may be a secret, so the message leaves it out.
            if HeaderValue::from_str(value).is_err() {
                return invalid(format!(
                    "the function returned a response whose header `{name}` has control characters in its value: \
                     remove or encode them"
                ));
            }
        }
        Ok(())
    }

    /// The result for a direct caller.
    pub(crate) fn result(&self) -> Option<Payload> {
        match &self.body {
            ReplyBody::Json(payload) => Some(payload.clone()),
            ReplyBody::Text(text) => Payload::new(text).ok(),
            // A stream is written before the result is asked for.
            ReplyBody::Empty | ReplyBody::Stream(_) | ReplyBody::Written => None,
        }
    }

    /// The result that an `http` trigger converts to a response ([protocol 5.1](crate::protocol#s5-1)). `None` if it was written already.
    pub(crate) fn into_http(mut self) -> Option<Payload> {
        let (body, default_status) = match self.body {
            ReplyBody::Stream(_) | ReplyBody::Written => return None,
            ReplyBody::Empty => {
                // With a content type, the official engine sends an empty body for null.
                self.headers
                    .entry("content-type".to_owned())
                    .or_insert_with(|| "application/json".to_owned());
                (Payload::null(), 204)
            }
            ReplyBody::Json(payload) => (payload, 200),
            ReplyBody::Text(text) => {
                self.headers
                    .entry("content-type".to_owned())
                    .or_insert_with(|| "text/plain; charset=utf-8".to_owned());
                (Payload::new(&text).unwrap_or_default(), 200)
            }
        };
        Some(http_result(self.status.unwrap_or(default_status), &self.headers, &body))
    }
}

/// The HTTP form of an error: its status, the body `{"error":{"code","message","details"}}`, and the header `retry-after`
/// if the error has one.
pub(crate) fn error_into_http(error: &Error) -> Payload {
    #[derive(Serialize)]
    struct HttpError<'a> {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<&'a Payload>,
    }
    let http_error =
        HttpError { code: error.code(), message: error.message(), details: error.details_raw() };
    let http_error = Payload::new(&http_error).unwrap_or_default();
    let body = Payload::from_built(format!(r#"{{"error":{}}}"#, http_error.as_str()));
    let mut headers = BTreeMap::new();
    if let Some(wait) = error.retry_after() {
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        // Explicit, as some engines send JSON as text when the result has headers.
        headers.insert("content-type".to_owned(), "application/json".to_owned());
        headers.insert("retry-after".to_owned(), seconds.to_string());
    }
    http_result(error.status(), &headers, &body)
}

fn http_result(status: u16, headers: &BTreeMap<String, String>, body: &Payload) -> Payload {
    let mut json = String::with_capacity(64 + body.as_str().len());
    json.push_str(r#"{"status_code":"#);
    json.push_str(&status.to_string());
    if !headers.is_empty() {
        json.push_str(r#","headers":"#);
        json.push_str(&serde_json::to_string(headers).expect("a map of strings serialises"));
    }
    json.push_str(r#","body":"#);
    json.push_str(body.as_str());
    json.push('}');
    Payload::from_built(json)
}

#[cfg(test)]
mod tests {
    use super::*;

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
