//! The error of this crate: a code for programs, a message for people, and what a caller may be told.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::protocol::{ErrorBody, Payload};

/// The result of most functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, for handlers that are content with the code `internal`.
///
/// An [`Error`] in it keeps its own code.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The codes that this crate itself gives to errors.
///
/// Codes of the engine are listed in section 4.4 of the protocol; those of functions are their own.
pub mod code {
    /// The payload does not fit the input type of the function. HTTP status 400.
    pub const INVALID_PAYLOAD: &str = "invalid_payload";
    /// A path parameter, the query, a header or the metadata does not fit its type. HTTP status 400.
    pub const INVALID_ARGUMENT: &str = "invalid_argument";
    /// A frame is no message of the protocol, or lacks a field that the message needs.
    pub const INVALID_MESSAGE: &str = "invalid_message";
    /// The handler panicked. HTTP status 500.
    pub const PANIC: &str = "panic";
    /// The handler failed with an error that has no code of its own. HTTP status 500.
    pub const INTERNAL: &str = "internal";
    /// No answer came in time, or the handler took longer than its limit. HTTP status 504.
    pub const TIMEOUT: &str = "timeout";
    /// The link to the engine was lost while the call was in flight. The call may or may not have run. HTTP status 502.
    pub const CONNECTION_LOST: &str = "connection_lost";
    /// There was no link to the engine for as long as the call could wait. It was not sent. HTTP status 503.
    pub const NOT_CONNECTED: &str = "not_connected";
    /// The worker is stopping, or has stopped. The call was not sent, or not begun. HTTP status 503.
    pub const SHUTTING_DOWN: &str = "shutting_down";
    /// More is waiting than fits. The call was not begun. HTTP status 503.
    pub const OVERLOADED: &str = "overloaded";
    /// Too many calls came in a span of time. The call was not begun; [`Error::retry_after`](super::Error::retry_after) says
    /// when to try again. HTTP status 429.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// A call of the same key runs, or was done already. The call was not begun. HTTP status 409.
    pub const DUPLICATE: &str = "duplicate";
    /// The function takes an `Extension` that no interceptor has put into the invocation. HTTP status 500.
    pub const EXTENSION_MISSING: &str = "extension_missing";
    /// The function writes its response piece by piece, and the caller is no HTTP request. HTTP status 400.
    pub const STREAM_NEEDS_HTTP: &str = "stream_needs_http";
    /// The engine knows no such channel: it has ended, or was not opened in time. HTTP status 404.
    pub const CHANNEL_NOT_FOUND: &str = "channel_not_found";
    /// The other side of a channel left before the end. HTTP status 502.
    pub const CHANNEL_BROKEN: &str = "channel_broken";
    /// Events may be missing at this place of a [`Listener`](crate::Listener): the link was lost, or too many were waiting.
    pub const EVENTS_MISSED: &str = "events_missed";
    /// A payload is larger than a message, or a body, may be. The call was not begun, or its answer is lost. HTTP status
    /// 413.
    pub const PAYLOAD_TOO_LARGE: &str = "payload_too_large";
    /// The engine knows no such function. HTTP status 404.
    pub const FUNCTION_NOT_FOUND: &str = "function_not_found";
    /// A function that an HTTP endpoint serves was sent to the worker that declares it: in a test, it is mocked. HTTP
    /// status 501.
    pub const FUNCTION_NOT_INVOKABLE: &str = "function_not_invokable";
    /// The output of a function does not fit the type that the caller expects. HTTP status 502.
    pub const INVALID_RESULT: &str = "invalid_result";
    /// A function gives an HTTP response that cannot be sent: no response has its status, or a header is none. HTTP status
    /// 500.
    pub const INVALID_RESPONSE: &str = "invalid_response";
    /// The declarations of the worker contradict each other; the message lists all problems.
    pub const INVALID_CATALOGUE: &str = "invalid_catalogue";
    /// A setting has a value that cannot be used.
    pub const INVALID_CONFIGURATION: &str = "invalid_configuration";
    /// The engine refused a function, a trigger or the name of the worker.
    pub const REGISTRATION_REJECTED: &str = "registration_rejected";
    /// An address cannot be listened on, for example because its port is taken.
    pub const LISTEN_FAILED: &str = "listen_failed";
    /// The data directory of the engine cannot be used: it is taken, damaged, or of another program.
    pub const STORE_FAILED: &str = "store_failed";
    /// The engine cannot be reached, and trying again cannot help.
    pub const CONNECT_FAILED: &str = "connect_failed";
    /// The engine has thrown the worker out for good, or given what it serves to another worker, after it was ready.
    pub const THROWN_OUT: &str = "thrown_out";
    /// The grace period was over before all invocations were done; those left were answered with `shutting_down`.
    pub const GRACE_EXCEEDED: &str = "grace_exceeded";
    /// A second signal ended the worker at once.
    pub const STOPPED_AT_ONCE: &str = "stopped_at_once";
}

/// An error with a code.
///
/// It is what callers of functions get, and what handlers may return. The code is stable; match on it, never on the
/// message.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    code: Cow<'static, str>,
    message: String,
    status: Option<u16>,
    retryable: Option<bool>,
    retry_after: Option<Duration>,
    details: Option<Payload>,
    source: Option<BoxError>,
}

impl Error {
    /// An error with a code and a message.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code: code.into(),
                message: message.into(),
                status: None,
                retryable: None,
                retry_after: None,
                details: None,
                source: None,
            }),
        }
    }

    /// An error of the code [`internal`](code::INTERNAL). Callers do not see the source; the worker logs it.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        let source = source.into();
        match source.downcast::<Self>() {
            Ok(error) => *error,
            Err(source) => Self::new(code::INTERNAL, "the function failed").with_source(source),
        }
    }

    /// Sets the HTTP status. Default: what fits the code, 500 for a code that this crate does not know; also in place of a
    /// status that no response has, which is one outside of 200 to 999.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// Says whether the same call may succeed later. Default: unknown.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = Some(retryable);
        self
    }

    /// Says how long to wait before the same call is tried again, to the millisecond; and, if nothing was said of that
    /// before, that trying again may help. Default: unknown.
    ///
    /// Queues of the engine of this project wait so long before the next attempt, and 24 hours at most; the official
    /// engine waits as long as its queue says. Over HTTP it becomes the header `retry-after`, in whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.inner.retry_after = Some(wait);
        self.inner.retryable.get_or_insert(true);
        self
    }

    /// Any error, as one that is not to be tried again: a queue of the engine of this project gives the message up at
    /// once. An [`Error`] keeps its code; any other gets [`internal`](code::INTERNAL). An error of your own with codes
    /// says it in its derive: `retryable = false`.
    ///
    /// ```
    /// # fn read(message: &str) -> iii::Result<u32> {
    /// let number = message.parse::<u32>().map_err(iii::Error::permanent)?;
    /// # Ok(number)
    /// # }
    /// # assert_eq!(read("x").unwrap_err().retryable(), Some(false));
    /// ```
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        let mut error = Self::internal(error);
        error.inner.retry_after = None;
        error.with_retryable(false)
    }

    /// Adds structured facts for the caller. Facts that cannot be serialised are left out.
    #[must_use]
    pub fn with_details<T: Serialize + ?Sized>(mut self, details: &T) -> Self {
        self.inner.details = Payload::new(details).ok();
        self
    }

    /// Adds the cause, for logs. It is never sent.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// An unexpected error as callers may see it: this message, and whether and when to try again.
    pub(crate) fn without_inside(&self, message: String) -> Self {
        let mut shown = Self::new(code::INTERNAL, message);
        shown.inner.retryable = self.inner.retryable;
        shown.inner.retry_after = self.inner.retry_after;
        shown
    }

    /// What went wrong, for programs.
    pub fn code(&self) -> &str {
        &self.inner.code
    }

    /// What went wrong, for people.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The HTTP status that fits.
    pub fn status(&self) -> u16 {
        let status = self.inner.status.filter(|status| STATUSES.contains(status));
        status.unwrap_or_else(|| default_status(&self.inner.code))
    }

    /// Whether the same call may succeed later, if that is known.
    pub fn retryable(&self) -> Option<bool> {
        self.inner.retryable
    }

    /// How long to wait before the same call is tried again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// The structured facts as they came.
    pub fn details_raw(&self) -> Option<&Payload> {
        self.inner.details.as_ref()
    }

    /// The structured facts as a type; `None` if there are none, or they do not fit.
    pub fn details<T: DeserializeOwned>(&self) -> Option<T> {
        self.inner.details.as_ref().and_then(|details| details.parse().ok())
    }

    /// The error as it travels.
    pub(crate) fn to_body(&self) -> ErrorBody {
        ErrorBody {
            status: Some(self.status()).filter(|status| *status != 500),
            retryable: self.inner.retryable,
            retry_after_ms: self.inner.retry_after.map(milliseconds),
            details: self.inner.details.clone(),
            ..ErrorBody::new(self.inner.code.clone(), self.inner.message.clone())
        }
    }
}

/// A span of time as it travels. What is shorter than a millisecond is one.
fn milliseconds(span: Duration) -> u32 {
    u32::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// The statuses that a response may have: those below are of what comes before it (RFC 9110, section 15.2).
pub(crate) const STATUSES: RangeInclusive<u16> = 200..=999;

/// The status of errors that name none.
fn default_status(code: &str) -> u16 {
    match code {
        code::INVALID_PAYLOAD
        | code::INVALID_ARGUMENT
        | code::STREAM_NEEDS_HTTP
        | "deserialization_error" => 400,
        "FORBIDDEN" => 403,
        code::FUNCTION_NOT_FOUND | code::CHANNEL_NOT_FOUND | "NOT_FOUND" => 404,
        code::DUPLICATE => 409,
        code::PAYLOAD_TOO_LARGE => 413,
        code::RATE_LIMITED => 429,
        code::CONNECTION_LOST
        | code::CHANNEL_BROKEN
        | code::INVALID_RESULT
        | "invocation_stopped" => 502,
        code::NOT_CONNECTED | code::SHUTTING_DOWN | code::OVERLOADED => 503,
        code::TIMEOUT => 504,
        _ => 500,
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("code", &self.inner.code).field("message", &self.inner.message);
        if let Some(status) = &self.inner.status {
            out.field("status", status);
        }
        if let Some(retryable) = &self.inner.retryable {
            out.field("retryable", retryable);
        }
        if let Some(wait) = &self.inner.retry_after {
            out.field("retry_after", wait);
        }
        if let Some(details) = &self.inner.details {
            out.field("details", details);
        }
        if let Some(source) = &self.inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.inner.message, self.inner.code)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_ref().map(|source| &**source as _)
    }
}

impl From<ErrorBody> for Error {
    fn from(body: ErrorBody) -> Self {
        Self {
            inner: Box::new(Inner {
                code: body.code.into(),
                message: body.message,
                status: body.status,
                retryable: body.retryable,
                retry_after: body.retry_after_ms.map(|wait| Duration::from_millis(wait.into())),
                details: body.details,
                source: None,
            }),
        }
    }
}

impl From<BoxError> for Error {
    fn from(source: BoxError) -> Self {
        Self::internal(source)
    }
}

impl From<std::io::Error> for Error {
    /// An error of this crate that went through a reader or a writer keeps its code.
    fn from(source: std::io::Error) -> Self {
        source.downcast::<Self>().unwrap_or_else(Self::internal)
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

macro_rules! from_common_errors {
    ($($type:ty),* $(,)?) => {$(
        impl From<$type> for Error {
            fn from(source: $type) -> Self {
                Self::internal(source)
            }
        }
    )*};
}

from_common_errors!(
    std::fmt::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    std::time::SystemTimeError,
    serde_json::Error,
);

/// An error that a handler may return: it has a code.
///
/// Derive it with [`macro@crate::Error`] on an enum of your own, or return [`Error`], or [`BoxError`] for errors that
/// callers need not tell apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a function: it has no code",
    label = "an error without a code",
    note = "derive a code for each variant: `#[derive(Debug, iii::Error)]`, `#[error(code = \"orders/not-found\")]`",
    note = "or return `iii::Error`, or `iii::BoxError` for errors that callers need not tell apart"
)]
pub trait IntoError {
    /// The error with its code.
    fn into_error(self) -> Error;
}

impl IntoError for Error {
    fn into_error(self) -> Error {
        self
    }
}

impl IntoError for BoxError {
    fn into_error(self) -> Error {
        Error::internal(self)
    }
}

impl IntoError for std::convert::Infallible {
    fn into_error(self) -> Error {
        match self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boxed_error_keeps_its_code() {
        let boxed: BoxError = Error::new("orders/gone", "gone").with_status(410).into();
        let error = boxed.into_error();
        assert_eq!((error.code(), error.status()), ("orders/gone", 410));
    }

    #[test]
    fn an_error_keeps_its_code_on_the_way_through_io() {
        let through = std::io::Error::from(Error::new(code::CHANNEL_BROKEN, "half"));
        assert_eq!(Error::from(through).code(), code::CHANNEL_BROKEN);
    }

    #[test]
    fn an_unknown_error_is_internal_and_does_not_show_its_source() {
        let error = Error::from(std::io::Error::other("/secret/path"));
        assert_eq!((error.code(), error.status()), (code::INTERNAL, 500));
        assert!(!error.to_string().contains("secret"));
        assert!(StdError::source(&error).unwrap().to_string().contains("secret"));
        assert!(error.to_body().details.is_none());
    }

    #[test]
    fn any_error_can_be_made_permanent() {
        let coded = Error::new("a/b", "c").with_retry_after(Duration::MAX);
        assert_eq!(coded.to_body().retry_after_ms, Some(u32::MAX));
        let coded = Error::permanent(coded);
        assert_eq!(
            (coded.code(), coded.retryable(), coded.retry_after()),
            ("a/b", Some(false), None)
        );
        let other = Error::permanent(std::io::Error::other("disk"));
        assert_eq!((other.code(), other.retryable()), (code::INTERNAL, Some(false)));
        let waits = Error::new("a/b", "c").with_retryable(false).with_retry_after(Duration::ZERO);
        assert_eq!(waits.retryable(), Some(false), "what was said is kept");
    }

    #[test]
    fn an_error_survives_the_wire() {
        let error = Error::new("a/b", "c").with_status(409).with_details(&[1]);
        let error = error.with_retry_after(Duration::from_micros(1500));
        let text = serde_json::to_string(&error.to_body()).unwrap();
        let back = Error::from(serde_json::from_str::<ErrorBody>(&text).unwrap());
        assert_eq!((back.code(), back.message(), back.status()), ("a/b", "c", 409));
        assert_eq!(
            (back.retryable(), back.retry_after()),
            (Some(true), Some(Duration::from_millis(2)))
        );
        assert_eq!(back.details::<Vec<u8>>(), Some(vec![1]));
    }
}
