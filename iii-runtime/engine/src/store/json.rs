//! JSON written around stored values, without parsing the values.

use iii_wire::protocol::Payload;

/// A string as a JSON string.
pub(crate) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The JSON of a value, or `null`.
pub(crate) fn json_or_null(value: Option<&Payload>) -> &str {
    value.map_or("null", Payload::as_str)
}
