//! Changes of parts of a value, done by the engine in one step (protocol section 6.4).

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::protocol::Payload;

/// What to do with a value, operation by operation, in order.
///
/// ```
/// use iii::Update;
///
/// let update = Update::new()
///     .set("status", &"paid")
///     .increment("payments", 1)
///     .append(["history", "paid"], &"2026-01-05")
///     .remove("draft");
/// ```
///
/// `set`, `increment`, `decrement` and `remove` work on one key of the value; dots have no meaning, and `""` is the whole
/// value. `merge` and `append` also take a way through nested objects.
#[derive(Debug, Clone, Default)]
pub struct Update {
    operations: Vec<Operation>,
    /// The first value that could not be written as JSON.
    failed: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Operation {
    Set { path: String, value: Payload },
    Merge { path: UpdatePath, value: Payload },
    Increment { path: String, by: i64 },
    Decrement { path: String, by: i64 },
    Append { path: UpdatePath, value: Payload },
    Remove { path: String },
}

/// Where in a value: a key, or a way of keys through nested objects. An empty one is the whole value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct UpdatePath(Vec<String>);

impl From<&str> for UpdatePath {
    /// One key. Dots have no meaning.
    fn from(key: &str) -> Self {
        Self(if key.is_empty() { Vec::new() } else { vec![key.to_owned()] })
    }
}

impl<const N: usize> From<[&str; N]> for UpdatePath {
    /// A way.
    fn from(way: [&str; N]) -> Self {
        Self(way.iter().map(|key| (*key).to_owned()).collect())
    }
}

impl From<Vec<String>> for UpdatePath {
    /// A way.
    fn from(way: Vec<String>) -> Self {
        Self(way)
    }
}

impl Update {
    /// Nothing to do yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the value of a key.
    #[must_use]
    pub fn set(self, key: &str, value: &(impl Serialize + ?Sized)) -> Self {
        self.with_value(value, |value| Operation::Set { path: key.to_owned(), value })
    }

    /// Adds the keys of an object to an object, in place of those that are there. Objects on the way are made.
    #[must_use]
    pub fn merge(self, path: impl Into<UpdatePath>, value: &(impl Serialize + ?Sized)) -> Self {
        self.with_value(value, |value| Operation::Merge { path: path.into(), value })
    }

    /// Adds to a number; a missing one counts as 0.
    #[must_use]
    pub fn increment(self, key: &str, by: i64) -> Self {
        self.with(Operation::Increment { path: key.to_owned(), by })
    }

    /// Subtracts from a number; a missing one counts as 0.
    #[must_use]
    pub fn decrement(self, key: &str, by: i64) -> Self {
        self.with(Operation::Decrement { path: key.to_owned(), by })
    }

    /// Adds an element to a list, or text to a text. A missing list is made.
    #[must_use]
    pub fn append(self, path: impl Into<UpdatePath>, value: &(impl Serialize + ?Sized)) -> Self {
        self.with_value(value, |value| Operation::Append { path: path.into(), value })
    }

    /// Removes a key; one that is missing is no error. The whole value becomes null.
    #[must_use]
    pub fn remove(self, key: &str) -> Self {
        self.with(Operation::Remove { path: key.to_owned() })
    }

    fn with(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    fn with_value(
        mut self,
        value: &(impl Serialize + ?Sized),
        operation: impl FnOnce(Payload) -> Operation,
    ) -> Self {
        match Payload::new(value) {
            Ok(value) => self.with(operation(value)),
            Err(error) => {
                self.failed.get_or_insert_with(|| error.to_string());
                self
            }
        }
    }
}

impl Serialize for Update {
    /// Fails if one of the values could not be written, so that the call of which this is a part fails.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.failed {
            Some(failed) => Err(S::Error::custom(failed)),
            None => self.operations.serialize(serializer),
        }
    }
}

/// What a write made of a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Change<T> {
    /// The value before; `None` if there was none.
    pub old_value: Option<T>,
    /// The value after.
    pub new_value: Option<T>,
    /// The operations that could not be done; the others were.
    #[serde(default)]
    pub errors: Vec<UpdateError>,
}

/// An operation that could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UpdateError {
    /// Which operation, counted from 0.
    pub op_index: usize,
    /// What is wrong, for programs, such as `increment.not_number`.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_the_form_of_the_wire() {
        let update = Update::new()
            .set("name", "x")
            .merge(["a", "b"], &serde_json::json!({"k": 1}))
            .increment("n", 2)
            .decrement("n", 1)
            .append("log", "line")
            .append("", "line")
            .remove("tmp");
        assert_eq!(
            serde_json::to_string(&update).unwrap(),
            concat!(
                r#"[{"type":"set","path":"name","value":"x"},"#,
                r#"{"type":"merge","path":["a","b"],"value":{"k":1}},"#,
                r#"{"type":"increment","path":"n","by":2},"#,
                r#"{"type":"decrement","path":"n","by":1},"#,
                r#"{"type":"append","path":["log"],"value":"line"},"#,
                r#"{"type":"append","path":[],"value":"line"},"#,
                r#"{"type":"remove","path":"tmp"}]"#
            )
        );
    }

    #[test]
    fn a_value_that_is_no_json_fails_the_call() {
        let bad = std::collections::HashMap::from([([1, 2], 3)]);
        let update = Update::new().set("a", &bad).set("b", &1);
        assert!(serde_json::to_string(&update).unwrap_err().to_string().contains("key"));
    }
}
