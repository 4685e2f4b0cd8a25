//! Reads large JSON piece by piece: never more than one element of a list is in memory beside the text itself.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Two fields of an object, each as text; `None`: absent or null.
pub(super) type Pair<'de> = [Option<&'de RawValue>; 2];

/// Picks two fields out of an object; the others are only looked at to see where they end.
#[derive(Clone, Copy)]
pub(super) struct Pick(pub(super) [&'static str; 2]);

impl<'de> DeserializeSeed<'de> for Pick {
    type Value = Pair<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Pair<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pick {
    type Value = Pair<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with `{}` and `{}`", self.0[0], self.0[1])
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Pair<'de>, A::Error> {
        let mut picked = [None; 2];
        while let Some(key) = access.next_key::<Text<'de>>()? {
            match self.0.iter().position(|name| *name == key.0) {
                Some(at) => picked[at] = access.next_value()?,
                None => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(picked)
    }
}

/// Reads a whole text as one value.
pub(super) fn whole<'de, S: DeserializeSeed<'de>>(
    text: &'de str,
    seed: S,
) -> Result<S::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Hands the elements of a list on, one after the other.
pub(super) fn each<'de, S, F>(
    list: &'de RawValue,
    seed: S,
    take: F,
) -> Result<(), serde_json::Error>
where
    S: DeserializeSeed<'de> + Clone,
    F: FnMut(S::Value) -> Result<(), serde_json::Error>,
{
    whole(list.get(), Each { seed, take, lifetime: PhantomData })
}

struct Each<'de, S, F> {
    seed: S,
    take: F,
    lifetime: PhantomData<&'de ()>,
}

impl<'de, S, F> DeserializeSeed<'de> for Each<'de, S, F>
where
    S: DeserializeSeed<'de> + Clone,
    F: FnMut(S::Value) -> Result<(), serde_json::Error>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, S, F> Visitor<'de> for Each<'de, S, F>
where
    S: DeserializeSeed<'de> + Clone,
    F: FnMut(S::Value) -> Result<(), serde_json::Error>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        while let Some(one) = access.next_element_seed(self.seed.clone())? {
            (self.take)(one).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// A text that is part of the frame, unless it has escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) std::borrow::Cow<'a, str>);

/// The first `N` elements of a list; of the others only how many there were.
#[derive(Debug)]
pub(super) struct First<T, const N: usize>(pub(super) Vec<T>);

impl<T, const N: usize> Default for First<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for First<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const N: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for List<T, N> {
            type Value = First<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(First::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < N {
                    match access.next_element()? {
                        Some(one) => kept.push(one),
                        None => return Ok(First(kept)),
                    }
                }
                while access.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(kept))
            }
        }

        deserializer.deserialize_any(List(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_and_null_is_an_empty_one() {
        let first = |text| serde_json::from_str::<First<u8, 2>>(text).map(|first| first.0);
        assert_eq!(first("[1,2,3,{}]").unwrap(), [1, 2]);
        assert_eq!(first("[1]").unwrap(), [1]);
        assert_eq!(first("null").unwrap(), [0; 0]);
        assert!(first("{}").is_err());
    }

    #[test]
    fn elements_come_one_by_one_and_fields_in_any_order() {
        let text = r#"{"x":[[]],"b":[{"a":1,"b":2},{"b":null}],"\u0061":7}"#;
        let [a, b] = whole(text, Pick(["a", "b"])).unwrap();
        assert_eq!(a.unwrap().get(), "7");
        let mut seen = Vec::new();
        each(b.unwrap(), Pick(["a", "b"]), |[a, b]| {
            seen.push((a.map(RawValue::get), b.map(RawValue::get)));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(Some("1"), Some("2")), (None, None)]);
        assert!(whole("{} x", Pick(["a", "b"])).is_err());
        assert!(whole("[]", Pick(["a", "b"])).is_err());
    }
}
