//! Catalogue files: the functions of an engine with their schemas, as a file to commit (protocol section 6.1).

use std::collections::BTreeMap;
use std::fmt;
use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Client, FunctionSummary, WorkerSummary};
use iii_wire::protocol::{FunctionId, Namespace, Payload};
use iii_wire::{Error, Result, code};

/// The version of the form.
const VERSION: u32 = 1;

/// How many functions can be asked about at once.
const AT_ONCE: usize = 32;

/// The functions of an engine with their schemas: what [`import!`](crate::import) reads.
///
/// [`Client::catalogue_file`] reads it from an engine, and the command `iii catalogue` writes it. The same functions give the
/// same text, so it can be committed, and a test can compare it:
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
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    selection: Selection,
    functions: Vec<CatalogueFunction>,
}

/// Which functions a file has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Selection {
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<Namespace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_builtin: bool,
}

impl Selection {
    fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// One function of a catalogue file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogueFunction {
    /// Its id.
    pub function_id: FunctionId,
    /// The partition it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// JSON Schema of the input.
    #[serde(default)]
    pub request_schema: Option<Value>,
    /// JSON Schema of the result.
    #[serde(default)]
    pub response_schema: Option<Value>,
    /// What its worker says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
}

/// What is not the same in two catalogue files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogueDifference {
    /// Only the other one has the function.
    Added(FunctionId),
    /// The other one does not have the function.
    Removed(FunctionId),
    /// The function has another value of these fields, such as `request_schema`.
    Changed(FunctionId, Vec<&'static str>),
}

impl fmt::Display for CatalogueDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(id) => write!(f, "`{id}` is new"),
            Self::Removed(id) => write!(f, "`{id}` is gone"),
            Self::Changed(id, fields) => {
                write!(f, "`{id}` has changed: {}", fields.join(", "))
            }
        }
    }
}

impl CatalogueFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// `invalid_argument`, if it is not the JSON of a catalogue file, or of a later version.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut file: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(code::INVALID_ARGUMENT, format!("this is no catalogue file: {error}"))
        })?;
        if file.version != VERSION {
            let text = format!(
                "the catalogue file has version {}, and this release reads version {VERSION}",
                file.version
            );
            return Err(Error::new(code::INVALID_ARGUMENT, text));
        }
        file.order();
        Ok(file)
    }

    /// The functions, in the order of their ids and namespaces.
    pub fn functions(&self) -> &[CatalogueFunction] {
        &self.functions
    }

    /// The text of the file: the same for the same functions, whatever order the engine tells them in.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        // Texts as keys, and values that are JSON already.
        let mut text = text.expect("a catalogue file can always be written");
        text.push('\n');
        text
    }

    /// What `other` has otherwise, in the order of the ids. The order and the layout of the text do not count.
    pub fn differences(&self, other: &Self) -> Vec<CatalogueDifference> {
        let by_key = |file: &'_ Self| -> BTreeMap<_, _> {
            file.functions.iter().map(|one| (one.key(), one.clone())).collect()
        };
        let (ours, theirs) = (by_key(self), by_key(other));
        let mut keys: Vec<_> = ours.keys().chain(theirs.keys()).collect();
        keys.sort();
        keys.dedup();
        let compare = |key: &(FunctionId, Namespace)| {
            let id = key.0.clone();
            match (ours.get(key), theirs.get(key)) {
                (Some(ours), Some(theirs)) => {
                    let fields = ours.differing(theirs);
                    (!fields.is_empty()).then_some(CatalogueDifference::Changed(id, fields))
                }
                (Some(_), None) => Some(CatalogueDifference::Removed(id)),
                (None, _) => Some(CatalogueDifference::Added(id)),
            }
        };
        keys.into_iter().filter_map(compare).collect()
    }

    /// Puts everything in one order.
    fn order(&mut self) {
        for function in &mut self.functions {
            let schemas = [&mut function.request_schema, &mut function.response_schema];
            schemas.into_iter().flatten().for_each(order_schema);
            let all = [
                &mut function.request_schema,
                &mut function.response_schema,
                &mut function.metadata,
            ];
            // Some crate may have told serde_json to keep the order of fields.
            all.into_iter().flatten().for_each(Value::sort_all_objects);
        }
        self.functions.sort_by_key(CatalogueFunction::key);
    }
}

impl CatalogueFunction {
    fn key(&self) -> (FunctionId, Namespace) {
        (self.function_id.clone(), self.namespace.clone().unwrap_or_default())
    }

    fn differing(&self, other: &Self) -> Vec<&'static str> {
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

/// Sorts what is a set in JSON Schema: `required`. Data in a schema stays as it is.
fn order_schema(schema: &mut Value) {
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
                    _ => order_schema(value),
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(order_schema),
        _ => {}
    }
}

/// A question for the functions of an engine with their schemas, asked when it is awaited.
#[must_use = "a catalogue is read when it is awaited"]
#[derive(Debug)]
pub struct CatalogueRequest {
    client: Client,
    selection: Selection,
}

impl CatalogueRequest {
    /// Only functions of this namespace. Default: of all.
    pub fn namespace(mut self, namespace: impl Into<Namespace>) -> Self {
        self.selection.namespace = Some(namespace.into());
        self
    }

    /// Only functions of a service: `orders` has `orders::create`, and not `orders2::create`. Default: of all.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.selection.prefix = Some(prefix.into());
        self
    }

    /// Also functions of the engine itself, and those that are marked as internal. Default: without them.
    pub fn include_builtin(mut self) -> Self {
        self.selection.include_builtin = true;
        self
    }

    /// The functions that a file has, as it says: what it was written with holds again.
    pub fn same_selection_as(mut self, file: &CatalogueFile) -> Self {
        self.selection = file.selection.clone();
        self
    }

    async fn read(self) -> Result<CatalogueFile> {
        let Self { client, selection } = self;
        let mut listing = client.functions();
        if let Some(prefix) = &selection.prefix {
            listing = listing.prefix(prefix.clone());
        }
        let mut summaries = if selection.include_builtin {
            listing.internal().await?
        } else {
            let parts = client.workers().runtime("engine").await?;
            let mut listed = listing.await?;
            listed.retain(|function| !is_builtin(function, &parts));
            listed
        };
        summaries.retain(|function| {
            let wanted = selection.namespace.as_ref();
            wanted.is_none_or(|namespace| *namespace == function.namespace)
                && selection
                    .prefix
                    .as_ref()
                    .is_none_or(|prefix| is_of(prefix, &function.function_id))
        });
        let mut by_namespace: BTreeMap<Namespace, Vec<FunctionId>> = BTreeMap::new();
        for FunctionSummary { namespace, function_id, .. } in summaries {
            by_namespace.entry(namespace).or_default().push(function_id);
        }
        let mut functions = Vec::new();
        for (namespace, ids) in &by_namespace {
            for ids in ids.chunks(AT_ONCE) {
                let query = Query { function_ids: ids, namespace };
                let answer: Answer = client.builtin("engine::functions::info", &query).await?;
                functions.extend(answer.functions.into_iter().filter_map(Told::known));
            }
        }
        let mut file = CatalogueFile { version: VERSION, selection, functions };
        file.order();
        Ok(file)
    }
}

impl IntoFuture for CatalogueRequest {
    type Output = Result<CatalogueFile>;
    type IntoFuture = BoxFuture<'static, Result<CatalogueFile>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.read())
    }
}

#[derive(Serialize)]
struct Query<'a> {
    function_ids: &'a [FunctionId],
    namespace: &'a Namespace,
}

#[derive(Deserialize)]
struct Answer {
    functions: Vec<Told>,
}

/// A function, or why it is not told.
#[derive(Deserialize)]
struct Told {
    #[serde(flatten)]
    function: CatalogueFunction,
    #[serde(default)]
    error: Option<Payload>,
}

impl Told {
    /// One that has gone since the list was made is left out.
    fn known(self) -> Option<CatalogueFunction> {
        self.error.is_none().then_some(self.function)
    }
}

/// Whether a function is a part of the engine.
fn is_builtin(function: &FunctionSummary, parts: &[WorkerSummary]) -> bool {
    let of_part = |part: &WorkerSummary| part.name.as_ref() == Some(&function.worker_name);
    *function.namespace == *Namespace::default()
        && (function.function_id.starts_with("engine::")
            || function.function_id.starts_with("iii::")
            || parts.iter().any(of_part))
}

fn is_of(prefix: &str, id: &str) -> bool {
    let prefix = prefix.strip_suffix("::").unwrap_or(prefix);
    id.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl Client {
    /// Reads the functions of the engine with their schemas, for a file to commit. See [`CatalogueFile`].
    pub fn catalogue_file(&self) -> CatalogueRequest {
        CatalogueRequest { client: self.clone(), selection: Selection::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(functions: &str) -> CatalogueFile {
        CatalogueFile::parse(&format!(r#"{{"version":1,"functions":[{functions}]}}"#)).unwrap()
    }

    #[test]
    fn the_text_does_not_depend_on_any_order() {
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
            "data stays: {}",
            a.to_json()
        );
        assert_eq!(CatalogueFile::parse(&a.to_json()).unwrap(), a);
        assert!(!a.to_json().contains("selection"));
    }

    #[test]
    fn each_difference_is_told() {
        let a = file(r#"{"function_id":"a::a"},{"function_id":"a::b"},{"function_id":"a::c"}"#);
        let b = file(
            r#"{"function_id":"a::d"},{"function_id":"a::b","namespace":"default"},
                {"function_id":"a::c","description":"x","response_schema":true}"#,
        );
        let told: Vec<String> = a.differences(&b).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["`a::a` is gone", "`a::c` has changed: description, response_schema", "`a::d` is new"]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_has_a_code() {
        for text in ["", "[]", r#"{"version":2,"functions":[]}"#, r#"{"version":1}"#] {
            let error = CatalogueFile::parse(text).unwrap_err();
            assert_eq!(error.code(), code::INVALID_ARGUMENT, "{text}");
        }
    }
}
