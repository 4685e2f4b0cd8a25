//! Converts the response of an endpoint to the outcome of a call ([protocol 4.8](iii_wire::protocol#s4-8)).

use bytestring::ByteString;
use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Deserialize;

use crate::provider::Outcome;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};

/// The HTTP status of a call that fails because of its endpoint.
pub(super) const BAD_GATEWAY: u16 = 502;

/// Content of a response that reports an error of the function.
#[derive(Deserialize)]
struct ErrorContent {
    error: FunctionError,
}

#[derive(Deserialize)]
struct FunctionError {
    code: Option<String>,
    message: Option<String>,
    retryable: Option<bool>,
    retry_after_ms: Option<u32>,
    details: Option<Payload>,
}

/// Converts a response: its JSON, no output for empty content, or an error.
///
/// An error of the function keeps the status of the response, which an HTTP trigger uses for its own response.
pub(super) fn into_outcome(status: StatusCode, body: Bytes) -> Outcome {
    if !(status.is_success() || status.is_redirection()) {
        return Err(error_of(status, &body));
    }
    if body.is_empty() {
        return Ok(None);
    }
    let json = ByteString::try_from(body)
        .map_err(|_| "it is not UTF-8".to_owned())
        .and_then(|text| Payload::from_json(text).map_err(|error| error.to_string()));
    match json {
        Ok(json) => Ok(Some(json)),
        // Redirects are not followed, and their content is usually HTML.
        Err(_) if status.is_redirection() => Ok(None),
        Err(why) => Err(ErrorBody {
            status: Some(BAD_GATEWAY),
            ..ErrorBody::new(
                code::INVALID_RESPONSE,
                format!("the response of the endpoint is not valid JSON: {why}"),
            )
        }),
    }
}

fn error_of(status: StatusCode, body: &[u8]) -> ErrorBody {
    match serde_json::from_slice::<ErrorContent>(body) {
        Ok(ErrorContent { error }) => ErrorBody {
            status: Some(status.as_u16()),
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
            details: error.details,
            ..ErrorBody::new(
                error.code.unwrap_or_else(|| code::HTTP_ERROR.to_owned()),
                error.message.unwrap_or_else(|| "HTTP request failed".to_owned()),
            )
        },
        Err(_) => ErrorBody {
            status: Some(BAD_GATEWAY),
            ..ErrorBody::new(code::HTTP_ERROR, format!("HTTP {status}"))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome_of(status: u16, body: &'static str) -> Outcome {
        into_outcome(StatusCode::from_u16(status).unwrap(), Bytes::from_static(body.as_bytes()))
    }

    fn error(status: u16, body: &'static str) -> (String, String, Option<u16>) {
        let error = outcome_of(status, body).unwrap_err();
        (error.code, error.message, error.status)
    }

    #[test]
    fn success_is_json_or_no_output() {
        for status in [200, 201, 299] {
            assert_eq!(outcome_of(status, ""), Ok(None));
            assert_eq!(
                outcome_of(status, r#" {"a":1.50} "#).unwrap().unwrap().as_str(),
                r#"{"a":1.50}"#
            );
        }
        assert_eq!(outcome_of(200, "null").unwrap().unwrap().as_str(), "null");
        for body in ["not json", "{", "1 2"] {
            assert_eq!(error(200, body).0, "invalid_response");
        }
        let not_text = into_outcome(StatusCode::OK, Bytes::from_static(b"\"\xff\""));
        assert_eq!(not_text.unwrap_err().code, "invalid_response");
    }

    #[test]
    fn redirects_are_not_followed() {
        assert_eq!(outcome_of(302, ""), Ok(None));
        assert_eq!(outcome_of(301, "<html>"), Ok(None));
        assert_eq!(outcome_of(300, "[1]").unwrap().unwrap().as_str(), "[1]");
    }

    #[test]
    fn error_object_is_the_error_of_the_function() {
        let outcome = outcome_of(
            409,
            r#"{"error":{"code":"X","message":"bad","retryable":true,"details":[1]}}"#,
        );
        let expected = ErrorBody {
            status: Some(409),
            retryable: Some(true),
            details: Some(Payload::from_json("[1]").unwrap()),
            ..ErrorBody::new("X", "bad")
        };
        assert_eq!(outcome, Err(expected));
        let of_parts = |body| error(500, body);
        let failed = "HTTP request failed";
        assert_eq!(of_parts(r#"{"error":{}}"#), ("http_error".into(), failed.into(), Some(500)));
        assert_eq!(of_parts(r#"{"error":{"code":"X"}}"#), ("X".into(), failed.into(), Some(500)));
    }

    #[test]
    fn other_error_content_is_replaced_by_the_status() {
        for body in ["", "oops", r#"{"error":"text"}"#, r#"{"error":{"code":7}}"#, "[]"] {
            let expected =
                ("http_error".into(), "HTTP 500 Internal Server Error".into(), Some(502));
            assert_eq!(error(500, body), expected);
        }
        assert_eq!(error(404, "").1, "HTTP 404 Not Found");
        assert_eq!(error(101, "").1, "HTTP 101 Switching Protocols");
    }
}
