//! `engine::functions::list` and `engine::functions::info`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::shapes::{FunctionDetail, FunctionSummary};
use super::{Discovery, invalid, missing};
use crate::broker::{Eyes, FunctionView, forbidden};
use crate::provider::BuiltIn;
use iii_wire::code;
use iii_wire::protocol::{DEFAULT_NAMESPACE, ErrorBody, FunctionId, Namespace};

/// How many functions can be asked about at once.
const AT_ONCE: usize = 32;

/// The input of `engine::functions::list`. What is absent matches everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct List {
    /// A part of the id or of the description.
    search: Option<String>,
    /// The beginning of the id.
    prefix: Option<String>,
    /// The name of the worker.
    worker: Option<String>,
    /// The names of several workers.
    workers: Option<Vec<String>>,
    /// Whether functions of the engine and internal ones are listed as well. Default no.
    include_internal: Option<bool>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Listed {
    /// The functions, in the order of their ids.
    functions: Vec<FunctionSummary>,
}

/// The input of `engine::functions::info`: exactly one of the two.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Info {
    /// One function.
    function_id: Option<String>,
    /// Several functions, at most 32.
    function_ids: Option<Vec<String>>,
    /// The namespace. Default: `default`, else the only one that has the function.
    namespace: Option<String>,
}

/// One function, or several.
#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
enum Found {
    One(Box<FunctionDetail>),
    Several { functions: Vec<Entry> },
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
enum Entry {
    Found(Box<FunctionDetail>),
    Missing { function_id: String, error: &'static str },
}

/// Whether a list leaves a function out unless it is asked for.
fn is_internal(view: &FunctionView) -> bool {
    #[derive(Deserialize)]
    struct Mark {
        #[serde(default)]
        internal: bool,
    }
    let marked = || view.metadata.as_ref().and_then(|metadata| metadata.parse::<Mark>().ok());
    let of_engine = view.id.starts_with("engine::") && !view.id.starts_with("engine::queue::");
    of_engine || marked().is_some_and(|mark| mark.internal)
}

/// How well an id fits a search: less is better. `None`: not at all.
pub(super) fn rank(id: &str, description: Option<&str>, search: &str) -> Option<u8> {
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
            self.view(
                "engine::functions::list",
                "Lists the functions that can be called.",
                |this, input, eyes| Ok(this.list_functions(input, eyes)),
            ),
            self.view(
                "engine::functions::info",
                "Describes one function or several.",
                Self::describe_functions,
            ),
        ]
    }

    fn list_functions(&self, input: &List, eyes: &Eyes) -> Listed {
        let named = |view: &FunctionView| {
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
                    && named(view)
                    && view.id.starts_with(prefix)
                    && eyes.function(view)
            })
            .filter_map(|view| {
                Some((rank(&view.id, view.description.as_deref(), &search)?, view.into()))
            })
            .collect();
        if !search.is_empty() {
            found.sort_by_key(|(rank, _)| *rank);
        }
        Listed { functions: found.into_iter().map(|(_, function)| function).collect() }
    }

    fn describe_functions(&self, input: &Info, eyes: &Eyes) -> Result<Found, ErrorBody> {
        let namespace = input.namespace.as_deref();
        match (&input.function_id, &input.function_ids) {
            (Some(id), None) => self.describe(id, namespace, eyes).map(Found::One),
            (None, Some(ids)) if (1..=AT_ONCE).contains(&ids.len()) => {
                let mut asked: Vec<&String> = Vec::new();
                for id in ids {
                    if !asked.contains(&id) {
                        asked.push(id);
                    }
                }
                let describe = |id: &String| match self.describe(id, namespace, eyes) {
                    Ok(detail) => Entry::Found(detail),
                    Err(error) => {
                        let hidden = error.code == code::FORBIDDEN;
                        let error = if hidden { "forbidden" } else { "not_found" };
                        Entry::Missing { function_id: id.clone(), error }
                    }
                };
                Ok(Found::Several { functions: asked.into_iter().map(describe).collect() })
            }
            (None, Some(_)) => Err(invalid(format!("`function_ids` takes 1 to {AT_ONCE} ids"))),
            _ => Err(invalid("give either `function_id` or `function_ids`".to_owned())),
        }
    }

    fn describe(
        &self,
        id: &str,
        namespace: Option<&str>,
        eyes: &Eyes,
    ) -> Result<Box<FunctionDetail>, ErrorBody> {
        // A worker may ask about its functions by the ids that it gave them.
        let view = match eyes.own_function(id) {
            Some((home, id)) => self.function(&id, Some(&home), eyes)?,
            None => self.function(id, namespace, eyes)?,
        };
        Ok(Box::new(FunctionDetail::new(&self.broker, &view, eyes)))
    }

    /// The function in a namespace; without one, in `default`, else where it is alone.
    ///
    /// One that the caller could not call is not admitted to be there, nor not to be there.
    pub(super) fn function(
        &self,
        id: &str,
        namespace: Option<&str>,
        eyes: &Eyes,
    ) -> Result<FunctionView, ErrorBody> {
        let mut all = self.broker.functions_called(id);
        all.retain(|view| eyes.function(view));
        let place = namespace.map_or_else(Namespace::default, Namespace::from);
        if all.is_empty() && !eyes.may_call(&place, &FunctionId::from(id), None) {
            return Err(forbidden(format!("the function `{id}` is not for this connection")));
        }
        let wanted = namespace.unwrap_or(DEFAULT_NAMESPACE);
        if let Some(at) = all.iter().position(|view| view.namespace == wanted) {
            return Ok(all.swap_remove(at));
        }
        match (namespace, all.len()) {
            (None, 1) => Ok(all.swap_remove(0)),
            (None, several) if several > 1 => Err(missing(format!(
                "the function `{id}` is ambiguous: {several} namespaces have it, name one with `namespace`"
            ))),
            _ => Err(missing(format!("the function `{id}` is not registered"))),
        }
    }
}
