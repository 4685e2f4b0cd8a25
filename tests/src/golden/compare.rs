//! Compares what the official engine sent with what ours does, passing over what differs from run to run.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ids::Ids;

/// Fields that are times: only their form is compared.
const TIMES: [&str; 10] = [
    "actual_time",
    "connected_at_ms",
    "failed_at",
    "observed_timestamp_unix_nano",
    "scheduled_time",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "timestamp",
    "timestamp_unix_nano",
    "x-iii-timestamp",
];

/// Arrays without an order, and the fields by which their entries are told apart.
const SETS: [(&str, &str); 6] = [
    ("functions", "function_id"),
    ("workers", "name"),
    ("registered_triggers", "id"),
    ("trigger_types", "id"),
    ("list_topics", "name"),
    ("dlq_topics", "topic"),
];

/// The text that stands for a long description.
const LEFT_OUT: &str = "…";

/// A difference inside a message: where, and what ours has there; none where it has nothing.
pub(crate) type Found = (String, Option<Value>);

/// What a comparison knows of the scenario.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) ids: &'a mut Ids,
    /// The names of what belongs to the scenario.
    pub(crate) own: &'a BTreeSet<String>,
    pub(crate) found: Vec<Found>,
}

impl Comparison<'_> {
    /// Compares two values and notes what differs. `path` names them, `key` is its last part.
    pub(crate) fn values(&mut self, path: &str, key: &str, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::String(recorded), Value::String(_)) if recorded == LEFT_OUT => {}
            (Value::Array(items), Value::Array(others)) => self.arrays(path, key, items, others),
            (Value::Object(fields), Value::Object(others)) => self.objects(path, fields, others),
            (recorded, ours) => {
                if !self.same(key, recorded, ours) {
                    self.found.push((path.to_owned(), Some(self.ids.told(ours))));
                }
            }
        }
    }

    /// Whether two values without parts mean the same.
    fn same(&mut self, key: &str, recorded: &Value, ours: &Value) -> bool {
        match (recorded, ours) {
            (Value::String(recorded), Value::String(ours)) => match key {
                "baggage" => entries(recorded) == entries(ours),
                // The trace is that of the caller, or any.
                "traceparent" => recorded == ours || !is_of_caller(Some(recorded)),
                "error_id" => true,
                "x-iii-signature" => recorded.len() == ours.len() && ours.starts_with("sha256="),
                "config_summary" => {
                    let parsed = |text| serde_json::from_str::<Value>(text).ok();
                    parsed(recorded) == parsed(ours)
                }
                key if TIMES.contains(&key) => form(recorded) == form(ours),
                _ => self.ids.same(recorded, ours),
            },
            (Value::Number(_), Value::Number(_)) if TIMES.contains(&key) => true,
            (Value::Number(recorded), Value::Number(ours)) => {
                recorded == ours || recorded.as_f64() == ours.as_f64()
            }
            (recorded, ours) => recorded == ours,
        }
    }

    fn objects(&mut self, path: &str, recorded: &Map<String, Value>, ours: &Map<String, Value>) {
        let is_error = recorded.contains_key("code");
        for (key, value) in recorded {
            let path = join(path, key);
            match ours.get(key) {
                // Texts are for people: that there is one is enough.
                Some(Value::String(text)) if is_error && key == "message" && !text.is_empty() => {}
                Some(other) => self.values(&path, key, value, other),
                // A trace that the official engine has begun itself.
                None if key == "traceparent" && !is_of_caller(value.as_str()) => {}
                None => self.found.push((path, None)),
            }
        }
        for (key, value) in ours.iter().filter(|(key, _)| !recorded.contains_key(*key)) {
            let told = match key.as_str() {
                "error_id" => Value::from("…"),
                _ => self.ids.told(value),
            };
            self.found.push((join(path, key), Some(told)));
        }
    }

    fn arrays(&mut self, path: &str, key: &str, recorded: &[Value], ours: &[Value]) {
        if let Some((_, name)) = SETS.into_iter().find(|(set, _)| *set == key) {
            return self.sets(path, name, recorded, ours);
        }
        for (index, value) in recorded.iter().enumerate() {
            let path = format!("{path}[{index}]");
            match ours.get(index) {
                Some(other) => self.values(&path, "", value, other),
                None => self.found.push((path, None)),
            }
        }
        for (index, value) in ours.iter().enumerate().skip(recorded.len()) {
            self.found.push((format!("{path}[{index}]"), Some(self.ids.told(value))));
        }
    }

    /// Compares lists without an order, and only what belongs to the scenario.
    fn sets(&mut self, path: &str, name: &str, recorded: &[Value], ours: &[Value]) {
        let theirs: Vec<&Value> = recorded.iter().filter(|entry| self.is_own(entry)).collect();
        let mut ours: Vec<&Value> = ours.iter().filter(|entry| self.is_own(entry)).collect();
        let identity = |entry: &Value| (entry[name].clone(), entry["namespace"].clone());
        for entry in theirs {
            let path = format!("{path}[{}]", entry[name].as_str().unwrap_or_default());
            match ours.iter().position(|other| identity(other) == identity(entry)) {
                Some(index) => {
                    let other = ours.remove(index);
                    self.values(&path, "", entry, other);
                }
                None => self.found.push((path, None)),
            }
        }
        for entry in ours {
            let path = format!("{path}[{}]", entry[name].as_str().unwrap_or_default());
            self.found.push((path, Some(self.ids.told(entry))));
        }
    }

    /// Whether an entry of a list belongs to the scenario.
    fn is_own(&self, entry: &Value) -> bool {
        ["worker_name", "name", "topic", "id"]
            .into_iter()
            .any(|key| entry[key].as_str().is_some_and(|name| self.own.contains(name)))
    }
}

/// Whether a trace is the one that the recorder's calls carried; all others differ from run to run.
fn is_of_caller(traceparent: Option<&str>) -> bool {
    traceparent.is_some_and(|trace| trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-"))
}

/// The entries of a list in a header, in no order.
fn entries(text: &str) -> BTreeSet<&str> {
    text.split(',').map(str::trim).collect()
}

/// A text with each run of digits as one sign.
fn form(text: &str) -> String {
    let mut form = String::with_capacity(text.len());
    for sign in text.chars() {
        let sign = if sign.is_ascii_digit() { '#' } else { sign };
        if sign != '#' || !form.ends_with('#') {
            form.push(sign);
        }
    }
    form
}

fn join(path: &str, key: &str) -> String {
    match path.is_empty() {
        true => key.to_owned(),
        false => format!("{path}.{key}"),
    }
}
