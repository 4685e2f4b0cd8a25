//! Update operations on JSON values, applied by the engine's stores and by those of workers ([protocol 6.4](crate::protocol#s6-4)).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::protocol::Payload;

/// Maximum number of segments of a path.
const MAX_SEGMENTS: usize = 32;
/// Maximum length of a segment in bytes.
const MAX_SEGMENT_BYTES: usize = 256;
/// Maximum nesting of a value to merge.
const MAX_MERGE_DEPTH: usize = 16;
/// Maximum number of keys of a value to merge.
const MAX_MERGE_KEYS: usize = 1024;
/// Keys that modify the prototype of objects in JavaScript workers.
const PROTOTYPE_KEYS: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// An update operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum UpdateOp {
    /// Sets a key.
    Set {
        /// The key; an empty one replaces the whole value.
        path: String,
        /// The new value. Default: null.
        #[serde(default)]
        value: Value,
    },
    /// Merges the keys of an object.
    Merge {
        /// The path of the target; absent or empty for the whole value.
        #[serde(default)]
        path: Option<MergePath>,
        /// The object to merge.
        value: Value,
    },
    /// Adds to a number.
    Increment {
        /// The key; an empty one addresses the whole value.
        path: String,
        /// The summand.
        by: i64,
    },
    /// Subtracts from a number.
    Decrement {
        /// The key; an empty one addresses the whole value.
        path: String,
        /// The subtrahend.
        by: i64,
    },
    /// Appends to an array or a string.
    Append {
        /// The path of the target; absent or empty for the whole value.
        #[serde(default)]
        path: Option<MergePath>,
        /// The value to append.
        value: Value,
    },
    /// Removes a key.
    Remove {
        /// The key; an empty one sets the whole value to null.
        path: String,
    },
}

/// A location in a value: one key, or a sequence of keys. Dots are not separators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum MergePath {
    /// One key; an empty one addresses the whole value.
    Key(String),
    /// The keys of nested objects, outermost first.
    Segments(Vec<String>),
}

/// The failure of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UpdateError {
    /// The index of the operation.
    pub op_index: usize,
    /// The error code, such as `increment.not_number`.
    pub code: String,
    /// The error message.
    pub message: String,
}

/// An error code without the name of the operation, and a message.
type Failure = (&'static str, String);

/// Applies operations in order to a stored value, or to `{}` if there is none. A failing operation is skipped.
///
/// # Errors
///
/// If the stored value is nested too deeply to be parsed.
pub fn apply(
    old: Option<&Payload>,
    ops: &[UpdateOp],
) -> Result<(Payload, Vec<UpdateError>), serde_json::Error> {
    // `None` is an absent value, which some operations distinguish from `{}`.
    let mut root = old.map(Payload::parse::<Value>).transpose()?;
    let mut errors = Vec::new();
    for (op_index, op) in ops.iter().enumerate() {
        if let Err((code, message)) = op.apply(&mut root) {
            errors.push(UpdateError { op_index, code: format!("{}.{code}", op.name()), message });
        }
    }
    Ok((Payload::from(root.unwrap_or_else(empty)), errors))
}

impl UpdateOp {
    fn name(&self) -> &'static str {
        match self {
            Self::Set { .. } => "set",
            Self::Merge { .. } => "merge",
            Self::Increment { .. } => "increment",
            Self::Decrement { .. } => "decrement",
            Self::Append { .. } => "append",
            Self::Remove { .. } => "remove",
        }
    }

    fn apply(&self, root: &mut Option<Value>) -> Result<(), Failure> {
        match self {
            Self::Set { path, value } => match single_key(path)? {
                None => {
                    *root = Some(value.clone());
                    Ok(())
                }
                Some(key) => {
                    object_mut(root, key)?.insert(key.to_owned(), value.clone());
                    Ok(())
                }
            },
            Self::Merge { path, value } => merge(root, &segments(path.as_ref())?, value),
            Self::Increment { path, by } => add(root, path, i128::from(*by)),
            Self::Decrement { path, by } => add(root, path, -i128::from(*by)),
            Self::Append { path, value } => append(root, &segments(path.as_ref())?, value),
            Self::Remove { path } => match single_key(path)? {
                None => {
                    *root = Some(Value::Null);
                    Ok(())
                }
                Some(key) => {
                    object_mut(root, key)?.remove(key);
                    Ok(())
                }
            },
        }
    }
}

fn empty() -> Value {
    Value::Object(Map::new())
}

/// Reads a path of one key; `None` for the whole value.
fn single_key(path: &str) -> Result<Option<&str>, Failure> {
    if path.is_empty() {
        return Ok(None);
    }
    check_segment(path)?;
    Ok(Some(path))
}

/// Reads a path of any length; empty for the whole value.
fn segments(path: Option<&MergePath>) -> Result<Vec<&str>, Failure> {
    let segments: Vec<&str> = match path {
        None => Vec::new(),
        Some(MergePath::Key(key)) if key.is_empty() => Vec::new(),
        Some(MergePath::Key(key)) => vec![key],
        Some(MergePath::Segments(segments)) => segments.iter().map(String::as_str).collect(),
    };
    if segments.len() > MAX_SEGMENTS {
        let message =
            format!("the path has {} segments, at most {MAX_SEGMENTS} are allowed", segments.len());
        return Err(("path.too_deep", message));
    }
    segments.iter().try_for_each(|segment| check_segment(segment))?;
    Ok(segments)
}

fn check_segment(segment: &str) -> Result<(), Failure> {
    if segment.is_empty() {
        return Err(("path.empty_segment", "a segment of the path is empty".to_owned()));
    }
    if segment.len() > MAX_SEGMENT_BYTES {
        let message = format!("a segment of the path is longer than {MAX_SEGMENT_BYTES} bytes");
        return Err(("path.segment_too_long", message));
    }
    if PROTOTYPE_KEYS.contains(&segment) {
        return Err(("path.proto_polluted", format!("`{segment}` is not allowed in a path")));
    }
    Ok(())
}

/// The whole value as an object, for an operation on `key`.
fn object_mut<'a>(
    root: &'a mut Option<Value>,
    key: &str,
) -> Result<&'a mut Map<String, Value>, Failure> {
    match root.get_or_insert_with(empty) {
        Value::Object(object) => Ok(object),
        other => Err(not_object(&[key], other)),
    }
}

fn not_object(segments: &[&str], found: &Value) -> Failure {
    let message =
        format!("the target of {} is {}, not an object", display_path(segments), type_name(found));
    ("target_not_object", message)
}

fn merge(root: &mut Option<Value>, segments: &[&str], value: &Value) -> Result<(), Failure> {
    let Value::Object(added) = value else {
        return Err((
            "value.not_an_object",
            format!("only an object can be merged, not {}", type_name(value)),
        ));
    };
    check_merged(added)?;
    let mut target = root.get_or_insert_with(empty);
    if !target.is_object() {
        return Err(not_object(segments, target));
    }
    for segment in segments {
        // A value on the path that is not an object is replaced by one.
        if !target.is_object() {
            *target = empty();
        }
        target = match target {
            Value::Object(object) => object.entry((*segment).to_owned()).or_insert_with(empty),
            other => return Err(not_object(segments, other)),
        };
    }
    if !target.is_object() {
        *target = empty();
    }
    if let Value::Object(object) = target {
        object.extend(added.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    Ok(())
}

fn check_merged(added: &Map<String, Value>) -> Result<(), Failure> {
    if added.len() > MAX_MERGE_KEYS {
        return Err((
            "value.too_many_keys",
            format!("the value has {} keys, at most {MAX_MERGE_KEYS} are allowed", added.len()),
        ));
    }
    check_nesting(added.values(), added.keys(), 1)
}

fn check_nesting<'a>(
    values: impl Iterator<Item = &'a Value>,
    mut keys: impl Iterator<Item = &'a String>,
    depth: usize,
) -> Result<(), Failure> {
    if depth > MAX_MERGE_DEPTH {
        return Err((
            "value.too_deep",
            format!("the value is nested deeper than {MAX_MERGE_DEPTH} levels"),
        ));
    }
    if let Some(key) = keys.find(|key| PROTOTYPE_KEYS.contains(&key.as_str())) {
        return Err(("value.proto_polluted", format!("`{key}` is not allowed as a key")));
    }
    for value in values {
        match value {
            Value::Object(object) => check_nesting(object.values(), object.keys(), depth + 1)?,
            Value::Array(list) => check_nesting(list.iter(), std::iter::empty(), depth + 1)?,
            _ => {}
        }
    }
    Ok(())
}

fn add(root: &mut Option<Value>, path: &str, by: i128) -> Result<(), Failure> {
    let Some(key) = single_key(path)? else {
        let sum = sum(root.as_ref(), by, path)?;
        *root = Some(sum);
        return Ok(());
    };
    let object = object_mut(root, key)?;
    let sum = sum(object.get(key), by, key)?;
    object.insert(key.to_owned(), sum);
    Ok(())
}

/// Adds to a number: integers stay integers, an absent value counts as 0.
fn sum(number: Option<&Value>, by: i128, path: &str) -> Result<Value, Failure> {
    let failure = |problem: String| ("not_number", format!("{} {problem}", display_path(&[path])));
    let too_large = || failure("is out of range".to_owned());
    let whole = |sum: i128| {
        let number =
            i64::try_from(sum).map(Number::from).or_else(|_| u64::try_from(sum).map(Number::from));
        number.map(Value::Number).map_err(|_| too_large())
    };
    match number {
        None => whole(by),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => whole(i128::from(number) + by),
            (_, Some(number), _) => whole(i128::from(number) + by),
            (_, _, Some(number)) => {
                #[allow(clippy::cast_precision_loss)]
                let sum = Number::from_f64(number + by as f64);
                sum.map(Value::Number).ok_or_else(too_large)
            }
            _ => Err(too_large()),
        },
        Some(other) => Err(failure(format!("is {}, not a number", type_name(other)))),
    }
}

fn append(root: &mut Option<Value>, segments: &[&str], value: &Value) -> Result<(), Failure> {
    let Some((leaf, above)) = segments.split_last() else {
        return match root {
            None | Some(Value::Null) => {
                *root = Some(initial_append(value));
                Ok(())
            }
            Some(target) => append_to(target, value, segments),
        };
    };
    let mut target = root.get_or_insert_with(empty);
    for segment in above {
        target = match target {
            Value::Object(object) => object.entry((*segment).to_owned()).or_insert_with(empty),
            other => return Err(not_object(segments, other)),
        };
    }
    let object = match target {
        Value::Object(object) => object,
        other => return Err(not_object(segments, other)),
    };
    match object.get_mut(*leaf) {
        Some(Value::Null) | None => {
            let nested = !above.is_empty() && !object.contains_key(*leaf);
            let first =
                if nested { Value::Array(vec![value.clone()]) } else { initial_append(value) };
            object.insert((*leaf).to_owned(), first);
            Ok(())
        }
        Some(target) => append_to(target, value, segments),
    }
}

/// The initial value of an append to an absent target: a string, or an array of the value.
fn initial_append(value: &Value) -> Value {
    if value.is_string() { value.clone() } else { Value::Array(vec![value.clone()]) }
}

fn append_to(target: &mut Value, value: &Value, segments: &[&str]) -> Result<(), Failure> {
    match (target, value) {
        (Value::Array(list), value) => {
            list.push(value.clone());
            Ok(())
        }
        (Value::String(text), Value::String(more)) => {
            text.push_str(more);
            Ok(())
        }
        (target, value) => {
            let message = format!(
                "{} is {}, {} cannot be appended",
                display_path(segments),
                type_name(target),
                type_name(value)
            );
            Err(("type_mismatch", message))
        }
    }
}

/// A path for messages.
fn display_path(segments: &[&str]) -> String {
    match segments {
        [] | [""] => "the value".to_owned(),
        segments => format!("`{}`", segments.join("`, `")),
    }
}

/// The type of a value for messages.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
