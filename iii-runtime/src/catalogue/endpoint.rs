//! The endpoints of HTTP functions: resolves their URLs at the start, and writes the `invocation` that is registered
//! (protocol section 4.8).

use std::collections::BTreeMap;
use std::time::Duration;

use iii_wire::protocol::Payload;
use serde::Serialize;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Uri};

use super::CatalogueProblem;
use crate::declare::{EndpointAuth, EndpointDescriptor, EndpointUrl, FunctionDescriptor};

/// An endpoint as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedEndpoint {
    /// Scheme, host and port. The rest of the URL may hold secrets.
    pub origin: String,
    /// How it is called.
    pub method: &'static str,
    pub(crate) invocation: Payload,
}

/// Whether endpoints are told to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointMode {
    /// They are, so their URLs must be there.
    Used,
    /// They are not: what a start would tell is left out, and so are the endpoints.
    Unused,
}

/// The endpoint of a function, unless it has none, or none is told. What is wrong with it is noted.
pub(super) fn resolve(
    function: &FunctionDescriptor,
    endpoints: EndpointMode,
    problems: &mut Vec<CatalogueProblem>,
) -> Option<ResolvedEndpoint> {
    let declared = function.endpoint.filter(|_| endpoints == EndpointMode::Resolve)?;
    match declared.resolve(function.timeout, |name| std::env::var(name).ok()) {
        Ok(endpoint) => Some(endpoint),
        Err((what, help)) => {
            problems.push(CatalogueProblem {
                message: format!("the endpoint of `{}` cannot be used: {what}", function.id),
                help,
                locations: vec![function.location],
            });
            None
        }
    }
}

/// What is wrong, and what to do.
type Wrong = (String, String);

impl EndpointDescriptor {
    /// Finds the URL out, and checks what could not be checked while compiling. No value is told.
    fn resolve(
        &self,
        timeout: Option<Duration>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<ResolvedEndpoint, Wrong> {
        let (url, from) = match self.url {
            EndpointUrl::Literal(url) => (url.to_owned(), "its `url`".to_owned()),
            EndpointUrl::Computed(url) => (url(), "what `url` gives".to_owned()),
            EndpointUrl::Variable(name) => {
                let url = variable(name).filter(|url| !url.trim().is_empty()).ok_or_else(|| {
                    let what = format!("the environment variable {name} is not set");
                    (what, format!("set {name} to a URL, such as `https://example.com/path`"))
                })?;
                (url.trim().to_owned(), format!("the value of {name}"))
            }
        };
        let origin = origin(&url).map_err(|what| {
            let help = "a URL is like `https://example.com/path`, in ASCII".to_owned();
            (format!("{from} {what}"), help)
        })?;
        for (name, value) in self.headers {
            header_name(name)?;
            if HeaderValue::from_str(value).is_err() {
                let what = format!("the value of the header `{name}` cannot be sent");
                return Err((what, "remove control characters and line ends".to_owned()));
            }
        }
        let key = match self.auth {
            None => None,
            Some(EndpointAuth::Hmac { secret_key }) => Some(secret_key),
            Some(EndpointAuth::Bearer { token_key }) => Some(token_key),
            Some(EndpointAuth::ApiKey { header, value_key }) => {
                header_name(header)?;
                Some(value_key)
            }
        };
        if key.is_some_and(|key| !is_variable(key)) {
            let help = "name an environment variable of the engine, such as `PAY_SECRET`, not the secret itself";
            return Err(("`auth` names no environment variable".to_owned(), help.to_owned()));
        }
        let invocation = Payload::new(&Wire {
            url: &url,
            method: self.method,
            timeout_ms: timeout
                .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            headers: self.headers.iter().copied().collect(),
            auth: self.auth.map(WireAuth::from),
        });
        Ok(ResolvedEndpoint { origin, method: self.method, invocation: invocation.unwrap_or_default() })
    }
}

/// The `invocation` object.
#[derive(Serialize)]
struct Wire<'a> {
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

/// Scheme, host and port of a URL; the error says what is wrong with it, but not with what.
fn origin(url: &str) -> Result<String, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is no URL")?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("is no whole URL");
    };
    if !matches!(scheme, "http" | "https") {
        return Err("has another scheme than `https` and `http`");
    }
    if authority.as_str().contains('@') {
        return Err("has a user name or a password, for which there is `auth`");
    }
    if authority.host().is_empty() {
        return Err("has no host");
    }
    Ok(format!("{scheme}://{authority}"))
}

fn header_name(name: &str) -> Result<(), Wrong> {
    let good = HeaderName::from_bytes(name.as_bytes()).is_ok();
    good.then_some(()).ok_or_else(|| {
        (format!("`{name}` is no name of a header"), "write one such as `x-tenant`".to_owned())
    })
}

fn is_variable(name: &str) -> bool {
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

    fn resolved(endpoint: EndpointDescriptor) -> Result<ResolvedEndpoint, Wrong> {
        let variable = |name: &str| match name {
            "PAY_URL" => Some(" http://127.0.0.1:8080/pay ".to_owned()),
            "BLANK" => Some(" ".to_owned()),
            "BAD" => Some("s3cret".to_owned()),
            _ => None,
        };
        endpoint.resolve(Some(Duration::from_secs(5)), variable)
    }

    #[test]
    fn an_endpoint_is_written_as_the_protocol_says() {
        let endpoint = resolved(EndpointDescriptor {
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
        for (auth, wanted) in [
            (EndpointAuth::Hmac { secret_key: "A" }, r#"{"type":"hmac","secret_key":"A"}"#),
            (EndpointAuth::Bearer { token_key: "A" }, r#"{"type":"bearer","token_key":"A"}"#),
        ] {
            let endpoint = resolved(EndpointDescriptor { auth: Some(auth), ..PLAIN }).unwrap();
            assert!(endpoint.invocation.as_str().contains(wanted), "{wanted}");
        }
    }

    #[test]
    fn a_url_comes_from_the_environment_or_from_code() {
        let url = EndpointUrl::Variable("PAY_URL");
        let endpoint = resolved(EndpointDescriptor { url, ..PLAIN }).unwrap();
        assert_eq!(endpoint.origin, "http://127.0.0.1:8080");
        let url = EndpointUrl::Computed(|| format!("https://{}.test/", "stage"));
        let endpoint = resolved(EndpointDescriptor { url, ..PLAIN }).unwrap();
        assert_eq!(endpoint.origin, "https://stage.test");
    }

    #[test]
    fn what_is_wrong_is_told_without_values() {
        let url = |url| EndpointDescriptor { url, ..PLAIN };
        for (endpoint, fact) in [
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
            let (what, help) = resolved(endpoint).unwrap_err();
            assert!(what.contains(fact), "{fact}: {what}");
            assert!(!what.contains("s3cret") && !help.contains("s3cret"), "{what} {help}");
        }
        assert!(!format!("{PLAIN:?}").contains("s3cret"));
    }
}
