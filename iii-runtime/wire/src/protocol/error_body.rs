//! The error object of the wire.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::Payload;

/// An error as it is sent: `{"code","message"}` and optional fields ([protocol 4.4](crate::protocol#s4-4)).
///
/// `status`, `retryable`, `retry_after_ms` and `details` are extensions of this project. Peers without them ignore
/// them, and an engine that rebuilds the object drops them; the code always arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The stable code, for programs.
    pub code: String,
    /// The message, for people.
    #[serde(default)]
    pub message: String,
    /// The stack trace, if the peer sends one. Workers of this project never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stacktrace: Option<String>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether retrying the same call may succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// How long to wait before retrying, in milliseconds. Larger values are clamped to the maximum, about 49 days.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "saturating_u32")]
    pub retry_after_ms: Option<u32>,
    /// Structured details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
}

/// Deserializes a number and clamps it.
fn saturating_u32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<u64>::deserialize(deserializer)?;
    Ok(number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
}

impl ErrorBody {
    /// Creates an error with a code and a message.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_clamped() {
        let read = |rest: &str| {
            let text = format!(r#"{{"code":"c","message":"m"{rest}}}"#);
            serde_json::from_str::<ErrorBody>(&text).unwrap().retry_after_ms
        };
        assert_eq!(read(""), None);
        assert_eq!(read(r#","retry_after_ms":null"#), None);
        assert_eq!(read(r#","retry_after_ms":1500"#), Some(1500));
        assert_eq!(read(r#","retry_after_ms":18446744073709551615"#), Some(u32::MAX));
    }
}
