//! Incremental parsing of large JSON: at most one element of an array is in memory besides the JSON itself.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The raw values of two fields; `None` if a field is absent or null.
pub(super) type RawPair<'de> = [Option<&'de RawValue>; 2];

/// Extracts two fields of an object and skips the others.
#[derive(Clone, Copy)]
pub(super) struct FieldPair(pub(super) [&'static str; 2]);

impl<'de> DeserializeSeed<'de> for FieldPair {
    type Value = RawPair<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawPair<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldPair {
    type Value = RawPair<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with `{}` and `{}`", self.0[0], self.0[1])
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawPair<'de>, A::Error> {
        let mut values = [None; 2];
        while let Some(key) = access.next_key::<JsonStr<'de>>()? {
            match self.0.iter().position(|name| *name == key.0) {
                Some(index) => values[index] = access.next_value()?,
                None => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values)
    }
}

/// Parses JSON with a seed. Trailing characters are an error.
pub(super) fn parse<'de, S: DeserializeSeed<'de>>(
    json: &'de str,
    seed: S,
) -> Result<S::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Parses the elements of an array with a seed and calls `f` for each.
pub(super) fn for_each_element<'de, S, F>(
    array: &'de RawValue,
    seed: S,
    f: F,
) -> Result<(), serde_json::Error>
where
    S: DeserializeSeed<'de> + Clone,
    F: FnMut(S::Value) -> Result<(), serde_json::Error>,
{
    parse(array.get(), ForEachElement { seed, f, lifetime: PhantomData })
}

struct ForEachElement<'de, S, F> {
    seed: S,
    f: F,
    lifetime: PhantomData<&'de ()>,
}

impl<'de, S, F> DeserializeSeed<'de> for ForEachElement<'de, S, F>
where
    S: DeserializeSeed<'de> + Clone,
    F: FnMut(S::Value) -> Result<(), serde_json::Error>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S, F> Visitor<'de> for ForEachElement<'de, S, F>
where
    S: DeserializeSeed<'de> + Clone,
    F: FnMut(S::Value) -> Result<(), serde_json::Error>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        while let Some(element) = access.next_element_seed(self.seed.clone())? {
            (self.f)(element).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// A JSON string, borrowed from the frame unless it has escape sequences.
#[derive(Deserialize)]
pub(super) struct JsonStr<'a>(#[serde(borrow)] pub(super) std::borrow::Cow<'a, str>);

/// The first `N` elements of an array. Further elements are skipped; null is an empty array.
#[derive(Debug)]
pub(super) struct FirstElements<T, const N: usize>(pub(super) Vec<T>);

impl<T, const N: usize> Default for FirstElements<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for FirstElements<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstElementsVisitor<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for FirstElementsVisitor<T, N> {
            type Value = FirstElements<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(FirstElements::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while elements.len() < N {
                    match access.next_element()? {
                        Some(element) => elements.push(element),
                        None => return Ok(FirstElements(elements)),
                    }
                }
                while access.next_element::<IgnoredAny>()?.is_some() {}
                Ok(FirstElements(elements))
            }
        }

        deserializer.deserialize_any(FirstElementsVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_truncated_and_null_is_an_empty_array() {
        let first = |json| serde_json::from_str::<FirstElements<u8, 2>>(json).map(|first| first.0);
        assert_eq!(first("[1,2,3,{}]").unwrap(), [1, 2]);
        assert_eq!(first("[1]").unwrap(), [1]);
        assert_eq!(first("null").unwrap(), [0; 0]);
        assert!(first("{}").is_err());
    }

    #[test]
    fn fields_are_extracted_in_any_order_from_each_element() {
        let json = r#"{"x":[[]],"b":[{"a":1,"b":2},{"b":null}],"\u0061":7}"#;
        let [a, b] = parse(json, FieldPair(["a", "b"])).unwrap();
        assert_eq!(a.unwrap().get(), "7");
        let mut pairs = Vec::new();
        for_each_element(b.unwrap(), FieldPair(["a", "b"]), |[a, b]| {
            pairs.push((a.map(RawValue::get), b.map(RawValue::get)));
            Ok(())
        })
        .unwrap();
        assert_eq!(pairs, [(Some("1"), Some("2")), (None, None)]);
        assert!(parse("{} x", FieldPair(["a", "b"])).is_err());
        assert!(parse("[]", FieldPair(["a", "b"])).is_err());
    }
}
