//! HTTP middleware: functions that run before the function of a route and may respond in its place ([protocol 5.1](iii_wire::protocol#s5-1)).

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::request::RequestJson;
use super::response::{self, HttpResponse};
use crate::broker::{Broker, Request};
use crate::provider::Binding;
use iii_wire::code;
use iii_wire::protocol::{FunctionId, Payload};

/// Output of a middleware function that responds. Any other output continues with the request.
#[derive(Deserialize)]
struct MiddlewareOutput {
    action: String,
    #[serde(default)]
    response: Option<MiddlewareResponse>,
}

#[derive(Default, Deserialize)]
struct MiddlewareResponse {
    #[serde(default)]
    status_code: Option<u16>,
    #[serde(default)]
    headers: Option<Box<RawValue>>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

/// Invokes middleware functions for one request. They receive neither its body nor the metadata of the trigger.
pub(crate) struct MiddlewareChain<'a> {
    /// Invokes the functions.
    pub(crate) broker: &'a Broker,
    /// The trigger of the route. All middleware runs in the namespace of its function.
    pub(crate) binding: &'a Binding,
    /// The request without its body.
    pub(crate) request: &'a RequestJson,
    /// W3C `traceparent` of the request.
    pub(crate) traceparent: Option<&'a str>,
    /// Deadline of the response.
    pub(crate) deadline: Instant,
}

impl MiddlewareChain<'_> {
    /// Invokes functions one after the other.
    ///
    /// # Errors
    ///
    /// The response, if a function responds, fails or exceeds the deadline.
    pub(crate) async fn run(&self, functions: &[FunctionId]) -> Result<(), HttpResponse> {
        if functions.is_empty() {
            return Ok(());
        }
        let data = self.request.middleware_payload();
        for function_id in functions {
            let request = Request {
                traceparent: self.traceparent.map(str::to_owned),
                ..Request::beside(self.binding, function_id, data.clone())
            };
            match timeout_at(self.deadline, self.broker.invoke(request)).await {
                Err(_) => return Err(response::timed_out(code::MIDDLEWARE_TIMEOUT)),
                Ok(Err(error)) => return Err(response::from_error(&error)),
                Ok(Ok(result)) => {
                    if let Some(response) = result.as_ref().and_then(response_of) {
                        return Err(response);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Returns the response in the result of a middleware function, or `None` if the request continues.
fn response_of(result: &Payload) -> Option<HttpResponse> {
    let output: MiddlewareOutput = result.parse().ok()?;
    if output.action != "respond" {
        return None;
    }
    let MiddlewareResponse { status_code, headers, body } = output.response.unwrap_or_default();
    // Unlike in the result of a route's function, all header values must be strings, and the body is always JSON.
    let headers = headers.filter(|headers| {
        serde_json::from_str::<std::collections::BTreeMap<String, String>>(headers.get()).is_ok()
    });
    let head = format!(
        r#"{{"status_code":{},"headers":{},"body":null}}"#,
        status_code.unwrap_or(200),
        headers.as_ref().map_or("{}", |headers| headers.get()),
    );
    let response = response::from_result(&Payload::from_json(head).ok()?);
    let body = body.map_or_else(|| "null".to_owned(), |body| body.get().to_owned());
    Some(response.map(|_| Bytes::from(body).into()))
}
