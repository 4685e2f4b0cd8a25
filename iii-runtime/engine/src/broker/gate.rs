//! The gate of a connection: it decides over its calls and registrations for the broker, which knows no access rules.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::{Broker, FunctionView, Request, TriggerTypeView};
use crate::provider::Binding;
use iii_wire::code;
use iii_wire::protocol::{
    Action, ErrorBody, FunctionId, Message, Namespace, Payload, RegisterFunction, RegisterTrigger,
    RegisterTriggerType, TriggerId, TriggerTypeId, WorkerId,
};

/// The error of what a gate denies.
pub(crate) fn forbidden(message: impl Into<String>) -> ErrorBody {
    ErrorBody { retryable: Some(false), ..ErrorBody::new(code::FORBIDDEN, message) }
}

/// What decides over one connection. A connection without one may do everything.
///
/// Only the registrations may take time; the rest is asked on the way of each call, and must not wait.
pub(crate) trait Gate: Send + Sync + 'static {
    /// Whether the worker may be in a namespace.
    fn enters(&self, namespace: &Namespace) -> Result<(), ErrorBody>;

    /// Whether the worker may call a function, there or not. `namespace` is where the function is, not where it was
    /// looked for; `metadata` is what its own worker says about it.
    fn calls(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
        metadata: Option<&Payload>,
    ) -> Result<(), ErrorBody>;

    /// Where a call that may be made goes instead of to its function; `None`: to its function.
    fn detour(&self, call: &Request, action: Option<&Action>) -> Option<Detour>;

    /// Decides over a function, and may rewrite it. `home` is the namespace of the connection.
    fn function(
        self: Arc<Self>,
        function: RegisterFunction,
        home: Namespace,
    ) -> BoxFuture<'static, Result<RegisterFunction, ErrorBody>>;

    /// Decides over a binding, and may rewrite it.
    fn binding(
        self: Arc<Self>,
        binding: RegisterTrigger,
    ) -> BoxFuture<'static, Result<RegisterTrigger, ErrorBody>>;

    /// Decides over a trigger type, and may rewrite it.
    fn trigger_type(
        self: Arc<Self>,
        one: RegisterTriggerType,
    ) -> BoxFuture<'static, Result<RegisterTriggerType, ErrorBody>>;

    /// Whether the worker may bind triggers of a type.
    fn binds(&self, trigger_type: &TriggerTypeId) -> bool;
}

/// A function that gets a call instead of the one it is for.
pub(crate) struct Detour {
    /// The function: in the namespace of the target, else in `default`.
    pub(crate) function_id: FunctionId,
    /// Its input.
    pub(crate) data: Payload,
    /// How long its answer is waited for.
    pub(crate) limit: Duration,
}

/// The gate of a connection, and the registrations that wait for its decision.
pub(crate) struct Gated {
    /// Who decides.
    pub(crate) gate: Arc<dyn Gate>,
    /// `None`: nothing is being decided.
    pub(super) waiting: Mutex<Option<VecDeque<Step>>>,
    /// What those weigh. Altered only while `waiting` is locked.
    pub(super) bytes: AtomicUsize,
}

/// What waits until the registration before it is decided.
pub(super) enum Step {
    /// A registration.
    Register(Message),
    /// Somebody who wants to know that all before was decided.
    Reached(oneshot::Sender<()>),
}

impl Gated {
    /// A gate before which nothing waits.
    pub(crate) fn new(gate: Arc<dyn Gate>) -> Self {
        Self { gate, waiting: Mutex::default(), bytes: AtomicUsize::new(0) }
    }
}

/// The names that a worker uses, and what they became: only those that its gate rewrote.
#[derive(Default)]
pub(crate) struct Renamed {
    /// Functions.
    pub(crate) functions: BTreeMap<FunctionId, FunctionId>,
    /// Bindings.
    pub(crate) triggers: BTreeMap<TriggerId, TriggerId>,
    /// Trigger types.
    pub(crate) types: BTreeMap<TriggerTypeId, TriggerTypeId>,
}

/// Notes what a name became, of `held` things that there are. What it was before, if it was.
///
/// Several names may become one; then only the last is kept, so that no worker has more names than things.
pub(super) fn rename<Id: Clone + Ord>(
    names: &mut BTreeMap<Id, Id>,
    held: usize,
    own: Id,
    became: &Id,
) -> Option<Id> {
    if names.len() >= held {
        names.retain(|name, one| one != became || *name == own);
    }
    names.insert(own, became.clone())
}

impl Renamed {
    /// The name that the worker has for a binding.
    pub(super) fn own_trigger(&self, id: &TriggerId) -> TriggerId {
        let renamed = self.triggers.iter().find(|(_, became)| *became == id);
        renamed.map_or_else(|| id.clone(), |(own, _)| own.clone())
    }
}

/// What a caller may see of what the broker holds.
pub(crate) struct Eyes {
    broker: Broker,
    /// The caller, if it has a gate; else it sees everything.
    caller: Option<(WorkerId, Arc<dyn Gate>)>,
}

impl Broker {
    /// The eyes of a caller. The engine itself sees everything.
    pub(crate) fn eyes(&self, caller: Option<WorkerId>) -> Eyes {
        let caller = caller.and_then(|id| Some((id, self.gate_of(id)?)));
        Eyes { broker: self.clone(), caller }
    }

    /// The gate of a connection; `None` if it has none, or is gone.
    pub(crate) fn gate_of(&self, worker: WorkerId) -> Option<Arc<dyn Gate>> {
        let registry = self.registry();
        let gated = registry.connections.get(&worker)?.connection.gated.as_ref()?;
        Some(gated.gate.clone())
    }

    /// The function that the config of a binding names, such as its condition: the worker that has registered the binding
    /// may know it by a name of its own.
    pub(crate) fn named_by(&self, binding: &Binding, id: &FunctionId) -> FunctionId {
        let registry = self.registry();
        let entry = binding.owner.and_then(|owner| registry.connections.get(&owner));
        entry.and_then(|entry| entry.renamed.functions.get(id)).unwrap_or(id).clone()
    }

    /// The function that a call of `id` in `namespace` would reach: where it is, and what its worker says about it.
    pub(crate) fn reached(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
    ) -> Option<(Namespace, Option<Payload>)> {
        let registry = self.registry();
        let function = registry.function(namespace, id)?;
        Some((function.namespace.clone(), function.metadata.clone()))
    }
}

impl Eyes {
    /// Whether there is anything that they do not see.
    pub(crate) fn are_limited(&self) -> bool {
        self.caller.is_some()
    }

    /// Whether they are those of the connection with this id, which has a gate.
    pub(crate) fn are_of(&self, owner: Option<WorkerId>) -> bool {
        self.caller.as_ref().is_some_and(|(me, _)| Some(*me) == owner)
    }

    /// Whether they see a function: their own, and those that may be called.
    pub(crate) fn function(&self, view: &FunctionView) -> bool {
        self.are_of(view.owner) || self.may_call(&view.namespace, &view.id, view.metadata.as_ref())
    }

    /// Whether they see a trigger type: their own, and those that may be bound.
    pub(crate) fn trigger_type(&self, view: &TriggerTypeView) -> bool {
        let binds = |(_, gate): &(WorkerId, Arc<dyn Gate>)| gate.binds(&view.id);
        self.are_of(view.owner) || self.caller.as_ref().is_none_or(binds)
    }

    /// Whether they see a binding: their own, and those of functions that may be called.
    pub(crate) fn binding(&self, binding: &Binding) -> bool {
        if self.caller.is_none() || self.are_of(binding.owner) {
            return true;
        }
        let (namespace, id) = (&binding.namespace, &binding.function_id);
        match self.broker.reached(namespace, id) {
            Some((namespace, metadata)) => self.may_call(&namespace, id, metadata.as_ref()),
            None => self.may_call(namespace, id, None),
        }
    }

    /// Whether a function may be called, there or not.
    pub(crate) fn may_call(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
        metadata: Option<&Payload>,
    ) -> bool {
        let allows = |(_, gate): &(WorkerId, Arc<dyn Gate>)| gate.calls(namespace, id, metadata);
        self.caller.as_ref().is_none_or(|caller| allows(caller).is_ok())
    }

    /// Where a function is that the caller registered under this id and that its gate gave another one.
    pub(crate) fn own_function(&self, id: &str) -> Option<(Namespace, FunctionId)> {
        let (me, _) = self.caller.as_ref()?;
        let registry = self.broker.registry();
        let entry = registry.connections.get(me)?;
        let became = entry.renamed.functions.get(id)?.clone();
        Some((entry.connection.namespace()?.clone(), became))
    }

    /// The id that the caller knows a binding by.
    pub(crate) fn own_trigger(&self, id: &TriggerId) -> TriggerId {
        let registry = self.broker.registry();
        let entry = self.caller.as_ref().and_then(|(me, _)| registry.connections.get(me));
        entry.map_or_else(|| id.clone(), |entry| entry.renamed.own_trigger(id))
    }
}
