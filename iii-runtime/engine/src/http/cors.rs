//! Which pages of other hosts may use HTTP triggers (protocol section 5.1; the Fetch standard, "HTTP extensions").

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri};

use super::response::{self, HttpResponse};

/// What a response depends on, besides the method and the URL: caches must know.
const VARY: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Which pages of other hosts may use HTTP triggers, in a browser (CORS). Requests that no page makes are not touched.
///
/// Pages may send and read any header, but no credentials of the browser, such as cookies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsSettings {
    /// The origins of the pages, such as `https://shop.example.com`. Default: empty, which allows all, as `*` does.
    ///
    /// With a list, it decides alone: a function cannot allow an origin that is not in it.
    pub allowed_origins: Vec<String>,
    /// The methods. Default: empty, which allows all, as `*` does. GET, HEAD and POST of simple forms need no permission
    /// in browsers.
    pub allowed_methods: Vec<String>,
}

/// The settings, ready to use.
pub(crate) struct CorsPolicy {
    /// `None`: all.
    origins: Option<Vec<HeaderValue>>,
    methods: HeaderValue,
}

impl CorsPolicy {
    /// Reads the settings.
    ///
    /// # Errors
    ///
    /// Which origin or method cannot be one, and why.
    pub(crate) fn new(settings: &CorsSettings) -> Result<Self, String> {
        let origins = listed(&settings.allowed_origins, origin)?;
        let methods = listed(&settings.allowed_methods, method)?;
        let methods = match methods {
            None => ANY,
            Some(names) => HeaderValue::from_str(&names.join(", ")).map_err(|e| e.to_string())?,
        };
        Ok(Self { origins, methods })
    }

    /// Whether a page of this origin may use HTTP triggers.
    fn allows(&self, origin: Option<&HeaderValue>) -> bool {
        match (&self.origins, origin) {
            (None, _) => true,
            (Some(origins), Some(origin)) => origins.contains(origin),
            (Some(_), None) => false,
        }
    }

    /// The answer to a browser that asks whether a page may send a request; `None` for other requests.
    pub(crate) fn preflight(&self, parts: &Parts) -> Option<HttpResponse> {
        let asked = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        if parts.method != Method::OPTIONS || asked.is_none() {
            return None;
        }
        let mut response = response::plain(StatusCode::OK, Default::default());
        if self.allows(parts.headers.get(header::ORIGIN)) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            // `*` does not cover `authorization`, so the names are given back as they were asked for.
            let names = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.unwrap_or(ANY));
        }
        Some(response)
    }

    /// Adds the headers that let a page of this origin read a response, if it may.
    pub(crate) fn allow(
        &self,
        origin: Option<&HeaderValue>,
        mut response: HttpResponse,
    ) -> HttpResponse {
        let headers = response.headers_mut();
        if self.origins.is_some() {
            headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        }
        if self.allows(origin) {
            let origin = match &self.origins {
                None => ANY,
                Some(_) => origin.cloned().unwrap_or(ANY),
            };
            unless_set(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            unless_set(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
        }
        headers.append(header::VARY, VARY);
        response
    }
}

fn unless_set(headers: &mut HeaderMap, name: header::HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

/// The entries of a list; `None` if it allows everything.
fn listed<T>(
    given: &[String],
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Vec<T>>, String> {
    let entries: Vec<&str> = given.iter().map(|entry| entry.trim()).collect();
    if entries.is_empty() || entries.contains(&"*") {
        return Ok(None);
    }
    entries.into_iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// An origin as browsers write it: in lower case, without a path, without the usual port.
fn origin(text: &str) -> Result<HeaderValue, String> {
    let bad = |why: &str| {
        Err(format!(
            "`{text}` of `allowed_origins` {why}: an origin is like `https://example.com` or `http://localhost:8080`"
        ))
    };
    let lower = text.to_ascii_lowercase();
    let Ok(uri) = lower.parse::<Uri>() else { return bad("is no origin") };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return bad("has no scheme or no host");
    };
    if lower != format!("{scheme}://{authority}") || authority.as_str().contains('@') {
        return bad("has more than scheme, host and port");
    }
    if matches!((scheme, uri.port_u16()), ("http", Some(80)) | ("https", Some(443))) {
        return bad("has the usual port, which browsers leave out");
    }
    HeaderValue::try_from(lower).or_else(|_| bad("is no origin"))
}

fn method(text: &str) -> Result<String, String> {
    let name = text.to_ascii_uppercase();
    match Method::from_bytes(name.as_bytes()) {
        Ok(_) => Ok(name),
        Err(_) => Err(format!("`{text}` of `allowed_methods` is no HTTP method")),
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
    fn an_empty_list_and_a_star_allow_everything() {
        for (origins, methods) in [(&[][..], &[][..]), (&["https://a.test", "*"], &["GET", " * "])]
        {
            let cors = CorsPolicy::new(&settings(origins, methods)).unwrap();
            assert!(cors.origins.is_none());
            assert_eq!(cors.methods, "*");
        }
    }

    #[test]
    fn origins_and_methods_are_written_as_browsers_write_them() {
        let given = settings(
            &["HTTPS://Shop.Example.com", " http://localhost:8080", "chrome-extension://abc"],
            &["get", "PATCH"],
        );
        let cors = CorsPolicy::new(&given).unwrap();
        let expected =
            ["https://shop.example.com", "http://localhost:8080", "chrome-extension://abc"];
        assert_eq!(cors.origins.unwrap(), expected);
        assert_eq!(cors.methods, "GET, PATCH");
    }

    #[test]
    fn what_can_never_match_is_refused() {
        for (origin, fact) in [
            ("https://example.com/", "more than"),
            ("https://example.com/shop", "more than"),
            ("https://me@example.com", "more than"),
            ("https://example.com:443", "usual port"),
            ("http://example.com:80", "usual port"),
            ("example.com", "no scheme"),
            ("null", "no scheme"),
            ("*.example.com", "no scheme"),
            ("https://ä.test", "no origin"),
            ("", "no origin"),
        ] {
            let error = CorsPolicy::new(&settings(&[origin], &[])).err().unwrap();
            assert!(error.contains(fact), "{error}");
            assert!(error.contains(&format!("`{origin}`")), "{error}");
        }
        let error = CorsPolicy::new(&settings(&[], &["GE T"])).err().unwrap();
        assert!(error.contains("`GE T`"), "{error}");
    }
}
