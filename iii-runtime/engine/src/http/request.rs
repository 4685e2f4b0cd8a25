//! Converts an HTTP request to the payload of a function: JSON written around the unmodified body ([protocol 5.1](iii_wire::protocol#s5-1)).

use std::borrow::Cow;
use std::net::IpAddr;

use bytestring::ByteString;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;
use hyper::{HeaderMap, header};

use super::exchange::Exchange;
use super::routes::Route;
use crate::request_fields::joined_headers;
use iii_wire::protocol::{ErrorBody, Payload, push_json_string};
use iii_wire::{BoxError, code};

/// The IP address of the client, as a request extension. In-memory requests have none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerIp(pub(crate) IpAddr);

/// The body of a request. JSON is buffered and validated before the function runs.
pub(crate) enum RequestBody<B> {
    /// Content with a JSON media type; `None` if it is empty.
    Json(Option<Payload>),
    /// Any other content, not read yet.
    Unread(B),
}

impl<B> RequestBody<B> {
    /// Returns the JSON content.
    pub(crate) fn json(&self) -> Option<&Payload> {
        match self {
            Self::Json(body) => body.as_ref(),
            Self::Unread(_) => None,
        }
    }
}

/// Buffers and validates a body with a JSON media type. Other bodies are returned unread.
///
/// # Errors
///
/// Status 413 if the body exceeds `limit` bytes, 400 if it is not valid JSON or ends prematurely.
pub(crate) async fn read_body<B>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
) -> Result<RequestBody<B>, ErrorBody>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if !is_json(headers) {
        return Ok(RequestBody::Unread(body));
    }
    let bytes = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("the body exceeds {limit} bytes");
            error_with_status(413, code::PAYLOAD_TOO_LARGE, message)
        } else {
            let message = "the body ended prematurely".to_owned();
            error_with_status(400, code::INVALID_PAYLOAD, message)
        }
    })?;
    let bytes = bytes.to_bytes();
    if bytes.is_empty() {
        return Ok(RequestBody::Json(None));
    }
    let invalid_json = |why: String| {
        error_with_status(400, code::INVALID_PAYLOAD, format!("the body is not valid JSON: {why}"))
    };
    let text =
        ByteString::try_from(bytes).map_err(|_| invalid_json("it is not UTF-8".to_owned()))?;
    let body = Payload::from_json(text).map_err(|error| invalid_json(error.to_string()))?;
    Ok(RequestBody::Json(Some(body)))
}

/// Creates an error that carries the status of its response.
fn error_with_status(status: u16, code: &str, message: String) -> ErrorBody {
    ErrorBody { status: Some(status), ..ErrorBody::new(code, message) }
}

/// Returns whether the media type is `application/json` or has the suffix `+json`. Ignores case and parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The JSON of a request without its body: the part of the payload that middleware receives too.
pub(crate) struct RequestJson {
    /// The members of an object, without its braces.
    members: String,
}

impl RequestJson {
    /// Writes the method, path parameters, query parameters and header fields.
    pub(crate) fn new(parts: &Parts, path_params: &[(String, String)]) -> Self {
        let mut text = String::with_capacity(512);
        text.push_str("\"method\":");
        push_json_string(&mut text, parts.method.as_str());
        let decoded =
            path_params.iter().map(|(name, value)| (name.as_str(), percent_decode(value)));
        push_map(&mut text, "path_params", decoded);
        let query = QueryParameters::parse(parts.uri.query().unwrap_or_default());
        push_map(&mut text, "query_params", query.last());
        push_map(&mut text, "headers", joined_headers(&parts.headers));
        Self { members: text }
    }

    /// Returns the payload of the function of the route.
    ///
    /// In addition to the keys of the protocol it has `raw_path`, the path of the request target, `query_params_multi`,
    /// all values of each query parameter, and `ip_address`, the address of the client. A condition function receives it
    /// without the channels of an exchange, because the body can be read only once.
    pub(crate) fn payload(
        &self,
        route: &Route,
        parts: &Parts,
        body: Option<&Payload>,
        exchange: Option<&Exchange>,
    ) -> Payload {
        let body = body.map_or("null", Payload::as_str);
        let mut text = String::with_capacity(self.members.len() + body.len() + 640);
        text.push('{');
        text.push_str(&self.members);
        text.push_str(",\"path\":");
        push_json_string(&mut text, &route.api_path);
        text.push_str(",\"raw_path\":");
        push_json_string(&mut text, parts.uri.path());
        QueryParameters::parse(parts.uri.query().unwrap_or_default()).push_multi(&mut text);
        text.push_str(",\"ip_address\":");
        match parts.extensions.get::<PeerIp>() {
            Some(PeerIp(ip)) => push_json_string(&mut text, &ip.to_string()),
            None => text.push_str("null"),
        }
        text.push_str(",\"body\":");
        text.push_str(body);
        text.push_str(",\"trigger\":{\"type\":\"http\",\"path\":");
        push_json_string(&mut text, &route.api_path);
        text.push_str(",\"method\":");
        push_json_string(&mut text, route.method.as_str());
        text.push('}');
        if let Some(exchange) = exchange {
            text.push_str(",\"request_body\":");
            exchange.push_request_ref(&mut text);
            text.push_str(",\"response\":");
            exchange.push_response_ref(&mut text);
        }
        text.push('}');
        Payload::from_built(text)
    }

    /// Returns the payload of a middleware function.
    pub(crate) fn middleware_payload(&self) -> Payload {
        Payload::from_built(format!(
            r#"{{"phase":"preHandler","request":{{{}}},"context":{{}}}}"#,
            self.members
        ))
    }
}

/// Decoded query parameters, in the order of the first occurrence of each name.
struct QueryParameters {
    entries: Vec<(String, Vec<String>)>,
}

impl QueryParameters {
    fn parse(query: &str) -> Self {
        let mut entries: Vec<(String, Vec<String>)> = Vec::new();
        if query.is_empty() {
            return Self { entries };
        }
        let mut indices = std::collections::HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let index = *indices.entry(name.to_string()).or_insert(entries.len());
            if index == entries.len() {
                entries.push((name.into_owned(), Vec::new()));
            }
            entries[index].1.push(value.into_owned());
        }
        Self { entries }
    }

    /// Returns each name with its last value.
    fn last(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(name, values)| (name.as_str(), values.last().map_or("", String::as_str)))
    }

    fn push_multi(&self, text: &mut String) {
        text.push_str(",\"query_params_multi\":{");
        for (n, (name, values)) in self.entries.iter().enumerate() {
            if n > 0 {
                text.push(',');
            }
            push_json_string(text, name);
            text.push_str(":[");
            for (n, value) in values.iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                push_json_string(text, value);
            }
            text.push(']');
        }
        text.push('}');
    }
}

/// Writes `,"key":{…}`.
fn push_map<'a, V: AsRef<str>>(
    text: &mut String,
    key: &str,
    entries: impl Iterator<Item = (&'a str, V)>,
) {
    text.push_str(",\"");
    text.push_str(key);
    text.push_str("\":{");
    for (n, (name, value)) in entries.enumerate() {
        if n > 0 {
            text.push(',');
        }
        push_json_string(text, name);
        text.push(':');
        push_json_string(text, value.as_ref());
    }
    text.push('}');
}

/// Percent-decodes a path segment. Invalid UTF-8 is replaced, invalid escapes are kept.
fn percent_decode(segment: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_parameters_are_decoded_once() {
        assert_eq!(percent_decode("a%20b%2Fc"), "a b/c");
        assert_eq!(percent_decode("100%zz%"), "100%zz%");
        assert_eq!(percent_decode("%2520+"), "%20+");
        assert_eq!(percent_decode("%ff"), "\u{fffd}");
    }

    #[test]
    fn json_media_types_are_recognized_in_any_case() {
        let is = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            is_json(&headers)
        };
        assert!(is("Application/JSON; charset=utf-8") && is("application/problem+json"));
        assert!(!is("text/plain") && !is("application/jsonx") && !is("text/x+json"));
    }
}
