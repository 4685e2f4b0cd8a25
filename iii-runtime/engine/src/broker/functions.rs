//! Registration and ownership of functions, and registration of services ([protocol 2.3](iii_wire::protocol#s2-3), [3.4](iii_wire::protocol#s3-4)).

use std::sync::Arc;

use super::Broker;
use super::connection::WorkerConnection;
use super::policy::record_alias;
use super::registry::{FunctionTarget, RegisteredFunction, Registry, WEIGHT};
use super::standby::StandbyFunction;
use crate::provider::{BrokerEvent, LazySchema};
use iii_wire::code;
use iii_wire::protocol::{
    DEFAULT_NAMESPACE, ErrorBody, FunctionId, Message, Namespace, RegisterFunction,
    RegisterService, RegistrationRejected,
};
use iii_wire::sync::lock;

/// The function that enqueues calls, which is the only built-in function that a worker may replace.
pub(crate) const ENQUEUE: &str = "engine::queue::enqueue";

impl Broker {
    /// Registers a function for a connection, or rejects it. `local_id` is the id that its worker chose, if a
    /// policy may have renamed it.
    pub(super) fn register_function(
        &self,
        owner: &Arc<WorkerConnection>,
        m: RegisterFunction,
        local_id: Option<FunctionId>,
    ) {
        let namespace = owner.namespace().cloned().unwrap_or_default();
        if m.id.is_empty() {
            return report_invalid(owner, "the `id` of a function must not be empty");
        }
        let id = local_id.clone().unwrap_or_else(|| m.id.clone());
        let claim = StandbyFunction {
            owner: owner.clone(),
            local_id: local_id.filter(|local_id| *local_id != m.id),
            external: m.invocation.is_some().then(|| self.external(&m)),
            calls: self.inner.counters.of(&m.id),
            registration: m,
        };
        let claimed = {
            let _changes = lock(&self.inner.changes);
            self.registry_mut().claim(claim)
        };
        match claimed {
            Ok(()) => self.functions_changed(),
            Err(Rejection { holder, error }) => {
                reject(owner, namespace, id, holder, error.map(|error| *error));
            }
        }
    }

    /// Unregisters a function. Ignored unless the connection owns it.
    pub(super) fn unregister_function(&self, owner: &Arc<WorkerConnection>, id: &FunctionId) {
        let namespace = owner.namespace().cloned().unwrap_or_default();
        {
            let _changes = lock(&self.inner.changes);
            let mut registry = self.registry_mut();
            let registry = &mut *registry;
            registry.remove_standby_by_local_id(owner.id, &namespace, id);
            let Some(entry) = registry.connections.get_mut(&owner.id) else { return };
            let new_id = entry.aliases.functions.remove(id);
            let local_id = id;
            let id = new_id.as_ref().unwrap_or(id);
            let functions = registry.functions.get(&namespace);
            let function = functions.and_then(|functions| functions.get(id));
            // A policy may since have mapped another function of the worker to the same id.
            let is_registered = function.is_some_and(|one| one.local_id() == local_id);
            if !is_registered || !entry.functions.remove(id) {
                return;
            }
            let weight = registry.remove_function(&namespace, id);
            if let Some(entry) = registry.connections.get_mut(&owner.id) {
                entry.weigh(weight, 0);
            }
            registry.promote_standby(&namespace, id);
        }
        self.functions_changed();
    }

    /// Stores a service. Services are not used otherwise ([protocol 2.11](iii_wire::protocol#s2-11)).
    pub(super) fn register_service(&self, owner: &Arc<WorkerConnection>, m: RegisterService) {
        let mut registry = self.registry_mut();
        let Some(entry) = registry.connections.get_mut(&owner.id) else { return };
        let before = entry.services.get(&m.id).map_or(0, weight_of_service);
        let after = weight_of_service(&m);
        let quota = entry.quota("services", entry.services.len(), owner.limits.workers.services);
        if let Err(error) = quota.admit(before, after) {
            // The protocol has no message for this.
            return tracing::warn!(worker = %owner.id, "the service `{}` was not registered: {error}", m.id);
        }
        entry.weigh(before, after);
        entry.services.insert(m.id.clone(), m);
    }

    fn functions_changed(&self) {
        self.notify(&BrokerEvent::FunctionsChanged);
    }
}

/// Why a function was not registered.
#[derive(Default)]
pub(super) struct Rejection {
    /// The connection that owns the id; empty if it is reserved or no conflict.
    holder: String,
    /// The error, unless the id is taken.
    error: Option<Box<ErrorBody>>,
}

impl Registry {
    /// Registers a function. If another worker owns the id, the registration is put on standby.
    pub(super) fn claim(&mut self, claim: StandbyFunction) -> Result<(), Rejection> {
        let registry = self;
        let namespace = &claim.owner.namespace().cloned().unwrap_or_default();
        let m = &claim.registration;
        let reserved = if *namespace == DEFAULT_NAMESPACE {
            registry.builtins.contains_key(&m.id) && m.id != ENQUEUE
        } else {
            m.id.starts_with("engine::")
        };
        if reserved {
            return Err(Rejection::default());
        }
        let functions = registry.functions.entry(namespace.clone()).or_default();
        let holder = functions.get(&m.id).and_then(|function| function.owner());
        if let Some(holder) = holder
            && holder.id != claim.owner.id
        {
            let holder = holder.id.to_string();
            registry.put_on_standby(claim);
            return Err(Rejection { holder, error: None });
        }
        let StandbyFunction { owner, registration: m, local_id, external, calls } = claim;
        // The connection may have ended meanwhile.
        let Some(entry) = registry.connections.get_mut(&owner.id) else { return Ok(()) };
        let before = functions.get(&m.id).map_or(0, |function| function.weight());
        let function = RegisteredFunction {
            id: m.id,
            namespace: namespace.clone(),
            description: m.description.map(Into::into),
            request_schema: LazySchema::Document(m.request_format),
            response_schema: LazySchema::Document(m.response_format),
            metadata: m.metadata,
            local_id: local_id.clone(),
            calls,
            target: match external {
                Some(code) => FunctionTarget::External { owner: owner.clone(), code },
                None => FunctionTarget::Worker(owner.clone()),
            },
        };
        let after = function.weight();
        let quota = entry.quota("functions", entry.functions.len(), owner.limits.workers.functions);
        if let Err(error) = quota.admit(before, after) {
            return Err(Rejection { error: Some(Box::new(error)), ..Rejection::default() });
        }
        let id = function.id.clone();
        entry.functions.insert(id.clone());
        entry.weigh(before, after);
        // A worker may register an id again that a policy now maps to another one: the previous function is removed.
        let aliases = &mut entry.aliases.functions;
        let previous = match &local_id {
            Some(local_id) => record_alias(aliases, entry.functions.len(), local_id.clone(), &id),
            None => aliases.remove(&id),
        };
        let local_id = local_id.as_ref().unwrap_or(&id);
        let replaced = previous.filter(|previous| {
            *previous != id && functions.get(previous).is_some_and(|one| one.local_id() == local_id)
        });
        if let Some(previous) = &replaced {
            entry.functions.remove(previous);
            entry.weigh(functions.remove(previous).map_or(0, |one| one.weight()), 0);
        }
        functions.insert(id.clone(), Arc::new(function));
        registry.remove_standby(owner.id, namespace, &id);
        if let Some(previous) = replaced {
            registry.promote_standby(namespace, &previous);
        }
        Ok(())
    }

    /// Removes a function of a worker. Returns its weight.
    pub(super) fn remove_function(&mut self, namespace: &Namespace, id: &FunctionId) -> usize {
        let Some(functions) = self.functions.get_mut(namespace) else { return 0 };
        let weight = functions.remove(id).map_or(0, |function| function.weight());
        if functions.is_empty() {
            self.functions.remove(namespace);
        }
        weight
    }
}

/// Reports an invalid message to a worker for which the protocol has no specific message.
pub(super) fn report_invalid(worker: &WorkerConnection, message: &str) {
    tracing::warn!(worker = %worker.id, "a message was rejected: {message}");
    worker.send(Message::Error(Box::new(ErrorBody::new(code::INVALID_MESSAGE, message))));
}

fn weight_of_service(m: &RegisterService) -> usize {
    let texts = [&m.name, &m.description, &m.parent_service_id];
    texts.into_iter().flatten().map(String::len).sum::<usize>() + m.id.len() + WEIGHT
}

/// Rejects the registration of a function.
///
/// SDKs stop on every other code ([protocol 3.8](iii_wire::protocol#s3-8)); workers of this project also read the error.
pub(super) fn reject(
    worker: &WorkerConnection,
    namespace: Namespace,
    function_id: FunctionId,
    owner_worker_id: String,
    error: Option<ErrorBody>,
) {
    let why = error
        .as_ref()
        .map_or_else(|| code::FUNCTION_NAMESPACE_CONFLICT.to_owned(), ToString::to_string);
    tracing::warn!(worker = %worker.id, id = %function_id, %namespace, "a registration was rejected: {why}");
    worker.send(Message::RegistrationRejected(Box::new(RegistrationRejected {
        code: code::FUNCTION_NAMESPACE_CONFLICT.to_owned(),
        namespace,
        function_id: Some(function_id),
        worker_name: None,
        owner_worker_id,
        error,
    })));
}
