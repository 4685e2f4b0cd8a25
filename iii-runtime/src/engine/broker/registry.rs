//! The tables of the broker: connections, names, functions, trigger types and bindings. Data only, no messages.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::connection::Connection;
use crate::engine::provider::{Binding, Handler, Provider, refused};
use crate::protocol::{
    DEFAULT_NAMESPACE, ErrorBody, FunctionId, Message, Namespace, Payload, RegisterService,
    RegisterTrigger, TriggerId, TriggerTypeId, WorkerId,
};

/// A function that can be called.
pub struct Function {
    /// Its id.
    pub id: FunctionId,
    /// The partition it is in.
    pub namespace: Namespace,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of the input.
    pub request_schema: Option<Payload>,
    /// JSON Schema of the output.
    pub response_schema: Option<Payload>,
    /// What its worker says about it.
    pub metadata: Option<Payload>,
    /// Who runs it.
    pub target: Target,
}

/// Who runs a function.
pub enum Target {
    /// A provider of the engine.
    BuiltIn {
        /// The provider's name.
        provider: &'static str,
        /// The code.
        handler: Handler,
    },
    /// The worker that registered it.
    Worker(Arc<Connection>),
    /// A provider, for the worker that registered it (protocol section 4.8).
    External {
        /// The worker.
        owner: Arc<Connection>,
        /// The code.
        handler: Handler,
    },
}

impl Function {
    /// The connection that registered it; `None` for built-in ones.
    pub fn owner(&self) -> Option<&Arc<Connection>> {
        match &self.target {
            Target::BuiltIn { .. } => None,
            Target::Worker(owner) | Target::External { owner, .. } => Some(owner),
        }
    }
}

/// A trigger type and who provides it.
pub struct TriggerType {
    /// Its id.
    pub id: TriggerTypeId,
    /// The partition it is in.
    pub namespace: Namespace,
    /// What fires it.
    pub description: String,
    /// JSON Schema of a binding's config.
    pub config_schema: Option<Payload>,
    /// JSON Schema of the payload that functions get.
    pub request_schema: Option<Payload>,
    /// Who provides it.
    pub source: Source,
}

/// Who provides a trigger type.
#[derive(Clone)]
pub enum Source {
    /// A part of the engine.
    BuiltIn(Arc<dyn Provider>),
    /// A worker.
    Worker(Arc<Connection>),
}

impl Source {
    /// The worker, if it is one.
    pub fn worker(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Worker(connection) => Some(connection),
            Self::BuiltIn(_) => None,
        }
    }

    /// Whether both are the same provider.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::BuiltIn(a), Self::BuiltIn(b)) => a.name() == b.name(),
            (Self::Worker(a), Self::Worker(b)) => a.id == b.id,
            _ => false,
        }
    }
}

impl TriggerType {
    /// Gives a binding to the provider. A worker's refusal comes later, as a message.
    pub fn place(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        match &self.source {
            Source::BuiltIn(provider) => catch_unwind(AssertUnwindSafe(|| provider.bind(binding)))
                .unwrap_or_else(|_| {
                    Err(refused(format!("`{}` panicked over this trigger", provider.name())))
                }),
            Source::Worker(connection) => {
                let named = |namespace: &Namespace| {
                    (namespace != DEFAULT_NAMESPACE).then(|| namespace.clone())
                };
                connection.send(Message::RegisterTrigger(Box::new(RegisterTrigger {
                    id: binding.id.clone(),
                    trigger_type: binding.trigger_type.clone(),
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

    /// Takes a binding away from the provider.
    pub fn displace(&self, binding: &Arc<Binding>) {
        match &self.source {
            Source::BuiltIn(provider) => {
                if catch_unwind(AssertUnwindSafe(|| provider.unbind(binding))).is_err() {
                    tracing::error!("`{}` panicked over the end of a trigger", provider.name());
                }
            }
            Source::Worker(connection) if connection.is_gone() => {}
            Source::Worker(connection) => connection.send(Message::UnregisterTrigger {
                id: binding.id.clone(),
                trigger_type: Some(binding.trigger_type.clone()),
            }),
        }
    }
}

/// A binding and where it is.
#[derive(Clone)]
pub struct Bound {
    /// The binding.
    pub binding: Arc<Binding>,
    /// The type that has it; `None`: it is parked (protocol section 3.6).
    pub at: Option<Arc<TriggerType>>,
}

/// What a worker says about itself (protocol section 3.2).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkerInfo {
    /// The language and library it runs on.
    pub runtime: String,
    /// The version of that.
    pub version: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its operating system.
    pub os: Option<String>,
    /// How it is isolated.
    pub isolation: Option<String>,
    /// Its process id.
    pub pid: Option<u64>,
}

/// A connection and what it has.
pub struct Entry {
    /// The connection.
    pub connection: Arc<Connection>,
    /// What it says about itself; `None` before it announced itself.
    pub info: Option<WorkerInfo>,
    /// Its functions.
    pub functions: HashSet<FunctionId>,
    /// Its bindings.
    pub triggers: HashSet<TriggerId>,
    /// The trigger types that it provides.
    pub types: HashSet<(Namespace, TriggerTypeId)>,
    /// Its services.
    pub services: HashMap<String, RegisterService>,
}

impl Entry {
    /// A connection that has nothing yet.
    pub fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            info: None,
            functions: HashSet::new(),
            triggers: HashSet::new(),
            types: HashSet::new(),
            services: HashMap::new(),
        }
    }
}

/// All tables.
#[derive(Default)]
pub struct Registry {
    /// The open connections.
    pub connections: HashMap<WorkerId, Entry>,
    /// Who has which worker name.
    pub names: HashMap<(Namespace, String), WorkerId>,
    /// The functions of workers.
    pub functions: HashMap<Namespace, HashMap<FunctionId, Arc<Function>>>,
    /// The functions of the engine, all in `default`.
    pub builtins: BTreeMap<FunctionId, Arc<Function>>,
    /// The providers of each trigger type, the newest last: that one counts.
    pub types: HashMap<TriggerTypeId, HashMap<Namespace, Vec<Arc<TriggerType>>>>,
    /// The bindings.
    pub bindings: HashMap<TriggerId, Bound>,
}

impl Registry {
    /// The function `id` as seen from `namespace`. Built-in ones are seen from everywhere.
    pub fn function(&self, namespace: &str, id: &str) -> Option<&Arc<Function>> {
        let own = self.functions.get(namespace).and_then(|functions| functions.get(id));
        own.or_else(|| self.builtins.get(id))
    }

    /// The namespaces in which workers have registered the function, in order.
    pub fn namespaces_of(&self, id: &str) -> Vec<&Namespace> {
        let mut found: Vec<_> = self
            .functions
            .iter()
            .filter(|(_, functions)| functions.contains_key(id))
            .map(|(namespace, _)| namespace)
            .collect();
        found.sort();
        found
    }

    /// The type `id` in exactly this namespace.
    pub fn trigger_type(&self, namespace: &str, id: &str) -> Option<&Arc<TriggerType>> {
        self.types.get(id)?.get(namespace)?.last()
    }

    /// The type that is to have a binding: where it says, else at home, else in `default`.
    pub fn provider_of(&self, binding: &Binding) -> Option<&Arc<TriggerType>> {
        let id = &binding.trigger_type;
        match &binding.provider_namespace {
            Some(namespace) => self.trigger_type(namespace, id),
            None => self
                .trigger_type(&binding.home, id)
                .or_else(|| self.trigger_type(DEFAULT_NAMESPACE, id)),
        }
    }

    /// Removes one provider's entry of a type, and gives it back.
    pub fn remove_type(
        &mut self,
        namespace: &Namespace,
        id: &TriggerTypeId,
        source: &Source,
    ) -> Option<Arc<TriggerType>> {
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

    /// The bindings that `which` picks, in the order of their ids.
    pub fn bindings_where(&self, which: impl Fn(&Bound) -> bool) -> Vec<Bound> {
        let mut found: Vec<_> = self.bindings.values().filter(|one| which(one)).cloned().collect();
        found.sort_by(|a, b| a.binding.id.cmp(&b.binding.id));
        found
    }
}
