//! What the broker holds, as plain data for those who list it.

use std::net::IpAddr;
use std::sync::Arc;

use super::registry::{Function, Registry, Target, TriggerType, WorkerInfo};
use super::{Broker, Source};
use crate::provider::Binding;
use iii_wire::code;
use iii_wire::protocol::{
    DEFAULT_NAMESPACE, ErrorBody, FunctionId, Namespace, Payload, TriggerId, TriggerTypeId,
    WorkerId,
};

/// A function.
#[derive(Debug, Clone)]
pub(crate) struct FunctionView {
    /// Its id.
    pub(crate) id: FunctionId,
    /// The partition it is in.
    pub(crate) namespace: Namespace,
    /// The worker that serves it: its name, else the first part of the function's id.
    pub(crate) worker_name: String,
    /// The connection of that worker; `None` for built-in functions.
    pub(crate) owner: Option<WorkerId>,
    /// What it does.
    pub(crate) description: Option<String>,
    /// What its worker says about it.
    pub(crate) metadata: Option<Payload>,
    /// JSON Schema of the input.
    pub(crate) request_schema: Option<Payload>,
    /// JSON Schema of the output.
    pub(crate) response_schema: Option<Payload>,
    /// Why an endpoint that serves it cannot be called.
    pub(crate) unusable: Option<ErrorBody>,
}

/// A trigger type, as its current provider describes it.
#[derive(Debug, Clone)]
pub(crate) struct TriggerTypeView {
    /// Its id.
    pub(crate) id: TriggerTypeId,
    /// The partition it is in.
    pub(crate) namespace: Namespace,
    /// The name of the provider, else the first part of the type's id.
    pub(crate) worker_name: String,
    /// The connection that provides it; `None` for built-in types.
    pub(crate) owner: Option<WorkerId>,
    /// What fires it.
    pub(crate) description: String,
    /// JSON Schema of a binding's config.
    pub(crate) config_schema: Option<Payload>,
    /// JSON Schema of the payload that functions get.
    pub(crate) request_schema: Option<Payload>,
    /// How many bindings the provider has.
    pub(crate) instance_count: usize,
}

/// A worker: a connection, or a provider of the engine.
#[derive(Debug, Clone)]
pub(crate) struct WorkerView {
    /// The id of the connection, or the name of the provider.
    pub(crate) id: String,
    /// The connection; `None` for providers.
    pub(crate) connection: Option<WorkerId>,
    /// The partition of all that it registers.
    pub(crate) namespace: Namespace,
    /// What it says about itself; `None` before it announced itself.
    pub(crate) info: Option<WorkerInfo>,
    /// The address it came from.
    pub(crate) peer: Option<IpAddr>,
    /// When it came, in milliseconds since 1970.
    pub(crate) connected_at_ms: u64,
    /// How many functions it serves.
    pub(crate) function_count: usize,
    /// How many calls it is serving now.
    pub(crate) active_invocations: usize,
}

impl Broker {
    /// All functions, ordered by id and namespace.
    pub(crate) fn functions(&self) -> Vec<FunctionView> {
        let registry = self.registry();
        let workers = registry.functions.values().flat_map(|functions| functions.values());
        // A built-in function that a worker took over is not shown twice.
        let built_in = registry.builtins.values().filter(|one| {
            registry.function(&one.namespace, &one.id).is_some_and(|seen| Arc::ptr_eq(seen, one))
        });
        let mut views: Vec<_> = workers.chain(built_in).map(|one| registry.view_of(one)).collect();
        views.sort_by(|a, b| (&a.id, &a.namespace).cmp(&(&b.id, &b.namespace)));
        views
    }

    /// The functions with this id, one for each namespace that has it, ordered by namespace.
    pub(crate) fn functions_called(&self, id: &str) -> Vec<FunctionView> {
        let registry = self.registry();
        let mut views: Vec<_> = registry
            .namespaces_of(id)
            .into_iter()
            .filter_map(|namespace| registry.functions.get(namespace)?.get(id))
            .map(|one| registry.view_of(one))
            .collect();
        if let Some(built_in) = registry.builtins.get(id)
            && !views.iter().any(|one| one.namespace == built_in.namespace)
        {
            views.push(registry.view_of(built_in));
        }
        views
    }

    /// The namespace in which a worker serves a function, as a caller sees it: its own, else `default`.
    ///
    /// The engine itself has no namespace; for it, the first one that has the function counts after `default`.
    pub(crate) fn served_for(&self, caller: Option<WorkerId>, id: &str) -> Option<Namespace> {
        let registry = self.registry();
        let serves = |namespace: &str| {
            registry.functions.get(namespace).is_some_and(|functions| functions.contains_key(id))
        };
        let home = caller.and_then(|caller| {
            let entry = registry.connections.get(&caller)?;
            entry.connection.namespace().filter(|home| serves(home)).cloned()
        });
        let default = || serves(DEFAULT_NAMESPACE).then(Namespace::default);
        let any = || {
            let spaces = if caller.is_none() { registry.namespaces_of(id) } else { Vec::new() };
            spaces.first().map(|one| (*one).clone())
        };
        home.or_else(default).or_else(any)
    }

    /// The bindings of a function that a provider has, in the order of their ids.
    pub(crate) fn bindings_of(&self, namespace: &str, id: &str) -> Vec<Arc<Binding>> {
        let its = |one: &super::Bound| {
            one.at.is_some() && one.binding.function_id == id && one.binding.namespace == namespace
        };
        self.registry().bindings_where(its).into_iter().map(|one| one.binding).collect()
    }

    /// All trigger types, ordered by id and namespace.
    pub(crate) fn trigger_types(&self) -> Vec<TriggerTypeView> {
        let registry = self.registry();
        let current =
            registry.types.values().flat_map(|spaces| spaces.values().filter_map(|all| all.last()));
        let mut views: Vec<_> = current.map(|one| registry.type_view_of(one)).collect();
        views.sort_by(|a, b| (&a.id, &a.namespace).cmp(&(&b.id, &b.namespace)));
        views
    }

    /// The bindings that a provider has, in the order of their ids. Parked ones are left out.
    pub(crate) fn bindings(&self) -> Vec<Arc<Binding>> {
        let registry = self.registry();
        registry.bindings_where(|one| one.at.is_some()).into_iter().map(|one| one.binding).collect()
    }

    /// The bindings that no provider has, in the order of their ids, and why.
    pub(crate) fn parked(&self) -> Vec<(Arc<Binding>, ErrorBody)> {
        let nobody = |binding: &Binding| {
            let text = format!("nobody provides the trigger type `{}`", binding.trigger_type);
            ErrorBody::new(code::TRIGGER_TYPE_NOT_FOUND, text)
        };
        let parked = self.registry().bindings_where(|one| one.at.is_none()).into_iter();
        parked
            .map(|one| {
                let why = one.refusal.unwrap_or_else(|| nobody(&one.binding));
                (one.binding, why)
            })
            .collect()
    }

    /// The namespace of the provider that has a binding; `None` if it is parked or unknown.
    pub(crate) fn provider_namespace_of(&self, id: &TriggerId) -> Option<Namespace> {
        let registry = self.registry();
        registry.bindings.get(id)?.at.as_ref().map(|at| at.namespace.clone())
    }

    /// Whether a connection is open.
    pub(crate) fn is_connected(&self, worker: WorkerId) -> bool {
        self.registry().connections.contains_key(&worker)
    }

    /// How many connections are open, and how many calls they are serving together.
    pub(crate) fn load(&self) -> (usize, usize) {
        let registry = self.registry();
        let pending = registry.connections.values().map(|entry| entry.connection.pending.len());
        (registry.connections.len(), pending.sum())
    }

    /// All bindings, those that are parked included, in the order of their ids.
    #[cfg(feature = "testing")]
    pub(crate) fn all_bindings(&self) -> Vec<Arc<Binding>> {
        self.registry().bindings_where(|_| true).into_iter().map(|one| one.binding).collect()
    }

    /// Whether the engine itself serves a function.
    #[cfg(feature = "testing")]
    pub(crate) fn is_built_in(&self, id: &str) -> bool {
        self.registry().builtins.contains_key(id)
    }

    /// All workers: providers of the engine first, then connections in the order of their arrival.
    pub(crate) fn workers(&self) -> Vec<WorkerView> {
        let providers = super::read(&self.inner.providers).clone();
        let registry = self.registry();
        let mut entries: Vec<_> = registry.connections.values().collect();
        entries.sort_by_key(|entry| entry.connection.arrival);
        let views = entries.into_iter().map(|entry| WorkerView {
            id: entry.connection.id.to_string(),
            connection: Some(entry.connection.id),
            namespace: entry.connection.namespace().cloned().unwrap_or_default(),
            info: entry.info.clone(),
            peer: entry.connection.peer,
            connected_at_ms: entry.connection.connected_at_ms,
            function_count: entry.functions.len(),
            active_invocations: entry.connection.pending.len(),
        });
        let built_in = providers.iter().map(|provider| WorkerView {
            id: provider.name().to_owned(),
            connection: None,
            namespace: Namespace::default(),
            info: Some(WorkerInfo {
                runtime: "engine".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                name: Some(provider.name().to_owned()),
                description: Some(provider.description().to_owned()),
                isolation: Some("in-process".to_owned()),
                ..WorkerInfo::default()
            }),
            peer: None,
            connected_at_ms: self.inner.started_at_ms,
            function_count: registry
                .builtins
                .values()
                .filter(|one| matches!(&one.target, Target::BuiltIn { provider: name, .. } if *name == provider.name()))
                .count(),
            active_invocations: 0,
        });
        built_in.chain(views).collect()
    }
}

impl Registry {
    /// The announced name of a connection, else the first part of `id`.
    fn name_of(&self, owner: WorkerId, id: &str) -> String {
        let entry = self.connections.get(&owner);
        let name = entry.and_then(|entry| entry.info.as_ref()).and_then(|info| info.name.clone());
        name.unwrap_or_else(|| id.split("::").next().unwrap_or(id).to_owned())
    }

    fn view_of(&self, function: &Function) -> FunctionView {
        let owner = function.owner().map(|owner| owner.id);
        FunctionView {
            id: function.id.clone(),
            namespace: function.namespace.clone(),
            worker_name: match (&function.target, owner) {
                (Target::BuiltIn { provider, .. }, _) => (*provider).to_owned(),
                (_, Some(owner)) => self.name_of(owner, &function.id),
                (_, None) => String::new(),
            },
            owner,
            description: function.description.as_deref().map(str::to_owned),
            metadata: function.metadata.clone(),
            request_schema: function.request_schema.get(),
            response_schema: function.response_schema.get(),
            unusable: match &function.target {
                Target::External { code, .. } => code.unusable.clone(),
                Target::BuiltIn { .. } | Target::Worker(_) => None,
            },
        }
    }

    fn type_view_of(&self, one: &Arc<TriggerType>) -> TriggerTypeView {
        let owner = one.source.worker().map(|owner| owner.id);
        let count =
            |bound: &&super::Bound| bound.at.as_ref().is_some_and(|at| Arc::ptr_eq(at, one));
        TriggerTypeView {
            id: one.id.clone(),
            namespace: one.namespace.clone(),
            worker_name: match &one.source {
                Source::BuiltIn(provider) => provider.name().to_owned(),
                Source::Worker(worker) => self.name_of(worker.id, &one.id),
            },
            owner,
            description: one.description.clone().into_owned(),
            config_schema: one.config_schema.clone(),
            request_schema: one.request_schema.clone(),
            instance_count: self.bindings.values().filter(count).count(),
        }
    }
}
