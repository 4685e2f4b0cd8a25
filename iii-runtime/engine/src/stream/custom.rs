//! Streams that a worker keeps: functions such as `stream::set(chat)` are called instead of the store (protocol
//! section 6.3).

use serde::Deserialize;

use super::message::quoted;
use super::place::Place;
use crate::broker::{Broker, Request};
use crate::provider::Call;
use crate::state::update::{self, UpdateError, UpdateOp};
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};

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

fn id_of(operation: &str, stream: &str) -> String {
    format!("stream::{operation}({stream})")
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
    let id = id_of(operation, stream);
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
        let id = id_of(operation, stream);
        let message = format!("`{id}` gave a result of the wrong shape");
        ErrorBody::new("JSON_ERROR", format!("{message}: {error}"))
    })
}

/// Whether a worker serves reading and writing of a stream, but not `update`, which SDKs do not register.
pub(super) fn is_updated_in_steps(broker: &Broker, stream: &str, call: &Call) -> bool {
    let serves = |operation| broker.served_for(call.caller, &id_of(operation, stream)).is_some();
    serves("get") && serves("set")
}

/// Changes parts of an item by what a worker serves for reading and writing it. The item must not change in between:
/// the caller has its turn, from [`ItemLocks`].
///
/// # Errors
///
/// What the worker says, and code `JSON_ERROR` if a result cannot be used.
pub(super) async fn update_in_steps(
    broker: &Broker,
    place: &Place,
    item: &str,
    ops: &[UpdateOp],
    call: &Call,
) -> Result<(Changed, Vec<UpdateError>), ErrorBody> {
    let stream = place.stream.as_str();
    let at = format!(
        r#""stream_name":{},"group_id":{},"item_id":{}"#,
        quoted(stream),
        quoted(&place.group),
        quoted(item)
    );
    let ask = async |operation, data: String| {
        let asked = Call { data: Payload::from_built(data), ..call.clone() };
        match self::call(broker, operation, stream, &asked) {
            Some(answer) => answer.await,
            None => Err(ErrorBody::new(
                code::FUNCTION_NOT_FOUND,
                format!("`{}` is not served any more", id_of(operation, stream)),
            )),
        }
    };
    let old = ask("get", format!("{{{at}}}")).await?;
    let old = (!old.is_null()).then_some(old);
    let (new, errors) = update::apply(old.as_ref(), ops).map_err(|error| {
        ErrorBody::new("STREAM_UPDATE_ERROR", format!("the item cannot be worked on: {error}"))
    })?;
    let result = ask("set", format!(r#"{{{at},"data":{}}}"#, new.as_str())).await?;
    Ok((read("set", stream, &result)?, errors))
}

/// Updates of one item that a worker keeps, one after the other.
pub(super) type ItemLocks = iii_wire::keyed_lock::KeyedLock<(Place, String)>;
