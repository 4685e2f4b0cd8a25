//! Checks of the URL, the method, the headers and the variables of an HTTP endpoint. The engine repeats them.

use http::{HeaderName, HeaderValue, Uri};

use crate::diagnostics::unknown;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Headers that only the engine sets, as those that start with `x-iii-`.
const ENGINE_HEADERS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks a URL.
///
/// # Errors
///
/// What is invalid, and what to write instead.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    let invalid = || {
        let help = "write an absolute URL in ASCII, such as `https://example.com/path`";
        format!("invalid URL\nhelp: {help}")
    };
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(invalid());
    };
    if !matches!(scheme, "https" | "http") {
        return Err(format!("unsupported URL scheme `{scheme}`\nhelp: write `https` or `http`"));
    }
    if authority.as_str().contains('@') {
        return Err("a URL cannot contain a user name or a password\nhelp: use the option `auth`"
            .to_owned());
    }
    if authority.host().is_empty() {
        return Err(invalid());
    }
    Ok(())
}

/// Checks a method.
///
/// # Errors
///
/// As [`check_url`].
pub(super) fn check_method(text: &str) -> Result<(), String> {
    if METHODS.contains(&text) {
        return Ok(());
    }
    match METHODS.iter().find(|method| method.eq_ignore_ascii_case(text.trim())) {
        Some(method) => {
            Err(format!("expected a method in upper case, found `{text}`\nhelp: write `{method}`"))
        }
        None => Err(unknown("method", text, &METHODS)),
    }
}

/// Checks the name of a header.
///
/// # Errors
///
/// As [`check_url`].
pub(super) fn check_header_name(text: &str) -> Result<(), String> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return Err("invalid header name\nhelp: write a name such as `x-tenant`".to_owned());
    };
    let name = name.as_str();
    if name.starts_with("x-iii-") || ENGINE_HEADERS.contains(&name) {
        return Err(format!("the header `{name}` is reserved for the engine\nhelp: remove it"));
    }
    Ok(())
}

/// Checks the value of a header.
///
/// # Errors
///
/// As [`check_url`].
pub(super) fn check_header_value(text: &str) -> Result<(), String> {
    match HeaderValue::from_str(text) {
        Ok(_) => Ok(()),
        Err(_) => {
            Err("invalid header value: it contains control characters\nhelp: remove them"
                .to_owned())
        }
    }
}

/// Returns whether a string can be the name of an environment variable.
pub(super) fn is_variable_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty()
        && text.bytes().all(is_allowed)
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_must_be_absolute() {
        for valid in
            ["https://a.test", "http://127.0.0.1:80/a?b=c", "HTTPS://[::1]/", "https://a.test/#b"]
        {
            assert_eq!(check_url(valid), Ok(()), "{valid}");
        }
        for invalid in [
            "",
            "a.test",
            "/a",
            "https://",
            "https:///a",
            "ws://a.test",
            "https://a@b.test",
            "https://ä.test",
        ] {
            assert!(check_url(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn variable_names_are_identifiers() {
        for (text, expected) in [
            ("PAY_KEY", true),
            ("_a1", true),
            ("", false),
            ("1A", false),
            ("a-b", false),
            ("a b", false),
        ] {
            assert_eq!(is_variable_name(text), expected, "{text}");
        }
    }
}
