//! Triggers and trigger types: providers, parking, and moving triggers between providers ([protocol 3.6](iii_wire::protocol#s3-6)).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::connection::WorkerConnection;
use super::functions::{reject, report_invalid};
use super::invoke::blank_namespace;
use super::policy::record_alias;
use super::quota::Quota;
use super::registry::{RegisteredTriggerType, TriggerEntry, TypeProvider};
use super::{Broker, limits};
use crate::provider::{Binding, refused};
use iii_wire::protocol::{
    ErrorBody, FunctionId, Message, Namespace, RegisterTrigger, RegisterTriggerType, TriggerId,
    TriggerRegistrationResult, TriggerTypeId, WorkerId,
};
use iii_wire::sync::lock;

/// Requests that wait for a worker to accept or reject a trigger.
pub(super) type BindWaiters = Mutex<HashMap<TriggerId, oneshot::Sender<Option<ErrorBody>>>>;

impl Broker {
    /// Registers a trigger of a worker. Only failures are answered. `local_id` is the id that the worker chose, if a
    /// policy may have renamed it.
    pub(super) fn register_trigger(
        &self,
        owner: &Arc<WorkerConnection>,
        m: RegisterTrigger,
        local_id: Option<TriggerId>,
    ) {
        let local_id = local_id.unwrap_or_else(|| m.id.clone());
        let is_blank = |namespace: &Option<Namespace>| {
            namespace.as_ref().is_some_and(|namespace| namespace.trim().is_empty())
        };
        let outcome = if is_blank(&m.namespace) {
            Err(blank_namespace("namespace"))
        } else if is_blank(&m.trigger_namespace) {
            Err(blank_namespace("trigger_namespace"))
        } else {
            self.bind(Arc::new(Binding {
                id: m.id.clone(),
                trigger_type: m.trigger_type.clone(),
                function_id: m.function_id.clone(),
                namespace: m.namespace.unwrap_or_default(),
                config: m.config,
                metadata: m.metadata,
                home: owner.namespace().cloned().unwrap_or_default(),
                provider_namespace: m.trigger_namespace,
                owner: Some(owner.id),
            }))
        };
        if let Err(error) = outcome {
            send_trigger_rejection(owner, local_id.clone(), m.trigger_type, m.function_id, error);
        }
        if owner.policy.is_some() {
            self.set_trigger_alias(owner, local_id, m.id);
        }
    }

    /// Adds a trigger, or replaces the one with the same id and owner. Without a provider it is parked.
    ///
    /// # Errors
    ///
    /// If the provider rejects it: a new trigger is then parked, an existing one is unchanged. If the id belongs to
    /// another connection, or the quota of the owner is exceeded.
    pub(crate) fn bind(&self, binding: Arc<Binding>) -> Result<(), ErrorBody> {
        let _changes = lock(&self.inner.changes);
        let (old, provider) = {
            let registry = self.registry();
            let old = registry.bindings.get(&binding.id).cloned();
            if old.as_ref().is_some_and(|old| old.binding.owner != binding.owner) {
                return Err(refused(format!(
                    "the trigger id `{}` belongs to another worker: choose another id",
                    binding.id
                )));
            }
            let quota = if let Some(owner) = binding.owner {
                // The connection may have ended meanwhile.
                let Some(entry) = registry.connections.get(&owner) else { return Ok(()) };
                let max_count = self.limits().workers.triggers;
                entry.quota("triggers", entry.triggers.len(), max_count)
            } else {
                let ((count, bytes), limits) = (registry.ownerless, &self.limits().workers);
                Quota {
                    owner: "the engine",
                    kind: "triggers without a worker",
                    count,
                    max_count: limits.ownerless_triggers,
                    bytes,
                    max_bytes: limits.registration_bytes,
                }
            };
            let before = old.as_ref().map_or(0, |old| old.binding.weight());
            quota.admit(before, binding.weight())?;
            (old, registry.provider_of(&binding).cloned())
        };
        let outcome = provider.as_ref().map_or(Ok(()), |provider| provider.add_trigger(&binding));
        let rejection = outcome.err();
        let before = old.as_ref().and_then(|old| old.provider.as_ref());
        let stays = |before: &Arc<RegisteredTriggerType>| {
            provider
                .as_ref()
                .is_some_and(|now| now.id == before.id && now.source.same(&before.source))
        };
        if let (Some(old), Some(before)) = (&old, before) {
            if stays(before) {
                if let Some(error) = rejection {
                    return Err(error);
                }
            } else {
                before.remove_trigger(&old.binding);
            }
        }
        let active = provider.filter(|_| rejection.is_none());
        if active.is_none() && rejection.is_none() {
            tracing::info!(
                trigger = %binding.id,
                "the trigger type `{}` has no provider yet: the trigger is parked",
                binding.trigger_type
            );
        }
        let mut registry = self.registry_mut();
        let old_weight = old.as_ref().map_or(0, |old| old.binding.weight());
        if let Some(entry) = binding.owner.and_then(|owner| registry.connections.get_mut(&owner)) {
            entry.triggers.insert(binding.id.clone());
            entry.weigh(old_weight, binding.weight());
        } else if binding.owner.is_none() {
            let (count, bytes) = &mut registry.ownerless;
            *count += usize::from(old.is_none());
            *bytes = bytes.saturating_sub(old_weight) + binding.weight();
        }
        registry.put(binding, active, rejection.clone());
        drop(registry);
        if before.is_some() {
            // Its previous route or slot may be what other triggers were rejected for.
            self.retry_rejected();
        }
        rejection.map_or(Ok(()), Err)
    }

    /// Records the id that a worker chose for a trigger. Its previous trigger with that id is removed.
    fn set_trigger_alias(
        &self,
        owner: &Arc<WorkerConnection>,
        local_id: TriggerId,
        new_id: TriggerId,
    ) {
        let before = {
            let mut registry = self.registry_mut();
            let Some(entry) = registry.connections.get_mut(&owner.id) else { return };
            let aliases = &mut entry.aliases.triggers;
            if local_id == new_id {
                aliases.remove(&local_id)
            } else if entry.triggers.contains(&new_id) {
                record_alias(aliases, entry.triggers.len(), local_id, &new_id)
            } else {
                None
            }
        };
        if let Some(before) = before.filter(|before| *before != new_id) {
            self.unregister_trigger(Some(owner.id), &before);
        }
    }

    /// Like [`Broker::bind`], but also awaits the result of a worker that provides the type, with a timeout.
    pub(crate) async fn bind_and_wait(&self, binding: Arc<Binding>) -> Result<(), ErrorBody> {
        let (sender, receiver) = oneshot::channel();
        let id = binding.id.clone();
        lock(&self.inner.bind_waiters).insert(id.clone(), sender);
        let bound = self.bind(binding);
        let asked = self.registry().bindings.get(&id).is_some_and(|one| {
            one.provider.as_ref().is_some_and(|provider| provider.source.worker().is_some())
        });
        let outcome = match bound {
            // A provider that does not answer has accepted.
            Ok(()) if asked => {
                match tokio::time::timeout(limits::PROVIDER_TIMEOUT, receiver).await {
                    Ok(Ok(Some(error))) => Err(error),
                    _ => Ok(()),
                }
            }
            other => other,
        };
        lock(&self.inner.bind_waiters).remove(&id);
        outcome
    }

    /// Removes a trigger. Only its owner may remove it; one without an owner, everybody. Returns whether it existed.
    pub(crate) fn unregister_trigger(&self, by: Option<WorkerId>, id: &TriggerId) -> bool {
        let _changes = lock(&self.inner.changes);
        let entry = {
            let mut registry = self.registry_mut();
            let worker = by.and_then(|by| registry.connections.get_mut(&by));
            let limited = worker.as_ref().is_some_and(|one| one.connection.policy.is_some());
            let new_id = worker.and_then(|one| one.aliases.triggers.remove(id));
            let id = new_id.as_ref().unwrap_or(id);
            let Some(entry) = registry.bindings.get(id) else { return false };
            let (owner, weight) = (entry.binding.owner, entry.binding.weight());
            if owner != by && (owner.is_some() || limited) {
                tracing::warn!(trigger = %id, "a worker tried to remove a trigger of another worker");
                return false;
            }
            if let Some(entry) = owner.and_then(|owner| registry.connections.get_mut(&owner)) {
                entry.triggers.remove(id);
                entry.weigh(weight, 0);
            } else if owner.is_none() {
                registry.ownerless.0 -= 1;
                registry.ownerless.1 -= weight;
            }
            registry.bindings.remove(id)
        };
        if let Some(TriggerEntry { binding, provider: Some(provider), .. }) = entry {
            provider.remove_trigger(&binding);
            self.retry_rejected();
        }
        true
    }

    /// Offers rejected triggers to the engine's own providers again after another trigger was removed, which may have
    /// been the conflict. `changes` is held.
    pub(super) fn retry_rejected(&self) {
        let rejected = std::mem::take(&mut self.registry_mut().rejected);
        for id in rejected {
            let (binding, provider) = {
                let registry = self.registry();
                let Some(entry) = registry.bindings.get(&id) else { continue };
                let provider = registry.provider_of(&entry.binding);
                let provider = provider.filter(|one| one.source.worker().is_none());
                match provider {
                    Some(provider) if entry.provider.is_none() && entry.rejection.is_some() => {
                        (entry.binding.clone(), provider.clone())
                    }
                    _ => continue,
                }
            };
            let rejection = provider.add_trigger(&binding).err();
            if rejection.is_none() {
                tracing::info!(trigger = %id, "a rejected `{}` trigger was accepted", binding.trigger_type);
            }
            let active = rejection.is_none().then_some(provider);
            self.registry_mut().put(binding, active, rejection);
        }
    }

    /// Handles the result that a provider sent for a trigger. Acceptance is not forwarded.
    pub(super) fn handle_trigger_result(
        &self,
        provider: &Arc<WorkerConnection>,
        m: TriggerRegistrationResult,
    ) {
        let owner = {
            let _changes = lock(&self.inner.changes);
            let mut registry = self.registry_mut();
            let Some(entry) = registry.bindings.get_mut(&m.id) else { return };
            let is_provider = entry.provider.as_ref().is_some_and(|trigger_type| {
                *trigger_type.local_id() == m.trigger_type
                    && trigger_type.source.worker().is_some_and(|one| one.id == provider.id)
            });
            if !is_provider {
                return;
            }
            if m.error.is_some() {
                entry.provider = None;
            }
            entry.rejection.clone_from(&m.error);
            let binding = entry.binding.clone();
            let owner = binding.owner.and_then(|owner| registry.connections.get(&owner));
            owner.map(|one| (one.connection.clone(), one.aliases.local_trigger_id(&m.id), binding))
        };
        if let Some(waiter) = lock(&self.inner.bind_waiters).remove(&m.id) {
            let _ = waiter.send(m.error.clone());
        }
        if let (Some((owner, local_id, binding)), Some(error)) = (owner, m.error) {
            send_trigger_rejection(
                &owner,
                local_id,
                binding.trigger_type.clone(),
                m.function_id,
                error,
            );
        }
    }

    /// Makes a worker the provider of a type, and forwards the triggers of the type to it. `local_id` is the id that the
    /// worker chose, if a policy may have renamed it.
    pub(super) fn register_type(
        &self,
        connection: &Arc<WorkerConnection>,
        m: RegisterTriggerType,
        local_id: Option<TriggerTypeId>,
    ) {
        let namespace = m.namespace.or_else(|| connection.namespace().cloned()).unwrap_or_default();
        if namespace.trim().is_empty() {
            return report_invalid(connection, &blank_namespace("namespace").message);
        }
        let chosen_id = local_id.unwrap_or_else(|| m.id.clone());
        let local_id = (chosen_id != m.id).then(|| chosen_id.clone());
        let changes = lock(&self.inner.changes);
        let source = TypeProvider::Worker(connection.clone());
        let registered = Arc::new(RegisteredTriggerType {
            id: m.id.clone(),
            namespace: namespace.clone(),
            description: m.description.into(),
            config_schema: m.trigger_request_format,
            request_schema: m.call_request_format,
            local_id: local_id.clone(),
            source: source.clone(),
        });
        let before = {
            let mut registry = self.registry_mut();
            let built_in = registry
                .trigger_type(&namespace, &m.id)
                .is_some_and(|one| one.source.worker().is_none());
            let Some(entry) = registry.connections.get_mut(&connection.id) else { return };
            let key = (namespace.clone(), m.id.clone());
            let (before, after) =
                (entry.types.get(&key).copied().unwrap_or(0), registered.weight());
            let max_count = connection.limits.workers.trigger_types;
            let quota = entry.quota("trigger types", entry.types.len(), max_count);
            let admitted = quota.admit(before, after);
            if built_in || admitted.is_err() {
                // The protocol has no message for this; workers log a rejected function id as a warning.
                let error = admitted.err().filter(|_| !built_in);
                let id = FunctionId::from(chosen_id.as_str());
                return reject(connection, namespace, id, String::new(), error);
            }
            entry.types.insert(key, after);
            entry.weigh(before, after);
            let aliases = &mut entry.aliases.types;
            let before = match local_id {
                Some(local_id) => record_alias(aliases, entry.types.len(), local_id, &m.id),
                None => aliases.remove(&m.id),
            };
            registry.remove_type(&namespace, &m.id, &source);
            let spaces = registry.types.entry(m.id.clone()).or_default();
            spaces.entry(namespace).or_default().push(registered.clone());
            before.filter(|before| *before != m.id)
        };
        let entries = self.registry().bindings_where(|entry| entry.binding.trigger_type == m.id);
        for entry in entries {
            let wanted = self.registry().provider_of(&entry.binding).cloned();
            if wanted.is_some_and(|wanted| Arc::ptr_eq(&wanted, &registered)) {
                let previous =
                    entry.provider.as_ref().filter(|provider| !provider.source.same(&source));
                if let Some(previous) = previous {
                    previous.remove_trigger(&entry.binding);
                }
                self.rebind(&entry.binding);
            }
        }
        drop(changes);
        if let Some(before) = before {
            self.unregister_type(connection, &before);
        }
    }

    /// Unregisters a trigger type of a worker in all namespaces.
    pub(super) fn unregister_type(&self, connection: &Arc<WorkerConnection>, id: &TriggerTypeId) {
        let _changes = lock(&self.inner.changes);
        let spaces: Vec<_> = {
            let mut registry = self.registry_mut();
            let Some(entry) = registry.connections.get_mut(&connection.id) else { return };
            let new_id = entry.aliases.types.remove(id);
            let id = new_id.as_ref().unwrap_or(id);
            let gone: Vec<_> = entry.types.extract_if(|(_, one), _| one == id).collect();
            entry.weigh(gone.iter().map(|(_, weight)| weight).sum(), 0);
            gone.into_iter().map(|(key, _)| key).collect()
        };
        for (namespace, id) in spaces {
            self.remove_provider(connection, &namespace, &id);
        }
    }

    /// Removes a provider and moves each of its triggers to another one. `changes` is held.
    pub(super) fn remove_provider(
        &self,
        connection: &Arc<WorkerConnection>,
        namespace: &Namespace,
        id: &TriggerTypeId,
    ) {
        let source = TypeProvider::Worker(connection.clone());
        let Some(left) = self.registry_mut().remove_type(namespace, id, &source) else { return };
        let orphans = self.registry().bindings_where(|entry| {
            entry.provider.as_ref().is_some_and(|provider| Arc::ptr_eq(provider, &left))
        });
        for entry in orphans {
            left.remove_trigger(&entry.binding);
            self.rebind(&entry.binding);
        }
    }

    /// Moves a trigger to its current provider, or parks it. `changes` is held.
    fn rebind(&self, binding: &Arc<Binding>) {
        let provider = self.registry().provider_of(binding).cloned();
        let rejection = provider.as_ref().and_then(|provider| provider.add_trigger(binding).err());
        let owner = {
            let mut registry = self.registry_mut();
            if !registry.bindings.contains_key(&binding.id) {
                return;
            }
            registry.put(
                binding.clone(),
                provider.filter(|_| rejection.is_none()),
                rejection.clone(),
            );
            let owner = binding.owner.and_then(|owner| registry.connections.get(&owner));
            owner.map(|one| (one.connection.clone(), one.aliases.local_trigger_id(&binding.id)))
        };
        if let (Some((owner, local_id)), Some(error)) = (owner, rejection) {
            let binding = (**binding).clone();
            send_trigger_rejection(
                &owner,
                local_id,
                binding.trigger_type,
                binding.function_id,
                error,
            );
        }
    }
}

/// Notifies a worker that its trigger was rejected.
pub(super) fn send_trigger_rejection(
    owner: &WorkerConnection,
    id: TriggerId,
    trigger_type: TriggerTypeId,
    function_id: FunctionId,
    error: ErrorBody,
) {
    owner.send(Message::TriggerRegistrationResult(Box::new(TriggerRegistrationResult {
        id,
        trigger_type,
        function_id,
        error: Some(error),
    })));
}
