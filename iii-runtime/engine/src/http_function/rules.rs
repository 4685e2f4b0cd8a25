//! Which endpoints may be called: the rules for URLs, and for the addresses that their names stand for.

use std::net::{IpAddr, SocketAddr};

use hyper::Uri;

use super::HttpFunctionSettings;
use super::address::is_public;
use crate::wildcard::WildcardPattern;
use iii_wire::protocol::ErrorBody;

/// The code of an endpoint that the rules do not allow.
pub(super) const REFUSED: &str = "url_validation_failed";

/// The rules of one engine.
pub(super) struct Rules {
    require_https: bool,
    block_private_ips: bool,
    /// Empty: all hosts are allowed.
    hosts: Vec<WildcardPattern>,
}

impl Rules {
    /// Reads the patterns of the settings.
    ///
    /// # Errors
    ///
    /// Which pattern cannot be read, and why.
    pub(super) fn new(settings: &HttpFunctionSettings) -> Result<Self, String> {
        let pattern = |text: &String| {
            let text = text.trim();
            if text.is_empty() {
                return Err("a pattern of `url_allowlist` is blank".to_owned());
            }
            if text.contains("//") {
                return Err(format!(
                    "`{text}` of `url_allowlist` is a URL: write its host only, such as `*.example.com`"
                ));
            }
            WildcardPattern::host(text)
                .map_err(|why| format!("`{text}` of `url_allowlist` is not a pattern: {why}"))
        };
        Ok(Self {
            require_https: settings.require_https,
            block_private_ips: settings.block_private_ips,
            hosts: settings.url_allowlist.iter().map(pattern).collect::<Result<_, _>>()?,
        })
    }

    /// Reads a URL and checks all that needs no look-up of its host. Nothing but the host is ever told: the rest may
    /// hold secrets.
    ///
    /// # Errors
    ///
    /// Code [`REFUSED`].
    pub(super) fn url(&self, text: &str) -> Result<Uri, ErrorBody> {
        let no_url = || {
            refused(
                "the `url` of an HTTP function must be like `https://example.com/path`, in ASCII"
                    .to_owned(),
            )
        };
        let uri: Uri = text.parse().map_err(|_| no_url())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(no_url());
        };
        if authority.as_str().contains('@') {
            return Err(refused(
                "the `url` of an HTTP function must not have a user name or password: use `auth`"
                    .to_owned(),
            ));
        }
        let host = host_of(&uri);
        match scheme {
            "https" if cfg!(feature = "tls") => {}
            "https" => {
                return Err(refused(format!(
                    "`https://{host}` needs TLS: turn on the feature `tls` of iii-runtime"
                )));
            }
            "http" if self.require_https => {
                return Err(refused(format!(
                    "`http://{host}` is not encrypted: use https, or set `require_https` of the engine to false"
                )));
            }
            "http" => {}
            other => {
                return Err(refused(format!(
                    "`{other}` is no scheme of HTTP functions: they have `https` or `http`"
                )));
            }
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let is_listed = |pattern: &WildcardPattern| pattern.matches(name);
        if host.is_empty() || !(self.hosts.is_empty() || self.hosts.iter().any(is_listed)) {
            return Err(refused(format!(
                "the host `{host}` is not allowed: add it to `url_allowlist` of the engine"
            )));
        }
        if let Ok(address) = host.parse() {
            self.address(host, address)?;
        }
        Ok(uri)
    }

    /// Checks one address of a host.
    ///
    /// # Errors
    ///
    /// Code [`REFUSED`].
    fn address(&self, host: &str, address: IpAddr) -> Result<(), ErrorBody> {
        if self.block_private_ips && !is_public(address) {
            // Only logs tell the address: the error may reach anybody, and must not map the networks around us.
            tracing::debug!(host, %address, "an HTTP function was refused for its address");
            return Err(refused(format!(
                "the host `{host}` is not public: use another one, or set `block_private_ips` of the engine to false"
            )));
        }
        Ok(())
    }

    /// Looks a host up. All of its addresses are checked, and they are the ones to connect to.
    ///
    /// # Errors
    ///
    /// Code [`REFUSED`] if there is none, or one of them is not allowed.
    pub(super) async fn resolve(&self, host: &str) -> Result<Vec<SocketAddr>, ErrorBody> {
        let found = tokio::net::lookup_host((host, 0)).await;
        self.resolved(host, found.map(Iterator::collect).unwrap_or_default())
    }

    fn resolved(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ErrorBody> {
        if found.is_empty() {
            let unknown = refused(format!("the host `{host}` cannot be found"));
            return Err(ErrorBody { retryable: Some(true), ..unknown });
        }
        found.iter().try_for_each(|one| self.address(host, one.ip()))?;
        Ok(found)
    }
}

/// The host of a URL, an IPv6 address without its brackets.
pub(super) fn host_of(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn refused(message: String) -> ErrorBody {
    ErrorBody::new(REFUSED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(require_https: bool, block_private_ips: bool, hosts: &[&str]) -> Rules {
        let url_allowlist = hosts.iter().map(|host| (*host).to_owned()).collect();
        let settings = HttpFunctionSettings {
            require_https,
            block_private_ips,
            url_allowlist,
            ..HttpFunctionSettings::default()
        };
        Rules::new(&settings).unwrap()
    }

    #[track_caller]
    fn refuses(rules: &Rules, url: &str, fact: &str) {
        let error = rules.url(url).unwrap_err();
        assert_eq!(error.code, "url_validation_failed", "{url}");
        assert!(error.message.contains(fact), "{url}: {}", error.message);
    }

    #[test]
    fn a_url_is_whole_and_without_credentials() {
        let rules = rules(false, true, &[]);
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
            refuses(&rules, url, "must be like");
        }
        refuses(&rules, "ftp://example.com/", "`ftp`");
        refuses(&rules, "http://user:s3cret@example.com/", "`auth`");
        let error = rules.url("http://user:s3cret@example.com/").unwrap_err();
        assert!(!error.message.contains("s3cret"));
        assert_eq!(rules.url("HTTP://Example.com:81/a?b#c").unwrap(), "http://Example.com:81/a?b");
    }

    #[test]
    fn https_is_the_rule() {
        let rules = rules(true, true, &[]);
        refuses(&rules, "http://example.com/", "`require_https`");
        if cfg!(feature = "tls") {
            rules.url("https://example.com/").unwrap();
        } else {
            refuses(&rules, "https://example.com/", "feature `tls`");
        }
    }

    #[test]
    fn only_hosts_of_the_list_are_allowed() {
        let rules = rules(false, false, &["api.example.com", "*.lambda.test", "::1", "10.0.0.?"]);
        for host in
            ["api.example.com", "API.example.COM.", "a.b.lambda.test:8080", "[::1]:80", "10.0.0.7"]
        {
            rules.url(&format!("http://{host}/")).unwrap();
        }
        for host in [
            "example.com",
            "api.example.com.evil.test",
            "xapi.example.com",
            "lambda.test",
            "[::2]",
            "10.0.0.77",
        ] {
            refuses(&rules, &format!("http://{host}/api.example.com"), "`url_allowlist`");
        }
    }

    #[test]
    fn a_pattern_must_be_one() {
        for (pattern, fact) in
            [(" ", "blank"), ("https://example.com", "host only"), ("a[", "not a pattern")]
        {
            let settings = HttpFunctionSettings {
                url_allowlist: vec![pattern.to_owned()],
                ..HttpFunctionSettings::default()
            };
            let error = Rules::new(&settings).err().unwrap();
            assert!(error.contains(fact), "{error}");
        }
    }

    #[test]
    fn a_literal_address_is_checked_at_once() {
        let strict = rules(false, true, &[]);
        for host in ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254:80", "0.0.0.0"] {
            refuses(&strict, &format!("http://{host}/"), "`block_private_ips`");
        }
        strict.url("http://1.1.1.1/").unwrap();
        rules(false, false, &[]).url("http://127.0.0.1/").unwrap();
    }

    #[test]
    fn one_bad_address_of_a_name_is_too_many() {
        let strict = rules(false, true, &[]);
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let good = strict.resolved("a", all(&["1.1.1.1:0", "[2606:4700::1]:0"])).unwrap();
        assert_eq!(good.len(), 2);
        let error = strict.resolved("a", all(&["1.1.1.1:0", "10.0.0.1:0"])).unwrap_err();
        assert!(!error.message.contains("10.0.0.1"), "{}", error.message);
        assert_eq!((error.code.as_str(), error.retryable), (REFUSED, None));
        let error = strict.resolved("a", Vec::new()).unwrap_err();
        assert_eq!((error.code.as_str(), error.retryable), (REFUSED, Some(true)));
    }

    #[tokio::test]
    async fn odd_spellings_of_loopback_are_looked_up_and_refused() {
        let strict = rules(false, true, &[]);
        for host in ["localhost", "127.1", "2130706433"] {
            strict.url(&format!("http://{host}/")).unwrap();
            let error = strict.resolve(host).await.unwrap_err();
            assert_eq!(error.code, REFUSED, "{host}");
        }
    }
}
