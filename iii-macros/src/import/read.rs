//! Catalogue files: their forms, and the functions in them.

use std::fmt;

use serde_json::{Map, Value};

/// The version of the file that is understood.
const VERSION: u64 = 1;

/// One function of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Described {
    pub(super) id: String,
    pub(super) namespace: Option<String>,
    pub(super) description: Option<String>,
    pub(super) request: Option<Value>,
    pub(super) response: Option<Value>,
}

/// Why a file cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the functions of a file, in the order of their ids and namespaces.
///
/// # Errors
///
/// What is wrong with it, for the one who wrote the path.
pub(super) fn functions(text: &str) -> Result<Vec<Described>, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Value =
        serde_json::from_str(text).map_err(|error| Unreadable(format!("is not JSON: {error}")))?;
    let mut functions = Vec::new();
    for (at, entry) in entries(&value)?.into_iter().enumerate() {
        if let Some(function) = described(entry, at + 1)? {
            functions.push(function);
        }
    }
    functions.sort_by(|a, b| (&a.id, &a.namespace).cmp(&(&b.id, &b.namespace)));
    functions.dedup();
    for pair in functions.windows(2) {
        if (&pair[0].id, &pair[0].namespace) == (&pair[1].id, &pair[1].namespace) {
            return Err(Unreadable(format!(
                "has `{}` twice, with different schemas: keep one of them",
                pair[0].id
            )));
        }
    }
    Ok(functions)
}

/// The entries of a file, whatever form it has.
fn entries(file: &Value) -> Result<Vec<&Value>, Unreadable> {
    match file {
        Value::Array(list) => Ok(list.iter().collect()),
        Value::Object(object) => {
            if let Some(version) = object.get("version")
                && object.contains_key("functions")
                && version.as_u64() != Some(VERSION)
            {
                return Err(Unreadable(format!(
                    "has the version {version}, and this release reads version {VERSION}: \
                     write the file again with the `iii catalogue` of this release"
                )));
            }
            match object.get("functions") {
                Some(Value::Array(list)) => Ok(list.iter().collect()),
                None if object.contains_key("function_id") => Ok(vec![file]),
                // By id: `{"orders::create": {"function_id": "orders::create", …}}`.
                None if !object.is_empty() && object.values().all(is_entry) => {
                    Ok(object.values().collect())
                }
                _ => Err(no_catalogue()),
            }
        }
        _ => Err(no_catalogue()),
    }
}

fn is_entry(value: &Value) -> bool {
    value.get("function_id").is_some()
}

fn no_catalogue() -> Unreadable {
    Unreadable(
        "is JSON, but no catalogue: expected `{\"version\": 1, \"functions\": […]}`, an answer of \
         `engine::functions::list` or `engine::functions::info`, or an array of functions"
            .to_owned(),
    )
}

/// One entry; `None` for one that only says that there is no such function.
fn described(entry: &Value, number: usize) -> Result<Option<Described>, Unreadable> {
    let fields = entry.as_object();
    let id = fields.and_then(|fields| text(fields, "function_id")).filter(|id| !id.is_empty());
    let (Some(fields), Some(id)) = (fields, id) else {
        return Err(Unreadable(format!(
            "has no `function_id` in the function number {number}: each needs one"
        )));
    };
    if text(fields, "error").is_some() {
        return Ok(None);
    }
    Ok(Some(Described {
        id,
        namespace: text(fields, "namespace").filter(|namespace| !namespace.trim().is_empty()),
        description: text(fields, "description").filter(|text| !text.trim().is_empty()),
        request: schema(fields, "request_schema"),
        response: schema(fields, "response_schema"),
    }))
}

fn text(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn schema(fields: &Map<String, Value>, name: &str) -> Option<Value> {
    fields.get(name).filter(|schema| !schema.is_null()).cloned()
}

/// Whether a pattern with `*` for any text fits an id.
pub(super) fn fits(pattern: &str, id: &str) -> bool {
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

/// Whether an id is of a service: `orders` has `orders::create`, and not `orders2::create`.
pub(super) fn is_of(prefix: &str, id: &str) -> bool {
    let prefix = prefix.strip_suffix("::").unwrap_or(prefix);
    id.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        functions(text).unwrap().into_iter().map(|function| function.id).collect()
    }

    fn told(text: &str) -> String {
        functions(text).unwrap_err().to_string()
    }

    #[test]
    fn all_forms_of_a_file_are_read() {
        let a = r#"{"function_id":"a::b","request_schema":{"type":"string"},"namespace":"n"}"#;
        let b = r#"{"function_id":"a::a","response_schema":null,"description":" "}"#;
        for form in [
            format!(r#"{{"version":1,"functions":[{a},{b}]}}"#),
            format!(r#"{{"functions":[{b},{a}]}}"#),
            format!("[{a},{b},{a}]"),
            format!("\u{feff}[{a},{b}]"),
            format!(r#"{{"a::b":{a},"a::a":{b}}}"#),
            format!(r#"[{a},{b},{{"function_id":"a::c","error":"not_found"}}]"#),
        ] {
            assert_eq!(ids(&form), ["a::a", "a::b"], "{form}");
        }
        assert_eq!(ids(a), ["a::b"]);
        assert_eq!(ids(r#"{"version":1,"functions":[]}"#), [""; 0]);
        let one = &functions(b).unwrap()[0];
        assert_eq!((&one.description, &one.response, &one.namespace), (&None, &None, &None));
    }

    #[test]
    fn a_bad_file_says_what_is_wrong() {
        assert!(told("{\n  \"functions\": [,]\n}").contains("line 2 column 17"));
        assert!(told("3").contains("no catalogue"));
        assert!(told("{}").contains("no catalogue"));
        assert!(told(r#"{"a": 1}"#).contains("no catalogue"));
        assert!(told(r#"{"version":2,"functions":[]}"#).contains("version 2"));
        assert!(told(r#"[{"function_id":"a"},{"id":"b"}]"#).contains("number 2"));
        let twice = r#"[{"function_id":"a"},{"function_id":"a","request_schema":true}]"#;
        assert!(told(twice).contains("`a` twice"));
    }

    #[test]
    fn patterns_choose_ids() {
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
            assert_eq!(fits(pattern, id), expected, "{pattern} {id}");
        }
        assert!(is_of("orders", "orders::create") && is_of("orders::", "orders::create"));
        assert!(is_of("publish", "publish"));
        assert!(!is_of("orders", "orders2::create"));
    }
}
