//! Registration of functions and services, and who owns which id (protocol sections 2.3 and 3.4).

use std::sync::Arc;

use super::connection::Connection;
use super::registry::{Function, Registry, Target};
use super::standby::Waiting;
use super::{Broker, limits, lock};
use crate::engine::provider::{Event, Handler};
use crate::error::code;
use crate::protocol::{
    DEFAULT_NAMESPACE, ErrorBody, FunctionId, Message, Namespace, RegisterFunction,
    RegisterService, RegistrationRejected,
};

/// The function that takes queued calls. The one built-in id that a worker may take over.
pub(crate) const ENQUEUE: &str = "engine::queue::enqueue";

/// The code that tells a worker that an id is not its own.
const CONFLICT: &str = "FUNCTION_NAMESPACE_CONFLICT";

impl Broker {
    /// Gives a function id to a connection, or tells it why not.
    pub(super) fn register_function(&self, owner: &Arc<Connection>, m: RegisterFunction) {
        let namespace = owner.namespace().cloned().unwrap_or_default();
        if m.id.is_empty() {
            return complain(owner, "a function needs an `id` that is not empty");
        }
        let external = m.invocation.is_some().then(|| self.external(&m));
        let id = m.id.clone();
        match self.claim(owner, &namespace, m, external) {
            Ok(()) => self.functions_changed(),
            Err((code, holder)) => reject(owner, code, namespace, id, holder),
        }
    }

    /// Gives a function id to a connection, or says with which code it is refused and who has the id.
    fn claim(
        &self,
        owner: &Arc<Connection>,
        namespace: &Namespace,
        m: RegisterFunction,
        external: Option<Handler>,
    ) -> Result<(), (&'static str, String)> {
        let _changes = lock(&self.inner.changes);
        self.registry_mut().claim(owner, namespace, m, external)
    }

    /// Takes a function away from its owner. Of anybody else the message is ignored.
    pub(super) fn unregister_function(&self, owner: &Arc<Connection>, id: &FunctionId) {
        let namespace = owner.namespace().cloned().unwrap_or_default();
        {
            let _changes = lock(&self.inner.changes);
            let mut registry = self.registry_mut();
            registry.leave_line(owner.id, &namespace, id);
            let Some(entry) = registry.connections.get_mut(&owner.id) else { return };
            if !entry.functions.remove(id) {
                return;
            }
            registry.remove_function(&namespace, id);
            registry.take_over(&namespace, id);
        }
        self.functions_changed();
    }

    /// Keeps a service. Nothing reads it (protocol section 2.11).
    pub(super) fn register_service(&self, owner: &Arc<Connection>, m: RegisterService) {
        let mut registry = self.registry_mut();
        let Some(entry) = registry.connections.get_mut(&owner.id) else { return };
        if entry.services.len() < limits::SERVICES {
            entry.services.insert(m.id.clone(), m);
        }
    }

    fn functions_changed(&self) {
        self.notice(&Event::FunctionsChanged);
    }
}

impl Registry {
    /// Enters a function, or says with which code it is refused and who has the id. A worker that is refused because of
    /// another one is in line for the id from then on.
    pub(super) fn claim(
        &mut self,
        owner: &Arc<Connection>,
        namespace: &Namespace,
        m: RegisterFunction,
        external: Option<Handler>,
    ) -> Result<(), (&'static str, String)> {
        let registry = self;
        let reserved = if *namespace == DEFAULT_NAMESPACE {
            registry.builtins.contains_key(&m.id) && m.id != ENQUEUE
        } else {
            m.id.starts_with("engine::")
        };
        if reserved {
            return Err((CONFLICT, String::new()));
        }
        let functions = registry.functions.entry(namespace.clone()).or_default();
        let holder = functions.get(&m.id).and_then(|function| function.owner());
        if let Some(holder) = holder
            && holder.id != owner.id
        {
            let holder = holder.id.to_string();
            registry.stand_by(Waiting { owner: owner.clone(), registration: m, external });
            return Err((CONFLICT, holder));
        }
        // A connection that was ended meanwhile gets nothing more.
        let Some(entry) = registry.connections.get_mut(&owner.id) else { return Ok(()) };
        if entry.functions.len() >= limits::FUNCTIONS && !entry.functions.contains(&m.id) {
            return Err((code::OVERLOADED, String::new()));
        }
        entry.functions.insert(m.id.clone());
        let target = match external {
            Some(handler) => Target::External { owner: owner.clone(), handler },
            None => Target::Worker(owner.clone()),
        };
        let function = Function {
            id: m.id.clone(),
            namespace: namespace.clone(),
            description: m.description,
            request_schema: m.request_format,
            response_schema: m.response_format,
            metadata: m.metadata,
            target,
        };
        functions.insert(m.id.clone(), Arc::new(function));
        registry.leave_line(owner.id, namespace, &m.id);
        Ok(())
    }

    /// Removes a worker's function from its namespace.
    pub(super) fn remove_function(&mut self, namespace: &Namespace, id: &FunctionId) {
        if let Some(functions) = self.functions.get_mut(namespace) {
            functions.remove(id);
            if functions.is_empty() {
                self.functions.remove(namespace);
            }
        }
    }
}

/// Tells a worker that one of its messages cannot be used, where no other message fits.
pub(super) fn complain(worker: &Connection, message: &str) {
    tracing::warn!(worker = %worker.id, "a message was refused: {message}");
    worker.send(Message::Error(Box::new(ErrorBody::new(code::INVALID_MESSAGE, message))));
}

/// Tells a worker that it does not get an id.
pub(super) fn reject(
    worker: &Connection,
    code: &str,
    namespace: Namespace,
    function_id: FunctionId,
    owner_worker_id: String,
) {
    tracing::warn!(worker = %worker.id, id = %function_id, %namespace, "a registration was refused: {code}");
    worker.send(Message::RegistrationRejected(Box::new(RegistrationRejected {
        code: code.to_owned(),
        namespace,
        function_id: Some(function_id),
        worker_name: None,
        owner_worker_id,
    })));
}
