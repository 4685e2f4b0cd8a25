//! The error object of the wire: what a caller learns when a call fails.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

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
    /// How long to wait before the same call is tried again, in milliseconds. More than fit, some 49 days, are as many as
    /// fit.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "at_most")]
    pub retry_after_ms: Option<u32>,
    /// Structured facts about the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Payload>,
}

/// Reads a number of which no more is kept than fits.
fn at_most<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<u64>::deserialize(deserializer)?;
    Ok(number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_does_not_fit_is_as_long_as_fits() {
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
