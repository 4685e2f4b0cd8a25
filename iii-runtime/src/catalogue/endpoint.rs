//! Resolution and validation of the endpoints of HTTP functions, and their wire format ([protocol 4.8](crate::protocol#s4-8)).

use std::collections::BTreeMap;
use std::time::Duration;

use iii_wire::protocol::Payload;
use serde::Serialize;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Uri};

use super::CatalogueProblem;
use crate::declare::{EndpointAuth, EndpointDescriptor, EndpointUrl, FunctionDescriptor};

/// The HTTP endpoint of a function, resolved when the worker starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedEndpoint {
    /// Scheme, host and port of the URL. The rest may contain secrets.
    pub origin: String,
    /// The method.
    pub method: &'static str,
    /// The `invocation` with which the function is registered.
    pub(crate) invocation: Payload,
}

/// What happens with the endpoints of a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointMode {
    /// Resolves their URLs, which must be set.
    Resolve,
    /// Leaves them out: the engine does not call them.
    Skip,
}

/// Resolves the endpoint of a function, and reports a problem if that fails. Returns `None` if the function has none, or if
/// endpoints are skipped.
pub(super) fn resolve(
    function: &FunctionDescriptor,
    mode: EndpointMode,
    problems: &mut Vec<CatalogueProblem>,
) -> Option<ResolvedEndpoint> {
    let declared = function.endpoint.filter(|_| mode == EndpointMode::Resolve)?;
    match declared.resolve(function.timeout, |name| std::env::var(name).ok()) {
        Ok(endpoint) => Some(endpoint),
        Err(EndpointError { message, help }) => {
            problems.push(CatalogueProblem {
                message: format!("the endpoint of `{}` cannot be used: {message}", function.id),
                help,
                locations: vec![function.location],
            });
            None
        }
    }
}

/// Why an endpoint is invalid. Contains no values, which may be secrets.
#[derive(Debug)]
struct EndpointError {
    message: String,
    help: String,
}

impl EndpointError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

impl EndpointDescriptor {
    /// Resolves the URL, and validates what the macro could not validate at compile time.
    fn resolve(
        &self,
        timeout: Option<Duration>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<ResolvedEndpoint, EndpointError> {
        let (url, source) = match self.url {
            EndpointUrl::Literal(url) => (url.to_owned(), "its `url`".to_owned()),
            EndpointUrl::Computed(url) => (url(), "the result of `url`".to_owned()),
            EndpointUrl::Variable(name) => {
                let url = variable(name).filter(|url| !url.trim().is_empty()).ok_or_else(|| {
                    EndpointError::new(
                        format!("the environment variable {name} is not set"),
                        format!("set {name} to a URL, such as `https://example.com/path`"),
                    )
                })?;
                (url.trim().to_owned(), format!("the value of {name}"))
            }
        };
        let origin = origin(&url).map_err(|reason| {
            let help = "use a URL such as `https://example.com/path`, in ASCII";
            EndpointError::new(format!("{source} {reason}"), help)
        })?;
        for (name, value) in self.headers {
            validate_header_name(name)?;
            if HeaderValue::from_str(value).is_err() {
                return Err(EndpointError::new(
                    format!("the value of the header `{name}` has invalid characters"),
                    "remove control characters and line breaks",
                ));
            }
        }
        let variable = match self.auth {
            None => None,
            Some(EndpointAuth::Hmac { secret_key }) => Some(secret_key),
            Some(EndpointAuth::Bearer { token_key }) => Some(token_key),
            Some(EndpointAuth::ApiKey { header, value_key }) => {
                validate_header_name(header)?;
                Some(value_key)
            }
        };
        if variable.is_some_and(|name| !is_variable_name(name)) {
            return Err(EndpointError::new(
                "`auth` names no environment variable",
                "name an environment variable of the engine, such as `PAY_SECRET`, not the secret itself",
            ));
        }
        let invocation = Payload::new(&WireInvocation {
            url: &url,
            method: self.method,
            timeout_ms: timeout
                .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            headers: self.headers.iter().copied().collect(),
            auth: self.auth.map(WireAuth::from),
        });
        Ok(ResolvedEndpoint {
            origin,
            method: self.method,
            invocation: invocation.unwrap_or_default(),
        })
    }
}

/// The `invocation` object in the wire format.
#[derive(Serialize)]
struct WireInvocation<'a> {
    url: &'a str,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    headers: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<WireAuth>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireAuth {
    Hmac { secret_key: &'static str },
    Bearer { token_key: &'static str },
    ApiKey { header: &'static str, value_key: &'static str },
}

impl From<EndpointAuth> for WireAuth {
    fn from(auth: EndpointAuth) -> Self {
        match auth {
            EndpointAuth::Hmac { secret_key } => Self::Hmac { secret_key },
            EndpointAuth::Bearer { token_key } => Self::Bearer { token_key },
            EndpointAuth::ApiKey { header, value_key } => Self::ApiKey { header, value_key },
        }
    }
}

/// Scheme, host and port of a URL. The error does not contain the URL.
fn origin(url: &str) -> Result<String, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is not a URL")?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("is not an absolute URL");
    };
    if !matches!(scheme, "http" | "https") {
        return Err("has a scheme other than `https` and `http`");
    }
    if authority.as_str().contains('@') {
        return Err("has a user name or a password: use `auth`");
    }
    if authority.host().is_empty() {
        return Err("has no host");
    }
    Ok(format!("{scheme}://{authority}"))
}

fn validate_header_name(name: &str) -> Result<(), EndpointError> {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => {
            let message = format!("`{name}` is not a valid header name");
            Err(EndpointError::new(message, "use one such as `x-tenant`"))
        }
    }
}

fn is_variable_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_word) && !name.as_bytes()[0].is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: EndpointDescriptor = EndpointDescriptor {
        url: EndpointUrl::Literal("https://pay.test/charge?key=s3cret"),
        method: "POST",
        headers: &[],
        auth: None,
    };

    fn resolve(endpoint: EndpointDescriptor) -> Result<ResolvedEndpoint, EndpointError> {
        let variable = |name: &str| match name {
            "PAY_URL" => Some(" http://127.0.0.1:8080/pay ".to_owned()),
            "BLANK" => Some(" ".to_owned()),
            "BAD" => Some("s3cret".to_owned()),
            _ => None,
        };
        endpoint.resolve(Some(Duration::from_secs(5)), variable)
    }

    #[test]
    fn an_endpoint_is_encoded_in_the_wire_format() {
        let endpoint = resolve(EndpointDescriptor {
            headers: &[("x-tenant", "7"), ("accept", "text/json")],
            auth: Some(EndpointAuth::ApiKey { header: "x-api-key", value_key: "PAY_KEY" }),
            ..PLAIN
        })
        .unwrap();
        assert_eq!(endpoint.origin, "https://pay.test");
        assert_eq!(
            endpoint.invocation.as_str(),
            r#"{"url":"https://pay.test/charge?key=s3cret","method":"POST","timeout_ms":5000,"headers":{"accept":"text/json","x-tenant":"7"},"auth":{"type":"api_key","header":"x-api-key","value_key":"PAY_KEY"}}"#
        );
        for (auth, expected) in [
            (EndpointAuth::Hmac { secret_key: "A" }, r#"{"type":"hmac","secret_key":"A"}"#),
            (EndpointAuth::Bearer { token_key: "A" }, r#"{"type":"bearer","token_key":"A"}"#),
        ] {
            let endpoint = resolve(EndpointDescriptor { auth: Some(auth), ..PLAIN }).unwrap();
            assert!(endpoint.invocation.as_str().contains(expected), "{expected}");
        }
    }

    #[test]
    fn a_url_is_read_from_the_environment_or_computed() {
        let url = EndpointUrl::Variable("PAY_URL");
        let endpoint = resolve(EndpointDescriptor { url, ..PLAIN }).unwrap();
        assert_eq!(endpoint.origin, "http://127.0.0.1:8080");
        let url = EndpointUrl::Computed(|| format!("https://{}.test/", "stage"));
        let endpoint = resolve(EndpointDescriptor { url, ..PLAIN }).unwrap();
        assert_eq!(endpoint.origin, "https://stage.test");
    }

    #[test]
    fn errors_contain_no_values() {
        let url = |url| EndpointDescriptor { url, ..PLAIN };
        for (endpoint, expected) in [
            (url(EndpointUrl::Variable("NOPE")), "NOPE is not set"),
            (url(EndpointUrl::Variable("BLANK")), "BLANK is not set"),
            (url(EndpointUrl::Variable("BAD")), "the value of BAD"),
            (url(EndpointUrl::Computed(|| "ftp://s3cret.test".to_owned())), "scheme"),
            (url(EndpointUrl::Computed(|| "https://a:s3cret@b.test".to_owned())), "`auth`"),
            (EndpointDescriptor { headers: &[("a b", "s3cret")], ..PLAIN }, "`a b`"),
            (EndpointDescriptor { headers: &[("a", "s3cret\n")], ..PLAIN }, "`a`"),
            (
                EndpointDescriptor {
                    auth: Some(EndpointAuth::Bearer { token_key: "s3cret-1" }),
                    ..PLAIN
                },
                "no environment variable",
            ),
        ] {
            let EndpointError { message, help } = resolve(endpoint).unwrap_err();
            assert!(message.contains(expected), "{expected}: {message}");
            assert!(!message.contains("s3cret") && !help.contains("s3cret"), "{message} {help}");
        }
        assert!(!format!("{PLAIN:?}").contains("s3cret"));
    }
}
