//! JSON out of any deserializer: as raw text where it is text, and as a tree where serde has looked ahead.
//!
//! `RawValue` alone can only be read from text. Serde keeps what it has not yet decided about, in enums with a tag inside
//! or without one and in flattened fields, as values of its own, and there a `RawValue` is an error.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use serde_json::value::RawValue;

/// One JSON value.
pub(super) enum Json {
    /// As it was written.
    Raw(Box<RawValue>),
    /// Put together from what serde kept.
    Parsed(Value),
}

/// Reads one JSON value.
pub(super) fn json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
    let mut parsed = None;
    let raw = Box::<RawValue>::deserialize(Asked { deserializer, parsed: &mut parsed });
    match parsed {
        Some(value) => Ok(Json::Parsed(value)),
        None => raw.map(Json::Raw),
    }
}

/// A deserializer that a `RawValue` asks for its text.
struct Asked<'a, D> {
    deserializer: D,
    parsed: &'a mut Option<Value>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Asked<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.deserializer.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let answered = Answered { visitor, parsed: self.parsed };
        self.deserializer.deserialize_newtype_struct(name, answered)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// What a deserializer answers to a `RawValue`.
struct Answered<'a, V> {
    visitor: V,
    parsed: &'a mut Option<Value>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Answered<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.visitor.expecting(f)
    }

    /// It reads text.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(map)
    }

    /// It does not know what a `RawValue` wants.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        *self.parsed = Some(Value::deserialize(inner)?);
        // There is no text to give; the value is what counts.
        Err(D::Error::custom("this JSON is no longer text"))
    }
}
