//! The error object of the wire: what a caller learns when a call fails.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Payload;

/// An error as it travels: `{"code","message"}` and what goes with it (protocol section 4.4).
///
/// `status`, `retryable`, `retry_after_ms` and `details` are additions of this project. Peers that do not know them ignore them, and an
/// engine that rebuilds the object drops them; the code always arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong, for programs: stable and documented.
    pub code: String,
    /// What went wrong, for people.
    #[serde(default)]
    pub message: String,
    /// Where it went wrong, if the peer says so. Workers of this project never send one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacktrace: Option<String>,
    /// The HTTP status that fits the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether the same call may succeed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// How long to wait before the same call is tried again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Structured facts about the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
}

impl ErrorBody {
    /// An error with a code and a message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            stacktrace: None,
            status: None,
            retryable: None,
            retry_after_ms: None,
            details: None,
        }
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}
