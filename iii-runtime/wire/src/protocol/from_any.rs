//! Deserializes JSON from any deserializer: as raw text from JSON text, and as a tree from serde's buffered content, as
//! which internally tagged and untagged enums and flattened fields are read, and for which `RawValue` fails.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON value.
pub(super) enum RawOrParsed {
    /// The original text.
    Raw(Box<RawValue>),
    /// The tree built from serde's buffer.
    Parsed(Value),
}

/// Deserializes a JSON value.
pub(super) fn raw_or_parsed<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<RawOrParsed, D::Error> {
    let mut parsed = None;
    let raw =
        Box::<RawValue>::deserialize(CapturingDeserializer { deserializer, parsed: &mut parsed });
    match parsed {
        Some(value) => Ok(RawOrParsed::Parsed(value)),
        None => raw.map(RawOrParsed::Raw),
    }
}

/// A deserializer that captures the value of a `RawValue` for which it has no text.
struct CapturingDeserializer<'a, D> {
    deserializer: D,
    parsed: &'a mut Option<Value>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for CapturingDeserializer<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserializer.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let visitor = CapturingVisitor { visitor, parsed: self.parsed };
        self.deserializer.deserialize_newtype_struct(name, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The visitor of a `RawValue`, which captures a value without text.
struct CapturingVisitor<'a, V> {
    visitor: V,
    parsed: &'a mut Option<Value>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for CapturingVisitor<'_, V> {
    type Value = V::Value;

    #[inline]
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.visitor.expecting(f)
    }

    /// The deserializer reads JSON text.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(map)
    }

    /// The deserializer ignores the newtype name of `RawValue`.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        *self.parsed = Some(Value::deserialize(inner)?);
        // There is no text for the `RawValue`; the captured value replaces this error.
        Err(D::Error::custom("this JSON value has no text"))
    }
}
