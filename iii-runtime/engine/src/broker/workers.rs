//! The life cycle of workers: announcement, names, reattachment, and cleanup.

use std::sync::Arc;

use serde::Deserialize;
use uuid::Uuid;

use super::calls::{Waiting, stopped};
use super::connection::Connection;
use super::registry::WorkerInfo;
use super::{Bound, Broker, limits};
use crate::provider::{BrokerEvent, Outcome, invalid_input};
use iii_wire::code;
use iii_wire::protocol::{
    ErrorBody, FunctionId, Message, Namespace, Payload, RegistrationRejected, WorkerId,
};
use iii_wire::sync::lock;

/// The function with which a worker announces itself.
pub(crate) const ANNOUNCE: &str = "engine::workers::register";

/// How a worker describes itself, as received (protocol section 3.2).
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
    /// `answered` is whether the worker awaits the result.
    pub(super) fn announce(
        &self,
        connection: &Arc<Connection>,
        data: &Payload,
        answered: bool,
    ) -> Outcome {
        if let Some(gated) = &connection.gated {
            gated.policy.check_call(&Namespace::default(), &ANNOUNCE.into(), None)?;
        }
        let said: Announcement = data.parse().map_err(|error| invalid_input(ANNOUNCE, &error))?;
        let wanted = match said.namespace.as_deref() {
            Some(namespace) if namespace.trim().is_empty() => {
                return Err(super::invoke::blank("namespace"));
            }
            Some(namespace) => Namespace::from(namespace),
            None => Namespace::default(),
        };
        let namespace = match connection.namespace() {
            Some(fixed) => {
                if *fixed != wanted && said.namespace.is_some() {
                    tracing::warn!(worker = %connection.id, "the namespace `{fixed}` cannot be changed to `{wanted}`");
                }
                fixed.clone()
            }
            None => {
                self.check_entry(connection, &wanted, said.name.as_deref(), answered)?;
                wanted
            }
        };
        let info = WorkerInfo {
            runtime: said.runtime.unwrap_or_else(|| "unknown".to_owned()),
            version: said.version,
            name: said.name.and_then(|name| clean(&name)),
            description: said.description.and_then(|text| clean(&text)),
            os: said.os,
            isolation: said.isolation,
            pid: said.pid,
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
        self.open(connection, namespace);
        self.notify(&BrokerEvent::WorkerUpdated(connection.id));
        Ok(Some(Payload::from_built(r#"{"success":true}"#.to_owned())))
    }

    /// Records the description of a worker, unless its name belongs to another connection.
    fn claim_name(
        &self,
        connection: &Connection,
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
    pub(super) fn open(&self, connection: &Arc<Connection>, namespace: Namespace) {
        for message in connection.open(namespace) {
            self.apply(connection, message);
        }
    }

    /// Puts a connection that did not announce a namespace in time into `default`. If that is not allowed, its
    /// registrations remain buffered until it announces another one.
    pub(super) fn open_late(&self, connection: &Arc<Connection>) {
        if self.check_entry(connection, &Namespace::default(), None, true).is_ok() {
            self.open(connection, Namespace::default());
        }
    }

    /// Replaces an earlier connection, whose registrations are removed before this returns.
    ///
    /// A wrong id or token is ignored (protocol section 3.5).
    pub(super) fn reattach(&self, connection: &Connection, previous: WorkerId, token: Uuid) {
        let old = self.registry().connections.get(&previous).map(|one| one.connection.clone());
        let Some(old) = old.filter(|old| old.id != connection.id && old.token == token) else {
            tracing::debug!(worker = %connection.id, "unknown connection to reattach to");
            return;
        };
        let kept = self.remove(&old, true);
        old.end();
        self.keep_for_successor(old.namespace().cloned().unwrap_or_default(), kept);
    }

    /// Removes all registrations of a connection, and ends its calls. Idempotent.
    pub(super) fn detach(&self, connection: &Arc<Connection>) {
        self.remove(connection, false);
    }

    /// Like [`Broker::detach`]. With a successor, standby registrations do not take over; returns the ids they wait
    /// for.
    fn remove(&self, connection: &Arc<Connection>, has_successor: bool) -> Vec<FunctionId> {
        if !connection.mark_gone() {
            return Vec::new();
        }
        let kept = {
            let _changes = lock(&self.inner.changes);
            self.remove_everything_of(connection, has_successor)
        };
        self.inner.counters.worker_disconnected();
        for Waiting { asker, since, .. } in connection.pending.close() {
            self.inner.counters.completed(since, false);
            asker.answer(Err(stopped()));
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
        kept
    }

    /// Removes a connection from the tables. `changes` is held. Returns the function ids reserved for a successor.
    fn remove_everything_of(
        &self,
        connection: &Arc<Connection>,
        has_successor: bool,
    ) -> Vec<FunctionId> {
        let (types, bindings, kept) = {
            let mut registry = self.registry_mut();
            let registry = &mut *registry;
            let Some(entry) = registry.connections.remove(&connection.id) else {
                return Vec::new();
            };
            let namespace = connection.namespace().cloned().unwrap_or_default();
            if let Some(name) = entry.info.and_then(|info| info.name) {
                registry.names.remove(&(namespace.clone(), name));
            }
            registry.leave_lines(connection.id, &namespace, entry.standby.iter());
            for id in &entry.functions {
                registry.remove_function(&namespace, id);
                if !has_successor {
                    registry.take_over(&namespace, id);
                }
            }
            let kept = registry.waited_for(&namespace, entry.functions.into_iter());
            let bindings: Vec<Bound> =
                entry.triggers.iter().filter_map(|id| registry.bindings.remove(id)).collect();
            (entry.types, bindings, kept)
        };
        let had_bindings = !bindings.is_empty();
        for bound in bindings {
            if let Some(provider) = bound.at {
                provider.displace(&bound.binding);
            }
        }
        if had_bindings && !has_successor {
            self.retry_refused();
        }
        for (namespace, id) in types.into_keys() {
            self.provider_leaves(connection, &namespace, &id);
        }
        kept
    }
}

/// Sanitizes a name: removes control and direction characters, and truncates it. `None` if nothing is left.
fn clean(text: &str) -> Option<String> {
    let is_direction = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept: String = text
        .chars()
        .filter(|c| !c.is_control() && !is_direction(*c))
        .take(limits::NAME_CHARS)
        .collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
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
        assert_eq!(clean(" a\u{202e}b\n\u{7}c ").as_deref(), Some("abc"));
        assert_eq!(clean("\u{200e} \n"), None);
        assert_eq!(clean(&"x".repeat(400)).unwrap().len(), limits::NAME_CHARS);
    }
}
