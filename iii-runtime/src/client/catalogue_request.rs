//! The request that reads a catalogue file from an engine.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::catalogue_file::CatalogueSelection;
use super::{CatalogueFile, CatalogueFunction, Client, FunctionSummary, WorkerSummary};
use iii_wire::Result;
use iii_wire::protocol::{FunctionId, Namespace, Payload};

/// The maximum number of ids in one query of `engine::functions::info`.
const MAX_IDS_PER_QUERY: usize = 32;

/// Reads the functions of an engine with their schemas when it is awaited. Created by [`Client::catalogue_file`].
#[must_use = "a catalogue is read when it is awaited"]
#[derive(Debug)]
pub struct CatalogueRequest {
    client: Client,
    selection: CatalogueSelection,
}

impl CatalogueRequest {
    /// Limits the functions to a namespace. Default: all.
    pub fn namespace(mut self, namespace: impl Into<Namespace>) -> Self {
        self.selection.namespace = Some(namespace.into());
        self
    }

    /// Limits the functions to a service: `orders` selects `orders::create`, but not `orders2::create`. Default: all.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.selection.prefix = Some(prefix.into());
        self
    }

    /// Includes the built-in functions of the engine, and functions that are marked as internal. Default: excluded.
    pub fn include_builtin(mut self) -> Self {
        self.selection.include_builtin = true;
        self
    }

    /// Selects functions by the filter with which `file` was written.
    pub fn same_selection_as(mut self, file: &CatalogueFile) -> Self {
        self.selection = file.selection().clone();
        self
    }

    async fn read(self) -> Result<CatalogueFile> {
        let Self { client, selection } = self;
        let mut list = client.functions();
        if let Some(prefix) = &selection.prefix {
            list = list.prefix(prefix.clone());
        }
        let mut summaries = if selection.include_builtin {
            list.internal().await?
        } else {
            let providers = client.workers().runtime("engine").await?;
            let mut functions = list.await?;
            functions.retain(|function| !is_builtin(function, &providers));
            functions
        };
        summaries.retain(|function| {
            let namespace = selection.namespace.as_ref();
            let prefix = selection.prefix.as_ref();
            namespace.is_none_or(|namespace| *namespace == function.namespace)
                && prefix.is_none_or(|prefix| has_prefix(&function.function_id, prefix))
        });
        let mut by_namespace: BTreeMap<Namespace, Vec<FunctionId>> = BTreeMap::new();
        for FunctionSummary { namespace, function_id, .. } in summaries {
            by_namespace.entry(namespace).or_default().push(function_id);
        }
        let mut functions = Vec::new();
        for (namespace, ids) in &by_namespace {
            for ids in ids.chunks(MAX_IDS_PER_QUERY) {
                let query = InfoQuery { function_ids: ids, namespace };
                let info: InfoResult = client.builtin("engine::functions::info", &query).await?;
                functions.extend(info.functions.into_iter().filter_map(InfoEntry::found));
            }
        }
        Ok(CatalogueFile::new(selection, functions))
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
struct InfoQuery<'a> {
    function_ids: &'a [FunctionId],
    namespace: &'a Namespace,
}

#[derive(Deserialize)]
struct InfoResult {
    functions: Vec<InfoEntry>,
}

/// A function, or the error of its query.
#[derive(Deserialize)]
struct InfoEntry {
    #[serde(flatten)]
    function: CatalogueFunction,
    #[serde(default)]
    error: Option<Payload>,
}

impl InfoEntry {
    /// The function. `None` if it was removed after the list was read.
    fn found(self) -> Option<CatalogueFunction> {
        self.error.is_none().then_some(self.function)
    }
}

/// Whether the engine itself serves a function.
fn is_builtin(function: &FunctionSummary, providers: &[WorkerSummary]) -> bool {
    let serves = |provider: &WorkerSummary| provider.name.as_ref() == Some(&function.worker_name);
    *function.namespace == *Namespace::default()
        && (function.function_id.starts_with("engine::")
            || function.function_id.starts_with("iii::")
            || providers.iter().any(serves))
}

/// Whether `prefix` is the first segments of an id.
fn has_prefix(id: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix("::").unwrap_or(prefix);
    id.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl Client {
    /// Reads the functions of the engine with their schemas, for a file to commit. See [`CatalogueFile`].
    pub fn catalogue_file(&self) -> CatalogueRequest {
        CatalogueRequest { client: self.clone(), selection: CatalogueSelection::default() }
    }
}
