//! Custom streams: a worker stores the items and serves functions such as `stream::set(chat)` ([protocol 6.3](iii_wire::protocol#s6-3)).

use serde::Deserialize;

use super::group::StreamGroup;
use crate::broker::{Broker, Request};
use crate::provider::Call;
use crate::state::update::{self, UpdateError, UpdateOp};
use crate::store::json_string;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};

/// The output of a worker's `set` and `update`.
#[derive(Deserialize)]
pub(super) struct CustomChange {
    /// The previous item, if there was one.
    #[serde(default)]
    pub(super) old_value: Option<Payload>,
    /// The new item.
    pub(super) new_value: Payload,
}

/// The output of a worker's `delete`.
#[derive(Deserialize)]
pub(super) struct CustomDeletion {
    /// The previous item, if there was one.
    #[serde(default)]
    pub(super) old_value: Option<Payload>,
}

fn function_id(operation: &str, stream: &str) -> String {
    format!("stream::{operation}({stream})")
}

/// Calls the function that a worker serves for this stream, in the caller's namespace or else in `default`. Returns `None`
/// if no worker serves it.
///
/// The function is looked up before this returns.
pub(super) fn call(
    broker: &Broker,
    operation: &str,
    stream: &str,
    call: &Call,
) -> Option<impl Future<Output = Result<Payload, ErrorBody>> + Send + use<>> {
    let id = function_id(operation, stream);
    let namespace = broker.resolve_namespace(call.caller, &id)?;
    let output = broker.invoke(Request {
        namespace,
        function_id: id.into(),
        data: call.data.clone(),
        metadata: None,
        traceparent: call.traceparent.clone(),
        baggage: call.baggage.clone(),
    });
    Some(async move { output.await.map(Option::unwrap_or_default) })
}

/// Parses the output of a worker's function.
///
/// # Errors
///
/// Code `JSON_ERROR` if the output does not match the type.
pub(super) fn parse_output<T: serde::de::DeserializeOwned>(
    operation: &str,
    stream: &str,
    output: &Payload,
) -> Result<T, ErrorBody> {
    output.parse().map_err(|error| {
        let id = function_id(operation, stream);
        ErrorBody::new(code::JSON_ERROR, format!("the output of `{id}` is invalid: {error}"))
    })
}

/// Returns whether a worker serves `get` and `set` for a stream, so that an update can be emulated. SDKs do not register
/// `update`.
pub(super) fn supports_read_modify_write(broker: &Broker, stream: &str, call: &Call) -> bool {
    let is_served = |operation| {
        broker.resolve_namespace(call.caller, &function_id(operation, stream)).is_some()
    };
    is_served("get") && is_served("set")
}

/// Updates an item by the worker's `get` and `set`. The caller must hold the lock of the item, from [`ItemLocks`].
///
/// # Errors
///
/// The error of the worker, or code `JSON_ERROR` if an output is invalid.
pub(super) async fn read_modify_write(
    broker: &Broker,
    group: &StreamGroup,
    item: &str,
    ops: &[UpdateOp],
    call: &Call,
) -> Result<(CustomChange, Vec<UpdateError>), ErrorBody> {
    let stream = group.stream.as_str();
    let item_fields = format!(
        r#""stream_name":{},"group_id":{},"item_id":{}"#,
        json_string(stream),
        json_string(&group.group),
        json_string(item)
    );
    let call_worker = async |operation, data: String| {
        let call = Call { data: Payload::from_built(data), ..call.clone() };
        match self::call(broker, operation, stream, &call) {
            Some(output) => output.await,
            None => Err(ErrorBody::new(
                code::FUNCTION_NOT_FOUND,
                format!("`{}` is no longer registered", function_id(operation, stream)),
            )),
        }
    };
    let old = call_worker("get", format!("{{{item_fields}}}")).await?;
    let old = (!old.is_null()).then_some(old);
    let (new, errors) = update::apply(old.as_ref(), ops).map_err(|error| {
        ErrorBody::new(code::STREAM_UPDATE_ERROR, format!("the item cannot be updated: {error}"))
    })?;
    let data = format!(r#"{{{item_fields},"data":{}}}"#, new.as_str());
    let output = call_worker("set", data).await?;
    Ok((parse_output("set", stream, &output)?, errors))
}

/// Serializes emulated updates of each item of a custom stream.
pub(super) type ItemLocks = iii_wire::keyed_lock::KeyedLock<(StreamGroup, String)>;
