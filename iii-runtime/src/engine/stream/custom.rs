//! Streams that a worker keeps: functions such as `stream::set(chat)` are called instead of the store (protocol
//! section 6.3).

use serde::Deserialize;

use crate::engine::broker::{Broker, Request};
use crate::engine::provider::Call;
use crate::protocol::{ErrorBody, Payload};

/// What `set` and `update` of a worker must give.
#[derive(Deserialize)]
pub(super) struct Changed {
    /// The item before, if there was one.
    #[serde(default)]
    pub(super) old_value: Option<Payload>,
    /// The item after.
    pub(super) new_value: Payload,
}

/// What `delete` of a worker must give.
#[derive(Deserialize)]
pub(super) struct Deleted {
    /// The item before, if there was one.
    #[serde(default)]
    pub(super) old_value: Option<Payload>,
}

/// Calls what a worker serves for this stream: in the caller's namespace, else in `default`. `None`: nobody does.
///
/// Whether somebody does is looked up before this returns.
pub(super) fn call(
    broker: &Broker,
    operation: &str,
    stream: &str,
    call: &Call,
) -> Option<impl Future<Output = Result<Payload, ErrorBody>> + Send + use<>> {
    let id = format!("stream::{operation}({stream})");
    let namespace = broker.served_for(call.caller, &id)?;
    let answer = broker.invoke(Request {
        namespace,
        function_id: id.into(),
        data: call.data.clone(),
        metadata: None,
        traceparent: call.traceparent.clone(),
        baggage: call.baggage.clone(),
    });
    Some(async move { answer.await.map(Option::unwrap_or_default) })
}

/// Reads what a worker gave.
///
/// # Errors
///
/// Code `JSON_ERROR` if it does not have the shape that is asked for.
pub(super) fn read<T: serde::de::DeserializeOwned>(
    operation: &str,
    stream: &str,
    result: &Payload,
) -> Result<T, ErrorBody> {
    result.parse().map_err(|error| {
        let message = format!("`stream::{operation}({stream})` gave a result of the wrong shape");
        ErrorBody::new("JSON_ERROR", format!("{message}: {error}"))
    })
}
