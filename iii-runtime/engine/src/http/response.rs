//! Converts the outcome of a function to an HTTP response ([protocol 5.1](iii_wire::protocol#s5-1)).

use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::body::ResponseBody;
use crate::http_fields::FRAMING_FIELDS;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::{RESPONSE_STATUSES, code};

/// The response to a request.
pub(crate) type HttpResponse = Response<ResponseBody>;

/// Header fields of a typical response: content type, date and the CORS fields.
const RESERVED_FIELDS: usize = 6;

/// The keys by which a result describes a response. An absent key differs from `null`.
#[derive(Deserialize)]
struct ResponseKeys<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    status_code: Option<&'a RawValue>,
    /// The spelling of one of the SDKs. The key alone does not describe a response.
    #[serde(borrow, default, rename = "statusCode", deserialize_with = "present")]
    camel_status_code: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    body: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Converts a result: the response that it describes, else status 200 with the result as JSON.
pub(crate) fn from_result(result: &Payload) -> HttpResponse {
    let keys =
        if result.is_object() { result.parse_borrowed::<ResponseKeys<'_>>().ok() } else { None };
    match keys {
        Some(keys) if keys.status_code.or(keys.headers).or(keys.body).is_some() => {
            from_keys(&keys, result)
        }
        _ => json(StatusCode::OK, result.clone().into_bytes()),
    }
}

/// Converts the keys of a result that describes a response.
fn from_keys(keys: &ResponseKeys<'_>, result: &Payload) -> HttpResponse {
    let status = keys
        .status_code
        .or(keys.camel_status_code)
        .and_then(|status| serde_json::from_str::<u16>(status.get()).ok())
        .filter(|status| RESPONSE_STATUSES.contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::OK);
    let mut response = with_status(status, Bytes::new());
    let headers = response.headers_mut();
    if let Some(fields) = keys.headers {
        append_fields(fields, headers);
    }
    let json_body = || match keys.body {
        // Shares the bytes of the result without a copy.
        Some(body) => result.part(body).into_bytes(),
        None => Bytes::from_static(b"{}"),
    };
    let body = if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        Bytes::new()
    } else if headers.contains_key(header::CONTENT_TYPE) {
        let body = keys.body.map_or("{}", RawValue::get);
        match serde_json::from_str::<String>(body) {
            Ok(text) => text.into(),
            Err(_) if body == "null" => Bytes::new(),
            Err(_) => json_body(),
        }
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        json_body()
    };
    *response.body_mut() = body.into();
    response
}

/// Validates a header field that a function sets. Returns `None` for an invalid field and for the framing fields.
pub(crate) fn field(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    let value = HeaderValue::from_str(value).ok()?;
    (!FRAMING_FIELDS.contains(&name.as_str())).then_some((name, value))
}

/// Appends the header fields of a result: an object, or an array of `Name: value`. Invalid fields are skipped.
fn append_fields(fields: &RawValue, headers: &mut HeaderMap) {
    let mut add = |name: &str, value: &str| {
        if let Some((name, value)) = field(name, value.trim()) {
            headers.append(name, value);
        }
    };
    match serde_json::from_str::<serde_json::Value>(fields.get()) {
        Ok(serde_json::Value::Object(entries)) => {
            for (name, value) in &entries {
                match value {
                    serde_json::Value::String(value) => add(name, value),
                    // Several fields of one name, such as `set-cookie`.
                    serde_json::Value::Array(values) => {
                        values
                            .iter()
                            .filter_map(|value| value.as_str())
                            .for_each(|value| add(name, value));
                    }
                    _ => {}
                }
            }
        }
        Ok(serde_json::Value::Array(lines)) => {
            let lines = lines.iter().filter_map(|line| line.as_str()?.split_once(':'));
            lines.for_each(|(name, value)| add(name, value));
        }
        _ => {}
    }
}

/// Converts an error: its status if that is 4xx or 5xx, else 500, with the error object as content.
pub(crate) fn from_error(error: &ErrorBody) -> HttpResponse {
    let status = error
        .status
        .filter(|status| (400..=599).contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let id = Uuid::new_v4().simple().to_string();
    let id = &id[..12];
    if status.is_server_error() {
        tracing::warn!(error_id = id, "a request failed: {error}");
    }
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = format!(
        r#"{{"error":{{"code":{},"message":{},"error_id":"{id}""#,
        quoted(&error.code),
        quoted(&error.message)
    );
    if let Some(details) = &error.details {
        text.push_str(",\"details\":");
        text.push_str(details.as_str());
    }
    text.push_str("}}");
    let mut response = json(status, text);
    if let Some(wait) = error.retry_after_ms {
        let seconds = HeaderValue::from(wait.div_ceil(1000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// An error response that the engine generates.
fn engine_error(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    from_error(&ErrorBody { status: Some(status.as_u16()), ..ErrorBody::new(code, message) })
}

/// 404: no route has this path.
pub(crate) fn not_found() -> HttpResponse {
    engine_error(StatusCode::NOT_FOUND, code::NOT_FOUND, "Not Found")
}

/// 405, with the methods of the path in `Allow`.
pub(crate) fn method_not_allowed(methods: &[Method]) -> HttpResponse {
    let message = "this path does not support the method";
    let mut response =
        engine_error(StatusCode::METHOD_NOT_ALLOWED, code::METHOD_NOT_ALLOWED, message);
    response.headers_mut().insert(header::ALLOW, allow(methods));
    response
}

/// 204: the function returned no result.
pub(crate) fn no_content() -> HttpResponse {
    with_status(StatusCode::NO_CONTENT, Bytes::new())
}

/// 502: the worker disconnected before the response was complete.
pub(crate) fn bad_gateway() -> HttpResponse {
    let message = "the worker disconnected before the end of the response";
    engine_error(StatusCode::BAD_GATEWAY, code::CONNECTION_LOST, message)
}

/// 204, with the methods of the path in `Allow`: the response to `OPTIONS` if no route handles it.
pub(crate) fn allowed_methods(methods: &[Method]) -> HttpResponse {
    let mut response = with_status(StatusCode::NO_CONTENT, Bytes::new());
    response.headers_mut().insert(header::ALLOW, allow(methods));
    response
}

fn allow(methods: &[Method]) -> HeaderValue {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// 503: the concurrency limit is reached.
pub(crate) fn overloaded() -> HttpResponse {
    let message = "too many requests in flight, try again";
    let mut response = engine_error(StatusCode::SERVICE_UNAVAILABLE, code::OVERLOADED, message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// 422: the condition function of the route returned `false`.
pub(crate) fn condition_not_met() -> HttpResponse {
    let code = code::CONDITION_NOT_MET;
    let text = format!(
        r#"{{"error":{{"code":"{code}","message":"Request condition not met"}},"skipped":true}}"#
    );
    json(StatusCode::UNPROCESSABLE_ENTITY, text)
}

/// 504: the deadline of the response passed.
pub(crate) fn timed_out(code: &str) -> HttpResponse {
    engine_error(StatusCode::GATEWAY_TIMEOUT, code, "the request timed out")
}

fn json(status: StatusCode, text: impl Into<Bytes>) -> HttpResponse {
    let mut response = with_status(status, text.into());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A response without header fields.
pub(crate) fn with_status(status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() = status;
    // The map must not grow when the usual fields are added.
    response.headers_mut().reserve(RESERVED_FIELDS);
    response
}
