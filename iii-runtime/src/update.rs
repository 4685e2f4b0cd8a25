//! Changes of parts of a value, done by the engine in one step (protocol section 6.4).

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use iii_wire::protocol::Payload;
use iii_wire::update::{MergePath, UpdateOp, apply};
use iii_wire::{Error, Result, code};

pub use iii_wire::update::UpdateError;

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
///
/// A [`StreamStore`](crate::StreamStore) gets one, and does it with [`Update::apply`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Update {
    operations: Vec<UpdateOp>,
    /// The first value that could not be written as JSON.
    failed: Option<String>,
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

impl UpdatePath {
    fn wire(self) -> MergePath {
        MergePath::Segments(self.0)
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
        self.with_value(value, |value| UpdateOp::Set { path: key.to_owned(), value })
    }

    /// Adds the keys of an object to an object, in place of those that are there. Objects on the way are made.
    #[must_use]
    pub fn merge(self, path: impl Into<UpdatePath>, value: &(impl Serialize + ?Sized)) -> Self {
        self.with_value(value, |value| UpdateOp::Merge { path: Some(path.into().wire()), value })
    }

    /// Adds to a number; a missing one counts as 0.
    #[must_use]
    pub fn increment(self, key: &str, by: i64) -> Self {
        self.with(UpdateOp::Increment { path: key.to_owned(), by })
    }

    /// Subtracts from a number; a missing one counts as 0.
    #[must_use]
    pub fn decrement(self, key: &str, by: i64) -> Self {
        self.with(UpdateOp::Decrement { path: key.to_owned(), by })
    }

    /// Adds an element to a list, or text to a text. A missing list is made.
    #[must_use]
    pub fn append(self, path: impl Into<UpdatePath>, value: &(impl Serialize + ?Sized)) -> Self {
        self.with_value(value, |value| UpdateOp::Append { path: Some(path.into().wire()), value })
    }

    /// Removes a key; one that is missing is no error. The whole value becomes null.
    #[must_use]
    pub fn remove(self, key: &str) -> Self {
        self.with(UpdateOp::Remove { path: key.to_owned() })
    }

    fn with(mut self, operation: UpdateOp) -> Self {
        self.operations.push(operation);
        self
    }

    fn with_value(
        mut self,
        value: &(impl Serialize + ?Sized),
        operation: impl FnOnce(Value) -> UpdateOp,
    ) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => self.with(operation(value)),
            Err(error) => {
                self.failed.get_or_insert_with(|| error.to_string());
                self
            }
        }
    }
}

impl Update {
    /// Does all of it to a value, or to `{}` if there is none: what the engine does in its own stores. An operation that
    /// cannot be done is left out, and named in [`Updated::errors`].
    ///
    /// ```
    /// # use iii::Update;
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Counter { n: u32 }
    ///
    /// # fn main() -> iii::Result<()> {
    /// let updated = Update::new().increment("n", 2).apply(Some(&Counter { n: 1 }))?;
    /// assert_eq!(updated.value.n, 3);
    /// assert!(updated.errors.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Code [`invalid_payload`](code::INVALID_PAYLOAD) if what comes out does not fit the type, and
    /// [`internal`](code::INTERNAL) if the value before cannot be written as JSON.
    pub fn apply<T: Serialize + DeserializeOwned>(&self, old: Option<&T>) -> Result<Updated<T>> {
        let unusable = |failed: &dyn std::fmt::Display| {
            Error::new(code::INTERNAL, format!("the value before cannot be worked on: {failed}"))
        };
        if let Some(failed) = &self.failed {
            return Err(Error::new(
                code::INVALID_PAYLOAD,
                format!("a value of the update cannot be written as JSON: {failed}"),
            ));
        }
        let old = old.map(Payload::new).transpose().map_err(|error| unusable(&error))?;
        let (value, errors) =
            apply(old.as_ref(), &self.operations).map_err(|error| unusable(&error))?;
        let value = value.parse().map_err(|error| {
            let text = format!("nothing was changed: what the update makes does not fit: {error}");
            Error::new(code::INVALID_PAYLOAD, text)
        })?;
        Ok(Updated { value, errors })
    }
}

/// What [`Update::apply`] made of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated<T> {
    /// The value after.
    pub value: T,
    /// The operations that could not be done; the others were.
    pub errors: Vec<UpdateError>,
}

impl<'de> Deserialize<'de> for Update {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { operations: Vec::deserialize(deserializer)?, failed: None })
    }
}

impl schemars::JsonSchema for Update {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Update".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Vec::<UpdateOp>::json_schema(generator)
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
    fn operations_are_read_as_they_are_written() {
        let update = Update::new().set("name", "x").append(["a", "b"], &1).increment("n", 2);
        let text = serde_json::to_string(&update).unwrap();
        assert_eq!(serde_json::from_str::<Update>(&text).unwrap(), update);
    }

    #[test]
    fn operations_are_done_to_a_type_or_nothing_is() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Cart {
            tea: u32,
            note: Option<String>,
        }
        let update = Update::new().increment("tea", 2).append("note", "!").increment("note", 1);
        let updated = update.apply(Some(&Cart { tea: 1, note: Some("hot".into()) })).unwrap();
        assert_eq!(updated.value, Cart { tea: 3, note: Some("hot!".into()) });
        assert_eq!(updated.errors.len(), 1);
        assert_eq!(updated.errors[0].code, "increment.not_number");
        assert_eq!(updated.errors[0].op_index, 2);

        let none: Option<&Cart> = None;
        let made = Update::new().set("tea", &1).apply(none).unwrap().value;
        assert_eq!(made, Cart { tea: 1, note: None });
        let misfit = Update::new().set("tea", "a text").apply(Some(&made)).unwrap_err();
        assert_eq!(misfit.code(), code::INVALID_PAYLOAD);
        let gone = Update::new().remove("").apply(Some(&made)).unwrap_err();
        assert_eq!(gone.code(), code::INVALID_PAYLOAD);
        let bad = std::collections::HashMap::from([([1, 2], 3)]);
        let unwritable = Update::new().set("tea", &bad).apply(Some(&made)).unwrap_err();
        assert_eq!(unwritable.code(), code::INVALID_PAYLOAD);
    }

    #[test]
    fn a_value_that_is_no_json_fails_the_call() {
        let bad = std::collections::HashMap::from([([1, 2], 3)]);
        let update = Update::new().set("a", &bad).set("b", &1);
        assert!(serde_json::to_string(&update).unwrap_err().to_string().contains("key"));
    }
}
