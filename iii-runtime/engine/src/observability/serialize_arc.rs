//! Serialization of values behind an `Arc`, as if they were owned.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

/// A shared value that serializes like the value itself.
#[derive(Debug, Clone)]
pub(super) struct SerializeArc<T>(pub(super) Arc<T>);

impl<T: Serialize> Serialize for SerializeArc<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for SerializeArc<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Serializes a shared field, for `#[serde(serialize_with)]`.
pub(super) fn serialize_arc<T: Serialize + ?Sized, S: Serializer>(
    value: &Arc<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.serialize(serializer)
}

/// Serializes an optional shared string, for `#[serde(serialize_with)]`.
// serde determines the signature.
#[allow(clippy::ref_option)]
pub(super) fn serialize_optional_arc<S: Serializer>(
    text: &Option<Arc<str>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}
