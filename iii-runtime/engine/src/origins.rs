//! The browser origins that may open WebSockets of an engine.

use hyper::header::HeaderValue;

/// Allowed origins: local ones and those of a list. Clients other than browsers send no origin and are always allowed.
///
/// Without this check, a page from anywhere could connect to listeners of the machine that displays it: WebSockets are
/// not subject to the same-origin policy (RFC 6455, section 10.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OriginPolicy {
    any: bool,
    allowed: Vec<String>,
}

impl OriginPolicy {
    /// Allows local origins and those of `list`, such as `https://app.example.com`; `*` allows all.
    ///
    /// # Errors
    ///
    /// If an entry is not an origin, with a message for its author.
    pub(crate) fn new(list: &[String]) -> Result<Self, String> {
        let mut origins = Self::default();
        for text in list {
            match text.trim() {
                "*" => origins.any = true,
                text if is_origin(text) => origins.allowed.push(text.to_ascii_lowercase()),
                text => {
                    return Err(format!(
                        "`{text}` is not an origin: write the scheme, the host, the port unless it is the default one, and no \
                         path, such as https://app.example.com"
                    ));
                }
            }
        }
        Ok(origins)
    }

    /// Returns whether a handshake with this header is allowed.
    pub(crate) fn allows(&self, origin: Option<&HeaderValue>) -> bool {
        let Some(origin) = origin else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        self.any
            || is_local(origin)
            || self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

/// Returns whether a string is a scheme and a host with an optional port (RFC 6454, section 6.2).
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*' | '"');
    let named = |text: &str| !text.is_empty() && text.chars().all(plain);
    named(scheme) && named(host) && !host.starts_with(':')
}

/// Returns whether an origin is of this machine.
fn is_local(origin: &str) -> bool {
    let Some((_, host)) = origin.split_once("://") else { return false };
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: &[&str], origin: &'static str) -> bool {
        let list: Vec<String> = list.iter().map(|origin| (*origin).to_owned()).collect();
        OriginPolicy::new(&list).unwrap().allows(Some(&HeaderValue::from_static(origin)))
    }

    #[test]
    fn local_and_listed_origins_are_allowed() {
        for local in ["http://localhost:5173", "http://[::1]:5173", "http://127.0.0.1"] {
            assert!(allows(&[], local), "{local}");
        }
        for foreign in
            ["https://evil.example", "null", "http://localhost.evil.example:80", "", "://"]
        {
            assert!(!allows(&[], foreign), "{foreign}");
        }
        assert!(allows(&["https://App.example"], "https://app.example"));
        assert!(allows(&["*"], "https://evil.example"));
        for other in ["http://app.example", "https://app.example:8443", "https://app.example.evil"]
        {
            assert!(!allows(&["https://app.example"], other), "{other}");
        }
        assert!(OriginPolicy::default().allows(None), "clients other than browsers send no origin");
        assert!(!OriginPolicy::default().allows(Some(&HeaderValue::from_bytes(b"\xff").unwrap())));
    }

    #[test]
    fn invalid_origins_are_reported() {
        for wrong in ["app.example", "https://", "https://a/b", "https://*.a", "", "https://:80"] {
            let error = OriginPolicy::new(&[wrong.to_owned()]).unwrap_err();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
