//! The functions `engine::functions::list` and `engine::functions::info`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::output::{FunctionDetail, FunctionSummary};
use super::{Discovery, invalid_arguments, not_found};
use crate::broker::{FunctionView, Visibility, forbidden};
use crate::provider::BuiltIn;
use iii_wire::code;
use iii_wire::protocol::{DEFAULT_NAMESPACE, ErrorBody, FunctionId, Namespace};

/// Maximum number of ids in `function_ids`.
const MAX_IDS: usize = 32;

/// Input of `engine::functions::list`. Absent fields match everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct FunctionListInput {
    /// A substring of the id or of the description. Ignores case.
    search: Option<String>,
    /// A prefix of the id.
    prefix: Option<String>,
    /// The name of the worker.
    worker: Option<String>,
    /// The names of several workers.
    workers: Option<Vec<String>>,
    /// Whether to include functions of the engine and functions marked as internal. Default: false.
    include_internal: Option<bool>,
}

/// Output of `engine::functions::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct FunctionListOutput {
    /// The functions, ordered by id; with `search`, the best matches first.
    functions: Vec<FunctionSummary>,
}

/// Input of `engine::functions::info`: either `function_id` or `function_ids`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct FunctionInfoInput {
    /// The id of one function.
    function_id: Option<String>,
    /// The ids of several functions, at most 32.
    function_ids: Option<Vec<String>>,
    /// The namespace. Default: `default`, or else the only namespace with the function.
    namespace: Option<String>,
}

/// Output of `engine::functions::info`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
enum FunctionInfoOutput {
    Single(Box<FunctionDetail>),
    Multiple { functions: Vec<FunctionInfoEntry> },
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
enum FunctionInfoEntry {
    Found(Box<FunctionDetail>),
    Missing { function_id: String, error: &'static str },
}

/// Returns whether a function is internal: of the engine, or marked by `internal` in its metadata.
fn is_internal(view: &FunctionView) -> bool {
    #[derive(Deserialize)]
    struct InternalMark {
        #[serde(default)]
        internal: bool,
    }
    let mark = || view.metadata.as_ref().and_then(|metadata| metadata.parse::<InternalMark>().ok());
    let of_engine = view.id.starts_with("engine::") && !view.id.starts_with("engine::queue::");
    of_engine || mark().is_some_and(|mark| mark.internal)
}

/// Ranks the match of a lower-case search text; 0 is the best. Returns `None` if nothing matches.
pub(super) fn search_rank(id: &str, description: Option<&str>, search: &str) -> Option<u8> {
    let contains = |text: &str| text.to_lowercase().contains(search);
    let id_lower = id.to_lowercase();
    if id_lower.split("::").any(|segment| segment == search) {
        Some(0)
    } else if id_lower.starts_with(search) {
        Some(1)
    } else if contains(id) {
        Some(2)
    } else if description.is_some_and(contains) {
        Some(3)
    } else {
        None
    }
}

impl Discovery {
    pub(super) fn function_functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        vec![
            self.listing_function(
                "engine::functions::list",
                "Lists the registered functions.",
                |this, input, visibility| Ok(this.list_functions(input, visibility)),
            ),
            self.listing_function(
                "engine::functions::info",
                "Describes one function or several.",
                Self::describe_functions,
            ),
        ]
    }

    fn list_functions(
        &self,
        input: &FunctionListInput,
        visibility: &Visibility,
    ) -> FunctionListOutput {
        let matches_worker = |view: &FunctionView| {
            let name = &view.worker_name;
            input.worker.as_ref().is_none_or(|worker| worker == name)
                && input.workers.as_ref().is_none_or(|workers| workers.contains(name))
        };
        let all = input.include_internal.unwrap_or(false);
        let search = input.search.as_deref().unwrap_or_default().to_lowercase();
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let mut found: Vec<(u8, FunctionSummary)> = self
            .broker
            .functions()
            .iter()
            .filter(|view| {
                (all || !is_internal(view))
                    && matches_worker(view)
                    && view.id.starts_with(prefix)
                    && visibility.function(view)
            })
            .filter_map(|view| {
                Some((search_rank(&view.id, view.description.as_deref(), &search)?, view.into()))
            })
            .collect();
        if !search.is_empty() {
            found.sort_by_key(|(rank, _)| *rank);
        }
        FunctionListOutput { functions: found.into_iter().map(|(_, function)| function).collect() }
    }

    fn describe_functions(
        &self,
        input: &FunctionInfoInput,
        visibility: &Visibility,
    ) -> Result<FunctionInfoOutput, ErrorBody> {
        let namespace = input.namespace.as_deref();
        match (&input.function_id, &input.function_ids) {
            (Some(id), None) => {
                self.describe_function(id, namespace, visibility).map(FunctionInfoOutput::Single)
            }
            (None, Some(ids)) if (1..=MAX_IDS).contains(&ids.len()) => {
                let mut unique: Vec<&String> = Vec::new();
                for id in ids {
                    if !unique.contains(&id) {
                        unique.push(id);
                    }
                }
                let describe = |id: &String| match self.describe_function(id, namespace, visibility)
                {
                    Ok(detail) => FunctionInfoEntry::Found(detail),
                    Err(error) => {
                        let is_forbidden = error.code == code::FORBIDDEN;
                        let error = if is_forbidden { "forbidden" } else { "not_found" };
                        FunctionInfoEntry::Missing { function_id: id.clone(), error }
                    }
                };
                let functions = unique.into_iter().map(describe).collect();
                Ok(FunctionInfoOutput::Multiple { functions })
            }
            (None, Some(_)) => {
                Err(invalid_arguments(format!("`function_ids` must have 1 to {MAX_IDS} ids")))
            }
            _ => Err(invalid_arguments(
                "exactly one of `function_id` and `function_ids` is required".to_owned(),
            )),
        }
    }

    fn describe_function(
        &self,
        id: &str,
        namespace: Option<&str>,
        visibility: &Visibility,
    ) -> Result<Box<FunctionDetail>, ErrorBody> {
        // A worker may refer to its own functions by the ids before they were rewritten.
        let view = match visibility.resolve_own_function(id) {
            Some((home, id)) => self.function(&id, Some(&home), visibility)?,
            None => self.function(id, namespace, visibility)?,
        };
        Ok(Box::new(FunctionDetail::new(&self.broker, &view, visibility)))
    }

    /// Returns the function in `namespace`. Without a namespace: the function in `default`, or else the only one.
    ///
    /// # Errors
    ///
    /// Code `FORBIDDEN` for an id that the caller may not call, whether it is registered or not. Code `NOT_FOUND` if there
    /// is no such function, or several.
    pub(super) fn function(
        &self,
        id: &str,
        namespace: Option<&str>,
        visibility: &Visibility,
    ) -> Result<FunctionView, ErrorBody> {
        let mut all = self.broker.functions_called(id);
        all.retain(|view| visibility.function(view));
        let target = namespace.map_or_else(Namespace::default, Namespace::from);
        if all.is_empty() && !visibility.may_call(&target, &FunctionId::from(id), None) {
            return Err(forbidden(format!("this connection may not call the function `{id}`")));
        }
        let preferred = namespace.unwrap_or(DEFAULT_NAMESPACE);
        if let Some(index) = all.iter().position(|view| view.namespace == preferred) {
            return Ok(all.swap_remove(index));
        }
        match (namespace, all.len()) {
            (None, 1) => Ok(all.swap_remove(0)),
            (None, count) if count > 1 => Err(not_found(format!(
                "the function `{id}` is ambiguous: it is registered in {count} namespaces, specify `namespace`"
            ))),
            _ => Err(not_found(format!("the function `{id}` is not registered"))),
        }
    }
}
