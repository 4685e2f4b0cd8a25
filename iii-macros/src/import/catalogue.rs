//! Catalogue files: the supported formats, and the functions in them.

use std::fmt;

use serde_json::{Map, Value};

/// The supported version of the format.
const VERSION: u64 = 1;

/// A function of a catalogue file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CatalogueFunction {
    pub(super) id: String,
    pub(super) namespace: Option<String>,
    pub(super) description: Option<String>,
    pub(super) request: Option<Value>,
    pub(super) response: Option<Value>,
}

/// Why a file is no valid catalogue. The message continues a sentence that starts with the name of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CatalogueError(String);

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses the functions of a file, in the order of their ids and namespaces.
///
/// # Errors
///
/// What is invalid.
pub(super) fn parse(text: &str) -> Result<Vec<CatalogueFunction>, CatalogueError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value = serde_json::from_str(text)
        .map_err(|error| CatalogueError(format!("is not valid JSON: {error}")))?;
    let mut functions = Vec::new();
    for (at, entry) in entries(&value)?.into_iter().enumerate() {
        if let Some(function) = parse_function(entry, at + 1)? {
            functions.push(function);
        }
    }
    functions.sort_by(|a, b| (&a.id, &a.namespace).cmp(&(&b.id, &b.namespace)));
    functions.dedup();
    for pair in functions.windows(2) {
        if (&pair[0].id, &pair[0].namespace) == (&pair[1].id, &pair[1].namespace) {
            return Err(CatalogueError(format!(
                "contains duplicates of `{}` with different schemas\nhelp: remove one of the two",
                pair[0].id
            )));
        }
    }
    Ok(functions)
}

/// Returns the functions of a file of any format.
fn entries(file: &Value) -> Result<Vec<&Value>, CatalogueError> {
    match file {
        Value::Array(list) => Ok(list.iter().collect()),
        Value::Object(object) => {
            if let Some(version) = object.get("version")
                && object.contains_key("functions")
                && version.as_u64() != Some(VERSION)
            {
                return Err(CatalogueError(format!(
                    "has version {version}, expected {VERSION}\n\
                     help: write the file again with the `iii catalogue` of this release"
                )));
            }
            match object.get("functions") {
                Some(Value::Array(list)) => Ok(list.iter().collect()),
                None if object.contains_key("function_id") => Ok(vec![file]),
                // An object of functions by id: `{"orders::create": {"function_id": "orders::create", …}}`.
                None if !object.is_empty() && object.values().all(is_function) => {
                    Ok(object.values().collect())
                }
                _ => Err(not_a_catalogue()),
            }
        }
        _ => Err(not_a_catalogue()),
    }
}

fn is_function(value: &Value) -> bool {
    value.get("function_id").is_some()
}

fn not_a_catalogue() -> CatalogueError {
    CatalogueError(
        "is not a catalogue: expected `{\"version\": 1, \"functions\": […]}`, a result of \
         `engine::functions::list` or `engine::functions::info`, or an array of functions"
            .to_owned(),
    )
}

/// Parses one function. `None` for the error entry of a function that does not exist.
fn parse_function(
    entry: &Value,
    number: usize,
) -> Result<Option<CatalogueFunction>, CatalogueError> {
    let fields = entry.as_object();
    let id = fields.and_then(|fields| string(fields, "function_id")).filter(|id| !id.is_empty());
    let (Some(fields), Some(id)) = (fields, id) else {
        return Err(CatalogueError(format!("has no `function_id` in function number {number}")));
    };
    if string(fields, "error").is_some() {
        return Ok(None);
    }
    Ok(Some(CatalogueFunction {
        id,
        namespace: string(fields, "namespace").filter(|namespace| !namespace.trim().is_empty()),
        description: string(fields, "description").filter(|text| !text.trim().is_empty()),
        request: schema(fields, "request_schema"),
        response: schema(fields, "response_schema"),
    }))
}

fn string(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn schema(fields: &Map<String, Value>, name: &str) -> Option<Value> {
    fields.get(name).filter(|schema| !schema.is_null()).cloned()
}

/// Returns whether an id matches a pattern, where `*` matches any characters.
pub(super) fn matches_pattern(pattern: &str, id: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| id.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Returns whether the first segments of an id are `prefix`: `orders` is one of `orders::create`, not of `orders2::create`.
pub(super) fn has_prefix(prefix: &str, id: &str) -> bool {
    let prefix = prefix.strip_suffix("::").unwrap_or(prefix);
    id.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        parse(text).unwrap().into_iter().map(|function| function.id).collect()
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn all_formats_are_supported() {
        let a = r#"{"function_id":"a::b","request_schema":{"type":"string"},"namespace":"n"}"#;
        let b = r#"{"function_id":"a::a","response_schema":null,"description":" "}"#;
        for file in [
            format!(r#"{{"version":1,"functions":[{a},{b}]}}"#),
            format!(r#"{{"functions":[{b},{a}]}}"#),
            format!("[{a},{b},{a}]"),
            format!("\u{feff}[{a},{b}]"),
            format!(r#"{{"a::b":{a},"a::a":{b}}}"#),
            format!(r#"[{a},{b},{{"function_id":"a::c","error":"not_found"}}]"#),
        ] {
            assert_eq!(ids(&file), ["a::a", "a::b"], "{file}");
        }
        assert_eq!(ids(a), ["a::b"]);
        assert_eq!(ids(r#"{"version":1,"functions":[]}"#), [""; 0]);
        let one = &parse(b).unwrap()[0];
        assert_eq!((&one.description, &one.response, &one.namespace), (&None, &None, &None));
    }

    #[test]
    fn invalid_files_are_rejected() {
        assert!(error("{\n  \"functions\": [,]\n}").contains("line 2 column 17"));
        assert!(error("3").contains("not a catalogue"));
        assert!(error("{}").contains("not a catalogue"));
        assert!(error(r#"{"a": 1}"#).contains("not a catalogue"));
        assert!(error(r#"{"version":2,"functions":[]}"#).contains("version 2"));
        assert!(error(r#"[{"function_id":"a"},{"id":"b"}]"#).contains("number 2"));
        let twice = r#"[{"function_id":"a"},{"function_id":"a","request_schema":true}]"#;
        assert!(error(twice).contains("duplicates of `a`"));
    }

    #[test]
    fn patterns_and_prefixes_match_ids() {
        for (pattern, id, expected) in [
            ("orders::*", "orders::create", true),
            ("orders::*", "orders::items::add", true),
            ("orders::*", "orders2::create", false),
            ("orders::create", "orders::create", true),
            ("orders::create", "orders::create2", false),
            ("*::create", "orders::create", true),
            ("*::cre*te", "orders::create", true),
            ("*", "x", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches_pattern(pattern, id), expected, "{pattern} {id}");
        }
        assert!(has_prefix("orders", "orders::create") && has_prefix("orders::", "orders::create"));
        assert!(has_prefix("publish", "publish"));
        assert!(!has_prefix("orders", "orders2::create"));
    }
}
