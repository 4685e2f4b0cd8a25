//! The tables of the broker: connections, names, functions, trigger types and triggers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::connection::WorkerConnection;
use super::external::ExternalFunction;
use super::policy::IdAliases;
use super::quota::Quota;
use super::standby::Standby;
use crate::provider::{Binding, Handler, LazySchema, Provider, refused};
use iii_wire::protocol::{
    DEFAULT_NAMESPACE, ErrorBody, FunctionId, Message, Namespace, Payload, RegisterService,
    RegisterTrigger, TriggerId, TriggerTypeId, WorkerId,
};

/// The fixed part of the weight of a registration, in bytes.
pub(crate) const WEIGHT: usize = 256;

pub(super) fn weigh(id: &str, text: Option<&str>, payloads: &[Option<&Payload>]) -> usize {
    let payloads = payloads.iter().flatten().map(|payload| payload.as_str().len()).sum::<usize>();
    id.len() + text.map_or(0, str::len) + payloads + WEIGHT
}

/// A registered function.
pub(crate) struct RegisteredFunction {
    /// Its id.
    pub(crate) id: FunctionId,
    /// Its namespace.
    pub(crate) namespace: Namespace,
    /// The description.
    pub(crate) description: Option<Cow<'static, str>>,
    /// JSON Schema of the input.
    pub(crate) request_schema: LazySchema,
    /// JSON Schema of the output.
    pub(crate) response_schema: LazySchema,
    /// The metadata that its worker registered.
    pub(crate) metadata: Option<Payload>,
    /// The id under which its worker registered it, if a policy renamed it: calls are sent with it.
    pub(crate) local_id: Option<FunctionId>,
    /// What runs it.
    pub(crate) target: FunctionTarget,
    /// The number of calls, shared by functions with the same id.
    pub(crate) calls: Arc<AtomicU64>,
}

/// What runs a function.
pub(crate) enum FunctionTarget {
    /// A provider of the engine.
    BuiltIn {
        /// The provider's name.
        provider: &'static str,
        /// The code.
        handler: Handler,
    },
    /// The worker that registered it.
    Worker(Arc<WorkerConnection>),
    /// A provider, on behalf of the worker that registered it ([protocol 4.8](iii_wire::protocol#s4-8)).
    External {
        /// The worker.
        owner: Arc<WorkerConnection>,
        /// The code.
        code: ExternalFunction,
    },
}

impl RegisteredFunction {
    /// The size that counts against the registration quota of its connection, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let Self { request_schema, response_schema, metadata, .. } = self;
        let payloads = [request_schema.document(), response_schema.document(), metadata.as_ref()];
        weigh(&self.id, self.description.as_deref(), &payloads)
    }

    /// Returns the id under which its worker registered it.
    pub(crate) fn local_id(&self) -> &FunctionId {
        self.local_id.as_ref().unwrap_or(&self.id)
    }

    /// Returns the connection that registered it; `None` for built-in functions.
    pub(crate) fn owner(&self) -> Option<&Arc<WorkerConnection>> {
        match &self.target {
            FunctionTarget::BuiltIn { .. } => None,
            FunctionTarget::Worker(owner) | FunctionTarget::External { owner, .. } => Some(owner),
        }
    }
}

/// A registered trigger type.
pub(crate) struct RegisteredTriggerType {
    /// Its id.
    pub(crate) id: TriggerTypeId,
    /// Its namespace.
    pub(crate) namespace: Namespace,
    /// What fires its triggers.
    pub(crate) description: Cow<'static, str>,
    /// JSON Schema of a trigger's config.
    pub(crate) config_schema: Option<Payload>,
    /// JSON Schema of the payload of invoked functions.
    pub(crate) request_schema: Option<Payload>,
    /// The id under which its provider registered it, if a policy renamed it.
    pub(crate) local_id: Option<TriggerTypeId>,
    /// The provider.
    pub(crate) source: TypeProvider,
}

/// The provider of a trigger type.
#[derive(Clone)]
pub(crate) enum TypeProvider {
    /// A component of the engine.
    BuiltIn(Arc<dyn Provider>),
    /// A worker.
    Worker(Arc<WorkerConnection>),
}

impl TypeProvider {
    /// Returns the worker, if it is one.
    pub(crate) fn worker(&self) -> Option<&Arc<WorkerConnection>> {
        match self {
            Self::Worker(connection) => Some(connection),
            Self::BuiltIn(_) => None,
        }
    }

    /// Returns whether both are the same provider.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::BuiltIn(a), Self::BuiltIn(b)) => a.name() == b.name(),
            (Self::Worker(a), Self::Worker(b)) => a.id == b.id,
            _ => false,
        }
    }
}

impl RegisteredTriggerType {
    /// The size that counts against the registration quota of its connection, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let payloads = [self.config_schema.as_ref(), self.request_schema.as_ref()];
        weigh(&self.id, Some(&self.description), &payloads)
    }

    /// Returns the id under which its provider registered it.
    pub(crate) fn local_id(&self) -> &TriggerTypeId {
        self.local_id.as_ref().unwrap_or(&self.id)
    }

    /// Forwards a trigger to the provider. A worker rejects it later, with a message.
    pub(crate) fn add_trigger(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        match &self.source {
            TypeProvider::BuiltIn(provider) => catch_unwind(AssertUnwindSafe(|| {
                provider.bind(binding)
            }))
            .unwrap_or_else(|_| {
                Err(refused(format!("`{}` panicked while adding this trigger", provider.name())))
            }),
            TypeProvider::Worker(connection) => {
                let named = |namespace: &Namespace| {
                    (namespace != DEFAULT_NAMESPACE).then(|| namespace.clone())
                };
                connection.send(Message::RegisterTrigger(Box::new(RegisterTrigger {
                    id: binding.id.clone(),
                    trigger_type: self.local_id().clone(),
                    function_id: binding.function_id.clone(),
                    config: binding.config.clone(),
                    metadata: binding.metadata.clone(),
                    namespace: named(&binding.namespace),
                    trigger_namespace: named(&self.namespace),
                })));
                Ok(())
            }
        }
    }

    /// Removes a trigger from the provider.
    pub(crate) fn remove_trigger(&self, binding: &Arc<Binding>) {
        match &self.source {
            TypeProvider::BuiltIn(provider) => {
                if catch_unwind(AssertUnwindSafe(|| provider.unbind(binding))).is_err() {
                    tracing::error!("`{}` panicked while removing a trigger", provider.name());
                }
            }
            TypeProvider::Worker(connection) if connection.is_removed() => {}
            TypeProvider::Worker(connection) => connection.send(Message::UnregisterTrigger {
                id: binding.id.clone(),
                trigger_type: Some(self.local_id().clone()),
            }),
        }
    }
}

/// A trigger and its current provider.
#[derive(Clone)]
pub(crate) struct TriggerEntry {
    /// The trigger.
    pub(crate) binding: Arc<Binding>,
    /// The type whose provider has it; `None` if it is parked ([protocol 3.6](iii_wire::protocol#s3-6)).
    pub(crate) provider: Option<Arc<RegisteredTriggerType>>,
    /// Why its provider rejected it, if that is why it is parked.
    pub(crate) rejection: Option<ErrorBody>,
}

/// How a worker describes itself ([protocol 3.2](iii_wire::protocol#s3-2)).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WorkerInfo {
    /// Its language and SDK.
    pub(crate) runtime: String,
    /// The version of the SDK.
    pub(crate) version: Option<String>,
    /// Its name.
    pub(crate) name: Option<String>,
    /// The description.
    pub(crate) description: Option<String>,
    /// Its operating system.
    pub(crate) os: Option<String>,
    /// Its isolation, such as a container.
    pub(crate) isolation: Option<String>,
    /// Its process id.
    pub(crate) pid: Option<u64>,
}

/// A connection and its registrations.
pub(crate) struct ConnectionEntry {
    /// The connection.
    pub(crate) connection: Arc<WorkerConnection>,
    /// The announced description; `None` before the announcement.
    pub(crate) info: Option<WorkerInfo>,
    /// Its functions.
    pub(crate) functions: BTreeSet<FunctionId>,
    /// The functions for which it is on standby.
    pub(crate) standby: BTreeSet<FunctionId>,
    /// Its triggers.
    pub(crate) triggers: BTreeSet<TriggerId>,
    /// The trigger types that it provides, with the weight of each.
    pub(crate) types: HashMap<(Namespace, TriggerTypeId), usize>,
    /// Its services.
    pub(crate) services: BTreeMap<String, RegisterService>,
    /// The total weight of its registrations.
    pub(crate) bytes: usize,
    /// The ids that a policy renamed.
    pub(crate) aliases: IdAliases,
}

impl ConnectionEntry {
    /// Creates an entry without registrations.
    pub(crate) fn new(connection: Arc<WorkerConnection>) -> Self {
        Self {
            connection,
            info: None,
            functions: BTreeSet::new(),
            standby: BTreeSet::new(),
            triggers: BTreeSet::new(),
            types: HashMap::new(),
            services: BTreeMap::new(),
            bytes: 0,
            aliases: IdAliases::default(),
        }
    }

    /// Returns the quota of one kind of registrations.
    pub(super) fn quota(&self, kind: &'static str, count: usize, max_count: usize) -> Quota {
        Quota {
            owner: "this connection",
            kind,
            count,
            max_count,
            bytes: self.bytes,
            max_bytes: self.connection.limits.workers.registration_bytes,
        }
    }

    /// Replaces the weight `before` by `after`.
    pub(crate) fn weigh(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes.saturating_sub(before) + after;
    }
}

/// All tables.
#[derive(Default)]
pub(crate) struct Registry {
    /// The open connections.
    pub(crate) connections: BTreeMap<WorkerId, ConnectionEntry>,
    /// Owners of worker names.
    pub(crate) names: BTreeMap<(Namespace, String), WorkerId>,
    /// The functions of workers.
    pub(crate) functions: HashMap<Namespace, HashMap<FunctionId, Arc<RegisteredFunction>>>,
    /// Registrations of functions that another worker owns.
    pub(crate) standby: Standby,
    /// Functions of the engine, all in `default`.
    pub(crate) builtins: BTreeMap<FunctionId, Arc<RegisteredFunction>>,
    /// The providers of each trigger type. The last one is active.
    pub(crate) types: BTreeMap<TriggerTypeId, BTreeMap<Namespace, Vec<Arc<RegisteredTriggerType>>>>,
    /// The triggers.
    pub(crate) bindings: BTreeMap<TriggerId, TriggerEntry>,
    /// Triggers that were rejected and may be accepted later; may contain stale ids.
    pub(crate) rejected: BTreeSet<TriggerId>,
    /// The number of triggers without an owning connection, and their total weight.
    pub(crate) ownerless: (usize, usize),
}

impl Registry {
    /// Records the current provider of a trigger.
    pub(crate) fn put(
        &mut self,
        binding: Arc<Binding>,
        provider: Option<Arc<RegisteredTriggerType>>,
        rejection: Option<ErrorBody>,
    ) {
        let id = binding.id.clone();
        if rejection.as_ref().is_some_and(|error| error.retryable == Some(true)) {
            self.rejected.insert(id.clone());
        }
        self.bindings.insert(id, TriggerEntry { binding, provider, rejection });
    }

    /// Looks up a function in a namespace. Built-in functions are visible in all of them.
    pub(crate) fn function(&self, namespace: &str, id: &str) -> Option<&Arc<RegisteredFunction>> {
        let own = self.functions.get(namespace).and_then(|functions| functions.get(id));
        own.or_else(|| self.builtins.get(id))
    }

    /// Returns the namespaces in which workers registered the function, sorted.
    pub(crate) fn namespaces_of(&self, id: &str) -> Vec<&Namespace> {
        let mut found: Vec<_> = self
            .functions
            .iter()
            .filter(|(_, functions)| functions.contains_key(id))
            .map(|(namespace, _)| namespace)
            .collect();
        found.sort();
        found
    }

    /// Looks up a trigger type in exactly this namespace.
    pub(crate) fn trigger_type(
        &self,
        namespace: &str,
        id: &str,
    ) -> Option<&Arc<RegisteredTriggerType>> {
        self.types.get(id)?.get(namespace)?.last()
    }

    /// Looks up the type for a trigger: in the namespace it names, otherwise in its home namespace, then in `default`.
    pub(crate) fn provider_of(&self, binding: &Binding) -> Option<&Arc<RegisteredTriggerType>> {
        let id = &binding.trigger_type;
        match &binding.provider_namespace {
            Some(namespace) => self.trigger_type(namespace, id),
            None => self
                .trigger_type(&binding.home, id)
                .or_else(|| self.trigger_type(DEFAULT_NAMESPACE, id)),
        }
    }

    /// Removes the registration of a type by one provider, and returns it.
    pub(crate) fn remove_type(
        &mut self,
        namespace: &Namespace,
        id: &TriggerTypeId,
        source: &TypeProvider,
    ) -> Option<Arc<RegisteredTriggerType>> {
        let spaces = self.types.get_mut(id)?;
        let providers = spaces.get_mut(namespace)?;
        let position = providers.iter().position(|one| one.source.same(source))?;
        let removed = providers.remove(position);
        if providers.is_empty() {
            spaces.remove(namespace);
            if spaces.is_empty() {
                self.types.remove(id);
            }
        }
        Some(removed)
    }

    /// Returns the triggers that match a predicate, ordered by id.
    pub(crate) fn bindings_where(
        &self,
        which: impl Fn(&TriggerEntry) -> bool,
    ) -> Vec<TriggerEntry> {
        self.bindings.values().filter(|one| which(one)).cloned().collect()
    }
}
