//! The error type: a code for programs, a message for people, and how callers may react.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::code;
use crate::protocol::{ErrorBody, Payload};
use crate::transport::ConnectError;

/// The result type of most functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, for handlers that do not need an error code: it becomes the code `internal`.
///
/// An [`Error`] in it keeps its own code.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error with a code.
///
/// Functions fail with it, and handlers may return it. The code is stable: match on the code, never on the message.
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
    /// Creates an error with a code and a message.
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

    /// Creates an error with the code [`internal`](code::INTERNAL). Callers do not see the source; the worker logs it.
    /// An [`Error`] is returned unchanged.
    pub fn internal(source: impl Into<BoxError>) -> Self {
        let source = source.into();
        match source.downcast::<Self>() {
            Ok(error) => *error,
            Err(source) => Self::new(code::INTERNAL, "the function failed").with_source(source),
        }
    }

    /// Sets the HTTP status. Default: the status of the code, or 500 for a code that this crate does not define. A
    /// status outside of 200 to 999 is replaced by the default.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.inner.status = Some(status);
        self
    }

    /// Sets whether retrying the same call may succeed. Default: unknown.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = Some(retryable);
        self
    }

    /// Sets how long to wait before retrying, with a resolution of 1 ms. Also marks the error as retryable unless
    /// [`with_retryable`](Self::with_retryable) was called. Default: unknown.
    ///
    /// Queues of this engine use it as the delay of the next attempt, up to 24 hours; the official engine uses the
    /// backoff of the queue. Over HTTP it becomes the header `retry-after`, in whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.inner.retry_after = Some(wait);
        self.inner.retryable.get_or_insert(true);
        self
    }

    /// Marks any error as permanent: queues of this engine do not retry the message. An [`Error`] keeps its code; any
    /// other becomes [`internal`](code::INTERNAL). A derived error sets it with `retryable = false`.
    ///
    /// ```
    /// # mod iii { pub use iii_wire::{Error, Result}; }
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

    /// Attaches structured details for the caller. Details that cannot be serialized are dropped.
    #[must_use]
    pub fn with_details<T: Serialize + ?Sized>(mut self, details: &T) -> Self {
        self.inner.details = Payload::new(details).ok();
        self
    }

    /// Attaches the cause, for logs. It is never sent.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Returns the error that callers see in place of an unexpected one: this message, with the retry information.
    pub fn to_internal(&self, message: String) -> Self {
        let mut shown = Self::new(code::INTERNAL, message);
        shown.inner.retryable = self.inner.retryable;
        shown.inner.retry_after = self.inner.retry_after;
        shown
    }

    /// Returns the code.
    pub fn code(&self) -> &str {
        &self.inner.code
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        let status = self.inner.status.filter(|status| RESPONSE_STATUSES.contains(status));
        status.unwrap_or_else(|| default_status(&self.inner.code))
    }

    /// Returns whether retrying the same call may succeed, if known.
    pub fn retryable(&self) -> Option<bool> {
        self.inner.retryable
    }

    /// Returns how long to wait before retrying, if known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// Returns the details as raw JSON.
    pub fn details_raw(&self) -> Option<&Payload> {
        self.inner.details.as_ref()
    }

    /// Returns the details as a `T`; `None` if there are none or they do not match the type.
    pub fn details<T: DeserializeOwned>(&self) -> Option<T> {
        self.inner.details.as_ref().and_then(|details| details.parse().ok())
    }

    /// Returns the error as it is sent.
    pub fn to_body(&self) -> ErrorBody {
        ErrorBody {
            status: Some(self.status()).filter(|status| *status != 500),
            retryable: self.inner.retryable,
            retry_after_ms: self.inner.retry_after.map(milliseconds),
            details: self.inner.details.clone(),
            ..ErrorBody::new(self.inner.code.clone(), self.inner.message.clone())
        }
    }
}

/// Rounds a duration up to whole milliseconds.
fn milliseconds(span: Duration) -> u32 {
    u32::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// The statuses that a response may have. Those below are informational (RFC 9110, section 15.2).
pub const RESPONSE_STATUSES: RangeInclusive<u16> = 200..=999;

/// The status of a code without an explicit status.
fn default_status(code: &str) -> u16 {
    match code {
        code::INVALID_PAYLOAD
        | code::INVALID_ARGUMENT
        | code::STREAM_NEEDS_HTTP
        | code::DESERIALIZATION_ERROR => 400,
        code::FORBIDDEN => 403,
        code::FUNCTION_NOT_FOUND | code::CHANNEL_NOT_FOUND | code::NOT_FOUND => 404,
        code::DUPLICATE => 409,
        code::PAYLOAD_TOO_LARGE => 413,
        code::RATE_LIMITED => 429,
        code::CONNECTION_LOST
        | code::CHANNEL_BROKEN
        | code::INVALID_RESULT
        | code::INVOCATION_STOPPED => 502,
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

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        Self::new(code::CONNECT_FAILED, error.to_string())
    }
}

impl From<BoxError> for Error {
    fn from(source: BoxError) -> Self {
        Self::internal(source)
    }
}

impl From<std::io::Error> for Error {
    /// An [`Error`] that passed through a reader or a writer keeps its code.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_keeps_its_code_through_io() {
        let through = std::io::Error::from(Error::new(code::CHANNEL_BROKEN, "half"));
        assert_eq!(Error::from(through).code(), code::CHANNEL_BROKEN);
    }

    #[test]
    fn unknown_error_is_internal_and_hides_its_source() {
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
        assert_eq!(waits.retryable(), Some(false), "an explicit value is kept");
    }

    #[test]
    fn error_round_trips_through_its_body() {
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
