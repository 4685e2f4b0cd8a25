//! From the outcome of a function to an HTTP response (protocol section 5.1).

use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::body::ResponseBody;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::{STATUSES, code};

/// What requests are answered with.
pub(crate) type HttpResponse = Response<ResponseBody>;

/// The headers of a message's framing: the server sets them.
pub(crate) const FRAMING: [&str; 7] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Headers of a usual response: its type, its date, and those that let pages of other hosts read it.
const HEADERS: usize = 6;

/// The fields by which a result is told to be a response. Absent and `null` differ.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    status_code: Option<&'a RawValue>,
    /// As one of the SDKs writes it. Alone it does not make a response.
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

/// The response for a result: what it describes, or itself as JSON if it describes none.
pub(crate) fn of_result(result: &Payload) -> HttpResponse {
    let shape = if result.is_object() { result.parse_borrowed::<Shape<'_>>().ok() } else { None };
    match shape {
        Some(shape) if shape.status_code.or(shape.headers).or(shape.body).is_some() => {
            described(&shape, result)
        }
        _ => json(StatusCode::OK, result.clone().into_bytes()),
    }
}

/// The response that the parts of `result` describe.
fn described(shape: &Shape<'_>, result: &Payload) -> HttpResponse {
    let status = shape
        .status_code
        .or(shape.camel_status_code)
        .and_then(|status| serde_json::from_str::<u16>(status.get()).ok())
        .filter(|status| STATUSES.contains(status))
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::OK);
    let mut response = plain(status, Bytes::new());
    let headers = response.headers_mut();
    if let Some(given) = shape.headers {
        read_headers(given, headers);
    }
    let whole = || match shape.body {
        // The bytes of the result are those of the body: no copy.
        Some(body) => result.part(body).into_bytes(),
        None => Bytes::from_static(b"{}"),
    };
    let body = if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        Bytes::new()
    } else if headers.contains_key(header::CONTENT_TYPE) {
        let body = shape.body.map_or("{}", RawValue::get);
        match serde_json::from_str::<String>(body) {
            Ok(text) => text.into(),
            Err(_) if body == "null" => Bytes::new(),
            Err(_) => whole(),
        }
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        whole()
    };
    *response.body_mut() = body.into();
    response
}

/// Reads the headers of a result: an object, or a list of `Name: value`. What is no header is left out.
fn read_headers(given: &RawValue, headers: &mut HeaderMap) {
    let mut add = |name: &str, value: &str| {
        let name = HeaderName::from_bytes(name.trim().as_bytes());
        let value = HeaderValue::from_str(value.trim());
        if let (Ok(name), Ok(value)) = (name, value)
            && !FRAMING.contains(&name.as_str())
        {
            headers.append(name, value);
        }
    };
    match serde_json::from_str::<serde_json::Value>(given.get()) {
        Ok(serde_json::Value::Object(entries)) => {
            for (name, value) in &entries {
                match value {
                    serde_json::Value::String(value) => add(name, value),
                    // Several headers of one name, such as `set-cookie`.
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

/// The response for an error: its own status, else 500, and the error object.
pub(crate) fn of_error(error: &ErrorBody) -> HttpResponse {
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

/// The error object for an answer that the engine makes itself.
pub(crate) fn engine_error(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    of_error(&ErrorBody { status: Some(status.as_u16()), ..ErrorBody::new(code, message) })
}

/// 404.
pub(crate) fn not_found() -> HttpResponse {
    engine_error(StatusCode::NOT_FOUND, "NOT_FOUND", "Not Found")
}

/// 405, with the methods that are there.
pub(crate) fn method_not_allowed(methods: &[Method]) -> HttpResponse {
    let message = "this path is not served for this method";
    let mut response = engine_error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message);
    response.headers_mut().insert(header::ALLOW, allow(methods));
    response
}

/// 204: the function has nothing to say.
pub(crate) fn nothing() -> HttpResponse {
    plain(StatusCode::NO_CONTENT, Bytes::new())
}

/// 502: the worker left before it had written the response.
pub(crate) fn bad_gateway() -> HttpResponse {
    let message = "the worker left before the end of the response";
    engine_error(StatusCode::BAD_GATEWAY, code::CONNECTION_LOST, message)
}

/// 204, with the methods that are there: the answer to `OPTIONS` where no function answers it.
pub(crate) fn options(methods: &[Method]) -> HttpResponse {
    let mut response = plain(StatusCode::NO_CONTENT, Bytes::new());
    response.headers_mut().insert(header::ALLOW, allow(methods));
    response
}

fn allow(methods: &[Method]) -> HeaderValue {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    HeaderValue::from_str(&names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// 503, because too many requests are under way.
pub(crate) fn busy() -> HttpResponse {
    let message = "too many requests are under way, try again";
    let mut response = engine_error(StatusCode::SERVICE_UNAVAILABLE, code::OVERLOADED, message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// 422: the condition of the route says no.
pub(crate) fn condition_not_met() -> HttpResponse {
    let text = r#"{"error":{"code":"CONDITION_NOT_MET","message":"Request condition not met"},"skipped":true}"#;
    json(StatusCode::UNPROCESSABLE_ENTITY, text.to_owned())
}

/// 504.
pub(crate) fn timed_out(code: &str) -> HttpResponse {
    engine_error(StatusCode::GATEWAY_TIMEOUT, code, "the request took too long")
}

fn json(status: StatusCode, text: impl Into<Bytes>) -> HttpResponse {
    let mut response = plain(status, text.into());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A response without headers.
pub(crate) fn plain(status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = Response::new(ResponseBody::from(body));
    *response.status_mut() = status;
    // Room for those that every response gets, so that the map does not grow.
    response.headers_mut().reserve(HEADERS);
    response
}
