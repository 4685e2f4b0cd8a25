//! What tells invocations apart: a value in the payload, or what a closure says.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use serde::Deserializer;
use serde::de::{Deserialize, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::extract::{HttpParts, Invocation};
use iii_wire::{Error, Result, code};

/// What tells invocations apart.
///
/// Text is a JSON Pointer (RFC 6901) into the payload: `"/customer"`, `"/items/0/sku"`; the empty text is the whole
/// payload. From an `http` trigger, a pointer of one name finds a path parameter first, then the body, then the query. The
/// payload is not parsed for it: the value is looked up where it lies.
///
/// Numbers and texts that read the same are the same, as path parameters are always text. Where there is no value, or
/// `null`, there is no key.
///
/// ```
/// use iii::intercept::{Key, RateLimit};
///
/// let by_customer = RateLimit::per_second(5).by("/customer");
/// let by_caller = RateLimit::per_second(5)
///     .by(Key::of(|call| call.context().caller().map(|caller| caller.worker_id.to_string())));
/// let by_token = RateLimit::per_second(5)
///     .by(Key::of(|call| call.http().ok()?.headers.get("authorization").map(str::to_owned)));
/// # let _ = (by_customer, by_caller, by_token);
/// ```
#[derive(Clone)]
pub struct Key {
    by: By,
}

#[derive(Clone)]
enum By {
    Pointer(Vec<String>),
    Closure(Closure),
    /// A text that is no pointer, which is reported when the app starts.
    Invalid(String),
}

type Closure = Arc<dyn Fn(&mut Invocation) -> Option<String> + Send + Sync>;

/// A key, in a size that does not depend on what callers send. The hashes are seeded anew in each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Digest(u64, u64);

impl Key {
    /// The value at a JSON Pointer in the payload.
    ///
    /// # Errors
    ///
    /// `invalid_configuration`, if the text is no JSON Pointer. [`Key::from`] takes any text; then the start of the app
    /// reports the mistake.
    pub fn pointer(text: &str) -> Result<Self> {
        Ok(Self { by: By::Pointer(tokens(text)?) })
    }

    /// What a closure says; `None` is no key.
    pub fn of(closure: impl Fn(&mut Invocation) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { by: By::Closure(Arc::new(closure)) }
    }

    /// The key of an invocation. Those of two functions differ, if `of_function` says so.
    pub(super) fn find(&self, call: &mut Invocation, of_function: bool) -> Option<Digest> {
        static SEEDS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
        let text = match &self.by {
            By::Pointer(tokens) => in_payload(call, tokens)?,
            By::Closure(closure) => closure(call)?,
            By::Invalid(_) => return None,
        };
        let function: &str = if of_function { call.context().function_id() } else { "" };
        let [one, two] = &*SEEDS;
        let key = (function, text);
        Some(Digest(one.hash_one(&key), two.hash_one(&key)))
    }

    /// Whether it can be used.
    pub(super) fn check(&self) -> Result<()> {
        match &self.by {
            By::Pointer(_) | By::Closure(_) => Ok(()),
            By::Invalid(text) => tokens(text).map(|_| ()),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::pointer(text).unwrap_or_else(|_| Self { by: By::Invalid(text.to_owned()) })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            By::Pointer(tokens) => f.debug_tuple("Pointer").field(tokens).finish(),
            By::Closure(_) => f.write_str("Closure"),
            By::Invalid(text) => f.debug_tuple("Invalid").field(text).finish(),
        }
    }
}

/// The names in a JSON Pointer.
fn tokens(text: &str) -> Result<Vec<String>> {
    let mistake = |what: &str| {
        Error::new(
            code::INVALID_CONFIGURATION,
            format!("`{text}` is no JSON Pointer: {what}, such as \"/customer/id\""),
        )
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else { return Err(mistake("begin it with `/`")) };
    let token = |token: &str| {
        let plain = token.replace("~1", "").replace("~0", "");
        if plain.contains('~') {
            return Err(mistake("write `~` as `~0`, and `/` in a name as `~1`"));
        }
        Ok(token.replace("~1", "/").replace("~0", "~"))
    };
    rest.split('/').map(token).collect()
}

/// The text at a pointer in the payload.
fn in_payload(call: &mut Invocation, tokens: &[String]) -> Option<String> {
    if call.is_http() {
        return in_request(call.http().ok()?, tokens);
    }
    in_json(call.data().as_str(), tokens)
}

fn in_request(parts: &HttpParts, tokens: &[String]) -> Option<String> {
    let only = if let [name] = tokens { Some(name) } else { None };
    if let Some(text) = only.and_then(|name| parts.path_params.get(name)) {
        return Some(text.clone());
    }
    in_json(parts.body.as_str(), tokens)
        .or_else(|| parts.query.get(only?).and_then(|texts| texts.first()).cloned())
}

/// The text at a pointer in JSON.
fn in_json(json: &str, tokens: &[String]) -> Option<String> {
    let mut json = serde_json::Deserializer::from_str(json);
    let raw = Seek(tokens).deserialize(&mut json).ok()??.get();
    match raw.as_bytes().first()? {
        b'n' => None,
        b'"' => serde_json::from_str(raw).ok(),
        // The same value, however it is written.
        b'{' | b'[' => Some(serde_json::from_str::<serde_json::Value>(raw).ok()?.to_string()),
        _ => Some(raw.to_owned()),
    }
}

/// Looks for the value at a pointer, and skips everything else.
struct Seek<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            return <&RawValue>::deserialize(json).map(Some);
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((name, rest)) = self.0.split_first() else { return Ok(None) };
        let mut found = None;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.0 == *name {
                found = map.next_value_seed(Seek(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Some((name, rest)) = self.0.split_first() else { return Ok(None) };
        let mut left = name.parse::<usize>().ok();
        let mut found = None;
        loop {
            if left == Some(0) {
                left = None;
                match seq.next_element_seed(Seek(rest))? {
                    Some(value) => found = value,
                    None => return Ok(found),
                }
            } else {
                if seq.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(found);
                }
                left = left.map(|left| left - 1);
            }
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Text that is borrowed if it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod unit {
    use super::*;

    fn at(json: &str, pointer: &str) -> Option<String> {
        in_json(json, &tokens(pointer).unwrap())
    }

    #[test]
    fn a_pointer_finds_a_value_where_it_lies() {
        let json = r#"{"a":{"b/c":[10,{"~":"x\u0079"}]},"n":null,"t":true,"o":{"z":1, "y":2}}"#;
        assert_eq!(at(json, "/a/b~1c/0").as_deref(), Some("10"));
        assert_eq!(at(json, "/a/b~1c/1/~0").as_deref(), Some("xy"));
        assert_eq!(at(json, "/t").as_deref(), Some("true"));
        assert_eq!(at(json, "/o").as_deref(), Some(r#"{"y":2,"z":1}"#));
        for missing in ["/n", "/x", "/a/b~1c/2", "/a/b~1c/-", "/t/x"] {
            assert_eq!(at(json, missing), None, "{missing}");
        }
        assert_eq!(at("7", "").as_deref(), Some("7"));
        assert_eq!(at("null", "/a"), None);
    }

    #[test]
    fn a_text_that_is_no_pointer_is_told() {
        for text in ["customer", "/a~b", "/~2"] {
            let error = Key::pointer(text).unwrap_err();
            assert_eq!(error.code(), code::INVALID_CONFIGURATION);
            assert!(Key::from(text).check().is_err());
        }
        assert!(Key::from("/a~0b/c~1d").check().is_ok());
    }

    #[test]
    fn a_request_has_its_key_in_the_path_the_body_or_the_query() {
        let mut parts = HttpParts::default();
        let key = |parts: &HttpParts, pointer| in_request(parts, &tokens(pointer).unwrap());
        parts.query.insert("id".into(), vec!["of-query".into()]);
        assert_eq!(key(&parts, "/id").as_deref(), Some("of-query"));
        parts.body = serde_json::json!({"id": 5, "a": {"id": 6}}).into();
        assert_eq!(key(&parts, "/id").as_deref(), Some("5"));
        assert_eq!(key(&parts, "/a/id").as_deref(), Some("6"));
        parts.path_params.insert("id".into(), "4".into());
        assert_eq!(key(&parts, "/id").as_deref(), Some("4"));
    }
}
