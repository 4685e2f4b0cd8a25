//! Text from paths and queries, read into the types of fields: `"7"` into a `u64`.
//!
//! Names and values are text; a body that is mixed in stays raw JSON. Types decide how text is read, so a number type
//! parses it and a `String` takes it as it is.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::invocation::Text;

/// What is wrong with a value.
#[derive(Debug)]
pub(super) struct TextError(String);

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TextError {}

impl serde::de::Error for TextError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl From<serde_json::Error> for TextError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// The value of one field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'de> {
    /// A path parameter, or a query name that stands once.
    Text(&'de str),
    /// A query name that stands several times.
    Many(&'de [Text<'de>]),
    /// A field of a JSON body.
    Json(&'de RawValue),
}

impl<'de> Value<'de> {
    /// The one text; of several the last, as the engine has it.
    fn text(&self) -> Result<&'de str, TextError> {
        match self {
            Value::Text(text) => Ok(text),
            Value::Many(texts) => {
                texts.last().map(|text| &*text.0).ok_or_else(|| TextError::custom("no value"))
            }
            Value::Json(raw) => Ok(raw.get()),
        }
    }
}

impl<'de> IntoDeserializer<'de, TextError> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parse_text {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            if let Value::Json(raw) = self {
                return Ok(raw.$method(visitor)?);
            }
            let text = self.text()?;
            match text.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(TextError(format!("`{text}` is not {}", $what))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = TextError;

    parse_text! {
        deserialize_bool visit_bool bool, "`true` or `false`";
        deserialize_i8 visit_i8 i8, "a whole number from -128 to 127";
        deserialize_i16 visit_i16 i16, "a whole number of 16 bits";
        deserialize_i32 visit_i32 i32, "a whole number of 32 bits";
        deserialize_i64 visit_i64 i64, "a whole number of 64 bits";
        deserialize_i128 visit_i128 i128, "a whole number of 128 bits";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number of 32 bits, not negative";
        deserialize_u64 visit_u64 u64, "a whole number of 64 bits, not negative";
        deserialize_u128 visit_u128 u128, "a whole number of 128 bits, not negative";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
        deserialize_char visit_char char, "one character";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self {
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::Many([text]) => visitor.visit_borrowed_str(&text.0),
            Value::Many(_) => self.deserialize_seq(visitor),
            Value::Json(raw) => Ok(raw.deserialize_any(visitor)?),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self {
            Value::Json(raw) => Ok(raw.deserialize_str(visitor)?),
            text => visitor.visit_borrowed_str(text.text()?),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self {
            Value::Json(raw) => Ok(raw.deserialize_option(visitor)?),
            text => visitor.visit_some(text),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self {
            Value::Json(raw) => Ok(raw.deserialize_unit(visitor)?),
            text if text.text()?.is_empty() => visitor.visit_unit(),
            _ => Err(TextError::custom("expected no value")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        match self {
            // The name is how raw JSON asks for itself.
            Value::Json(raw) => Ok(raw.deserialize_newtype_struct(name, visitor)?),
            text => visitor.visit_newtype_struct(text),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self {
            Value::Json(raw) => Ok(raw.deserialize_seq(visitor)?),
            Value::Text(text) => {
                visitor.visit_seq(SeqDeserializer::new(std::iter::once(Value::Text(text))))
            }
            Value::Many(texts) => visitor
                .visit_seq(SeqDeserializer::new(texts.iter().map(|text| Value::Text(&text.0)))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        match self {
            Value::Json(raw) => Ok(raw.deserialize_tuple(len, visitor)?),
            text => text.deserialize_seq(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        match self {
            Value::Json(raw) => Ok(raw.deserialize_enum(name, variants, visitor)?),
            text => visitor.visit_enum(text.text()?.into_deserializer()),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self {
            Value::Json(raw) => Ok(raw.deserialize_map(visitor)?),
            _ => Err(TextError::custom("text cannot be read as an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        match self {
            Value::Json(raw) => Ok(raw.deserialize_struct(name, fields, visitor)?),
            text => text.deserialize_map(visitor),
        }
    }

    forward_to_deserialize_any! { bytes byte_buf tuple_struct identifier ignored_any }
}

/// Named values, read into a struct or a map; into a tuple by their order, and a single one into a plain type.
#[derive(Debug)]
pub(super) struct Values<'de>(pub Vec<(&'de str, Value<'de>)>);

impl<'de> Values<'de> {
    fn single(&self) -> Result<Value<'de>, TextError> {
        match &self.0[..] {
            [(_, value)] => Ok(*value),
            values => Err(TextError(format!("expected one value, and there are {}", values.len()))),
        }
    }
}

macro_rules! forward_single {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            self.single()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Values<'de> {
    type Error = TextError;

    forward_single! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_map(MapDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter().map(|(_, value)| value)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        if len != self.0.len() {
            return Err(TextError(format!(
                "expected {len} values, and there are {}",
                self.0.len()
            )));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.single()?.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! { bytes byte_buf map struct identifier ignored_any }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn texts<'de>(pairs: &[(&'de str, &'de str)]) -> Values<'de> {
        Values(pairs.iter().map(|(name, text)| (*name, Value::Text(text))).collect())
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Size {
        Big,
        Small,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Id(u64);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wanted {
        id: Id,
        name: String,
        size: Size,
        fast: bool,
        limit: Option<u8>,
        missing: Option<u8>,
        tags: Vec<u16>,
        one: Vec<String>,
        body: Vec<f64>,
    }

    #[test]
    fn text_is_read_into_the_types_of_the_fields() {
        let tags = ["1", "2"].map(|text| Text(text.into()));
        let body: &RawValue = serde_json::from_str("[1.5, 2]").unwrap();
        let mut values = texts(&[
            ("id", "7"),
            ("name", "8"),
            ("size", "small"),
            ("fast", "true"),
            ("limit", "9"),
            ("one", "x"),
        ]);
        values.0.push(("tags", Value::Many(&tags)));
        values.0.push(("body", Value::Json(body)));
        values.0.push(("unknown", Value::Text("ignored")));
        assert_eq!(
            Wanted::deserialize(values).unwrap(),
            Wanted {
                id: Id(7),
                name: "8".into(),
                size: Size::Small,
                fast: true,
                limit: Some(9),
                missing: None,
                tags: vec![1, 2],
                one: vec!["x".into()],
                body: vec![1.5, 2.0],
            }
        );
    }

    #[test]
    fn values_without_names_are_read_by_their_order() {
        assert_eq!(u64::deserialize(texts(&[("id", "7")])).unwrap(), 7);
        assert_eq!(Id::deserialize(texts(&[("id", "7")])).unwrap(), Id(7));
        assert_eq!(String::deserialize(texts(&[("id", "a")])).unwrap(), "a");
        let pair = texts(&[("a", "x"), ("b", "2")]);
        assert_eq!(<(String, u8)>::deserialize(pair).unwrap(), ("x".to_owned(), 2));
        assert_eq!(Size::deserialize(texts(&[("s", "big")])).unwrap(), Size::Big);
    }

    #[test]
    fn a_value_that_does_not_fit_says_what_is_expected() {
        let error = u8::deserialize(texts(&[("id", "300")])).unwrap_err();
        assert_eq!(error.to_string(), "`300` is not a whole number from 0 to 255");
        assert!(u8::deserialize(texts(&[("a", "1"), ("b", "2")])).is_err());
        assert!(<(u8, u8)>::deserialize(texts(&[("a", "1")])).is_err());
        assert!(Size::deserialize(texts(&[("s", "huge")])).is_err());
    }
}
