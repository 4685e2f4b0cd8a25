//! Authentication of requests to an endpoint: an HMAC signature, a bearer token or an API key.

use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;
use sha2::Sha256;

use super::invocation::invalid_invocation;
use iii_wire::code;
use iii_wire::protocol::ErrorBody;

/// The field with the HMAC signature.
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("x-iii-signature");

/// The `auth` object of an invocation. The `…_key` fields name environment variables; they are never secrets.
#[derive(Deserialize)]
pub(super) struct AuthConfig {
    #[serde(rename = "type")]
    kind: String,
    secret_key: Option<String>,
    token_key: Option<String>,
    value_key: Option<String>,
    header: Option<String>,
}

/// Credentials of the requests to an endpoint. Does not implement `Debug`, because it holds secrets.
pub(super) enum EndpointAuth {
    /// Signs the timestamp and the body.
    Hmac(Hmac<Sha256>),
    /// Sends the secret in a field.
    Header(HeaderName, HeaderValue),
}

impl EndpointAuth {
    /// Reads the secret from the environment.
    ///
    /// # Errors
    ///
    /// The codes of the protocol (section 4.4) if the variable is not set, else `invalid_invocation`.
    pub(super) fn new(
        config: &AuthConfig,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ErrorBody> {
        // The message omits the name of the variable, which may be the secret itself by mistake.
        let secret = |name: &Option<String>, field: &str, code: &str| {
            let name = name.as_deref().filter(|name| !name.trim().is_empty());
            let name =
                name.ok_or_else(|| invalid_invocation(format!("`auth` requires `{field}`")))?;
            variable(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| {
                let message = format!(
                    "the environment variable named by `{field}` of `auth` is not set in the engine; `{field}` is the \
                     name of a variable, not the secret"
                );
                ErrorBody::new(code, message)
            })
        };
        match config.kind.as_str() {
            "hmac" => {
                let secret = secret(&config.secret_key, "secret_key", code::SECRET_NOT_FOUND)?;
                let mac = Hmac::new_from_slice(secret.as_bytes());
                Ok(Self::Hmac(mac.map_err(|_| invalid_secret("secret_key"))?))
            }
            "bearer" => {
                let token = secret(&config.token_key, "token_key", code::TOKEN_NOT_FOUND)?;
                let value = sensitive(&format!("Bearer {token}"), "token_key")?;
                Ok(Self::Header(AUTHORIZATION, value))
            }
            "api_key" => {
                let name = config.header.as_deref().unwrap_or_default();
                let name = super::invocation::header_name(name)?;
                let key = secret(&config.value_key, "value_key", code::API_KEY_NOT_FOUND)?;
                Ok(Self::Header(name, sensitive(&key, "value_key")?))
            }
            _ => Err(invalid_invocation("`auth.type` must be `hmac`, `bearer` or `api_key`")),
        }
    }

    /// Adds the credentials to the fields of a request.
    pub(super) fn apply(&self, headers: &mut HeaderMap, timestamp: u64, body: &[u8]) {
        match self {
            Self::Hmac(mac) => {
                let mut mac = mac.clone();
                mac.update(format!("{timestamp}:{}", BASE64.encode(body)).as_bytes());
                let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
                let value = HeaderValue::from_str(&format!("sha256={signature}"));
                headers.insert(SIGNATURE, value.expect("hexadecimal digits"));
            }
            Self::Header(name, value) => drop(headers.insert(name, value.clone())),
        }
    }
}

/// Creates a field value that is redacted in debug output.
fn sensitive(text: &str, field: &str) -> Result<HeaderValue, ErrorBody> {
    let mut value = HeaderValue::from_str(text).map_err(|_| invalid_secret(field))?;
    value.set_sensitive(true);
    Ok(value)
}

fn invalid_secret(field: &str) -> ErrorBody {
    invalid_invocation(format!(
        "the environment variable named by `{field}` of `auth` has control characters in its value"
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

    fn auth(text: &str) -> Result<EndpointAuth, ErrorBody> {
        EndpointAuth::new(&serde_json::from_str(text).unwrap(), variable)
    }

    fn headers(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let body = br#"{"_caller_worker_id":"dd9c5a74-56ff-4dd9-afeb-5302f670b021","n":8}"#;
        auth(text).ok().unwrap().apply(&mut headers, 1_795_230_148, body);
        headers
    }

    #[test]
    fn signature_equals_that_of_the_official_engine() {
        // Recorded in tests/golden/10_http_functions.jsonl.
        let headers = headers(r#"{"type":"hmac","secret_key":"TOKEN"}"#);
        let recorded = "sha256=473c5442984ddb175a0e1cb1e00cf615ade343d4a88b1f67b162be32afd3dcc1";
        assert_eq!(headers["x-iii-signature"], recorded);
    }

    #[test]
    fn secrets_are_sent_in_fields_redacted_in_debug_output() {
        let headers_of_bearer = headers(r#"{"type":"bearer","token_key":"TOKEN"}"#);
        assert_eq!(headers_of_bearer["authorization"], "Bearer s3cret");
        let key = headers(r#"{"type":"api_key","header":"X-Api-Key","value_key":"TOKEN"}"#);
        assert_eq!(key["x-api-key"], "s3cret");
        for headers in [headers_of_bearer, key] {
            assert!(!format!("{headers:?}").contains("s3cret"));
        }
    }

    #[test]
    fn errors_reveal_neither_secrets_nor_variable_names() {
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
