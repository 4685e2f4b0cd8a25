//! How an endpoint knows that a call comes from the engine: a signature, or a secret in a header.

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::Sha256;

use super::invocation::unusable;
use iii_wire::protocol::ErrorBody;

/// The header of the signature.
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("x-iii-signature");

/// The `auth` of an invocation as it comes. `…_key` are names of variables, never secrets.
#[derive(Deserialize)]
pub(super) struct GivenAuth {
    #[serde(rename = "type")]
    kind: String,
    secret_key: Option<String>,
    token_key: Option<String>,
    value_key: Option<String>,
    header: Option<String>,
}

/// What is added to each request. It holds secrets: there is no `Debug`.
pub(super) enum Auth {
    /// The body and the time are signed.
    Hmac(Hmac<Sha256>),
    /// A header holds the secret.
    Header(HeaderName, HeaderValue),
}

impl Auth {
    /// Reads the secret from the environment.
    ///
    /// # Errors
    ///
    /// Codes of the protocol (section 4.4) for a variable that is not set, `invalid_invocation` for the rest.
    pub(super) fn new(
        given: &GivenAuth,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ErrorBody> {
        // The name is not told: where somebody wrote the secret itself, that would be the secret.
        let secret = |name: &Option<String>, field: &str, code: &str| {
            let name = name.as_deref().filter(|name| !name.trim().is_empty());
            let name = name.ok_or_else(|| unusable(format!("`auth` needs `{field}`")))?;
            variable(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| {
                let message = format!(
                    "the environment variable that `{field}` of `auth` names is not set where the engine runs; \
                     `{field}` is the name of a variable, not the secret"
                );
                ErrorBody::new(code, message)
            })
        };
        match given.kind.as_str() {
            "hmac" => {
                let secret = secret(&given.secret_key, "secret_key", "secret_not_found")?;
                let keyed = Hmac::new_from_slice(secret.as_bytes());
                Ok(Self::Hmac(keyed.map_err(|_| not_sendable("secret_key"))?))
            }
            "bearer" => {
                let token = secret(&given.token_key, "token_key", "token_not_found")?;
                let value = sensitive(&format!("Bearer {token}"), "token_key")?;
                Ok(Self::Header(AUTHORIZATION, value))
            }
            "api_key" => {
                let name = given.header.as_deref().unwrap_or_default();
                let name = super::invocation::header_name(name)?;
                let key = secret(&given.value_key, "value_key", "api_key_not_found")?;
                Ok(Self::Header(name, sensitive(&key, "value_key")?))
            }
            _ => Err(unusable("the `type` of `auth` is `hmac`, `bearer` or `api_key`")),
        }
    }

    /// Adds what proves the origin of a request.
    pub(super) fn apply(&self, headers: &mut HeaderMap, timestamp: u64, body: &[u8]) {
        match self {
            Self::Hmac(keyed) => {
                let mut keyed = keyed.clone();
                keyed.update(format!("{timestamp}:{}", BASE64.encode(body)).as_bytes());
                let signature = HEXLOWER.encode(&keyed.finalize().into_bytes());
                let value = HeaderValue::from_str(&format!("sha256={signature}"));
                headers.insert(SIGNATURE, value.expect("hexadecimal digits"));
            }
            Self::Header(name, value) => drop(headers.insert(name, value.clone())),
        }
    }
}

/// A value that no log shows.
fn sensitive(text: &str, field: &str) -> Result<HeaderValue, ErrorBody> {
    let mut value = HeaderValue::from_str(text).map_err(|_| not_sendable(field))?;
    value.set_sensitive(true);
    Ok(value)
}

fn not_sendable(field: &str) -> ErrorBody {
    unusable(format!(
        "the value of the environment variable that `{field}` of `auth` names cannot be sent: it has control characters"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some("s3cret".to_owned()),
            "BLANK" => Some(" ".to_owned()),
            "LINES" => Some("s3cret\n".to_owned()),
            _ => None,
        }
    }

    fn auth(text: &str) -> Result<Auth, ErrorBody> {
        Auth::new(&serde_json::from_str(text).unwrap(), variable)
    }

    fn headers(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let body = br#"{"_caller_worker_id":"dd9c5a74-56ff-4dd9-afeb-5302f670b021","n":8}"#;
        auth(text).ok().unwrap().apply(&mut headers, 1_795_230_148, body);
        headers
    }

    #[test]
    fn the_signature_is_that_of_the_official_engine() {
        // Body, time and signature of line 35 of the recording 10.
        let headers = headers(r#"{"type":"hmac","secret_key":"TOKEN"}"#);
        let recorded = "sha256=473c5442984ddb175a0e1cb1e00cf615ade343d4a88b1f67b162be32afd3dcc1";
        assert_eq!(headers["x-iii-signature"], recorded);
    }

    #[test]
    fn secrets_go_into_headers_that_no_log_shows() {
        let headers_of_bearer = headers(r#"{"type":"bearer","token_key":"TOKEN"}"#);
        assert_eq!(headers_of_bearer["authorization"], "Bearer s3cret");
        let key = headers(r#"{"type":"api_key","header":"X-Api-Key","value_key":"TOKEN"}"#);
        assert_eq!(key["x-api-key"], "s3cret");
        for headers in [headers_of_bearer, key] {
            assert!(!format!("{headers:?}").contains("s3cret"));
        }
    }

    #[test]
    fn what_is_missing_is_told_without_any_value() {
        for (text, code) in [
            (r#"{"type":"hmac","secret_key":"NOPE"}"#, "secret_not_found"),
            (r#"{"type":"bearer","token_key":"BLANK"}"#, "token_not_found"),
            (r#"{"type":"api_key","header":"a","value_key":"NOPE"}"#, "api_key_not_found"),
            (r#"{"type":"bearer","token_key":"LINES"}"#, "invalid_invocation"),
            (r#"{"type":"bearer","secret_key":"TOKEN"}"#, "invalid_invocation"),
            (r#"{"type":"api_key","value_key":"TOKEN"}"#, "invalid_invocation"),
            (r#"{"type":"api_key","header":"host","value_key":"TOKEN"}"#, "invalid_invocation"),
            (r#"{"type":"s3cret"}"#, "invalid_invocation"),
        ] {
            let error = auth(text).err().unwrap();
            assert_eq!(error.code, code, "{text}");
            for secret in ["s3cret", "NOPE", "LINES"] {
                assert!(!error.message.contains(secret), "{}", error.message);
            }
        }
    }
}
