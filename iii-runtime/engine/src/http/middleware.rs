//! The functions that see a request before its handler, and may answer it (protocol section 5.1).

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::request::Envelope;
use super::response::{self, HttpResponse};
use crate::broker::{Broker, Request};
use crate::provider::Binding;
use iii_wire::protocol::{FunctionId, Payload};

/// What a middleware function may return; anything else means "go on".
#[derive(Deserialize)]
struct Verdict {
    action: String,
    #[serde(default)]
    response: Option<Response>,
}

#[derive(Default, Deserialize)]
struct Response {
    #[serde(default)]
    status_code: Option<u16>,
    #[serde(default)]
    headers: Option<Box<RawValue>>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

/// One request, as middleware sees it: with neither its body nor the metadata of its binding.
pub(crate) struct Middleware<'a> {
    /// Who calls it.
    pub(crate) broker: &'a Broker,
    /// The binding of the route. Its target's namespace is that of the functions too, those of all routes included.
    pub(crate) binding: &'a Binding,
    /// What it is told.
    pub(crate) envelope: &'a Envelope,
    /// The trace of the request.
    pub(crate) traceparent: Option<&'a str>,
    /// The end of the request.
    pub(crate) deadline: Instant,
}

impl Middleware<'_> {
    /// Asks functions in their order. `Some`: the request is answered.
    pub(crate) async fn run(&self, functions: &[FunctionId]) -> Option<HttpResponse> {
        if functions.is_empty() {
            return None;
        }
        let data = self.envelope.for_middleware();
        for function_id in functions {
            let request = Request {
                traceparent: self.traceparent.map(str::to_owned),
                ..Request::beside(self.binding, function_id, data.clone())
            };
            match timeout_at(self.deadline, self.broker.invoke(request)).await {
                Err(_) => return Some(response::timed_out("MIDDLEWARE_TIMEOUT")),
                Ok(Err(error)) => return Some(response::of_error(&error)),
                Ok(Ok(result)) => {
                    if let Some(answer) = result.as_ref().and_then(answer_of) {
                        return Some(answer);
                    }
                }
            }
        }
        None
    }
}

/// The answer in a verdict, if it is one.
fn answer_of(result: &Payload) -> Option<HttpResponse> {
    let verdict: Verdict = result.parse().ok()?;
    if verdict.action != "respond" {
        return None;
    }
    let given = verdict.response.unwrap_or_default();
    // Here the headers count only if all of them are text, and the body is always JSON.
    let headers = given.headers.filter(|headers| {
        serde_json::from_str::<std::collections::BTreeMap<String, String>>(headers.get()).is_ok()
    });
    let text = format!(
        r#"{{"status_code":{},"headers":{},"body":null}}"#,
        given.status_code.unwrap_or(200),
        headers.as_ref().map_or("{}", |headers| headers.get()),
    );
    let answer = response::of_result(&Payload::from_json(text).ok()?);
    let body = given.body.map_or_else(|| "null".to_owned(), |body| body.get().to_owned());
    let (parts, _) = answer.into_parts();
    Some(hyper::Response::from_parts(parts, super::body::ResponseBody::from(Bytes::from(body))))
}
