//! One value of a configuration, read into the type of its field: JSON as it is, text as the type wants it.
//!
//! Spans of time are text in both, `30s`, wherever the type has a [`Duration`].

use std::time::Duration;

use serde::de::value::{
    Error as ValueError, MapAccessDeserializer, MapDeserializer, SeqDeserializer,
};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// A value as it was found.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// In a file or in the store.
    Json(Value),
    /// In a variable, or as the text of a default.
    Text(String),
    /// Nowhere.
    Nothing,
}

impl Found {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// Why it does not fit. The message shows the value.
    pub(super) fn parse<T: DeserializeOwned>(self) -> Result<T, ValueError> {
        T::deserialize(self)
    }
}

/// Reads a span of time: `30s`, `1m 30s`, `500ms`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim()).ok()
}

/// Reads `true` or `false`, and what else people write into variables.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// How serde asks for a [`Duration`].
const DURATION: (&str, &[&str]) = ("Duration", &["secs", "nanos"]);

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            let Found::Text(text) = self else { return self.deserialize_any(visitor) };
            match text.trim().parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(ValueError::invalid_value(Unexpected::Str(&text), &visitor)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Found {
    type Error = ValueError;

    numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Self::Nothing => Err(ValueError::custom("nothing is set")),
            Self::Text(text) => visitor.visit_string(text),
            Self::Json(Value::Null) => visitor.visit_unit(),
            Self::Json(Value::Bool(value)) => visitor.visit_bool(value),
            Self::Json(Value::String(text)) => visitor.visit_string(text),
            Self::Json(Value::Number(number)) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Self::Json(Value::Array(items)) => {
                visit_items(items.into_iter().map(Self::Json), visitor)
            }
            Self::Json(Value::Object(fields)) => {
                let fields = fields.into_iter().map(|(key, value)| (key, Self::Json(value)));
                let mut fields = MapDeserializer::new(fields);
                let value = visitor.visit_map(&mut fields)?;
                fields.end()?;
                Ok(value)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let Self::Text(text) = self else { return self.deserialize_any(visitor) };
        match boolean(text.trim()) {
            Some(value) => visitor.visit_bool(value),
            None => Err(ValueError::invalid_value(Unexpected::Str(&text), &visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Self::Nothing | Self::Json(Value::Null) => visitor.visit_none(),
            found => visitor.visit_some(found),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    /// A variable holds a list as JSON, or with commas between.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        let Self::Text(text) = self else { return self.deserialize_any(visitor) };
        if text.trim_start().starts_with('[') {
            return json(&text)?.deserialize_any(visitor);
        }
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        visit_items(items.map(|item| Self::Text(item.to_owned())), visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.deserialize_seq(visitor)
    }

    /// A variable holds an object as JSON.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Self::Text(text) => json(&text)?.deserialize_any(visitor),
            found => found.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        if (name, fields) != DURATION {
            return self.deserialize_map(visitor);
        }
        let wanted = "a span of time, such as `30s`";
        let text = match self {
            Self::Text(text) | Self::Json(Value::String(text)) => text,
            Self::Nothing => return Err(ValueError::custom("nothing is set")),
            Self::Json(_) => return Err(ValueError::custom(format!("expected {wanted}"))),
        };
        let Some(duration) = duration(&text) else {
            return Err(ValueError::invalid_value(Unexpected::Str(&text), &wanted));
        };
        let parts = [("secs", duration.as_secs()), ("nanos", u64::from(duration.subsec_nanos()))];
        visitor.visit_map(MapDeserializer::new(parts.into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self {
            Self::Text(text) if text.trim_start().starts_with('{') => {
                variant(json(&text)?, visitor)
            }
            Self::Text(text) => visitor.visit_enum(text.into_deserializer()),
            found => variant(found, visitor),
        }
    }

    forward_to_deserialize_any! { char str string bytes byte_buf unit unit_struct identifier ignored_any }
}

impl<'de> IntoDeserializer<'de, ValueError> for Found {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn visit_items<'de, V: Visitor<'de>>(
    items: impl Iterator<Item = Found>,
    visitor: V,
) -> Result<V::Value, ValueError> {
    let mut items = SeqDeserializer::new(items);
    let value = visitor.visit_seq(&mut items)?;
    items.end()?;
    Ok(value)
}

/// A variant of an enum: its name, or an object with its name and its content.
fn variant<'de, V: Visitor<'de>>(found: Found, visitor: V) -> Result<V::Value, ValueError> {
    match found {
        Found::Json(Value::String(name)) => visitor.visit_enum(name.into_deserializer()),
        Found::Json(Value::Object(fields)) => {
            let fields = fields.into_iter().map(|(key, value)| (key, Found::Json(value)));
            visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(fields)))
        }
        found => found.deserialize_any(visitor),
    }
}

fn json(text: &str) -> Result<Found, ValueError> {
    serde_json::from_str(text)
        .map(Found::Json)
        .map_err(|error| ValueError::custom(format!("it is no JSON: {error}")))
}

/// Whether a value is within its bounds. What cannot be compared is within: its type is checked elsewhere.
pub(super) fn is_within(found: &Found, min: Option<&str>, max: Option<&str>) -> bool {
    let text = match found {
        Found::Text(text) | Found::Json(Value::String(text)) => text.trim().to_owned(),
        Found::Json(Value::Number(number)) => number.to_string(),
        Found::Json(_) | Found::Nothing => return true,
    };
    let is_order = |bound: Option<&str>, wrong: std::cmp::Ordering| {
        bound.is_none_or(|bound| compared(&text, bound) != Some(wrong))
    };
    is_order(min, std::cmp::Ordering::Less) && is_order(max, std::cmp::Ordering::Greater)
}

/// Compares two numbers, or two spans of time.
fn compared(value: &str, bound: &str) -> Option<std::cmp::Ordering> {
    if let (Ok(value), Ok(bound)) = (value.parse::<i128>(), bound.parse::<i128>()) {
        return Some(value.cmp(&bound));
    }
    if let (Ok(value), Ok(bound)) = (value.parse::<f64>(), bound.parse::<f64>()) {
        return value.partial_cmp(&bound);
    }
    Some(duration(value)?.cmp(&duration(bound)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        Low,
        High { above: u8 },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Rule {
        after: Duration,
        #[serde(default)]
        tags: Vec<String>,
    }

    fn text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
        Found::Text(text.to_owned()).parse().map_err(|error| error.to_string())
    }

    fn of<T: DeserializeOwned>(value: Value) -> Result<T, String> {
        Found::Json(value).parse().map_err(|error| error.to_string())
    }

    #[test]
    fn text_is_read_as_the_type_wants_it() {
        assert_eq!(text::<u8>(" 7 "), Ok(7));
        assert_eq!(text::<i64>("-7"), Ok(-7));
        assert_eq!(text::<f64>("0.5"), Ok(0.5));
        assert_eq!(text::<String>("7"), Ok("7".to_owned()));
        assert_eq!(text::<char>("x"), Ok('x'));
        assert_eq!(text::<Option<u8>>("7"), Ok(Some(7)));
        for (written, value) in [("true", true), ("1", true), ("OFF", false), ("no", false)] {
            assert_eq!(text::<bool>(written), Ok(value));
        }
        assert_eq!(text::<Vec<u8>>("1, 2,3,"), Ok(vec![1, 2, 3]));
        assert_eq!(text::<Vec<u8>>("[1,2]"), Ok(vec![1, 2]));
        assert_eq!(
            text::<Vec<Duration>>("1s, 2m"),
            Ok(vec![Duration::from_secs(1), Duration::from_secs(120)])
        );
        assert_eq!(text::<BTreeMap<String, u8>>(r#"{"a":1}"#), Ok([("a".to_owned(), 1)].into()));
        assert_eq!(text::<Level>("low"), Ok(Level::Low));
        assert_eq!(text::<Level>(r#"{"high":{"above":3}}"#), Ok(Level::High { above: 3 }));
        assert_eq!(text::<SocketAddr>("127.0.0.1:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
        for bad in ["", "x", "300", "1.5", "[1"] {
            assert!(text::<u8>(bad).is_err(), "{bad}");
        }
        assert!(text::<bool>("maybe").is_err());
        assert!(text::<Vec<u8>>("[1").is_err());
    }

    #[test]
    fn json_is_strict() {
        assert_eq!(of::<u8>(json!(7)), Ok(7));
        assert_eq!(of::<f64>(json!(7)), Ok(7.0));
        assert_eq!(of::<Option<u8>>(json!(null)), Ok(None));
        assert_eq!(of::<Level>(json!("low")), Ok(Level::Low));
        assert_eq!(of::<Level>(json!({"high": {"above": 1}})), Ok(Level::High { above: 1 }));
        for bad in [json!("7"), json!(300), json!(1.5), json!(true), json!([])] {
            assert!(of::<u8>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_of_time_are_text_wherever_they_are() {
        let second = Duration::from_secs(1);
        assert_eq!(text::<Duration>("1s"), Ok(second));
        assert_eq!(of::<Option<Duration>>(json!("1s")), Ok(Some(second)));
        let rule = of::<Vec<Rule>>(json!([{"after": "1s", "tags": ["a"]}]));
        assert_eq!(rule, Ok(vec![Rule { after: second, tags: vec!["a".to_owned()] }]));
        for bad in [json!(1), json!("1"), json!("soon"), json!({"secs": 1, "nanos": 0})] {
            assert!(of::<Duration>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_fits_an_option_only() {
        assert_eq!(Found::Nothing.parse::<Option<u8>>().unwrap(), None);
        assert!(Found::Nothing.parse::<u8>().is_err());
        assert!(Found::Nothing.parse::<String>().is_err());
        assert!(Found::Nothing.parse::<Duration>().is_err());
    }

    #[test]
    fn bounds_are_for_numbers_and_spans_of_time() {
        let within = |found: Found| is_within(&found, Some("1"), Some("10"));
        assert!(within(Found::Text("1".into())) && within(Found::Json(json!(10))));
        assert!(!within(Found::Text("0".into())) && !within(Found::Json(json!(10.5))));
        assert!(within(Found::Json(json!(null))) && within(Found::Nothing));
        let times = |text: &str| is_within(&Found::Text(text.into()), Some("1s"), Some("1m"));
        assert!(times("60s") && !times("61s") && !times("10ms"));
    }
}
