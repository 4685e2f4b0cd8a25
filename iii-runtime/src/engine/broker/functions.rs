//! Registration of functions and services, and who owns which id (protocol sections 2.3 and 3.4).

use std::sync::Arc;

use super::connection::Connection;
use super::registry::{Function, Target};
use super::{Broker, limits, lock, read};
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
            tracing::warn!(worker = %owner.id, "a function without id was not registered");
            return;
        }
        let external = m.invocation.is_some().then(|| self.external(&m));
        let id = m.id.clone();
        match self.claim(owner, &namespace, m, external) {
            Ok(()) => self.functions_changed(),
            Err((code, holder)) => reject(owner, code, namespace, id, holder),
        }
    }

    /// Enters a function, or says with which code it is refused and who has the id.
    fn claim(
        &self,
        owner: &Arc<Connection>,
        namespace: &Namespace,
        m: RegisterFunction,
        external: Option<Handler>,
    ) -> Result<(), (&'static str, String)> {
        let _changes = lock(&self.inner.changes);
        let mut registry = self.registry_mut();
        let registry = &mut *registry;
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
            return Err((CONFLICT, holder.id.to_string()));
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
            calls: self.inner.counters.of(&m.id),
            id: m.id.clone(),
            namespace: namespace.clone(),
            description: m.description,
            request_schema: m.request_format,
            response_schema: m.response_format,
            metadata: m.metadata,
            target,
        };
        functions.insert(m.id, Arc::new(function));
        Ok(())
    }

    /// The code of a function that an endpoint serves. Where nobody can serve it, calling it says so.
    fn external(&self, m: &RegisterFunction) -> Handler {
        let providers = read(&self.inner.providers).clone();
        let served = providers.iter().find_map(|provider| provider.external(m));
        let error = match served {
            Some(Ok(handler)) => return handler,
            Some(Err(error)) => error,
            None => ErrorBody::new(
                "http_functions_unavailable",
                format!("`{}` is served over HTTP, which this engine does not do", m.id),
            ),
        };
        tracing::warn!(function = %m.id, "the function cannot be called: {error}");
        Arc::new(move |_| Box::pin(std::future::ready(Err(error.clone()))))
    }

    /// Takes a function away from its owner. Of anybody else the message is ignored.
    pub(super) fn unregister_function(&self, owner: &Arc<Connection>, id: &FunctionId) {
        let namespace = owner.namespace().cloned().unwrap_or_default();
        {
            let _changes = lock(&self.inner.changes);
            let mut registry = self.registry_mut();
            let Some(entry) = registry.connections.get_mut(&owner.id) else { return };
            if !entry.functions.remove(id) {
                return;
            }
            registry.remove_function(&namespace, id);
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

impl super::Registry {
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
