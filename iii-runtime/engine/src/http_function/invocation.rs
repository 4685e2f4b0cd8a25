//! The `invocation` object of an HTTP function, and the requests of its calls ([protocol 4.8](iii_wire::protocol#s4-8)).

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Uri};
use serde::Deserialize;
use uuid::Uuid;

use super::auth::{AuthConfig, EndpointAuth};
use super::policy::EndpointPolicy;
use crate::http_fields::FRAMING_FIELDS;
use crate::provider::Call;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, RegisterFunction, with_caller};

/// Timeout of an endpoint if the function sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// Upper bound of the timeout. Longer ones are reduced to it.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of fields that a function may add to its requests.
const MAX_HEADERS: usize = 64;
/// Maximum size of these fields together, in bytes.
const MAX_HEADER_BYTES: usize = 16 << 10;

const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Prefix of the fields that only the engine sets.
const RESERVED_PREFIX: &str = "x-iii-";
const FUNCTION_PATH: HeaderName = HeaderName::from_static("x-iii-function-path");
const INVOCATION_ID: HeaderName = HeaderName::from_static("x-iii-invocation-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-iii-timestamp");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The `invocation` object. Unknown fields are ignored.
#[derive(Deserialize)]
struct InvocationConfig {
    url: Option<String>,
    method: Option<String>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    auth: Option<AuthConfig>,
}

/// The endpoint of an HTTP function.
pub(super) struct Endpoint {
    uri: Uri,
    method: Method,
    /// Covers the whole call, including the response body.
    pub(super) timeout: Duration,
    /// Fields of every request.
    headers: HeaderMap,
    auth: Option<EndpointAuth>,
}

impl Endpoint {
    /// Validates the `invocation` object of a function and reads its secret.
    ///
    /// # Errors
    ///
    /// Any reason why the function cannot be called, with a code. Messages contain no value of the object, because it may
    /// be a misplaced secret.
    pub(super) fn new(
        function: &RegisterFunction,
        policy: &EndpointPolicy,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ErrorBody> {
        let json = function.invocation.as_ref().map_or("null", |invocation| invocation.0.as_str());
        let config = InvocationConfig::parse(json)?;
        let url = config.url.as_deref();
        let uri =
            policy.url(url.ok_or_else(|| invalid_invocation("`invocation` requires a `url`"))?)?;
        let method = match config.method.as_deref() {
            None => Method::POST,
            Some(name) => METHODS
                .into_iter()
                .find(|method| name.trim().eq_ignore_ascii_case(method.as_str()))
                .ok_or_else(|| {
                    invalid_invocation("`method` must be GET, POST, PUT, PATCH or DELETE")
                })?,
        };
        let timeout = match config.timeout_ms.map(Duration::from_millis) {
            None => DEFAULT_TIMEOUT,
            Some(Duration::ZERO) => {
                return Err(invalid_invocation(
                    "`timeout_ms` must be at least 1; the default is 30000",
                ));
            }
            Some(timeout) => timeout.min(MAX_TIMEOUT),
        };
        let headers = request_fields(function, config.headers.unwrap_or_default())?;
        let auth = config.auth.map(|auth| EndpointAuth::new(&auth, variable)).transpose()?;
        Ok(Self { uri, method, timeout, headers, auth })
    }

    /// Returns scheme, host and port for messages. Path and query may contain secrets.
    pub(super) fn origin(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}")
    }

    /// Creates the request of one call. `timestamp` is in seconds since the Unix epoch.
    pub(super) fn request(&self, call: Call, timestamp: u64) -> Request<Full<Bytes>> {
        let body = with_caller(call.data, call.caller);
        let mut headers = self.headers.clone();
        let id = Uuid::new_v4().to_string();
        for (name, text) in [
            (INVOCATION_ID, Some(id)),
            (TIMESTAMP, Some(timestamp.to_string())),
            (TRACEPARENT, call.traceparent),
            (BAGGAGE, call.baggage),
        ] {
            // An invalid trace context is dropped.
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        }
        // Last, so that no other field overrides it.
        if let Some(auth) = &self.auth {
            auth.apply(&mut headers, timestamp, &body);
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request
    }
}

impl InvocationConfig {
    fn parse(json: &str) -> Result<Self, ErrorBody> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let field = match error.path().to_string().as_str() {
                "." => String::new(),
                path => format!("`{path}` of "),
            };
            invalid_invocation(format!("{field}`invocation` has the wrong type"))
        })
    }
}

/// Returns the fields of every request: the defaults, overridden by those of the function, and the function id.
fn request_fields(
    function: &RegisterFunction,
    custom: BTreeMap<String, String>,
) -> Result<HeaderMap, ErrorBody> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let agent = concat!("iii-runtime/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    let bytes: usize = custom.iter().map(|(name, value)| name.len() + value.len()).sum();
    if custom.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(invalid_invocation(format!(
            "`headers` may have at most {MAX_HEADERS} entries and {MAX_HEADER_BYTES} bytes, but has {} entries and \
             {bytes} bytes",
            custom.len()
        )));
    }
    for (name, value) in custom {
        let name = header_name(&name)?;
        let value = HeaderValue::try_from(value).map_err(|_| {
            invalid_invocation(format!("the value of the header `{name}` is invalid"))
        })?;
        headers.insert(name, value);
    }
    let id = HeaderValue::from_bytes(function.id.as_bytes());
    let id = id.map_err(|_| invalid_invocation("the id of the function has control characters"))?;
    headers.insert(FUNCTION_PATH, id);
    Ok(headers)
}

/// Parses the name of a field that a function may set.
pub(super) fn header_name(name: &str) -> Result<HeaderName, ErrorBody> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| invalid_invocation("`headers` and `header` require valid HTTP field names"))?;
    let text = name.as_str();
    // `host` could select another host than the one that the policy has checked.
    if text == "host" || text.starts_with(RESERVED_PREFIX) || FRAMING_FIELDS.contains(&text) {
        return Err(invalid_invocation(format!("the header `{name}` is set by the engine alone")));
    }
    Ok(name)
}

/// Creates the error of an invalid `invocation` object.
pub(super) fn invalid_invocation(message: impl Into<String>) -> ErrorBody {
    ErrorBody::new(code::INVALID_INVOCATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_function::HttpFunctionSettings;
    use http_body_util::BodyExt;
    use iii_wire::protocol::{HttpInvocation, Payload, WorkerId};

    fn endpoint_of(id: &str, invocation: &str) -> Result<Endpoint, ErrorBody> {
        let settings =
            HttpFunctionSettings { require_https: false, ..HttpFunctionSettings::default() };
        let function = RegisterFunction {
            id: id.into(),
            description: None,
            request_format: None,
            response_format: None,
            metadata: None,
            invocation: Some(HttpInvocation(Payload::from_json(invocation.to_owned()).unwrap())),
        };
        let variable = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        Endpoint::new(&function, &EndpointPolicy::new(&settings).unwrap(), variable)
    }

    fn endpoint(fields: &str) -> Endpoint {
        let text = format!(r#"{{"url":"http://a.test:81/p?q=1"{fields}}}"#);
        endpoint_of("ext::f", &text).ok().unwrap()
    }

    #[tokio::test]
    async fn call_is_converted_to_a_request() {
        let endpoint = endpoint("");
        assert_eq!(
            (endpoint.timeout, endpoint.origin().as_str()),
            (DEFAULT_TIMEOUT, "http://a.test:81")
        );
        let caller = WorkerId::random();
        let call = Call {
            caller: Some(caller),
            traceparent: Some("00-a-b-01".to_owned()),
            baggage: Some("bad\nline".to_owned()),
            ..Call::of(r#"{"n":1.50}"#)
        };
        let request = endpoint.request(call, 17);
        assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/p"));
        let headers = request.headers();
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["x-iii-function-path"], "ext::f");
        assert_eq!(headers["x-iii-timestamp"], "17");
        assert_eq!(headers["x-iii-invocation-id"].len(), 36);
        assert_eq!(headers["traceparent"], "00-a-b-01");
        assert!(!headers.contains_key("baggage") && !headers.contains_key("authorization"));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!(r#"{{"_caller_worker_id":"{caller}","n":1.50}}"#));
    }

    #[test]
    fn methods_ignore_case_and_timeouts_are_capped() {
        for (name, method) in [("get", Method::GET), ("Put", Method::PUT), ("PATCH", Method::PATCH)]
        {
            let endpoint = endpoint(&format!(r#","method":"{name}","timeout_ms":61000"#));
            assert_eq!((endpoint.method.clone(), endpoint.timeout), (method, MAX_TIMEOUT));
        }
        assert_eq!(endpoint(r#","timeout_ms":5,"x":[]"#).timeout, Duration::from_millis(5));
    }

    #[test]
    fn custom_headers_override_defaults_and_auth_overrides_both() {
        let endpoint = endpoint(
            r#","headers":{"Content-Type":"text/json","X-A":"1","authorization":"x","traceparent":"x"},
               "auth":{"type":"bearer","token_key":"TOKEN"}"#,
        );
        let call = Call { traceparent: Some("00-a-b-01".to_owned()), ..Call::of("null") };
        let request = endpoint.request(call, 0);
        for (name, value) in [
            ("content-type", "text/json"),
            ("x-a", "1"),
            ("authorization", "Bearer s3cret"),
            ("traceparent", "00-a-b-01"),
        ] {
            let values: Vec<_> = request.headers().get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
    }

    #[test]
    fn invalid_invocation_is_reported_without_its_values() {
        let many: Vec<String> = (0..65).map(|n| format!(r#""x{n}":"""#)).collect();
        let long = "x".repeat(20_000);
        let cases = [
            ("1".to_owned(), "wrong type"),
            (r#""s3cret""#.to_owned(), "wrong type"),
            ("[]".to_owned(), "wrong type"),
            ("{}".to_owned(), "`url`"),
            (r#"{"url":7}"#.to_owned(), "`url` of"),
            (r#"{"url":"http://a.test","method":"s3cret"}"#.to_owned(), "`method`"),
            (r#"{"url":"http://a.test","timeout_ms":0}"#.to_owned(), "`timeout_ms`"),
            (r#"{"url":"http://a.test","timeout_ms":-1}"#.to_owned(), "`timeout_ms` of"),
            (r#"{"url":"http://a.test","timeout_ms":"s3cret"}"#.to_owned(), "`timeout_ms` of"),
            (r#"{"url":"http://a.test","auth":"s3cret"}"#.to_owned(), "`auth` of"),
            (r#"{"url":"http://a.test","auth":{}}"#.to_owned(), "`auth` of"),
            (r#"{"url":"http://a.test","headers":{"a":1}}"#.to_owned(), "`headers.a` of"),
            (r#"{"url":"http://a.test","headers":{"a b":"s3cret"}}"#.to_owned(), "names"),
            (r#"{"url":"http://a.test","headers":{"a":"s3cret\n"}}"#.to_owned(), "`a`"),
            (r#"{"url":"http://a.test","headers":{"Host":"s3cret"}}"#.to_owned(), "`host`"),
            (r#"{"url":"http://a.test","headers":{"x-iii-a":""}}"#.to_owned(), "`x-iii-a`"),
            (r#"{"url":"http://a.test","headers":{"Content-Length":"1"}}"#.to_owned(), "alone"),
            (format!(r#"{{"url":"http://a.test","headers":{{{}}}}}"#, many.join(",")), "64"),
            (format!(r#"{{"url":"http://a.test","headers":{{"a":"{long}"}}}}"#), "16384"),
        ];
        for (text, fact) in cases {
            let error = endpoint_of("f", &text).err().unwrap_or_else(|| panic!("taken: {text}"));
            assert_eq!(error.code, "invalid_invocation", "{text}");
            assert!(error.message.contains(fact), "{text}: {}", error.message);
            assert!(!error.message.contains("s3cret"), "{}", error.message);
        }
        let error = endpoint_of("a\nb", r#"{"url":"http://a.test"}"#).err().unwrap();
        assert!(error.message.contains("id"), "{}", error.message);
        let error = endpoint_of("f", r#"{"url":"http://127.0.0.1"}"#).err().unwrap();
        assert_eq!(error.code, "url_validation_failed");
    }
}
