//! Which id of ours stands for which id of a recording, learned when the engine first says one.

use std::collections::BTreeMap;

use serde_json::Value;

/// The length of an id in text.
const LENGTH: usize = 36;

/// What must be exchanged between a recording and a replay: ids and addresses.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ids {
    ours: BTreeMap<String, String>,
    recorded: BTreeMap<String, String>,
    /// Texts with another name on either side, addresses for example: (recorded, ours).
    texts: Vec<(String, String)>,
}

impl Ids {
    /// A text that is another one here.
    pub(crate) fn text(&mut self, recorded: &str, ours: String) {
        self.texts.push((recorded.to_owned(), ours));
    }

    /// Whether two strings mean the same; two ids that were never seen do from now on.
    pub(crate) fn same(&mut self, recorded: &str, ours: &str) -> bool {
        if !is_id(recorded) || !is_id(ours) {
            return recorded == ours;
        }
        match (self.ours.get(recorded), self.recorded.get(ours)) {
            (Some(known), _) => known == ours,
            (None, Some(_)) => false,
            (None, None) => {
                self.ours.insert(recorded.to_owned(), ours.to_owned());
                self.recorded.insert(ours.to_owned(), recorded.to_owned());
                true
            }
        }
    }

    /// Whether two strings can mean the same, without remembering it.
    pub(crate) fn could_be_same(&self, recorded: &str, ours: &str) -> bool {
        if !is_id(recorded) || !is_id(ours) {
            return recorded == ours;
        }
        match (self.ours.get(recorded), self.recorded.get(ours)) {
            (Some(known), _) => known == ours,
            (None, known) => known.is_none(),
        }
    }

    /// Whether an id was seen.
    pub(crate) fn knows(&self, recorded: &str) -> bool {
        self.ours.contains_key(recorded)
    }

    /// An id of ours that stands for itself, because we have made it.
    pub(crate) fn own(&mut self, message: &Value) {
        match message {
            Value::String(id) if is_id(id) && !self.ours.contains_key(id) => {
                self.ours.insert(id.clone(), id.clone());
                self.recorded.insert(id.clone(), id.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| self.own(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.own(field)),
            _ => {}
        }
    }

    /// Recorded text as it must be sent here.
    pub(crate) fn to_ours(&self, text: &str) -> String {
        let text = self
            .texts
            .iter()
            .fold(text.to_owned(), |text, (recorded, ours)| text.replace(recorded, ours));
        exchange(&text, &self.ours)
    }

    /// Text of this engine as it would stand in the recording. Ids without a counterpart stay.
    pub(crate) fn to_recorded(&self, text: &str) -> String {
        self.texts
            .iter()
            .fold(text.to_owned(), |text, (recorded, ours)| text.replace(ours.as_str(), recorded))
    }

    /// A value of ours in a report: ids become words, so that it is the same in every run.
    pub(crate) fn told(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if is_id(text) => Value::from("<id>"),
            Value::Array(items) => items.iter().map(|item| self.told(item)).collect(),
            Value::Object(fields) => {
                // Texts for people, and ids of errors, are not compared and so not told.
                let is_silent = |key: &str| {
                    key == "error_id" || key == "message" && fields.contains_key("code")
                };
                let tell = |(key, field): (&String, &Value)| match is_silent(key) {
                    true => (key.clone(), Value::from("…")),
                    false => (key.clone(), self.told(field)),
                };
                fields.iter().map(tell).collect()
            }
            other => other.clone(),
        }
    }
}

/// Whether a text has the form of an id.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == LENGTH
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Exchanges all ids inside a text.
fn exchange(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut exchanged = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match rest.get(..LENGTH).and_then(|id| known.get(id)) {
            Some(id) => {
                exchanged.push_str(id);
                rest = &rest[LENGTH..];
            }
            None => {
                exchanged.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    exchanged
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "6a6c9ce2-063d-41fd-902a-5c7b9f8bdd64";
    const TWO: &str = "90b912f5-b03b-4a5b-8f44-a14b700a83f0";

    #[test]
    fn ids_are_learned_once_and_exchanged_everywhere() {
        let mut ids = Ids::default();
        assert!(ids.could_be_same(ONE, TWO));
        assert!(ids.same(ONE, TWO) && ids.same(ONE, TWO));
        assert!(!ids.same(ONE, ONE) && !ids.same(TWO, TWO));
        assert_eq!(ids.to_ours(&format!("/{ONE}?key={ONE}é")), format!("/{TWO}?key={TWO}é"));
        assert!(ids.same("text", "text") && !ids.same("text", TWO));
    }
}
