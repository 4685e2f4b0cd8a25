//! The result of a write: the previous value, the new value and the operations that failed.

use crate::provider::{Outcome, to_payload};
use crate::store::{Change, json_or_null};
use iii_wire::protocol::Payload;

pub(crate) use iii_wire::update::{UpdateError, UpdateOp, apply};

/// The output of functions that change a value; see [`change_output`].
#[derive(Debug, schemars::JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct ChangeOutput {
    /// The previous value; null if there was none.
    old_value: Option<Payload>,
    /// The new value.
    new_value: Payload,
    /// The operations that failed. All others were applied.
    #[serde(default)]
    errors: Vec<UpdateError>,
}

/// Builds a [`ChangeOutput`] around the JSON of the values, without parsing them.
pub(crate) fn change_output(change: &Change, errors: &[UpdateError]) -> Outcome {
    let (old, new) = (json_or_null(change.old.as_ref()), json_or_null(change.new.as_ref()));
    let mut json = format!(r#"{{"old_value":{old},"new_value":{new}"#);
    if !errors.is_empty() {
        json.push_str(",\"errors\":");
        json.push_str(to_payload(errors)?.as_str());
    }
    json.push('}');
    Ok(Some(Payload::from_built(json)))
}
