//! Which pages of browsers may open the sockets of an engine, by their origins.

use hyper::header::HeaderValue;

/// The pages that may connect: those of this machine, and those of a list. Programs send no origin, and are not asked.
///
/// Without this, any page in a browser could reach a listener of the machine that it is shown on: WebSockets are not
/// bound to the origin of the page (RFC 6455, section 10.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origins {
    all: bool,
    listed: Vec<String>,
}

impl Origins {
    /// This machine and those of the list, such as `https://app.example.com`; `*` is everybody.
    ///
    /// # Errors
    ///
    /// If one of the list is no origin, in words for whoever wrote it.
    pub(crate) fn new(list: &[String]) -> Result<Self, String> {
        let mut origins = Self::default();
        for text in list {
            match text.trim() {
                "*" => origins.all = true,
                text if is_origin(text) => origins.listed.push(text.to_ascii_lowercase()),
                text => {
                    return Err(format!(
                        "`{text}` is no origin: write the scheme, the host and, if it is not the usual one, the port, and \
                         no path, such as https://app.example.com"
                    ));
                }
            }
        }
        Ok(origins)
    }

    /// Whether a handshake with this header may go on.
    pub(crate) fn allow(&self, origin: Option<&HeaderValue>) -> bool {
        let Some(origin) = origin else { return true };
        let Ok(origin) = origin.to_str() else { return false };
        self.all
            || is_local(origin)
            || self.listed.iter().any(|one| one.eq_ignore_ascii_case(origin))
    }
}

/// Whether a text is a scheme and a host, perhaps with a port (RFC 6454, section 6.2).
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*' | '"');
    let named = |text: &str| !text.is_empty() && text.chars().all(plain);
    named(scheme) && named(host) && !host.starts_with(':')
}

/// Whether an origin is a page of this machine.
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
        let list: Vec<String> = list.iter().map(|one| (*one).to_owned()).collect();
        Origins::new(&list).unwrap().allow(Some(&HeaderValue::from_static(origin)))
    }

    #[test]
    fn this_machine_and_the_list_are_let_in() {
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
        assert!(Origins::default().allow(None), "programs send none");
        assert!(!Origins::default().allow(Some(&HeaderValue::from_bytes(b"\xff").unwrap())));
    }

    #[test]
    fn what_is_no_origin_is_told() {
        for wrong in ["app.example", "https://", "https://a/b", "https://*.a", "", "https://:80"] {
            let error = Origins::new(&[wrong.to_owned()]).unwrap_err();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
