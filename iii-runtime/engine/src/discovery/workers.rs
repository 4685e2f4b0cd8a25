//! The functions `engine::workers::list` and `engine::workers::info`, and the listing of `engine::workers::register`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::output::{FunctionSummary, TriggerSummary, TriggerTypeSummary, WorkerSummary};
use super::{Discovery, not_found};
use crate::broker::{
    ANNOUNCE, Announcement, FunctionView, Visibility, WorkerInfo, WorkerView, announcement_error,
};
use crate::provider::BuiltIn;
use crate::worker_gauges::WorkerMetrics;
use iii_wire::protocol::{DEFAULT_NAMESPACE, ErrorBody, WorkerId};

/// Input of `engine::workers::list`. Absent fields match everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct WorkerListInput {
    /// A substring of the name, the id or the description. Ignores case.
    search: Option<String>,
    /// The runtime; `engine` for providers of the engine.
    runtime: Option<String>,
    /// `connected` or `available`.
    status: Option<String>,
}

/// Output of `engine::workers::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct WorkerListOutput {
    /// The workers. Workers without a process id, such as browsers, are omitted.
    workers: Vec<WorkerSummary>,
}

/// Input of `engine::workers::info`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct WorkerInfoInput {
    /// The name of the worker.
    name: String,
    /// The namespace. Default: `default`.
    namespace: Option<String>,
}

/// A worker with all details.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct WorkerDetail {
    #[serde(flatten)]
    worker: WorkerSummary,
    /// The process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u64>,
    /// Whether it is a provider of the engine.
    internal: bool,
    /// The latest metrics that the worker reported about its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_metrics: Option<WorkerMetrics>,
}

/// Output of `engine::workers::info`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct WorkerInfoOutput {
    /// The worker.
    worker: WorkerDetail,
    /// The functions of the worker.
    functions: Vec<FunctionSummary>,
    /// The trigger types that the worker provides.
    trigger_types: Vec<TriggerTypeSummary>,
    /// The triggers that the worker registered.
    registered_triggers: Vec<TriggerSummary>,
}

/// Output of `engine::workers::register`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct AnnounceOutput {
    /// Whether the name was available.
    success: bool,
}

impl Discovery {
    pub(super) fn worker_functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        vec![
            self.listing_function(
                "engine::workers::list",
                "Lists the connected workers and the providers of the engine.",
                |this, input, visibility| Ok(this.list_workers(input, visibility)),
            ),
            self.listing_function(
                "engine::workers::info",
                "Describes a worker with its functions, trigger types and triggers.",
                Self::describe_worker,
            ),
            // The broker handles calls of this function; here it is only listed.
            BuiltIn::sync(
                ANNOUNCE,
                "Announces the calling worker to the engine.",
                |_: Announcement, _| Err::<Option<AnnounceOutput>, _>(announcement_error()),
            ),
        ]
    }

    /// Returns the workers that a caller may see: itself, and those with a function that it may call. The addresses of
    /// other workers are removed.
    fn workers(&self, visibility: &Visibility) -> Vec<WorkerView> {
        let mut workers = self.broker.workers();
        if !visibility.is_restricted() {
            return workers;
        }
        let mut functions = self.broker.functions();
        functions.retain(|function| visibility.function(function));
        for view in &mut workers {
            if visibility.is_owner(view.connection) {
                continue;
            }
            view.peer = None;
            let is_owned = |function: &&FunctionView| match view.connection {
                Some(_) => function.owner == view.connection,
                None => function.owner.is_none() && function.worker_name == view.id,
            };
            view.function_count = functions.iter().filter(is_owned).count();
        }
        workers.retain(|view| visibility.is_owner(view.connection) || view.function_count > 0);
        workers
    }

    fn list_workers(&self, input: &WorkerListInput, visibility: &Visibility) -> WorkerListOutput {
        let search = input.search.as_deref().unwrap_or_default().to_lowercase();
        let matches_search = |worker: &WorkerSummary| {
            let fields = [Some(&worker.id), worker.name.as_ref(), worker.description.as_ref()];
            fields.into_iter().flatten().any(|field| field.to_lowercase().contains(&search))
        };
        let workers = self
            .workers(visibility)
            .iter()
            .filter(|view| {
                view.connection.is_none()
                    || view.info.as_ref().is_some_and(|info| info.pid.is_some())
            })
            .map(WorkerSummary::from)
            .filter(|worker| input.runtime.is_none() || worker.runtime == input.runtime)
            .filter(|worker| input.status.as_ref().is_none_or(|status| status == worker.status))
            .filter(matches_search)
            .collect();
        WorkerListOutput { workers }
    }

    fn describe_worker(
        &self,
        input: &WorkerInfoInput,
        visibility: &Visibility,
    ) -> Result<WorkerInfoOutput, ErrorBody> {
        let namespace = input.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let workers = self.workers(visibility);
        let has_name = |info: &WorkerInfo| info.name.as_deref() == Some(&input.name);
        let view = workers
            .iter()
            .find(|view| view.namespace == namespace && view.info.as_ref().is_some_and(has_name))
            .ok_or_else(|| not_found(format!("the worker `{}` is not connected", input.name)))?;
        let internal = view.connection.is_none();
        let is_owned = |owner: Option<WorkerId>, worker_name: &str| {
            owner == view.connection && (!internal || worker_name == input.name)
        };
        let functions = self.broker.functions();
        let types = self.broker.trigger_types();
        let bindings = self.broker.bindings();
        Ok(WorkerInfoOutput {
            worker: WorkerDetail {
                worker: view.into(),
                pid: view.info.as_ref().and_then(|info| info.pid),
                internal,
                latest_metrics: view.connection.and_then(|id| {
                    let runtime = view.info.as_ref().map(|info| info.runtime.as_str());
                    self.gauges.latest(id, runtime.unwrap_or_default())
                }),
            },
            functions: functions
                .iter()
                .filter(|view| is_owned(view.owner, &view.worker_name) && visibility.function(view))
                .map(Into::into)
                .collect(),
            trigger_types: types
                .iter()
                .filter(|view| {
                    is_owned(view.owner, &view.worker_name) && visibility.trigger_type(view)
                })
                .map(Into::into)
                .collect(),
            registered_triggers: bindings
                .iter()
                .filter(|binding| !internal && binding.owner == view.connection)
                .filter(|binding| visibility.binding(binding))
                .map(|binding| TriggerSummary::new(binding, &workers, visibility))
                .collect(),
        })
    }
}
