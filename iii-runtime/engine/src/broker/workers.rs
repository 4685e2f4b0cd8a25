//! The life cycle of workers: announcement, names, reattachment, and cleanup.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use super::calls::{PendingCall, stopped};
use super::connection::WorkerConnection;
use super::registry::WorkerInfo;
use super::{Broker, TriggerEntry, limits};
use crate::provider::{BrokerEvent, Outcome, invalid_input};
use iii_wire::code;
use iii_wire::protocol::{
    ErrorBody, FunctionId, Message, Namespace, Payload, RegistrationRejected, WorkerId,
};
use iii_wire::sync::lock;

/// The function with which a worker announces itself.
pub(crate) const ANNOUNCE: &str = "engine::workers::register";

/// How a worker describes itself, as received ([protocol 3.2](iii_wire::protocol#s3-2)).
#[derive(Debug, Deserialize, schemars::JsonSchema)]
pub(crate) struct Announcement {
    /// The language and SDK of the worker.
    runtime: Option<String>,
    /// The version of the SDK.
    version: Option<String>,
    /// The name of the worker.
    name: Option<String>,
    /// The description of the worker.
    description: Option<String>,
    /// The operating system.
    os: Option<String>,
    /// The isolation of the worker, such as a container.
    isolation: Option<String>,
    /// The process id.
    pid: Option<u64>,
    /// The namespace of the worker's registrations.
    namespace: Option<String>,
}

impl Broker {
    /// Handles an announcement: claims the name, sets the namespace, and applies the buffered registrations.
    ///
    /// `wants_answer` is whether the worker awaits the result.
    pub(super) fn announce(
        &self,
        connection: &Arc<WorkerConnection>,
        data: &Payload,
        wants_answer: bool,
    ) -> Outcome {
        if let Some(state) = &connection.policy {
            state.policy.check_call(&Namespace::default(), &ANNOUNCE.into(), None)?;
        }
        let announcement: Announcement =
            data.parse().map_err(|error| invalid_input(ANNOUNCE, &error))?;
        let wanted = match announcement.namespace.as_deref() {
            Some(namespace) if namespace.trim().is_empty() => {
                return Err(super::invoke::blank_namespace("namespace"));
            }
            Some(namespace) => Namespace::from(namespace),
            None => Namespace::default(),
        };
        let namespace = match connection.namespace() {
            Some(fixed) => {
                if *fixed != wanted && announcement.namespace.is_some() {
                    tracing::warn!(worker = %connection.id, "the namespace `{fixed}` cannot be changed to `{wanted}`");
                }
                fixed.clone()
            }
            None => {
                self.check_namespace(
                    connection,
                    &wanted,
                    announcement.name.as_deref(),
                    wants_answer,
                )?;
                wanted
            }
        };
        let info = WorkerInfo {
            runtime: announcement.runtime.unwrap_or_else(|| "unknown".to_owned()),
            version: announcement.version,
            name: announcement.name.and_then(|name| sanitize(&name)),
            description: announcement.description.and_then(|text| sanitize(&text)),
            os: announcement.os,
            isolation: announcement.isolation,
            pid: announcement.pid,
        };
        if let Err((holder, name)) = self.claim_name(connection, &namespace, info) {
            tracing::warn!(worker = %connection.id, "disconnecting a worker: the name `{name}` is in use");
            connection.send(Message::RegistrationRejected(Box::new(RegistrationRejected {
                code: code::WORKER_NAMESPACE_CONFLICT.to_owned(),
                namespace,
                function_id: None,
                worker_name: Some(name),
                owner_worker_id: holder.to_string(),
                error: None,
            })));
            // The reading task notices that the connection was removed, and closes it.
            self.detach(connection);
            return Ok(Some(Payload::from_built(r#"{"success":false}"#.to_owned())));
        }
        self.set_namespace(connection, namespace);
        self.notify(&BrokerEvent::WorkerUpdated(connection.id));
        Ok(Some(Payload::from_built(r#"{"success":true}"#.to_owned())))
    }

    /// Records the description of a worker, unless its name belongs to another connection.
    fn claim_name(
        &self,
        connection: &WorkerConnection,
        namespace: &Namespace,
        info: WorkerInfo,
    ) -> Result<(), (WorkerId, String)> {
        let _changes = lock(&self.inner.changes);
        let mut registry = self.registry_mut();
        let registry = &mut *registry;
        let Some(entry) = registry.connections.get_mut(&connection.id) else { return Ok(()) };
        let before = entry.info.as_ref().and_then(|info| info.name.clone());
        if let Some(name) = &info.name {
            match registry.names.get(&(namespace.clone(), name.clone())) {
                Some(holder) if *holder != connection.id => return Err((*holder, name.clone())),
                _ => {}
            }
        }
        if let Some(before) = before {
            registry.names.remove(&(namespace.clone(), before));
        }
        if let Some(name) = &info.name {
            registry.names.insert((namespace.clone(), name.clone()), connection.id);
        }
        entry.info = Some(info);
        Ok(())
    }

    /// Sets the namespace of a connection and applies its buffered registrations in order.
    pub(super) fn set_namespace(&self, connection: &Arc<WorkerConnection>, namespace: Namespace) {
        for message in connection.set_namespace(namespace) {
            self.apply(connection, message);
        }
    }

    /// Puts a connection that did not announce a namespace in time into `default`. If that is not allowed, its
    /// registrations remain buffered until it announces another one.
    pub(super) fn open_in_default(&self, connection: &Arc<WorkerConnection>) {
        if self.check_namespace(connection, &Namespace::default(), None, true).is_ok() {
            self.set_namespace(connection, Namespace::default());
        }
    }

    /// Replaces an earlier connection, whose registrations are removed before this returns.
    ///
    /// A wrong id or token is ignored ([protocol 3.5](iii_wire::protocol#s3-5)).
    pub(super) fn reattach(&self, connection: &WorkerConnection, previous: WorkerId, token: Uuid) {
        let old = self.registry().connections.get(&previous).map(|one| one.connection.clone());
        let Some(old) = old.filter(|old| old.id != connection.id && old.token == token) else {
            tracing::debug!(worker = %connection.id, "unknown connection to reattach to");
            return;
        };
        let reserved = self.remove(&old, true);
        old.end();
        self.reserve_for_successor(old.namespace().cloned().unwrap_or_default(), reserved);
    }

    /// Removes all registrations of a connection, and ends its calls. Idempotent.
    pub(super) fn detach(&self, connection: &Arc<WorkerConnection>) {
        self.remove(connection, false);
    }

    /// Like [`Broker::detach`]. With a successor, standby registrations do not take over; returns the ids they wait
    /// for.
    fn remove(&self, connection: &Arc<WorkerConnection>, has_successor: bool) -> Vec<FunctionId> {
        if !connection.mark_removed() {
            return Vec::new();
        }
        let reserved = {
            let _changes = lock(&self.inner.changes);
            self.remove_registrations(connection, has_successor)
        };
        self.inner.counters.worker_disconnected();
        for PendingCall { reply_to, since, .. } in connection.pending.close() {
            self.inner.counters.completed(since, false);
            reply_to.answer(Err(stopped()));
        }
        if connection.calls.load(std::sync::atomic::Ordering::Acquire) > 0 {
            let others: Vec<_> =
                self.registry().connections.values().map(|one| one.connection.clone()).collect();
            for other in others {
                other.pending.forget(connection.id);
            }
        }
        self.notify(&BrokerEvent::FunctionsChanged);
        self.notify(&BrokerEvent::WorkerDisconnected(connection.id));
        reserved
    }

    /// Removes a connection from the tables. `changes` is held. Returns the function ids reserved for a successor.
    fn remove_registrations(
        &self,
        connection: &Arc<WorkerConnection>,
        has_successor: bool,
    ) -> Vec<FunctionId> {
        let (types, bindings, reserved) = {
            let mut registry = self.registry_mut();
            let registry = &mut *registry;
            let Some(entry) = registry.connections.remove(&connection.id) else {
                return Vec::new();
            };
            let namespace = connection.namespace().cloned().unwrap_or_default();
            if let Some(name) = entry.info.and_then(|info| info.name) {
                registry.names.remove(&(namespace.clone(), name));
            }
            registry.remove_all_standby(connection.id, &namespace, entry.standby.iter());
            for id in &entry.functions {
                registry.remove_function(&namespace, id);
                if !has_successor {
                    registry.promote_standby(&namespace, id);
                }
            }
            let reserved = registry.with_standby(&namespace, entry.functions.into_iter());
            let bindings: Vec<TriggerEntry> =
                entry.triggers.iter().filter_map(|id| registry.bindings.remove(id)).collect();
            (entry.types, bindings, reserved)
        };
        let had_bindings = !bindings.is_empty();
        for entry in bindings {
            if let Some(provider) = entry.provider {
                provider.remove_trigger(&entry.binding);
            }
        }
        if had_bindings && !has_successor {
            self.retry_rejected();
        }
        for (namespace, id) in types.into_keys() {
            self.remove_provider(connection, &namespace, &id);
        }
        reserved
    }
}

/// Sanitizes a name: removes control and direction characters, and truncates it. `None` if nothing is left.
fn sanitize(text: &str) -> Option<String> {
    let is_direction = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let sanitized: String = text
        .chars()
        .filter(|c| !c.is_control() && !is_direction(*c))
        .take(limits::MAX_NAME_CHARS)
        .collect();
    let sanitized = sanitized.trim();
    (!sanitized.is_empty()).then(|| sanitized.to_owned())
}

/// The error of the built-in entry of the announcement, which the broker itself handles.
pub(crate) fn announcement_error() -> ErrorBody {
    ErrorBody::new(
        code::INVALID_ARGUMENTS,
        format!("only a connected worker can call `{ANNOUNCE}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sanitized() {
        assert_eq!(sanitize(" a\u{202e}b\n\u{7}c ").as_deref(), Some("abc"));
        assert_eq!(sanitize("\u{200e} \n"), None);
        assert_eq!(sanitize(&"x".repeat(400)).unwrap().len(), limits::MAX_NAME_CHARS);
    }
}
