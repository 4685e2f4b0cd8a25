//! Snapshots of the broker's tables as plain data, for discovery.

use std::net::IpAddr;
use std::sync::Arc;

use super::registry::{
    FunctionTarget, RegisteredFunction, RegisteredTriggerType, Registry, WorkerInfo,
};
use super::{Broker, TypeProvider};
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
    /// Its namespace.
    pub(crate) namespace: Namespace,
    /// The name of the worker that serves it, or the first segment of the function id if the worker has no name.
    pub(crate) worker_name: String,
    /// The connection of that worker; `None` for built-in functions.
    pub(crate) owner: Option<WorkerId>,
    /// The description.
    pub(crate) description: Option<String>,
    /// The metadata that its worker registered.
    pub(crate) metadata: Option<Payload>,
    /// JSON Schema of the input.
    pub(crate) request_schema: Option<Payload>,
    /// JSON Schema of the output.
    pub(crate) response_schema: Option<Payload>,
    /// Why calls of it fail, if a provider cannot serve it.
    pub(crate) unusable: Option<ErrorBody>,
}

/// A trigger type, as described by its active provider.
#[derive(Debug, Clone)]
pub(crate) struct TriggerTypeView {
    /// Its id.
    pub(crate) id: TriggerTypeId,
    /// Its namespace.
    pub(crate) namespace: Namespace,
    /// The name of the provider, or the first segment of the type id if the provider has no name.
    pub(crate) worker_name: String,
    /// The connection that provides it; `None` for built-in types.
    pub(crate) owner: Option<WorkerId>,
    /// What fires its triggers.
    pub(crate) description: String,
    /// JSON Schema of a trigger's config.
    pub(crate) config_schema: Option<Payload>,
    /// JSON Schema of the payload of invoked functions.
    pub(crate) request_schema: Option<Payload>,
    /// The number of triggers of the provider.
    pub(crate) instance_count: usize,
}

/// A worker: a connection, or a provider of the engine.
#[derive(Debug, Clone)]
pub(crate) struct WorkerView {
    /// The id of the connection, or the name of the provider.
    pub(crate) id: String,
    /// The connection; `None` for providers.
    pub(crate) connection: Option<WorkerId>,
    /// The namespace of its registrations.
    pub(crate) namespace: Namespace,
    /// The announced description; `None` before the announcement.
    pub(crate) info: Option<WorkerInfo>,
    /// The address of the peer.
    pub(crate) peer: Option<IpAddr>,
    /// When it connected, in milliseconds since the Unix epoch.
    pub(crate) connected_at_ms: u64,
    /// The number of functions it serves.
    pub(crate) function_count: usize,
    /// The number of calls it is serving.
    pub(crate) active_invocations: usize,
}

impl Broker {
    /// Returns all functions, ordered by id and namespace.
    pub(crate) fn functions(&self) -> Vec<FunctionView> {
        let registry = self.registry();
        let workers = registry.functions.values().flat_map(|functions| functions.values());
        // A built-in function that a worker replaced is not listed.
        let built_in = registry.builtins.values().filter(|one| {
            registry.function(&one.namespace, &one.id).is_some_and(|seen| Arc::ptr_eq(seen, one))
        });
        let mut views: Vec<_> = workers.chain(built_in).map(|one| registry.view_of(one)).collect();
        views.sort_by(|a, b| (&a.id, &a.namespace).cmp(&(&b.id, &b.namespace)));
        views
    }

    /// Returns the functions with this id, one per namespace, ordered by namespace.
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

    /// Resolves the namespace of a function for a caller: its own, otherwise `default`.
    ///
    /// The engine itself has no namespace: after `default`, it uses the first one that has the function.
    pub(crate) fn resolve_namespace(
        &self,
        caller: Option<WorkerId>,
        id: &str,
    ) -> Option<Namespace> {
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

    /// Returns the active triggers of a function, ordered by id.
    pub(crate) fn bindings_of(&self, namespace: &str, id: &str) -> Vec<Arc<Binding>> {
        let its = |one: &super::TriggerEntry| {
            one.provider.is_some()
                && one.binding.function_id == id
                && one.binding.namespace == namespace
        };
        self.registry().bindings_where(its).into_iter().map(|one| one.binding).collect()
    }

    /// Returns all trigger types, ordered by id and namespace.
    pub(crate) fn trigger_types(&self) -> Vec<TriggerTypeView> {
        let registry = self.registry();
        let current =
            registry.types.values().flat_map(|spaces| spaces.values().filter_map(|all| all.last()));
        let mut views: Vec<_> = current.map(|one| registry.type_view_of(one)).collect();
        views.sort_by(|a, b| (&a.id, &a.namespace).cmp(&(&b.id, &b.namespace)));
        views
    }

    /// Returns the active triggers, ordered by id.
    pub(crate) fn bindings(&self) -> Vec<Arc<Binding>> {
        let registry = self.registry();
        registry
            .bindings_where(|one| one.provider.is_some())
            .into_iter()
            .map(|one| one.binding)
            .collect()
    }

    /// Returns the parked triggers, ordered by id, with the reason of each.
    pub(crate) fn parked(&self) -> Vec<(Arc<Binding>, ErrorBody)> {
        let nobody = |binding: &Binding| {
            let text = format!("the trigger type `{}` has no provider", binding.trigger_type);
            ErrorBody::new(code::TRIGGER_TYPE_NOT_FOUND, text)
        };
        let parked = self.registry().bindings_where(|one| one.provider.is_none()).into_iter();
        parked
            .map(|one| {
                let why = one.rejection.unwrap_or_else(|| nobody(&one.binding));
                (one.binding, why)
            })
            .collect()
    }

    /// Returns the namespace of the provider of a trigger; `None` if it is parked or unknown.
    pub(crate) fn provider_namespace_of(&self, id: &TriggerId) -> Option<Namespace> {
        let registry = self.registry();
        registry.bindings.get(id)?.provider.as_ref().map(|provider| provider.namespace.clone())
    }

    /// Returns whether a connection is open.
    pub(crate) fn is_connected(&self, worker: WorkerId) -> bool {
        self.registry().connections.contains_key(&worker)
    }

    /// Returns the number of open connections, and of the calls that they serve.
    pub(crate) fn load(&self) -> (usize, usize) {
        let registry = self.registry();
        let pending = registry.connections.values().map(|entry| entry.connection.pending.len());
        (registry.connections.len(), pending.sum())
    }

    /// Returns all triggers, including parked ones, ordered by id.
    #[cfg(feature = "testing")]
    pub(crate) fn all_bindings(&self) -> Vec<Arc<Binding>> {
        self.registry().bindings_where(|_| true).into_iter().map(|one| one.binding).collect()
    }

    /// Returns whether the engine itself serves a function.
    #[cfg(feature = "testing")]
    pub(crate) fn is_built_in(&self, id: &str) -> bool {
        self.registry().builtins.contains_key(id)
    }

    /// Returns all workers: providers of the engine, then connections in order of arrival.
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
                .filter(|one| matches!(&one.target, FunctionTarget::BuiltIn { provider: name, .. } if *name == provider.name()))
                .count(),
            active_invocations: 0,
        });
        built_in.chain(views).collect()
    }
}

impl Registry {
    /// Returns the announced name of a connection, or the first segment of `id`.
    fn name_of(&self, owner: WorkerId, id: &str) -> String {
        let entry = self.connections.get(&owner);
        let name = entry.and_then(|entry| entry.info.as_ref()).and_then(|info| info.name.clone());
        name.unwrap_or_else(|| id.split("::").next().unwrap_or(id).to_owned())
    }

    fn view_of(&self, function: &RegisteredFunction) -> FunctionView {
        let owner = function.owner().map(|owner| owner.id);
        FunctionView {
            id: function.id.clone(),
            namespace: function.namespace.clone(),
            worker_name: match (&function.target, owner) {
                (FunctionTarget::BuiltIn { provider, .. }, _) => (*provider).to_owned(),
                (_, Some(owner)) => self.name_of(owner, &function.id),
                (_, None) => String::new(),
            },
            owner,
            description: function.description.as_deref().map(str::to_owned),
            metadata: function.metadata.clone(),
            request_schema: function.request_schema.get(),
            response_schema: function.response_schema.get(),
            unusable: match &function.target {
                FunctionTarget::External { code, .. } => code.unusable.clone(),
                FunctionTarget::BuiltIn { .. } | FunctionTarget::Worker(_) => None,
            },
        }
    }

    fn type_view_of(&self, one: &Arc<RegisteredTriggerType>) -> TriggerTypeView {
        let owner = one.source.worker().map(|owner| owner.id);
        let count = |entry: &&super::TriggerEntry| {
            entry.provider.as_ref().is_some_and(|provider| Arc::ptr_eq(provider, one))
        };
        TriggerTypeView {
            id: one.id.clone(),
            namespace: one.namespace.clone(),
            worker_name: match &one.source {
                TypeProvider::BuiltIn(provider) => provider.name().to_owned(),
                TypeProvider::Worker(worker) => self.name_of(worker.id, &one.id),
            },
            owner,
            description: one.description.clone().into_owned(),
            config_schema: one.config_schema.clone(),
            request_schema: one.request_schema.clone(),
            instance_count: self.bindings.values().filter(count).count(),
        }
    }
}
