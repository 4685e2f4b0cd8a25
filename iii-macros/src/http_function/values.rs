//! What the values of an HTTP function must look like (protocol section 4.8). The engine checks them again.

use http::{HeaderName, HeaderValue, Uri};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Headers that belong to the engine, as those that begin with `x-iii-` do.
const OF_THE_ENGINE: [&str; 8] = [
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
/// What is wrong, and what to write.
pub(super) fn url(text: &str) -> Result<(), String> {
    let no_url = || "a URL is like `https://example.com/path`, in ASCII".to_owned();
    let uri: Uri = text.parse().map_err(|_| no_url())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(no_url());
    };
    if !matches!(scheme, "https" | "http") {
        return Err(format!("`{scheme}` is no scheme of HTTP: write `https` or `http`"));
    }
    if authority.as_str().contains('@') {
        return Err("a URL must not have a user name or a password: use `auth`".to_owned());
    }
    if authority.host().is_empty() {
        return Err(no_url());
    }
    Ok(())
}

/// Checks a method.
///
/// # Errors
///
/// As [`url`].
pub(super) fn method(text: &str) -> Result<(), String> {
    if METHODS.contains(&text) {
        return Ok(());
    }
    match METHODS.iter().find(|method| method.eq_ignore_ascii_case(text.trim())) {
        Some(method) => Err(format!("methods are written in capitals: `{method}`")),
        None => Err(format!("an endpoint is called by {}", METHODS.join(", "))),
    }
}

/// Checks the name of a header.
///
/// # Errors
///
/// As [`url`].
pub(super) fn header_name(text: &str) -> Result<(), String> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return Err("this is no name of a header, such as `x-tenant`".to_owned());
    };
    let name = name.as_str();
    if name.starts_with("x-iii-") || OF_THE_ENGINE.contains(&name) {
        return Err(format!("the header `{name}` is set by the engine alone: remove it"));
    }
    Ok(())
}

/// Checks the value of a header.
///
/// # Errors
///
/// As [`url`].
pub(super) fn header_value(text: &str) -> Result<(), String> {
    match HeaderValue::from_str(text) {
        Ok(_) => Ok(()),
        Err(_) => Err("this value cannot be sent: it has control characters".to_owned()),
    }
}

/// Whether it can be the name of an environment variable.
pub(super) fn is_variable(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty()
        && text.bytes().all(is_word)
        && !text.starts_with(|one: char| one.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_whole() {
        for good in
            ["https://a.test", "http://127.0.0.1:80/a?b=c", "HTTPS://[::1]/", "https://a.test/#b"]
        {
            assert_eq!(url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a.test",
            "/a",
            "https://",
            "https:///a",
            "ws://a.test",
            "https://a@b.test",
            "https://ä.test",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_are_words() {
        for (text, is) in [
            ("PAY_KEY", true),
            ("_a1", true),
            ("", false),
            ("1A", false),
            ("a-b", false),
            ("a b", false),
        ] {
            assert_eq!(is_variable(text), is, "{text}");
        }
    }
}
