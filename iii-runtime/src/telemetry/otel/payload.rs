//! Inputs and outputs as attributes of events: without secrets, and not longer than is allowed ([protocol 10.2](crate::protocol#s10-2)).

use std::sync::Arc;

use opentelemetry::KeyValue;
use serde_json::Value;

use iii_wire::protocol::Payload;
use iii_wire::secret::{REDACTED, is_secret};

/// What stands at the end of a text that was cut.
const CUT: &str = "…";

/// The names whose values are not sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Redact {
    /// What the app adds to what is known, in small letters.
    more: Arc<[String]>,
}

impl Redact {
    pub(super) fn new(more: &[String]) -> Self {
        Self { more: more.to_vec().into() }
    }

    /// Whether the value of a name is not sent.
    pub(super) fn hides(&self, name: &str) -> bool {
        is_secret(name) || self.more.iter().any(|more| name.to_lowercase() == *more)
    }

    fn clean(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if self.hides(name) {
                        *value = REDACTED.into();
                    } else {
                        self.clean(value);
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.clean(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// How payloads are shown.
#[derive(Debug)]
pub(super) struct Payloads {
    redact: Redact,
    most: usize,
}

impl Payloads {
    /// Payloads of at most so many bytes.
    pub(super) fn new(redact: Redact, most: usize) -> Self {
        Self { redact, most }
    }

    /// A payload as the attributes of an event.
    pub(super) fn attributes(&self, payload: &Payload) -> Vec<KeyValue> {
        let (text, cut) = self.shown(payload);
        vec![KeyValue::new("iii.payload.json", text), KeyValue::new("iii.payload.truncated", cut)]
    }

    /// A payload as text, and whether it was cut.
    fn shown(&self, payload: &Payload) -> (String, bool) {
        let mut value: Value = match payload.parse() {
            Ok(value) => value,
            // JSON that is nested too deep: nothing is known of its secrets.
            Err(_) => return (CUT.to_owned(), true),
        };
        self.redact.clean(&mut value);
        let mut text = value.to_string();
        if text.len() <= self.most {
            return (text, false);
        }
        let mut end = self.most.saturating_sub(CUT.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT);
        (text, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str, most: usize) -> (String, bool) {
        let payloads = Payloads::new(Redact::new(&["iban".to_owned()]), most);
        payloads.shown(&Payload::from_built(json.to_owned()))
    }

    #[test]
    fn secrets_are_left_out_at_every_depth() {
        let json = r#"{"a":[{"Password":"x"}],"authorization":{"b":1},"IBAN":"DE","tokens":3}"#;
        let (text, cut) = shown(json, 1000);
        let clean: Value = serde_json::from_str(&text).unwrap();
        let wanted = serde_json::json!({
            "a": [{"Password": "[REDACTED]"}], "authorization": "[REDACTED]", "IBAN": "[REDACTED]",
            "tokens": 3,
        });
        assert_eq!((clean, cut), (wanted, false));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shown(r#""üüüü""#, 10), (r#""üüüü""#.to_owned(), false));
        assert_eq!(shown(r#""üüüü""#, 7), ("\"ü…".to_owned(), true));
        assert_eq!(shown(r#""üüüü""#, 1), ("…".to_owned(), true));
    }
}
