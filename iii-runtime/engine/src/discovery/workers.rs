//! `engine::workers::list`, `engine::workers::info`, and the entry of `engine::workers::register`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::shapes::{FunctionSummary, TriggerSummary, TypeSummary, Worker};
use super::{Discovery, missing};
use crate::broker::{ANNOUNCE, Announcement, Eyes, FunctionView, WorkerView, announcement_error};
use crate::observability::WorkerMetrics;
use crate::provider::BuiltIn;
use iii_wire::protocol::{DEFAULT_NAMESPACE, ErrorBody};

/// The input of `engine::workers::list`. What is absent matches everything.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct List {
    /// A part of the name, of the id or of the description.
    search: Option<String>,
    /// The runtime; `engine` for parts of the engine.
    runtime: Option<String>,
    /// `connected` or `available`.
    status: Option<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Listed {
    /// The workers. Those without process id, such as browsers, are left out.
    workers: Vec<Worker>,
}

/// The input of `engine::workers::info`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Info {
    /// The name of the worker.
    name: String,
    /// Its namespace. Default `default`.
    namespace: Option<String>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Detail {
    #[serde(flatten)]
    worker: Worker,
    /// Its process id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u64>,
    /// Whether it is a part of the engine.
    internal: bool,
    /// What it last said about its memory and its processor, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_metrics: Option<WorkerMetrics>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Described {
    /// The worker.
    worker: Detail,
    /// Its functions.
    functions: Vec<FunctionSummary>,
    /// The trigger types that it provides.
    trigger_types: Vec<TypeSummary>,
    /// The bindings that it registered.
    registered_triggers: Vec<TriggerSummary>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Announced {
    /// Whether the name was free.
    success: bool,
}

impl Discovery {
    pub(super) fn worker_functions(self: &Arc<Self>) -> Vec<BuiltIn> {
        vec![
            self.view(
                "engine::workers::list",
                "Lists the workers that are connected, and the parts of the engine.",
                |this, input, eyes| Ok(this.list_workers(input, eyes)),
            ),
            self.view(
                "engine::workers::info",
                "Describes a worker and all that it has.",
                Self::describe_worker,
            ),
            // The broker handles it itself; here it is only listed.
            BuiltIn::sync(
                ANNOUNCE,
                "Tells the engine who the calling worker is.",
                |_: Announcement, _| Err::<Option<Announced>, _>(announcement_error()),
            ),
        ]
    }

    /// The workers that a caller sees: itself, and those that have something for it. Where others are is not for it.
    fn workers(&self, eyes: &Eyes) -> Vec<WorkerView> {
        let mut workers = self.broker.workers();
        if !eyes.are_limited() {
            return workers;
        }
        let mut functions = self.broker.functions();
        functions.retain(|one| eyes.function(one));
        for view in &mut workers {
            if eyes.are_of(view.connection) {
                continue;
            }
            view.peer = None;
            let its = |one: &&FunctionView| match view.connection {
                Some(_) => one.owner == view.connection,
                None => one.owner.is_none() && one.worker_name == view.id,
            };
            view.function_count = functions.iter().filter(its).count();
        }
        workers.retain(|view| eyes.are_of(view.connection) || view.function_count > 0);
        workers
    }

    fn list_workers(&self, input: &List, eyes: &Eyes) -> Listed {
        let search = input.search.as_deref().unwrap_or_default().to_lowercase();
        let found = |worker: &Worker| {
            let fields = [Some(&worker.id), worker.name.as_ref(), worker.description.as_ref()];
            fields.into_iter().flatten().any(|field| field.to_lowercase().contains(&search))
        };
        let workers = self
            .workers(eyes)
            .iter()
            .filter(|view| {
                view.connection.is_none()
                    || view.info.as_ref().is_some_and(|info| info.pid.is_some())
            })
            .map(Worker::from)
            .filter(|worker| input.runtime.is_none() || worker.runtime == input.runtime)
            .filter(|worker| input.status.as_ref().is_none_or(|status| status == worker.status))
            .filter(found)
            .collect();
        Listed { workers }
    }

    fn describe_worker(&self, input: &Info, eyes: &Eyes) -> Result<Described, ErrorBody> {
        let namespace = input.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let workers = self.workers(eyes);
        let name = |info: &crate::broker::WorkerInfo| info.name.as_deref() == Some(&input.name);
        let view = workers
            .iter()
            .find(|view| view.namespace == namespace && view.info.as_ref().is_some_and(name))
            .ok_or_else(|| missing(format!("the worker `{}` is not connected", input.name)))?;
        let internal = view.connection.is_none();
        let mine = |owner: Option<iii_wire::protocol::WorkerId>, worker_name: &str| {
            owner == view.connection && (!internal || worker_name == input.name)
        };
        let functions = self.broker.functions();
        let types = self.broker.trigger_types();
        let bindings = self.broker.bindings();
        Ok(Described {
            worker: Detail {
                worker: view.into(),
                pid: view.info.as_ref().and_then(|info| info.pid),
                internal,
                latest_metrics: view.connection.and_then(|id| {
                    let runtime = view.info.as_ref().map(|info| info.runtime.as_str());
                    self.gauges.of(id, runtime.unwrap_or_default())
                }),
            },
            functions: functions
                .iter()
                .filter(|one| mine(one.owner, &one.worker_name) && eyes.function(one))
                .map(Into::into)
                .collect(),
            trigger_types: types
                .iter()
                .filter(|one| mine(one.owner, &one.worker_name) && eyes.trigger_type(one))
                .map(Into::into)
                .collect(),
            registered_triggers: bindings
                .iter()
                .filter(|one| !internal && one.owner == view.connection && eyes.binding(one))
                .map(|one| TriggerSummary::new(one, &workers, eyes))
                .collect(),
        })
    }
}
