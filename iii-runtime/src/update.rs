//! Partial updates of a value, which the engine applies atomically ([protocol 6.4](crate::protocol#s6-4)).

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use iii_wire::protocol::Payload;
use iii_wire::update::{MergePath, UpdateOp, apply};
use iii_wire::{Error, Result, code};

pub use iii_wire::update::UpdateError;

/// A partial update: operations that are applied to a value in order.
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
/// `set`, `increment`, `decrement` and `remove` address one key of the value; dots have no meaning, and `""` is the whole
/// value. `merge` and `append` also accept a path through nested objects.
///
/// A [`StreamStore`](crate::StreamStore) receives an update and applies it with [`Update::apply`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Update {
    operations: Vec<UpdateOp>,
    /// Why the first value that failed to serialise did.
    serialize_error: Option<String>,
}

/// The target of an operation: a key, or a path of keys through nested objects. An empty path is the whole value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct UpdatePath(Vec<String>);

impl From<&str> for UpdatePath {
    /// A single key. Dots have no meaning.
    fn from(key: &str) -> Self {
        Self(if key.is_empty() { Vec::new() } else { vec![key.to_owned()] })
    }
}

impl<const N: usize> From<[&str; N]> for UpdatePath {
    /// A path of keys.
    fn from(keys: [&str; N]) -> Self {
        Self(keys.iter().map(|key| (*key).to_owned()).collect())
    }
}

impl From<Vec<String>> for UpdatePath {
    /// A path of keys.
    fn from(keys: Vec<String>) -> Self {
        Self(keys)
    }
}

impl UpdatePath {
    fn into_wire(self) -> MergePath {
        MergePath::Segments(self.0)
    }
}

impl Update {
    /// An update without operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of a key.
    #[must_use]
    pub fn set(self, key: &str, value: &(impl Serialize + ?Sized)) -> Self {
        self.with_value(value, |value| UpdateOp::Set { path: key.to_owned(), value })
    }

    /// Merges the keys of an object into an object, replacing existing ones. Creates missing objects along the path.
    #[must_use]
    pub fn merge(self, path: impl Into<UpdatePath>, value: &(impl Serialize + ?Sized)) -> Self {
        self.with_value(value, |value| UpdateOp::Merge {
            path: Some(path.into().into_wire()),
            value,
        })
    }

    /// Adds to a number. A missing number counts as 0.
    #[must_use]
    pub fn increment(self, key: &str, by: i64) -> Self {
        self.with_operation(UpdateOp::Increment { path: key.to_owned(), by })
    }

    /// Subtracts from a number. A missing number counts as 0.
    #[must_use]
    pub fn decrement(self, key: &str, by: i64) -> Self {
        self.with_operation(UpdateOp::Decrement { path: key.to_owned(), by })
    }

    /// Appends an element to an array, or a string to a string. Creates a missing array.
    #[must_use]
    pub fn append(self, path: impl Into<UpdatePath>, value: &(impl Serialize + ?Sized)) -> Self {
        self.with_value(value, |value| UpdateOp::Append {
            path: Some(path.into().into_wire()),
            value,
        })
    }

    /// Removes a key; a missing key is not an error. Removing the whole value sets it to null.
    #[must_use]
    pub fn remove(self, key: &str) -> Self {
        self.with_operation(UpdateOp::Remove { path: key.to_owned() })
    }

    fn with_operation(mut self, operation: UpdateOp) -> Self {
        self.operations.push(operation);
        self
    }

    fn with_value(
        mut self,
        value: &(impl Serialize + ?Sized),
        operation: impl FnOnce(Value) -> UpdateOp,
    ) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => self.with_operation(operation(value)),
            Err(error) => {
                self.serialize_error.get_or_insert_with(|| error.to_string());
                self
            }
        }
    }
}

impl Update {
    /// Applies the update to a value, or to `{}` if there is none, as the engine does in its own stores. Skips an operation
    /// that cannot be applied, and lists it in [`UpdateResult::errors`].
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
    /// Code [`invalid_payload`](code::INVALID_PAYLOAD) if the updated value does not match the type, and
    /// [`internal`](code::INTERNAL) if the previous value cannot be serialised.
    pub fn apply<T: Serialize + DeserializeOwned>(
        &self,
        old: Option<&T>,
    ) -> Result<UpdateResult<T>> {
        let internal = |error: &dyn std::fmt::Display| {
            Error::new(code::INTERNAL, format!("the previous value cannot be updated: {error}"))
        };
        if let Some(error) = &self.serialize_error {
            return Err(Error::new(
                code::INVALID_PAYLOAD,
                format!("a value of the update cannot be serialised: {error}"),
            ));
        }
        let old = old.map(Payload::new).transpose().map_err(|error| internal(&error))?;
        let (value, errors) =
            apply(old.as_ref(), &self.operations).map_err(|error| internal(&error))?;
        let value = value.parse().map_err(|error| {
            let text =
                format!("the update was not applied: the result does not match the type: {error}");
            Error::new(code::INVALID_PAYLOAD, text)
        })?;
        Ok(UpdateResult { value, errors })
    }
}

/// The result of [`Update::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateResult<T> {
    /// The updated value.
    pub value: T,
    /// The operations that failed and were skipped.
    pub errors: Vec<UpdateError>,
}

impl<'de> Deserialize<'de> for Update {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { operations: Vec::deserialize(deserializer)?, serialize_error: None })
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
    /// Fails if one of the values could not be serialised, so that the call with this update fails.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.serialize_error {
            Some(error) => Err(S::Error::custom(error)),
            None => self.operations.serialize(serializer),
        }
    }
}

/// The result of a write: the value before and after.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WriteResult<T> {
    /// The previous value; `None` if there was none.
    pub old_value: Option<T>,
    /// The new value.
    pub new_value: Option<T>,
    /// The operations of an update that failed and were skipped.
    #[serde(default)]
    pub errors: Vec<UpdateError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_serialise_to_the_wire_format() {
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
    fn operations_round_trip() {
        let update = Update::new().set("name", "x").append(["a", "b"], &1).increment("n", 2);
        let text = serde_json::to_string(&update).unwrap();
        assert_eq!(serde_json::from_str::<Update>(&text).unwrap(), update);
    }

    #[test]
    fn an_update_is_applied_to_a_typed_value_or_fails() {
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
        let created = Update::new().set("tea", &1).apply(none).unwrap().value;
        assert_eq!(created, Cart { tea: 1, note: None });
        let misfit = Update::new().set("tea", "a text").apply(Some(&created)).unwrap_err();
        assert_eq!(misfit.code(), code::INVALID_PAYLOAD);
        let removed = Update::new().remove("").apply(Some(&created)).unwrap_err();
        assert_eq!(removed.code(), code::INVALID_PAYLOAD);
        let bad = std::collections::HashMap::from([([1, 2], 3)]);
        let unserialisable = Update::new().set("tea", &bad).apply(Some(&created)).unwrap_err();
        assert_eq!(unserialisable.code(), code::INVALID_PAYLOAD);
    }

    #[test]
    fn an_unserialisable_value_fails_serialisation() {
        let bad = std::collections::HashMap::from([([1, 2], 3)]);
        let update = Update::new().set("a", &bad).set("b", &1);
        assert!(serde_json::to_string(&update).unwrap_err().to_string().contains("key"));
    }
}
