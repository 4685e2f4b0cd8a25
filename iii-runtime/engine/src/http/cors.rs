//! Cross-origin resource sharing of HTTP triggers ([protocol 5.1](iii_wire::protocol#s5-1); the Fetch standard, "HTTP extensions").

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};

use super::response::{self, HttpResponse};

/// Request fields on which responses depend, for caches.
const VARY: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Cross-origin resource sharing (CORS) of HTTP triggers: which origins may call them from a browser. Applies only to
/// requests of web pages.
///
/// Allowed pages may send and read any header field, but browsers send no credentials, such as cookies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsSettings {
    /// Allowed origins, such as `https://shop.example.com`. Default: empty, which allows all, as `*` does.
    ///
    /// A non-empty list is final: a function cannot allow an origin that it does not contain.
    pub allowed_origins: Vec<String>,
    /// Allowed methods. Default: empty, which allows all, as `*` does. Browsers send simple GET, HEAD and POST requests
    /// without a preflight request, so the list does not apply to them.
    pub allowed_methods: Vec<String>,
}

/// The validated [`CorsSettings`].
pub(crate) struct CorsPolicy {
    /// `None` allows all origins.
    origins: Option<Vec<HeaderValue>>,
    methods: HeaderValue,
}

impl CorsPolicy {
    /// Validates the settings.
    ///
    /// # Errors
    ///
    /// The invalid origin or method, with the reason.
    pub(crate) fn new(settings: &CorsSettings) -> Result<Self, String> {
        let origins = parse_list(&settings.allowed_origins, parse_origin)?;
        let methods = parse_list(&settings.allowed_methods, parse_method)?;
        let methods = match methods {
            None => ANY,
            Some(names) => HeaderValue::from_str(&names.join(", ")).map_err(|e| e.to_string())?,
        };
        Ok(Self { origins, methods })
    }

    fn allows_origin(&self, origin: Option<&HeaderValue>) -> bool {
        match (&self.origins, origin) {
            (None, _) => true,
            (Some(origins), Some(origin)) => origins.contains(origin),
            (Some(_), None) => false,
        }
    }

    /// Returns the response to a preflight request, or `None` for any other request.
    pub(crate) fn preflight(&self, parts: &Parts) -> Option<HttpResponse> {
        let is_preflight = parts.method == Method::OPTIONS
            && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut response = response::with_status(StatusCode::OK, Default::default());
        if self.allows_origin(parts.headers.get(header::ORIGIN)) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            // `*` does not cover `authorization`, so the requested names are echoed.
            let names = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.unwrap_or(ANY));
        }
        Some(response)
    }

    /// Adds the CORS fields for the origin of the request to its response.
    pub(crate) fn apply(
        &self,
        origin: Option<&HeaderValue>,
        mut response: HttpResponse,
    ) -> HttpResponse {
        let headers = response.headers_mut();
        if self.origins.is_some() {
            headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        }
        if self.allows_origin(origin) {
            let origin = match &self.origins {
                None => ANY,
                Some(_) => origin.cloned().unwrap_or(ANY),
            };
            insert_if_absent(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            insert_if_absent(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
        }
        headers.append(header::VARY, VARY);
        response
    }
}

fn insert_if_absent(headers: &mut HeaderMap, name: header::HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

/// Parses the entries of an allow list. Returns `None` if the list is empty or contains `*`.
fn parse_list<T>(
    list: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>, String> {
    let entries: Vec<&str> = list.iter().map(|entry| entry.trim()).collect();
    if entries.is_empty() || entries.contains(&"*") {
        return Ok(None);
    }
    entries.into_iter().map(parse).collect::<Result<_, _>>().map(Some)
}

/// Parses an origin in the form that browsers send: in lower case, without a path and without the default port.
fn parse_origin(text: &str) -> Result<HeaderValue, String> {
    let invalid = |why: &str| {
        Err(format!(
            "`{text}` in `allowed_origins` {why}: expected an origin such as `https://example.com` or \
             `http://localhost:8080`"
        ))
    };
    let lower = text.to_ascii_lowercase();
    let Ok(uri) = lower.parse::<Uri>() else { return invalid("is not an origin") };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return invalid("has no scheme or no host");
    };
    if lower != format!("{scheme}://{authority}") || authority.as_str().contains('@') {
        return invalid("has more than scheme, host and port");
    }
    if matches!((scheme, uri.port_u16()), ("http", Some(80)) | ("https", Some(443))) {
        return invalid("has the default port, which browsers omit");
    }
    HeaderValue::try_from(lower).or_else(|_| invalid("is not an origin"))
}

fn parse_method(text: &str) -> Result<String, String> {
    let name = text.to_ascii_uppercase();
    match Method::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(name),
        Err(_) => Err(format!("`{text}` in `allowed_methods` is not an HTTP method")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(origins: &[&str], methods: &[&str]) -> CorsSettings {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        CorsSettings { allowed_origins: owned(origins), allowed_methods: owned(methods) }
    }

    #[test]
    fn empty_lists_and_stars_allow_everything() {
        for (origins, methods) in [(&[][..], &[][..]), (&["https://a.test", "*"], &["GET", " * "])]
        {
            let cors = CorsPolicy::new(&settings(origins, methods)).unwrap();
            assert!(cors.origins.is_none());
            assert_eq!(cors.methods, "*");
        }
    }

    #[test]
    fn origins_and_methods_are_normalized() {
        let settings = settings(
            &["HTTPS://Shop.Example.com", " http://localhost:8080", "chrome-extension://abc"],
            &["get", "PATCH"],
        );
        let cors = CorsPolicy::new(&settings).unwrap();
        let expected =
            ["https://shop.example.com", "http://localhost:8080", "chrome-extension://abc"];
        assert_eq!(cors.origins.unwrap(), expected);
        assert_eq!(cors.methods, "GET, PATCH");
    }

    #[test]
    fn origins_that_no_browser_sends_are_rejected() {
        for (origin, fact) in [
            ("https://example.com/", "more than"),
            ("https://example.com/shop", "more than"),
            ("https://me@example.com", "more than"),
            ("https://example.com:443", "default port"),
            ("http://example.com:80", "default port"),
            ("example.com", "no scheme"),
            ("null", "no scheme"),
            ("*.example.com", "no scheme"),
            ("https://ä.test", "not an origin"),
            ("", "not an origin"),
        ] {
            let error = CorsPolicy::new(&settings(&[origin], &[])).err().unwrap();
            assert!(error.contains(fact), "{error}");
            assert!(error.contains(&format!("`{origin}`")), "{error}");
        }
        let error = CorsPolicy::new(&settings(&[], &["GE T"])).err().unwrap();
        assert!(error.contains("`GE T`"), "{error}");
    }
}
