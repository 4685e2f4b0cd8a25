//! A deserialiser of path and query parameters, which parses strings into the types of fields: `"7"` into a `u64`.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use super::http_parts::CowStr;

/// Why a parameter does not match its type.
#[derive(Debug)]
pub(super) struct ParamError(String);

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParamError {}

impl serde::de::Error for ParamError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl From<serde_json::Error> for ParamError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// The value of a parameter. The target type decides how a string is parsed.
#[derive(Debug, Clone, Copy)]
pub(super) enum ParamValue<'de> {
    /// A path parameter.
    Str(&'de str),
    /// All values of a query parameter.
    Repeated(&'de [CowStr<'de>]),
    /// A field of a JSON body, merged with the path parameters.
    Json(&'de RawValue),
}

impl<'de> ParamValue<'de> {
    /// The single value; the last of several, as in the engine.
    fn as_str(&self) -> Result<&'de str, ParamError> {
        match self {
            ParamValue::Str(value) => Ok(value),
            ParamValue::Repeated(values) => {
                values.last().map(|value| &*value.0).ok_or_else(|| ParamError::custom("no value"))
            }
            ParamValue::Json(raw) => Ok(raw.get()),
        }
    }
}

impl<'de> IntoDeserializer<'de, ParamError> for ParamValue<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parse_param {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
            if let ParamValue::Json(raw) = self {
                return Ok(raw.$method(visitor)?);
            }
            let value = self.as_str()?;
            match value.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(ParamError(format!("`{value}` is not {}", $what))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ParamValue<'de> {
    type Error = ParamError;

    parse_param! {
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

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Str(value) => visitor.visit_borrowed_str(value),
            ParamValue::Repeated([value]) => visitor.visit_borrowed_str(&value.0),
            ParamValue::Repeated(_) => self.deserialize_seq(visitor),
            ParamValue::Json(raw) => Ok(raw.deserialize_any(visitor)?),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Json(raw) => Ok(raw.deserialize_str(visitor)?),
            value => visitor.visit_borrowed_str(value.as_str()?),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Json(raw) => Ok(raw.deserialize_option(visitor)?),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Json(raw) => Ok(raw.deserialize_unit(visitor)?),
            value if value.as_str()?.is_empty() => visitor.visit_unit(),
            _ => Err(ParamError::custom("expected no value")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        match self {
            // `RawValue` is recognised by this name.
            ParamValue::Json(raw) => Ok(raw.deserialize_newtype_struct(name, visitor)?),
            value => visitor.visit_newtype_struct(value),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Json(raw) => Ok(raw.deserialize_seq(visitor)?),
            ParamValue::Str(value) => {
                visitor.visit_seq(SeqDeserializer::new(std::iter::once(ParamValue::Str(value))))
            }
            ParamValue::Repeated(values) => visitor.visit_seq(SeqDeserializer::new(
                values.iter().map(|value| ParamValue::Str(&value.0)),
            )),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Json(raw) => Ok(raw.deserialize_tuple(len, visitor)?),
            value => value.deserialize_seq(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Json(raw) => Ok(raw.deserialize_enum(name, variants, visitor)?),
            value => visitor.visit_enum(value.as_str()?.into_deserializer()),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Json(raw) => Ok(raw.deserialize_map(visitor)?),
            _ => Err(ParamError::custom("a string cannot be parsed as an object")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        match self {
            ParamValue::Json(raw) => Ok(raw.deserialize_struct(name, fields, visitor)?),
            value => value.deserialize_map(visitor),
        }
    }

    forward_to_deserialize_any! { bytes byte_buf tuple_struct identifier ignored_any }
}

/// Named parameters: deserialised into a struct or a map by name, into a tuple by order, and a single one into any type.
#[derive(Debug)]
pub(super) struct Params<'de>(pub Vec<(&'de str, ParamValue<'de>)>);

impl<'de> Params<'de> {
    fn single(&self) -> Result<ParamValue<'de>, ParamError> {
        match &self.0[..] {
            [(_, value)] => Ok(*value),
            values => Err(ParamError(format!("expected one value, found {}", values.len()))),
        }
    }
}

macro_rules! forward_single {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
            self.single()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Params<'de> {
    type Error = ParamError;

    forward_single! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_map(MapDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParamError> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter().map(|(_, value)| value)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        if len != self.0.len() {
            return Err(ParamError(format!("expected {len} values, found {}", self.0.len())));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParamError> {
        self.single()?.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! { bytes byte_buf map struct identifier ignored_any }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn params<'de>(pairs: &[(&'de str, &'de str)]) -> Params<'de> {
        Params(pairs.iter().map(|(name, value)| (*name, ParamValue::Str(value))).collect())
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
    fn strings_are_parsed_into_the_types_of_the_fields() {
        let tags = ["1", "2"].map(|value| CowStr(value.into()));
        let body: &RawValue = serde_json::from_str("[1.5, 2]").unwrap();
        let mut values = params(&[
            ("id", "7"),
            ("name", "8"),
            ("size", "small"),
            ("fast", "true"),
            ("limit", "9"),
            ("one", "x"),
        ]);
        values.0.push(("tags", ParamValue::Repeated(&tags)));
        values.0.push(("body", ParamValue::Json(body)));
        values.0.push(("unknown", ParamValue::Str("ignored")));
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
    fn parameters_are_deserialised_into_unnamed_types_by_order() {
        assert_eq!(u64::deserialize(params(&[("id", "7")])).unwrap(), 7);
        assert_eq!(Id::deserialize(params(&[("id", "7")])).unwrap(), Id(7));
        assert_eq!(String::deserialize(params(&[("id", "a")])).unwrap(), "a");
        let pair = params(&[("a", "x"), ("b", "2")]);
        assert_eq!(<(String, u8)>::deserialize(pair).unwrap(), ("x".to_owned(), 2));
        assert_eq!(Size::deserialize(params(&[("s", "big")])).unwrap(), Size::Big);
    }

    #[test]
    fn an_invalid_value_is_an_error_that_names_the_expected_type() {
        let error = u8::deserialize(params(&[("id", "300")])).unwrap_err();
        assert_eq!(error.to_string(), "`300` is not a whole number from 0 to 255");
        assert!(u8::deserialize(params(&[("a", "1"), ("b", "2")])).is_err());
        assert!(<(u8, u8)>::deserialize(params(&[("a", "1")])).is_err());
        assert!(Size::deserialize(params(&[("s", "huge")])).is_err());
    }
}
