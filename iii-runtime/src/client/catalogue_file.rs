//! Catalogue files: the functions of an engine with their schemas, in a normalised form to commit ([protocol 6.1](crate::protocol#s6-1)).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use iii_wire::protocol::{FunctionId, Namespace};
use iii_wire::{Error, Result, code};

/// The version of the file format.
const VERSION: u32 = 1;

/// The functions of an engine with their schemas, as [`import!`](crate::import) reads them.
///
/// [`Client::catalogue_file`](crate::Client::catalogue_file) reads it from an engine, and the command `iii catalogue` writes
/// it. The same functions give the same JSON, so the file can be committed, and a test can compare it:
///
/// ```
/// # use iii::prelude::*;
/// # use iii::catalogue::CatalogueFile;
/// # async fn example(client: Client) -> iii::Result<()> {
/// # let committed = r#"{"version": 1, "functions": []}"#;
/// let engine = client.catalogue_file().prefix("orders").await?;
/// assert_eq!(CatalogueFile::parse(committed)?.differences(&engine), []);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogueFile {
    version: u32,
    #[serde(default, skip_serializing_if = "CatalogueSelection::is_all")]
    selection: CatalogueSelection,
    functions: Vec<CatalogueFunction>,
}

/// The filter that selected the functions of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CatalogueSelection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<Namespace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefix: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) include_builtin: bool,
}

impl CatalogueSelection {
    fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// A function of a catalogue file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogueFunction {
    /// The id of the function.
    pub function_id: FunctionId,
    /// The namespace of the function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// The description of the function.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON Schema of the input.
    #[serde(default)]
    pub request_schema: Option<Value>,
    /// JSON Schema of the result.
    #[serde(default)]
    pub response_schema: Option<Value>,
    /// The metadata with which its worker registered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

/// A difference between two catalogue files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogueDifference {
    /// Only the other file has the function.
    Added(FunctionId),
    /// The other file lacks the function.
    Removed(FunctionId),
    /// These fields of the function differ, such as `request_schema`.
    Changed(FunctionId, Vec<&'static str>),
}

impl fmt::Display for CatalogueDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(id) => write!(f, "`{id}` was added"),
            Self::Removed(id) => write!(f, "`{id}` was removed"),
            Self::Changed(id, fields) => {
                write!(f, "`{id}` changed: {}", fields.join(", "))
            }
        }
    }
}

impl CatalogueFile {
    pub(super) fn new(selection: CatalogueSelection, functions: Vec<CatalogueFunction>) -> Self {
        let mut file = Self { version: VERSION, selection, functions };
        file.normalise();
        file
    }

    /// Parses the JSON of a file. Skips a byte order mark.
    ///
    /// # Errors
    ///
    /// `invalid_argument` if it is not the JSON of a catalogue file, or has another version.
    pub fn parse(json: &str) -> Result<Self> {
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let mut file: Self = serde_json::from_str(json).map_err(|error| {
            Error::new(code::INVALID_ARGUMENT, format!("this is not a catalogue file: {error}"))
        })?;
        if file.version != VERSION {
            let text = format!(
                "the catalogue file has version {}, and this release reads version {VERSION}",
                file.version
            );
            return Err(Error::new(code::INVALID_ARGUMENT, text));
        }
        file.normalise();
        Ok(file)
    }

    /// The filter that selected the functions.
    pub(super) fn selection(&self) -> &CatalogueSelection {
        &self.selection
    }

    /// The functions, sorted by id and namespace.
    pub fn functions(&self) -> &[CatalogueFunction] {
        &self.functions
    }

    /// The JSON of the file. Equal functions give equal JSON, whatever their order in the engine.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        // The keys are strings and the values JSON, so it cannot fail.
        let mut json = json.expect("a catalogue file serialises");
        json.push('\n');
        json
    }

    /// The differences of `other` from this file, sorted by id. Ignores the order and the layout of the JSON.
    pub fn differences(&self, other: &Self) -> Vec<CatalogueDifference> {
        let by_key = |file: &'_ Self| -> BTreeMap<_, _> {
            file.functions.iter().map(|function| (function.key(), function.clone())).collect()
        };
        let (ours, theirs) = (by_key(self), by_key(other));
        let mut keys: Vec<_> = ours.keys().chain(theirs.keys()).collect();
        keys.sort();
        keys.dedup();
        let compare = |key: &(FunctionId, Namespace)| {
            let id = key.0.clone();
            match (ours.get(key), theirs.get(key)) {
                (Some(ours), Some(theirs)) => {
                    let fields = ours.changed_fields(theirs);
                    (!fields.is_empty()).then_some(CatalogueDifference::Changed(id, fields))
                }
                (Some(_), None) => Some(CatalogueDifference::Removed(id)),
                (None, _) => Some(CatalogueDifference::Added(id)),
            }
        };
        keys.into_iter().filter_map(compare).collect()
    }

    /// Sorts everything whose order has no meaning.
    fn normalise(&mut self) {
        for function in &mut self.functions {
            let schemas = [&mut function.request_schema, &mut function.response_schema];
            schemas.into_iter().flatten().for_each(sort_required);
            let all = [
                &mut function.request_schema,
                &mut function.response_schema,
                &mut function.metadata,
            ];
            // Another crate may have enabled the feature `preserve_order` of serde_json.
            all.into_iter().flatten().for_each(Value::sort_all_objects);
        }
        self.functions.sort_by_key(CatalogueFunction::key);
    }
}

impl CatalogueFunction {
    fn key(&self) -> (FunctionId, Namespace) {
        (self.function_id.clone(), self.namespace.clone().unwrap_or_default())
    }

    fn changed_fields(&self, other: &Self) -> Vec<&'static str> {
        [
            ("description", self.description != other.description),
            ("request_schema", self.request_schema != other.request_schema),
            ("response_schema", self.response_schema != other.response_schema),
            ("metadata", self.metadata != other.metadata),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// Sorts the sets in a JSON Schema, which are the lists of `required`. Keeps data in the schema unchanged.
fn sort_required(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "const" | "default" | "enum" | "examples" => {}
                    "required" if value.is_array() => {
                        if let Value::Array(names) = value {
                            names.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                        }
                    }
                    _ => sort_required(value),
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(sort_required),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(functions: &str) -> CatalogueFile {
        CatalogueFile::parse(&format!(r#"{{"version":1,"functions":[{functions}]}}"#)).unwrap()
    }

    #[test]
    fn the_json_is_independent_of_the_order() {
        let a = file(
            r#"{"function_id":"b::b"},{"function_id":"a::a","request_schema":
                {"type":"object","required":["b","a"],"default":{"required":["b","a"]}}}"#,
        );
        let b = file(
            r#"{"function_id":"a::a","description":null,"request_schema":
                {"required":["a","b"],"default":{"required":["b","a"]},"type":"object"}},{"function_id":"b::b"}"#,
        );
        assert_eq!(a.to_json(), b.to_json());
        assert_eq!(a.differences(&b), []);
        assert!(a.to_json().ends_with("\n}\n"), "{}", a.to_json());
        assert!(
            a.to_json().contains(
                r#""b",
            "a""#
            ),
            "data is unchanged: {}",
            a.to_json()
        );
        assert_eq!(CatalogueFile::parse(&a.to_json()).unwrap(), a);
        assert!(!a.to_json().contains("selection"));
    }

    #[test]
    fn each_difference_is_reported() {
        let a = file(r#"{"function_id":"a::a"},{"function_id":"a::b"},{"function_id":"a::c"}"#);
        let b = file(
            r#"{"function_id":"a::d"},{"function_id":"a::b","namespace":"default"},
                {"function_id":"a::c","description":"x","response_schema":true}"#,
        );
        let reported: Vec<String> = a.differences(&b).iter().map(ToString::to_string).collect();
        assert_eq!(
            reported,
            [
                "`a::a` was removed",
                "`a::c` changed: description, response_schema",
                "`a::d` was added"
            ]
        );
    }

    #[test]
    fn an_invalid_file_is_a_coded_error() {
        for json in ["", "[]", r#"{"version":2,"functions":[]}"#, r#"{"version":1}"#] {
            let error = CatalogueFile::parse(json).unwrap_err();
            assert_eq!(error.code(), code::INVALID_ARGUMENT, "{json}");
        }
    }
}
