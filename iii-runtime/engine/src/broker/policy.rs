//! Policies that authorize the calls and registrations of a connection, ids that they renamed, and what a caller may
//! see.

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

/// The error of a denied request.
pub(crate) fn forbidden(message: impl Into<String>) -> ErrorBody {
    ErrorBody { retryable: Some(false), ..ErrorBody::new(code::FORBIDDEN, message) }
}

/// The policy of a connection. A connection without one is unrestricted.
///
/// Only registrations are authorized asynchronously. All other methods are called for each call and must not block.
pub(crate) trait ConnectionPolicy: Send + Sync + 'static {
    /// Authorizes the use of a namespace.
    fn check_namespace(&self, namespace: &Namespace) -> Result<(), ErrorBody>;

    /// Authorizes a call of a function, whether it exists or not. `namespace` is that of the function, not the one in
    /// which it was looked up; `metadata` is the metadata that its worker registered.
    fn check_call(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
        metadata: Option<&Payload>,
    ) -> Result<(), ErrorBody>;

    /// Redirects an authorized call to another function; `None` calls its own function.
    fn redirect(&self, call: &Request, action: Option<&Action>) -> Option<Redirect>;

    /// Authorizes the registration of a function, and may rewrite it. `home` is the namespace of the connection.
    fn check_function(
        self: Arc<Self>,
        function: RegisterFunction,
        home: Namespace,
    ) -> BoxFuture<'static, Result<RegisterFunction, ErrorBody>>;

    /// Authorizes the registration of a trigger, and may rewrite it.
    fn check_trigger(
        self: Arc<Self>,
        binding: RegisterTrigger,
    ) -> BoxFuture<'static, Result<RegisterTrigger, ErrorBody>>;

    /// Authorizes the registration of a trigger type, and may rewrite it.
    fn check_trigger_type(
        self: Arc<Self>,
        one: RegisterTriggerType,
    ) -> BoxFuture<'static, Result<RegisterTriggerType, ErrorBody>>;

    /// Returns whether the worker may register triggers of a type.
    fn may_bind(&self, trigger_type: &TriggerTypeId) -> bool;
}

/// The function that receives a redirected call.
pub(crate) struct Redirect {
    /// The function: in the namespace of the original function, otherwise in `default`.
    pub(crate) function_id: FunctionId,
    /// The input.
    pub(crate) data: Payload,
    /// The timeout of its result.
    pub(crate) limit: Duration,
}

/// The policy of a connection, and the registrations that await its decision.
pub(crate) struct PolicyState {
    /// The policy.
    pub(crate) policy: Arc<dyn ConnectionPolicy>,
    /// `None` while no decision is pending.
    pub(super) pending: Mutex<Option<VecDeque<PendingRegistration>>>,
    /// The weight of the queued registrations. Only modified under the lock of `pending`.
    pub(super) pending_bytes: AtomicUsize,
}

/// A step that waits for the decision about an earlier registration.
pub(super) enum PendingRegistration {
    /// A registration.
    Apply(Message),
    /// Signals that all earlier registrations were decided.
    Barrier(oneshot::Sender<()>),
}

impl PolicyState {
    /// Creates the state of a policy without pending registrations.
    pub(crate) fn new(policy: Arc<dyn ConnectionPolicy>) -> Self {
        Self { policy, pending: Mutex::default(), pending_bytes: AtomicUsize::new(0) }
    }
}

/// The ids that a worker chose, and the ids that its policy replaced them with.
#[derive(Default)]
pub(crate) struct IdAliases {
    /// Functions.
    pub(crate) functions: BTreeMap<FunctionId, FunctionId>,
    /// Triggers.
    pub(crate) triggers: BTreeMap<TriggerId, TriggerId>,
    /// Trigger types.
    pub(crate) types: BTreeMap<TriggerTypeId, TriggerTypeId>,
}

/// Records the new id of one of `held` objects. Returns its previous new id.
///
/// Several ids may map to the same new one; then only the last is kept, so that there are never more ids than objects.
pub(super) fn record_alias<Id: Clone + Ord>(
    aliases: &mut BTreeMap<Id, Id>,
    held: usize,
    local_id: Id,
    new_id: &Id,
) -> Option<Id> {
    if aliases.len() >= held {
        aliases.retain(|name, one| one != new_id || *name == local_id);
    }
    aliases.insert(local_id, new_id.clone())
}

impl IdAliases {
    /// Returns the id that the worker chose for a trigger.
    pub(super) fn local_trigger_id(&self, id: &TriggerId) -> TriggerId {
        let aliases = self.triggers.iter().find(|(_, new_id)| *new_id == id);
        aliases.map_or_else(|| id.clone(), |(local_id, _)| local_id.clone())
    }
}

/// The objects of the broker that a caller may see.
pub(crate) struct Visibility {
    broker: Broker,
    /// The caller, if it has a policy; otherwise everything is visible.
    caller: Option<(WorkerId, Arc<dyn ConnectionPolicy>)>,
}

impl Broker {
    /// Returns the visibility of a caller. The engine itself sees everything.
    pub(crate) fn visibility(&self, caller: Option<WorkerId>) -> Visibility {
        let caller = caller.and_then(|id| Some((id, self.policy_of(id)?)));
        Visibility { broker: self.clone(), caller }
    }

    /// Returns the policy of a connection; `None` if it has none or ended.
    pub(crate) fn policy_of(&self, worker: WorkerId) -> Option<Arc<dyn ConnectionPolicy>> {
        let registry = self.registry();
        let state = registry.connections.get(&worker)?.connection.policy.as_ref()?;
        Some(state.policy.clone())
    }

    /// Resolves the id of a function in the config of a trigger, such as its condition: the owner of the trigger may
    /// have registered the function under another id.
    pub(crate) fn resolve_function_id(&self, binding: &Binding, id: &FunctionId) -> FunctionId {
        let registry = self.registry();
        let entry = binding.owner.and_then(|owner| registry.connections.get(&owner));
        entry.and_then(|entry| entry.aliases.functions.get(id)).unwrap_or(id).clone()
    }

    /// Returns the namespace and the metadata of the function that a call of `id` in `namespace` would reach.
    pub(crate) fn lookup_function(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
    ) -> Option<(Namespace, Option<Payload>)> {
        let registry = self.registry();
        let function = registry.function(namespace, id)?;
        Some((function.namespace.clone(), function.metadata.clone()))
    }
}

impl Visibility {
    /// Returns whether anything may be invisible.
    pub(crate) fn is_restricted(&self) -> bool {
        self.caller.is_some()
    }

    /// Returns whether the caller is the connection with this id and has a policy.
    pub(crate) fn is_owner(&self, owner: Option<WorkerId>) -> bool {
        self.caller.as_ref().is_some_and(|(me, _)| Some(*me) == owner)
    }

    /// Returns whether a function is visible: the caller's own, and those that it may call.
    pub(crate) fn function(&self, view: &FunctionView) -> bool {
        self.is_owner(view.owner)
            || self.may_call(&view.namespace, &view.id, view.metadata.as_ref())
    }

    /// Returns whether a trigger type is visible: the caller's own, and those that it may register triggers of.
    pub(crate) fn trigger_type(&self, view: &TriggerTypeView) -> bool {
        let binds = |(_, policy): &(WorkerId, Arc<dyn ConnectionPolicy>)| policy.may_bind(&view.id);
        self.is_owner(view.owner) || self.caller.as_ref().is_none_or(binds)
    }

    /// Returns whether a trigger is visible: the caller's own, and those of functions that it may call.
    pub(crate) fn binding(&self, binding: &Binding) -> bool {
        if self.caller.is_none() || self.is_owner(binding.owner) {
            return true;
        }
        let (namespace, id) = (&binding.namespace, &binding.function_id);
        match self.broker.lookup_function(namespace, id) {
            Some((namespace, metadata)) => self.may_call(&namespace, id, metadata.as_ref()),
            None => self.may_call(namespace, id, None),
        }
    }

    /// Returns whether a function may be called, whether it exists or not.
    pub(crate) fn may_call(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
        metadata: Option<&Payload>,
    ) -> bool {
        let allows = |(_, policy): &(WorkerId, Arc<dyn ConnectionPolicy>)| {
            policy.check_call(namespace, id, metadata)
        };
        self.caller.as_ref().is_none_or(|caller| allows(caller).is_ok())
    }

    /// Returns the namespace and the id of a function that the caller registered as `id` and its policy renamed.
    pub(crate) fn resolve_own_function(&self, id: &str) -> Option<(Namespace, FunctionId)> {
        let (me, _) = self.caller.as_ref()?;
        let registry = self.broker.registry();
        let entry = registry.connections.get(me)?;
        let new_id = entry.aliases.functions.get(id)?.clone();
        Some((entry.connection.namespace()?.clone(), new_id))
    }

    /// Returns the id that the caller chose for a trigger.
    pub(crate) fn local_trigger_id(&self, id: &TriggerId) -> TriggerId {
        let registry = self.broker.registry();
        let entry = self.caller.as_ref().and_then(|(me, _)| registry.connections.get(me));
        entry.map_or_else(|| id.clone(), |entry| entry.aliases.local_trigger_id(id))
    }
}
