//! Values of OTLP/JSON: attributes of any type, numbers that come as texts, and times.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::json::{First, Text};

/// Attributes of one thing (OpenTelemetry's own limit, see "Attribute Limits" of its specification).
pub(super) const ATTRIBUTES: usize = 128;
/// Bytes of one text; what is longer is cut.
pub(super) const TEXT: usize = 64 << 10;
/// Bytes of the name of a service, a library or a metric.
const NAME: usize = 256;
/// Levels of lists in lists.
const DEPTH: usize = 16;

/// `AnyValue`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<Text<'a>>,
    bool_value: Option<bool>,
    int_value: Option<Whole>,
    double_value: Option<Real>,
    #[serde(borrow)]
    array_value: Option<&'a RawValue>,
    #[serde(borrow)]
    kvlist_value: Option<&'a RawValue>,
    #[serde(borrow)]
    bytes_value: Option<Text<'a>>,
}

/// `KeyValue`.
#[derive(Deserialize)]
pub(super) struct KeyValue<'a> {
    #[serde(borrow)]
    pub(super) key: Text<'a>,
    #[serde(borrow)]
    value: Option<AnyValue<'a>>,
}

/// The attributes of something.
pub(super) type Attributes<'a> = First<KeyValue<'a>, ATTRIBUTES>;

impl KeyValue<'_> {
    /// The value as text.
    pub(super) fn text(&self) -> Box<str> {
        match &self.value {
            Some(AnyValue { string_value: Some(text), .. }) => cut(&text.0).into(),
            Some(value) => match value.json(DEPTH) {
                Value::String(text) => text.into(),
                Value::Null => Box::default(),
                other => other.to_string().into(),
            },
            None => Box::default(),
        }
    }

    /// The value as JSON.
    fn json(&self, depth: usize) -> Value {
        self.value.as_ref().map_or(Value::Null, |value| value.json(depth))
    }
}

impl AnyValue<'_> {
    /// The value as text: a text as it is, all else as JSON.
    pub(super) fn text(&self) -> String {
        match self.json(DEPTH) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    fn json(&self, depth: usize) -> Value {
        if let Some(text) = self.string_value.as_ref().or(self.bytes_value.as_ref()) {
            return cut(&text.0).into();
        }
        if let Some(flag) = self.bool_value {
            return flag.into();
        }
        if let Some(Whole(whole)) = self.int_value {
            return whole.into();
        }
        if let Some(Real(real)) = self.double_value {
            // JSON has no infinity.
            return if real.is_finite() { real.into() } else { real.to_string().into() };
        }
        match (self.array_value, self.kvlist_value) {
            (Some(list), _) => parsed(list, depth, |list: Values<'_>| {
                list.values.0.iter().map(|one| one.json(depth - 1)).collect()
            }),
            (None, Some(list)) => parsed(list, depth, |list: Pairs<'_>| {
                list.values
                    .0
                    .iter()
                    .map(|one| (one.key.0.to_string(), one.json(depth - 1)))
                    .collect()
            }),
            (None, None) => Value::Null,
        }
    }
}

#[derive(Deserialize)]
struct Values<'a> {
    #[serde(borrow, default)]
    values: First<AnyValue<'a>, 1024>,
}

#[derive(Deserialize)]
struct Pairs<'a> {
    #[serde(borrow, default)]
    values: First<KeyValue<'a>, 1024>,
}

/// Reads a list, unless it is too long or too deep: then a text says so.
fn parsed<'a, T: Deserialize<'a>>(
    list: &'a RawValue,
    depth: usize,
    read: impl FnOnce(T) -> Value,
) -> Value {
    if list.get().len() > TEXT || depth == 0 {
        return format!("({} bytes left out)", list.get().len()).into();
    }
    serde_json::from_str(list.get()).map_or(Value::Null, read)
}

/// The beginning of a text that is too long.
pub(super) fn cut(text: &str) -> &str {
    cut_to(text, TEXT)
}

/// The beginning of a name that is too long.
pub(super) fn cut_name(name: &str) -> &str {
    cut_to(name, NAME)
}

fn cut_to(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Attributes as a JSON object.
pub(super) fn object(attributes: &Attributes<'_>) -> Map<String, Value> {
    attributes.0.iter().map(|one| (one.key.0.to_string(), one.json(DEPTH))).collect()
}

/// A 64-bit integer: a number or a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Whole(pub(super) i64);

/// A 64-bit integer without sign: a number or a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Unsigned(pub(super) u64);

/// A number: also `"NaN"`, `"Infinity"` and `"-Infinity"`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Real(pub(super) f64);

macro_rules! number {
    ($name:ident, $type:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Number;

                impl Visitor<'_> for Number {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_u64<E: Error>(self, number: u64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_i64<E: Error>(self, number: i64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_f64<E: Error>(self, number: f64) -> Result<$name, E> {
                        // A whole number may be written as 1e3.
                        self.visit_str(&number.to_string())
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        text.parse::<$type>().map($name).map_err(|_| {
                            E::custom(format_args!("expected {}, not `{}`", $expected, cut(text)))
                        })
                    }
                }

                deserializer.deserialize_any(Number)
            }
        }
    };
}

number!(Whole, i64, "a whole number");
number!(Unsigned, u64, "a whole number from 0 on");
number!(Real, f64, "a number");

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Map<String, Value> {
        object(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn values_of_all_types_are_read() {
        let read = values(
            r#"[{"key":"s","value":{"stringValue":"a\n"}},{"key":"b","value":{"boolValue":true}},
                {"key":"i","value":{"intValue":"-9007199254740993"}},{"key":"j","value":{"intValue":7}},
                {"key":"d","value":{"doubleValue":1.5}},{"key":"n","value":{"doubleValue":"NaN"}},
                {"key":"a","value":{"arrayValue":{"values":[{"intValue":1},{"stringValue":"x"}]}}},
                {"key":"k","value":{"kvlistValue":{"values":[{"key":"z","value":{"boolValue":false}}]}}},
                {"key":"e"},{"key":"f","value":{}},{"key":"y","value":{"bytesValue":"AQI="}}]"#,
        );
        let expected = serde_json::json!({
            "s": "a\n", "b": true, "i": -9007199254740993_i64, "j": 7, "d": 1.5, "n": "NaN",
            "a": [1, "x"], "k": {"z": false}, "e": null, "f": null, "y": "AQI=",
        });
        assert_eq!(Value::Object(read), expected);
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_left_out() {
        let deep = (0..500).fold(r#"{"intValue":1}"#.to_owned(), |inner, _| {
            format!(r#"{{"arrayValue":{{"values":[{inner}]}}}}"#)
        });
        let long = "x".repeat(TEXT + 10);
        let read = values(&format!(
            r#"[{{"key":"deep","value":{deep}}},{{"key":"long","value":{{"stringValue":"{long}"}}}},
               {{"key":"list","value":{{"arrayValue":{{"values":[{{"stringValue":"{long}"}}]}}}}}}]"#
        ));
        assert!(read["deep"].to_string().contains("bytes left out"));
        assert_eq!(read["long"].as_str().unwrap().len(), TEXT);
        assert!(read["list"].as_str().unwrap().contains("left out"));
    }

    #[test]
    fn numbers_are_texts_or_numbers() {
        let unsigned = |text| serde_json::from_str::<Unsigned>(text).map(|number| number.0);
        assert_eq!(unsigned(r#""18446744073709551615""#).unwrap(), u64::MAX);
        assert_eq!(unsigned("5").unwrap(), 5);
        for bad in ["-1", r#""x""#, "1.5", "{}", "[]"] {
            assert!(unsigned(bad).is_err(), "{bad}");
        }
        let real = |text| serde_json::from_str::<Real>(text).unwrap().0;
        assert_eq!((real("3"), real(r#""-Infinity""#)), (3.0, f64::NEG_INFINITY));
    }
}
