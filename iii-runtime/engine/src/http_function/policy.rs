//! The policy of HTTP functions: which URLs, hosts and IP addresses endpoints may have.

use std::net::{IpAddr, SocketAddr};

use hyper::Uri;

use super::HttpFunctionSettings;
use super::address::is_public;
use crate::wildcard::WildcardPattern;
use iii_wire::code;
use iii_wire::protocol::ErrorBody;

/// The validated [`HttpFunctionSettings`].
pub(super) struct EndpointPolicy {
    require_https: bool,
    block_private_ips: bool,
    /// An empty list allows all hosts.
    allowed_hosts: Vec<WildcardPattern>,
}

impl EndpointPolicy {
    /// Compiles the host patterns of the settings.
    ///
    /// # Errors
    ///
    /// The invalid pattern, with the reason.
    pub(super) fn new(settings: &HttpFunctionSettings) -> Result<Self, String> {
        let pattern = |text: &String| {
            let text = text.trim();
            if text.is_empty() {
                return Err("a pattern in `url_allowlist` is blank".to_owned());
            }
            if text.contains("//") {
                return Err(format!(
                    "`{text}` in `url_allowlist` is a URL: use its host only, such as `*.example.com`"
                ));
            }
            WildcardPattern::host(text)
                .map_err(|why| format!("`{text}` in `url_allowlist` is not a pattern: {why}"))
        };
        Ok(Self {
            require_https: settings.require_https,
            block_private_ips: settings.block_private_ips,
            allowed_hosts: settings.url_allowlist.iter().map(pattern).collect::<Result<_, _>>()?,
        })
    }

    /// Parses a URL and checks everything except the addresses of a host name. Error messages contain only the host,
    /// because the rest of the URL may contain secrets.
    ///
    /// # Errors
    ///
    /// Code `url_validation_failed` if the policy rejects the URL.
    pub(super) fn url(&self, text: &str) -> Result<Uri, ErrorBody> {
        let invalid = || {
            rejected(
                "the `url` of an HTTP function must be absolute and in ASCII, such as `https://example.com/path`"
                    .to_owned(),
            )
        };
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(invalid());
        };
        if authority.as_str().contains('@') {
            return Err(rejected(
                "the `url` of an HTTP function must not contain a user name or password: use `auth`"
                    .to_owned(),
            ));
        }
        let host = host_of(&uri);
        self.check_scheme(scheme, host)?;
        let name = host.strip_suffix('.').unwrap_or(host);
        let is_allowed = || {
            self.allowed_hosts.is_empty()
                || self.allowed_hosts.iter().any(|pattern| pattern.matches(name))
        };
        if host.is_empty() || !is_allowed() {
            return Err(rejected(format!(
                "the host `{host}` is not allowed: add it to `url_allowlist` of the engine"
            )));
        }
        if let Ok(address) = host.parse() {
            self.check_address(host, address)?;
        }
        Ok(uri)
    }

    fn check_scheme(&self, scheme: &str, host: &str) -> Result<(), ErrorBody> {
        let message = match scheme {
            "https" if cfg!(feature = "tls") => return Ok(()),
            "http" if !self.require_https => return Ok(()),
            "https" => {
                format!("`https://{host}` requires TLS: enable the feature `tls` of iii-runtime")
            }
            "http" => format!(
                "`http://{host}` is not encrypted: use https, or set `require_https` of the engine to false"
            ),
            other => {
                format!("HTTP functions do not support the scheme `{other}`: use `https` or `http`")
            }
        };
        Err(rejected(message))
    }

    /// Checks one address of a host.
    fn check_address(&self, host: &str, address: IpAddr) -> Result<(), ErrorBody> {
        if self.block_private_ips && !is_public(address) {
            // The error may reach untrusted callers and must not reveal the network, so only the log has the address.
            tracing::debug!(host, %address, "rejected the address of an HTTP function");
            return Err(rejected(format!(
                "the host `{host}` is not public: use another one, or set `block_private_ips` of the engine to false"
            )));
        }
        Ok(())
    }

    /// Resolves a host and returns the addresses to connect to.
    ///
    /// # Errors
    ///
    /// Code `url_validation_failed` if the host has no address or one of its addresses is not allowed.
    pub(super) async fn resolve(&self, host: &str) -> Result<Vec<SocketAddr>, ErrorBody> {
        let addresses = tokio::net::lookup_host((host, 0)).await;
        self.check_resolved(host, addresses.map(Iterator::collect).unwrap_or_default())
    }

    fn check_resolved(
        &self,
        host: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, ErrorBody> {
        if addresses.is_empty() {
            let unknown = rejected(format!("the host `{host}` cannot be resolved"));
            return Err(ErrorBody { retryable: Some(true), ..unknown });
        }
        addresses.iter().try_for_each(|address| self.check_address(host, address.ip()))?;
        Ok(addresses)
    }
}

/// Returns the host of a URL. IPv6 addresses have no brackets.
fn host_of(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn rejected(message: String) -> ErrorBody {
    ErrorBody::new(code::URL_VALIDATION_FAILED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(require_https: bool, block_private_ips: bool, hosts: &[&str]) -> EndpointPolicy {
        let url_allowlist = hosts.iter().map(|host| (*host).to_owned()).collect();
        let settings = HttpFunctionSettings {
            require_https,
            block_private_ips,
            url_allowlist,
            ..HttpFunctionSettings::default()
        };
        EndpointPolicy::new(&settings).unwrap()
    }

    #[track_caller]
    fn assert_rejected(policy: &EndpointPolicy, url: &str, fact: &str) {
        let error = policy.url(url).unwrap_err();
        assert_eq!(error.code, "url_validation_failed", "{url}");
        assert!(error.message.contains(fact), "{url}: {}", error.message);
    }

    #[test]
    fn url_must_be_absolute_and_without_credentials() {
        let policy = policy(false, true, &[]);
        for url in [
            "",
            "example.com",
            "example.com/x",
            "/x",
            "http://",
            "http:///x",
            "http://ä.de/",
            "a b",
        ] {
            assert_rejected(&policy, url, "must be absolute");
        }
        assert_rejected(&policy, "ftp://example.com/", "`ftp`");
        assert_rejected(&policy, "http://user:s3cret@example.com/", "`auth`");
        let error = policy.url("http://user:s3cret@example.com/").unwrap_err();
        assert!(!error.message.contains("s3cret"));
        assert_eq!(policy.url("HTTP://Example.com:81/a?b#c").unwrap(), "http://Example.com:81/a?b");
    }

    #[test]
    fn https_is_required() {
        let policy = policy(true, true, &[]);
        assert_rejected(&policy, "http://example.com/", "`require_https`");
        if cfg!(feature = "tls") {
            policy.url("https://example.com/").unwrap();
        } else {
            assert_rejected(&policy, "https://example.com/", "feature `tls`");
        }
    }

    #[test]
    fn only_hosts_of_the_allow_list_are_allowed() {
        let policy = policy(false, false, &["api.example.com", "*.lambda.test", "::1", "10.0.0.?"]);
        for host in
            ["api.example.com", "API.example.COM.", "a.b.lambda.test:8080", "[::1]:80", "10.0.0.7"]
        {
            policy.url(&format!("http://{host}/")).unwrap();
        }
        for host in [
            "example.com",
            "api.example.com.evil.test",
            "xapi.example.com",
            "lambda.test",
            "[::2]",
            "10.0.0.77",
        ] {
            assert_rejected(&policy, &format!("http://{host}/api.example.com"), "`url_allowlist`");
        }
    }

    #[test]
    fn invalid_host_patterns_are_rejected() {
        for (pattern, fact) in
            [(" ", "blank"), ("https://example.com", "host only"), ("a[", "not a pattern")]
        {
            let settings = HttpFunctionSettings {
                url_allowlist: vec![pattern.to_owned()],
                ..HttpFunctionSettings::default()
            };
            let error = EndpointPolicy::new(&settings).err().unwrap();
            assert!(error.contains(fact), "{error}");
        }
    }

    #[test]
    fn address_in_the_url_is_checked_without_resolution() {
        let strict = policy(false, true, &[]);
        for host in ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254:80", "0.0.0.0"] {
            assert_rejected(&strict, &format!("http://{host}/"), "`block_private_ips`");
        }
        strict.url("http://1.1.1.1/").unwrap();
        policy(false, false, &[]).url("http://127.0.0.1/").unwrap();
    }

    #[test]
    fn every_resolved_address_must_be_public() {
        let strict = policy(false, true, &[]);
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let good = strict.check_resolved("a", all(&["1.1.1.1:0", "[2606:4700::1]:0"])).unwrap();
        assert_eq!(good.len(), 2);
        let error = strict.check_resolved("a", all(&["1.1.1.1:0", "10.0.0.1:0"])).unwrap_err();
        assert!(!error.message.contains("10.0.0.1"), "{}", error.message);
        assert_eq!((error.code.as_str(), error.retryable), (code::URL_VALIDATION_FAILED, None));
        let error = strict.check_resolved("a", Vec::new()).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.retryable),
            (code::URL_VALIDATION_FAILED, Some(true))
        );
    }

    #[tokio::test]
    async fn other_notations_of_loopback_are_resolved_and_rejected() {
        let strict = policy(false, true, &[]);
        for host in ["localhost", "127.1", "2130706433"] {
            strict.url(&format!("http://{host}/")).unwrap();
            let error = strict.resolve(host).await.unwrap_err();
            assert_eq!(error.code, code::URL_VALIDATION_FAILED, "{host}");
        }
    }
}
