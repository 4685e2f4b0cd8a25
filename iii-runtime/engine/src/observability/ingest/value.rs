//! Attribute values of OTLP/JSON, and 64-bit numbers that are encoded as strings.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::json::{FirstElements, JsonStr};

/// Maximum number of attributes of an item (the default in "Attribute Limits" of the OpenTelemetry specification).
const MAX_ATTRIBUTES: usize = 128;
/// Maximum length of a string, in bytes. Longer strings are truncated.
const MAX_STRING_BYTES: usize = 64 << 10;
/// Maximum length of the name of a service, an instrumentation scope or a metric, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// Maximum nesting of arrays and key-value lists.
const MAX_DEPTH: usize = 16;
/// Maximum number of elements of an array or a key-value list.
const MAX_ELEMENTS: usize = 1024;

/// `AnyValue` of OTLP.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OtlpAnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<JsonStr<'a>>,
    bool_value: Option<bool>,
    int_value: Option<Int64>,
    double_value: Option<Double>,
    #[serde(borrow)]
    array_value: Option<&'a RawValue>,
    #[serde(borrow)]
    kvlist_value: Option<&'a RawValue>,
    #[serde(borrow)]
    bytes_value: Option<JsonStr<'a>>,
}

/// `KeyValue` of OTLP.
#[derive(Deserialize)]
pub(super) struct OtlpKeyValue<'a> {
    #[serde(borrow)]
    pub(super) key: JsonStr<'a>,
    #[serde(borrow)]
    value: Option<OtlpAnyValue<'a>>,
}

/// The attributes of an item.
pub(super) type KeyValues<'a> = FirstElements<OtlpKeyValue<'a>, MAX_ATTRIBUTES>;

impl OtlpKeyValue<'_> {
    /// Converts the value to a string: a string as it is, null to the empty string, any other value to JSON.
    pub(super) fn text(&self) -> Box<str> {
        match &self.value {
            Some(OtlpAnyValue { string_value: Some(text), .. }) => truncate(&text.0).into(),
            Some(value) => match value.json(MAX_DEPTH) {
                Value::String(text) => text.into(),
                Value::Null => Box::default(),
                other => other.to_string().into(),
            },
            None => Box::default(),
        }
    }

    /// Converts the value to JSON. Deeper nesting than `depth` is omitted.
    fn json(&self, depth: usize) -> Value {
        self.value.as_ref().map_or(Value::Null, |value| value.json(depth))
    }
}

impl OtlpAnyValue<'_> {
    /// Converts the value to a string: a string as it is, null to the empty string, any other value to JSON.
    pub(super) fn text(&self) -> String {
        match self.json(MAX_DEPTH) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        }
    }

    fn json(&self, depth: usize) -> Value {
        if let Some(text) = self.string_value.as_ref().or(self.bytes_value.as_ref()) {
            return truncate(&text.0).into();
        }
        if let Some(flag) = self.bool_value {
            return flag.into();
        }
        if let Some(Int64(integer)) = self.int_value {
            return integer.into();
        }
        if let Some(Double(double)) = self.double_value {
            // JSON has no infinity.
            return if double.is_finite() { double.into() } else { double.to_string().into() };
        }
        match (self.array_value, self.kvlist_value) {
            (Some(list), _) => parse_list(list, depth, |array: ArrayValue<'_>| {
                array.values.0.iter().map(|value| value.json(depth - 1)).collect()
            }),
            (None, Some(list)) => parse_list(list, depth, |list: KeyValueList<'_>| {
                let entries = list.values.0.iter();
                entries.map(|entry| (entry.key.0.to_string(), entry.json(depth - 1))).collect()
            }),
            (None, None) => Value::Null,
        }
    }
}

/// `ArrayValue` of OTLP.
#[derive(Deserialize)]
struct ArrayValue<'a> {
    #[serde(borrow, default)]
    values: FirstElements<OtlpAnyValue<'a>, MAX_ELEMENTS>,
}

/// `KeyValueList` of OTLP.
#[derive(Deserialize)]
struct KeyValueList<'a> {
    #[serde(borrow, default)]
    values: FirstElements<OtlpKeyValue<'a>, MAX_ELEMENTS>,
}

/// Parses an array or a key-value list. If it is too large or too deep, the value is a string with its size.
fn parse_list<'a, T: Deserialize<'a>>(
    list: &'a RawValue,
    depth: usize,
    convert: impl FnOnce(T) -> Value,
) -> Value {
    if list.get().len() > MAX_STRING_BYTES || depth == 0 {
        return format!("({} bytes omitted)", list.get().len()).into();
    }
    serde_json::from_str(list.get()).map_or(Value::Null, convert)
}

/// Truncates a string to the maximum length.
pub(super) fn truncate(text: &str) -> &str {
    truncate_to(text, MAX_STRING_BYTES)
}

/// Truncates a name to the maximum length.
pub(super) fn truncate_name(name: &str) -> &str {
    truncate_to(name, MAX_NAME_BYTES)
}

fn truncate_to(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Converts attributes to a JSON object.
pub(super) fn attribute_map(attributes: &KeyValues<'_>) -> Map<String, Value> {
    let attributes = attributes.0.iter();
    attributes.map(|attribute| (attribute.key.0.to_string(), attribute.json(MAX_DEPTH))).collect()
}

/// A signed 64-bit integer, encoded as a number or a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Int64(pub(super) i64);

/// An unsigned 64-bit integer, encoded as a number or a string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct UInt64(pub(super) u64);

/// A double, encoded as a number or a string such as `"NaN"`, `"Infinity"` and `"-Infinity"`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Double(pub(super) f64);

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
                        // An integer may be written as 1e3.
                        self.visit_str(&number.to_string())
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        text.parse::<$type>().map($name).map_err(|_| {
                            E::custom(format_args!(
                                "expected {}, found `{}`",
                                $expected,
                                truncate(text)
                            ))
                        })
                    }
                }

                deserializer.deserialize_any(Number)
            }
        }
    };
}

number!(Int64, i64, "an integer");
number!(UInt64, u64, "a non-negative integer");
number!(Double, f64, "a number");

#[cfg(test)]
mod tests {
    use super::*;

    fn values(json: &str) -> Map<String, Value> {
        attribute_map(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn values_of_all_types_are_converted() {
        let converted = values(
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
        assert_eq!(Value::Object(converted), expected);
    }

    #[test]
    fn long_and_deep_values_are_truncated_or_omitted() {
        let deep = (0..500).fold(r#"{"intValue":1}"#.to_owned(), |inner, _| {
            format!(r#"{{"arrayValue":{{"values":[{inner}]}}}}"#)
        });
        let long = "x".repeat(MAX_STRING_BYTES + 10);
        let converted = values(&format!(
            r#"[{{"key":"deep","value":{deep}}},{{"key":"long","value":{{"stringValue":"{long}"}}}},
               {{"key":"list","value":{{"arrayValue":{{"values":[{{"stringValue":"{long}"}}]}}}}}}]"#
        ));
        assert!(converted["deep"].to_string().contains("bytes omitted"));
        assert_eq!(converted["long"].as_str().unwrap().len(), MAX_STRING_BYTES);
        assert!(converted["list"].as_str().unwrap().contains("bytes omitted"));
    }

    #[test]
    fn numbers_are_parsed_from_numbers_and_strings() {
        let unsigned = |text| serde_json::from_str::<UInt64>(text).map(|number| number.0);
        assert_eq!(unsigned(r#""18446744073709551615""#).unwrap(), u64::MAX);
        assert_eq!(unsigned("5").unwrap(), 5);
        for bad in ["-1", r#""x""#, "1.5", "{}", "[]"] {
            assert!(unsigned(bad).is_err(), "{bad}");
        }
        let double = |text| serde_json::from_str::<Double>(text).unwrap().0;
        assert_eq!((double("3"), double(r#""-Infinity""#)), (3.0, f64::NEG_INFINITY));
    }
}
