//! From an HTTP request to the payload of a function, written as text around the body (protocol section 5.1).

use std::borrow::Cow;
use std::net::IpAddr;

use bytestring::ByteString;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::http::request::Parts;
use hyper::{HeaderMap, header};

use super::exchange::Exchange;
use super::routes::Route;
use iii_wire::protocol::{ErrorBody, Payload, push_text};
use iii_wire::{BoxError, code};

/// The address that a request came from, as an extension of it; a request in memory has none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A body, as far as it was read before the function is called.
pub(crate) enum Read<B> {
    /// It is said to be JSON, and it is, if it is not empty.
    Json(Option<Payload>),
    /// It is anything else, and was not read.
    Raw(B),
}

impl<B> Read<B> {
    /// The JSON of the body.
    pub(crate) fn json(&self) -> Option<&Payload> {
        match self {
            Self::Json(body) => body.as_ref(),
            Self::Raw(_) => None,
        }
    }
}

/// Reads a body that is said to be JSON.
///
/// # Errors
///
/// With the status to answer: 413 if it is too long, 400 if it is no JSON or breaks off.
pub(crate) async fn read_body<B>(
    headers: &HeaderMap,
    body: B,
    limit: usize,
) -> Result<Read<B>, ErrorBody>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if !is_json(headers) {
        return Ok(Read::Raw(body));
    }
    let bytes = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("the body is longer than {limit} bytes");
            with_status(413, code::PAYLOAD_TOO_LARGE, message)
        } else {
            with_status(400, code::INVALID_PAYLOAD, "the body broke off".to_owned())
        }
    })?;
    let bytes = bytes.to_bytes();
    if bytes.is_empty() {
        return Ok(Read::Json(None));
    }
    let no_json = |why: String| {
        with_status(400, code::INVALID_PAYLOAD, format!("the body is not JSON: {why}"))
    };
    let text = ByteString::try_from(bytes).map_err(|_| no_json("it is not UTF-8".to_owned()))?;
    let body = Payload::from_json(text).map_err(|error| no_json(error.to_string()))?;
    Ok(Read::Json(Some(body)))
}

/// An error with the HTTP status that it is answered with.
pub(crate) fn with_status(status: u16, code: &str, message: String) -> ErrorBody {
    ErrorBody { status: Some(status), ..ErrorBody::new(code, message) }
}

/// Whether the content type is JSON, in any spelling, or a type built on JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
        return false;
    };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The parts of the payload that middleware sees as well.
pub(crate) struct Envelope {
    text: String,
}

impl Envelope {
    /// Writes method, path parameters, query and headers, as the inside of an object.
    pub(crate) fn new(parts: &Parts, path_params: &[(String, String)]) -> Self {
        let mut text = String::with_capacity(512);
        text.push_str("\"method\":");
        push_text(&mut text, parts.method.as_str());
        let decoded = path_params.iter().map(|(name, value)| (name.as_str(), decode(value)));
        push_map(&mut text, "path_params", decoded);
        let query = Query::new(parts.uri.query().unwrap_or_default());
        push_map(&mut text, "query_params", query.last());
        push_map(&mut text, "headers", joined(&parts.headers));
        Self { text }
    }

    /// The payload of the handler.
    ///
    /// Besides the keys of the protocol it has `raw_path`, the path as it was requested, `query_params_multi`, all values
    /// of each query parameter, and `ip_address`, where the connection comes from. A condition gets it without the channels of an exchange: whoever reads the
    /// body takes it from the handler.
    pub(crate) fn payload(
        &self,
        route: &Route,
        parts: &Parts,
        body: Option<&Payload>,
        exchange: Option<&Exchange>,
    ) -> Payload {
        let body = body.map_or("null", Payload::as_str);
        let mut text = String::with_capacity(self.text.len() + body.len() + 640);
        text.push('{');
        text.push_str(&self.text);
        text.push_str(",\"path\":");
        push_text(&mut text, &route.api_path);
        text.push_str(",\"raw_path\":");
        push_text(&mut text, parts.uri.path());
        Query::new(parts.uri.query().unwrap_or_default()).push_multi(&mut text);
        text.push_str(",\"ip_address\":");
        match parts.extensions.get::<Peer>() {
            Some(Peer(ip)) => push_text(&mut text, &ip.to_string()),
            None => text.push_str("null"),
        }
        text.push_str(",\"body\":");
        text.push_str(body);
        text.push_str(",\"trigger\":{\"type\":\"http\",\"path\":");
        push_text(&mut text, &route.api_path);
        text.push_str(",\"method\":");
        push_text(&mut text, route.method.as_str());
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

    /// The payload of a middleware function.
    pub(crate) fn for_middleware(&self) -> Payload {
        Payload::from_built(format!(
            r#"{{"phase":"preHandler","request":{{{}}},"context":{{}}}}"#,
            self.text
        ))
    }
}

/// A query, decoded, its names in the order of their first appearance.
struct Query {
    entries: Vec<(String, Vec<String>)>,
}

impl Query {
    fn new(query: &str) -> Self {
        let mut entries: Vec<(String, Vec<String>)> = Vec::new();
        if query.is_empty() {
            return Self { entries };
        }
        let mut places = std::collections::HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = *places.entry(name.to_string()).or_insert(entries.len());
            if place == entries.len() {
                entries.push((name.into_owned(), Vec::new()));
            }
            entries[place].1.push(value.into_owned());
        }
        Self { entries }
    }

    /// Of a repeated name, the last value.
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
            push_text(text, name);
            text.push_str(":[");
            for (n, value) in values.iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                push_text(text, value);
            }
            text.push(']');
        }
        text.push('}');
    }
}

/// All headers; repeated ones are joined as RFC 9110 says.
fn joined(headers: &HeaderMap) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    headers.keys().map(|name| {
        let separator = if name == header::COOKIE { "; " } else { ", " };
        let mut values =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let mut joined = values.next().unwrap_or_default();
        for value in values {
            let joined = joined.to_mut();
            joined.push_str(separator);
            joined.push_str(&value);
        }
        (name.as_str(), joined)
    })
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
        push_text(text, name);
        text.push(':');
        push_text(text, value.as_ref());
    }
    text.push('}');
}

/// Percent-decodes a part of a path. What is no UTF-8 is replaced, a bad escape stays as it is.
fn decode(part: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(decode("a%20b%2Fc"), "a b/c");
        assert_eq!(decode("100%zz%"), "100%zz%");
        assert_eq!(decode("%2520+"), "%20+");
        assert_eq!(decode("%ff"), "\u{fffd}");
    }

    #[test]
    fn json_is_recognised_in_any_spelling() {
        let is = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            is_json(&headers)
        };
        assert!(is("Application/JSON; charset=utf-8") && is("application/problem+json"));
        assert!(!is("text/plain") && !is("application/jsonx") && !is("text/x+json"));
    }
}
