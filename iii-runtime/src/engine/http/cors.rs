//! Answers for pages of other hosts: without settings, all of them may use HTTP triggers (protocol section 5.1).

use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::response::{self, Answer};

/// The answer to a browser that asks whether a page may send a request; `None` for other requests.
pub(crate) fn preflight(parts: &Parts) -> Option<Answer> {
    let asked = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    if parts.method != Method::OPTIONS || asked.is_none() {
        return None;
    }
    let mut response = response::plain(StatusCode::OK, Default::default());
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("*"));
    // `*` does not cover `authorization`, so the names are given back as they were asked for.
    let names = parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        names.unwrap_or_else(|| HeaderValue::from_static("*")),
    );
    Some(response)
}

/// Adds the headers that let pages read a response, unless the function set them.
pub(crate) fn allow(mut response: Answer) -> Answer {
    let headers = response.headers_mut();
    let any = HeaderValue::from_static("*");
    headers.entry(header::ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(any.clone());
    headers.entry(header::ACCESS_CONTROL_EXPOSE_HEADERS).or_insert(any);
    headers.append(
        header::VARY,
        HeaderValue::from_static(
            "origin, access-control-request-method, access-control-request-headers",
        ),
    );
    response
}
