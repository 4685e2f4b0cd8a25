//! The answer of a write: what was there before, what is there now, and the operations that failed.

use crate::provider::{Outcome, to_payload};
use crate::store::Change;
use iii_wire::protocol::Payload;

pub(crate) use iii_wire::update::{UpdateError, UpdateOp, apply};

/// What a change made of a value, and the operations that failed: as text around the values, which are not read for it.
pub(crate) fn changed(change: &Change, errors: &[UpdateError]) -> Outcome {
    let value = |value: &'_ Option<Payload>| -> String {
        value.as_ref().map_or("null", Payload::as_str).to_owned()
    };
    let mut text =
        format!(r#"{{"old_value":{},"new_value":{}"#, value(&change.old), value(&change.new));
    if !errors.is_empty() {
        text.push_str(",\"errors\":");
        text.push_str(to_payload(errors)?.as_str());
    }
    text.push('}');
    Ok(Some(Payload::from_built(text)))
}
