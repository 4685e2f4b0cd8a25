//! Raw JSON payloads, which are parsed once, by their consumer.

use std::borrow::Cow;
use std::fmt;

use bytestring::ByteString;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::from_any;

/// A frame above this size is not retained for a small part of it, in bytes.
const LARGE_FRAME_BYTES: usize = 4096;

/// A well-formed JSON value in its textual form.
///
/// A payload is a slice of the frame that carried it: cloning it copies no text, and nothing between the socket and a
/// handler parses it. [`Payload::parse`] deserializes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    // Invariant: exactly one well-formed JSON value. Every constructor maintains it.
    text: ByteString,
}

impl Payload {
    /// The JSON value `null`.
    #[inline]
    pub const fn null() -> Self {
        Self { text: ByteString::from_static("null") }
    }

    /// Serializes `value`.
    ///
    /// # Errors
    ///
    /// If serialization fails, for example because a map has keys that are not strings.
    #[inline]
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(|text| Self { text: text.into() })
    }

    /// Creates a payload from JSON text after checking that it is one well-formed value.
    ///
    /// # Errors
    ///
    /// If the text is not valid JSON.
    #[inline]
    pub fn from_json(text: impl Into<ByteString>) -> Result<Self, serde_json::Error> {
        let text = text.into();
        let raw: &RawValue = serde_json::from_str(&text)?;
        let text = text.slice_ref(raw.get());
        Ok(Self { text })
    }

    /// Returns the part `raw` of `frame` without copying. `raw` must have been parsed from `frame`.
    #[inline]
    pub fn slice_of(frame: &ByteString, raw: &RawValue) -> Self {
        Self { text: frame.slice_ref(raw.get()) }
    }

    /// Like [`Payload::slice_of`], for a part that may be retained for long: copies a small part of a large frame, so
    /// that it does not keep the frame in memory.
    #[inline]
    pub fn retained_slice_of(frame: &ByteString, raw: &RawValue) -> Self {
        let text = raw.get();
        if text.len() < frame.len() / 2 && frame.len() > LARGE_FRAME_BYTES {
            return Self { text: text.into() };
        }
        Self::slice_of(frame, raw)
    }

    /// Creates a payload from text that the caller guarantees to be one well-formed JSON value.
    #[inline]
    pub fn from_built(text: String) -> Self {
        debug_assert!(
            serde_json::from_str::<&RawValue>(&text).is_ok(),
            "a payload must be valid JSON: {text}"
        );
        Self { text: text.into() }
    }

    /// Returns the part `raw` of this payload without copying. `raw` must have been parsed from this payload.
    #[inline]
    pub fn part(&self, raw: &RawValue) -> Self {
        Self::slice_of(&self.text, raw)
    }

    /// Returns the JSON text as bytes without copying.
    #[inline]
    pub fn into_bytes(self) -> bytes::Bytes {
        self.text.into_bytes()
    }

    /// Returns the JSON text.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether this is the JSON value `null`.
    #[inline]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// Returns whether this is a JSON object.
    #[inline]
    pub fn is_object(&self) -> bool {
        self.text.starts_with('{')
    }

    /// Deserializes the payload.
    ///
    /// # Errors
    ///
    /// If the JSON does not match the type.
    #[inline]
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }

    /// Deserializes the payload into a type that borrows from it.
    pub fn parse_borrowed<'de, T: Deserialize<'de>>(&'de self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }

    /// Returns the fields of the object, see [`fields`].
    #[inline]
    pub fn fields(&self) -> Result<Vec<(Cow<'_, str>, &RawValue)>, serde_json::Error> {
        fields(self.as_str())
    }

    /// Returns the payload as [`RawValue`], to embed it into a larger value.
    #[inline]
    pub fn as_raw(&self) -> &RawValue {
        serde_json::from_str(self.as_str()).expect("a payload is well-formed JSON")
    }
}

impl Default for Payload {
    /// The JSON value `null`.
    #[inline]
    fn default() -> Self {
        Self::null()
    }
}

impl From<serde_json::Value> for Payload {
    #[inline]
    fn from(value: serde_json::Value) -> Self {
        Self { text: value.to_string().into() }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Payload {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_raw().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = match from_any::raw_or_parsed(deserializer)? {
            from_any::RawOrParsed::Raw(raw) => raw,
            from_any::RawOrParsed::Parsed(value) => return Ok(value.into()),
        };
        Ok(Self { text: String::from(Box::<str>::from(raw)).into() })
    }
}

impl schemars::JsonSchema for Payload {
    #[inline]
    fn inline_schema() -> bool {
        true
    }

    #[inline]
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Payload".into()
    }

    #[inline]
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}

/// Returns the fields of a JSON object in order, with raw values, in one pass.
pub fn fields(json: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, serde_json::Error> {
    serde_json::from_str::<Fields<'_>>(json).map(|fields| fields.0)
}

/// The fields of an object in their order, values raw.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            #[inline]
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    fields.push((key.0, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }

        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_part_does_not_retain_a_large_frame() {
        let frame =
            ByteString::from(format!(r#"{{"a":"small","b":"{}"}}"#, "x".repeat(LARGE_FRAME_BYTES)));
        #[derive(Deserialize)]
        struct Parts<'a> {
            #[serde(borrow)]
            a: &'a RawValue,
            #[serde(borrow)]
            b: &'a RawValue,
        }
        let parts: Parts<'_> = serde_json::from_str(&frame).unwrap();
        let shares = |part| {
            let part = Payload::retained_slice_of(&frame, part);
            frame.as_bytes().as_ptr_range().contains(&part.as_str().as_ptr())
        };
        assert!(!shares(parts.a) && shares(parts.b));
        assert_eq!(Payload::retained_slice_of(&frame, parts.a).as_str(), r#""small""#);
    }

    #[test]
    fn slice_shares_the_buffer_of_its_frame() {
        let frame = ByteString::from(r#"{"data": {"sku":"tea"} }"#);
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let envelope: Envelope<'_> = serde_json::from_str(&frame).unwrap();
        let payload = Payload::slice_of(&frame, envelope.data);
        assert_eq!(payload.as_str(), r#"{"sku":"tea"}"#);
        let start = frame.as_ptr() as usize + r#"{"data": "#.len();
        assert_eq!(payload.as_str().as_ptr() as usize, start);
    }

    #[test]
    fn from_json_rejects_all_but_one_value() {
        assert!(Payload::from_json("{").is_err());
        assert!(Payload::from_json("1 2").is_err());
        assert_eq!(Payload::from_json(" 1 ").unwrap().as_str(), "1");
    }

    #[test]
    fn payload_is_deserialized_from_buffered_content() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        enum Tagged {
            Set { value: Payload, more: Option<Payload> },
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(untagged)]
        enum Untagged {
            Number(u8),
            Any { any: Payload },
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Flat {
            one: u8,
            #[serde(flatten)]
            rest: std::collections::BTreeMap<String, Payload>,
        }
        fn same<T: Serialize + DeserializeOwned>(text: &str) {
            let read: T = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        same::<Tagged>(r#"{"type":"Set","value":{"a":[1,-2.5,null,"x"]},"more":true}"#);
        same::<Untagged>(r#"{"any":{"a":{"b":18446744073709551615}}}"#);
        same::<Flat>(r#"{"one":1,"three":[{}],"two":"x"}"#);
        assert!(serde_json::from_str::<Payload>("{").is_err());
        let value = serde_json::json!({"a": 1});
        assert_eq!(serde_json::from_value::<Payload>(value).unwrap().as_str(), r#"{"a":1}"#);
    }

    #[test]
    fn payload_serializes_as_its_value() {
        let inner = Payload::from_json(r#"{"b":1,"a":2}"#).unwrap();
        assert_eq!(serde_json::to_string(&[inner]).unwrap(), r#"[{"b":1,"a":2}]"#);
    }
}
