//! The tables of the broker: connections, names, functions, trigger types and bindings. Data only, no messages.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::connection::Connection;
use super::external::External;
use super::gate::Renamed;
use super::standby::Standby;
use crate::provider::{Binding, Handler, Provider, Schema, refused};
use iii_wire::protocol::{
    DEFAULT_NAMESPACE, ErrorBody, FunctionId, Message, Namespace, Payload, RegisterService,
    RegisterTrigger, TriggerId, TriggerTypeId, WorkerId,
};

/// What a registration weighs beside its texts, in bytes.
pub(crate) const WEIGHT: usize = 256;

pub(super) fn weigh(id: &str, text: Option<&str>, payloads: &[Option<&Payload>]) -> usize {
    let payloads = payloads.iter().flatten().map(|payload| payload.as_str().len()).sum::<usize>();
    id.len() + text.map_or(0, str::len) + payloads + WEIGHT
}

/// A function that can be called.
pub(crate) struct Function {
    /// Its id.
    pub(crate) id: FunctionId,
    /// The partition it is in.
    pub(crate) namespace: Namespace,
    /// What it does.
    pub(crate) description: Option<Cow<'static, str>>,
    /// JSON Schema of the input.
    pub(crate) request_schema: Schema,
    /// JSON Schema of the output.
    pub(crate) response_schema: Schema,
    /// What its worker says about it.
    pub(crate) metadata: Option<Payload>,
    /// The id by which its worker knows it, if that is another one: calls are sent under it.
    pub(crate) own_id: Option<FunctionId>,
    /// Who runs it.
    pub(crate) target: Target,
    /// How often it was called. Functions of one id share it.
    pub(crate) calls: Arc<AtomicU64>,
}

/// Who runs a function.
pub(crate) enum Target {
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
        code: External,
    },
}

impl Function {
    /// What it counts against the bytes that its connection may register.
    pub(crate) fn weight(&self) -> usize {
        let Self { request_schema, response_schema, metadata, .. } = self;
        let payloads = [request_schema.given(), response_schema.given(), metadata.as_ref()];
        weigh(&self.id, self.description.as_deref(), &payloads)
    }

    /// The id by which its worker knows it.
    pub(crate) fn known_as(&self) -> &FunctionId {
        self.own_id.as_ref().unwrap_or(&self.id)
    }

    /// The connection that registered it; `None` for built-in ones.
    pub(crate) fn owner(&self) -> Option<&Arc<Connection>> {
        match &self.target {
            Target::BuiltIn { .. } => None,
            Target::Worker(owner) | Target::External { owner, .. } => Some(owner),
        }
    }
}

/// A trigger type and who provides it.
pub(crate) struct TriggerType {
    /// Its id.
    pub(crate) id: TriggerTypeId,
    /// The partition it is in.
    pub(crate) namespace: Namespace,
    /// What fires it.
    pub(crate) description: Cow<'static, str>,
    /// JSON Schema of a binding's config.
    pub(crate) config_schema: Option<Payload>,
    /// JSON Schema of the payload that functions get.
    pub(crate) request_schema: Option<Payload>,
    /// The id by which its provider knows it, if that is another one.
    pub(crate) own_id: Option<TriggerTypeId>,
    /// Who provides it.
    pub(crate) source: Source,
}

/// Who provides a trigger type.
#[derive(Clone)]
pub(crate) enum Source {
    /// A part of the engine.
    BuiltIn(Arc<dyn Provider>),
    /// A worker.
    Worker(Arc<Connection>),
}

impl Source {
    /// The worker, if it is one.
    pub(crate) fn worker(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Worker(connection) => Some(connection),
            Self::BuiltIn(_) => None,
        }
    }

    /// Whether both are the same provider.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::BuiltIn(a), Self::BuiltIn(b)) => a.name() == b.name(),
            (Self::Worker(a), Self::Worker(b)) => a.id == b.id,
            _ => false,
        }
    }
}

impl TriggerType {
    /// What it counts against the bytes that its connection may register.
    pub(crate) fn weight(&self) -> usize {
        let payloads = [self.config_schema.as_ref(), self.request_schema.as_ref()];
        weigh(&self.id, Some(&self.description), &payloads)
    }

    /// The id by which its provider knows it.
    pub(crate) fn known_as(&self) -> &TriggerTypeId {
        self.own_id.as_ref().unwrap_or(&self.id)
    }

    /// Gives a binding to the provider. A worker's refusal comes later, as a message.
    pub(crate) fn place(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
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
                    trigger_type: self.known_as().clone(),
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
    pub(crate) fn displace(&self, binding: &Arc<Binding>) {
        match &self.source {
            Source::BuiltIn(provider) => {
                if catch_unwind(AssertUnwindSafe(|| provider.unbind(binding))).is_err() {
                    tracing::error!("`{}` panicked over the end of a trigger", provider.name());
                }
            }
            Source::Worker(connection) if connection.is_gone() => {}
            Source::Worker(connection) => connection.send(Message::UnregisterTrigger {
                id: binding.id.clone(),
                trigger_type: Some(self.known_as().clone()),
            }),
        }
    }
}

/// A binding and where it is.
#[derive(Clone)]
pub(crate) struct Bound {
    /// The binding.
    pub(crate) binding: Arc<Binding>,
    /// The type that has it; `None`: it is parked (protocol section 3.6).
    pub(crate) at: Option<Arc<TriggerType>>,
    /// Why its provider refused it, if that is why it is parked.
    pub(crate) refusal: Option<ErrorBody>,
}

/// What a worker says about itself (protocol section 3.2).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WorkerInfo {
    /// The language and library it runs on.
    pub(crate) runtime: String,
    /// The version of that.
    pub(crate) version: Option<String>,
    /// Its name.
    pub(crate) name: Option<String>,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// Its operating system.
    pub(crate) os: Option<String>,
    /// How it is isolated.
    pub(crate) isolation: Option<String>,
    /// Its process id.
    pub(crate) pid: Option<u64>,
}

/// A connection and what it has.
pub(crate) struct Entry {
    /// The connection.
    pub(crate) connection: Arc<Connection>,
    /// What it says about itself; `None` before it announced itself.
    pub(crate) info: Option<WorkerInfo>,
    /// Its functions.
    pub(crate) functions: BTreeSet<FunctionId>,
    /// The ids for which it is in line.
    pub(crate) standby: BTreeSet<FunctionId>,
    /// Its bindings.
    pub(crate) triggers: BTreeSet<TriggerId>,
    /// The trigger types that it provides, and what each weighs.
    pub(crate) types: HashMap<(Namespace, TriggerTypeId), usize>,
    /// Its services.
    pub(crate) services: BTreeMap<String, RegisterService>,
    /// What all of that weighs.
    pub(crate) bytes: usize,
    /// What it knows by other names than the tables have.
    pub(crate) renamed: Renamed,
}

impl Entry {
    /// A connection that has nothing yet.
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            info: None,
            functions: BTreeSet::new(),
            standby: BTreeSet::new(),
            triggers: BTreeSet::new(),
            types: HashMap::new(),
            services: BTreeMap::new(),
            bytes: 0,
            renamed: Renamed::default(),
        }
    }

    /// Counts `after` bytes in the place of `before`.
    pub(crate) fn weigh(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes.saturating_sub(before) + after;
    }
}

/// All tables.
#[derive(Default)]
pub(crate) struct Registry {
    /// The open connections.
    pub(crate) connections: BTreeMap<WorkerId, Entry>,
    /// Who has which worker name.
    pub(crate) names: BTreeMap<(Namespace, String), WorkerId>,
    /// The functions of workers.
    pub(crate) functions: HashMap<Namespace, HashMap<FunctionId, Arc<Function>>>,
    /// The registrations that wait until their ids are free.
    pub(crate) standby: Standby,
    /// The functions of the engine, all in `default`.
    pub(crate) builtins: BTreeMap<FunctionId, Arc<Function>>,
    /// The providers of each trigger type, the newest last: that one counts.
    pub(crate) types: BTreeMap<TriggerTypeId, BTreeMap<Namespace, Vec<Arc<TriggerType>>>>,
    /// The bindings.
    pub(crate) bindings: BTreeMap<TriggerId, Bound>,
    /// Those that were refused and may be taken later, and some that are no such any more.
    pub(crate) refused: BTreeSet<TriggerId>,
    /// How many of them no connection owns, and what those weigh.
    pub(crate) ownerless: (usize, usize),
}

impl Registry {
    /// Notes where a binding is from now on.
    pub(crate) fn put(
        &mut self,
        binding: Arc<Binding>,
        at: Option<Arc<TriggerType>>,
        refusal: Option<ErrorBody>,
    ) {
        let id = binding.id.clone();
        if refusal.as_ref().is_some_and(|error| error.retryable == Some(true)) {
            self.refused.insert(id.clone());
        }
        self.bindings.insert(id, Bound { binding, at, refusal });
    }

    /// The function `id` as seen from `namespace`. Built-in ones are seen from everywhere.
    pub(crate) fn function(&self, namespace: &str, id: &str) -> Option<&Arc<Function>> {
        let own = self.functions.get(namespace).and_then(|functions| functions.get(id));
        own.or_else(|| self.builtins.get(id))
    }

    /// The namespaces in which workers have registered the function, in order.
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

    /// The type `id` in exactly this namespace.
    pub(crate) fn trigger_type(&self, namespace: &str, id: &str) -> Option<&Arc<TriggerType>> {
        self.types.get(id)?.get(namespace)?.last()
    }

    /// The type that is to have a binding: where it says, else at home, else in `default`.
    pub(crate) fn provider_of(&self, binding: &Binding) -> Option<&Arc<TriggerType>> {
        let id = &binding.trigger_type;
        match &binding.provider_namespace {
            Some(namespace) => self.trigger_type(namespace, id),
            None => self
                .trigger_type(&binding.home, id)
                .or_else(|| self.trigger_type(DEFAULT_NAMESPACE, id)),
        }
    }

    /// Removes one provider's entry of a type, and gives it back.
    pub(crate) fn remove_type(
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
    pub(crate) fn bindings_where(&self, which: impl Fn(&Bound) -> bool) -> Vec<Bound> {
        self.bindings.values().filter(|one| which(one)).cloned().collect()
    }
}
