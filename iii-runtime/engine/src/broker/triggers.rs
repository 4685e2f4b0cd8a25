//! Triggers and trigger types: providers, parking, and moving triggers between providers (protocol section 3.6).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::connection::Connection;
use super::functions::{complain, reject};
use super::invoke::blank;
use super::policy::rename;
use super::quota::Quota;
use super::registry::{Bound, Source, TriggerType};
use super::{Broker, limits};
use crate::provider::{Binding, refused};
use iii_wire::protocol::{
    ErrorBody, FunctionId, Message, Namespace, RegisterTrigger, RegisterTriggerType, TriggerId,
    TriggerRegistrationResult, TriggerTypeId, WorkerId,
};
use iii_wire::sync::lock;

/// Requests that wait for a worker to accept or reject a trigger.
pub(super) type Waiters = Mutex<HashMap<TriggerId, oneshot::Sender<Option<ErrorBody>>>>;

impl Broker {
    /// Registers a trigger of a worker. Only failures are answered. `own` is the id that the worker chose, if a policy
    /// may have renamed it.
    pub(super) fn register_trigger(
        &self,
        owner: &Arc<Connection>,
        m: RegisterTrigger,
        own: Option<TriggerId>,
    ) {
        let own = own.unwrap_or_else(|| m.id.clone());
        let is_blank = |namespace: &Option<Namespace>| {
            namespace.as_ref().is_some_and(|namespace| namespace.trim().is_empty())
        };
        let bound = if is_blank(&m.namespace) {
            Err(blank("namespace"))
        } else if is_blank(&m.trigger_namespace) {
            Err(blank("trigger_namespace"))
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
        if let Err(error) = bound {
            tell(owner, own.clone(), m.trigger_type, m.function_id, error);
        }
        if owner.gated.is_some() {
            self.rename_trigger(owner, own, m.id);
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
        let outcome = provider.as_ref().map_or(Ok(()), |provider| provider.place(&binding));
        let refusal = outcome.err();
        let before = old.as_ref().and_then(|old| old.at.as_ref());
        let stays = |before: &Arc<TriggerType>| {
            provider
                .as_ref()
                .is_some_and(|now| now.id == before.id && now.source.same(&before.source))
        };
        if let (Some(old), Some(before)) = (&old, before) {
            if stays(before) {
                if let Some(error) = refusal {
                    return Err(error);
                }
            } else {
                before.displace(&old.binding);
            }
        }
        let at = provider.filter(|_| refusal.is_none());
        if at.is_none() && refusal.is_none() {
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
        registry.put(binding, at, refusal.clone());
        drop(registry);
        if before.is_some() {
            // Its previous route or slot may be what other triggers were rejected for.
            self.retry_refused();
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Records the id that a worker chose for a trigger. Its previous trigger with that id is removed.
    fn rename_trigger(&self, owner: &Arc<Connection>, own: TriggerId, became: TriggerId) {
        let before = {
            let mut registry = self.registry_mut();
            let Some(entry) = registry.connections.get_mut(&owner.id) else { return };
            let renamed = &mut entry.renamed.triggers;
            if own == became {
                renamed.remove(&own)
            } else if entry.triggers.contains(&became) {
                rename(renamed, entry.triggers.len(), own, &became)
            } else {
                None
            }
        };
        if let Some(before) = before.filter(|before| *before != became) {
            self.unregister_trigger(Some(owner.id), &before);
        }
    }

    /// Like [`Broker::bind`], but also awaits the result of a worker that provides the type, with a timeout.
    pub(crate) async fn bind_and_wait(&self, binding: Arc<Binding>) -> Result<(), ErrorBody> {
        let (sender, receiver) = oneshot::channel();
        let id = binding.id.clone();
        lock(&self.inner.waiters).insert(id.clone(), sender);
        let bound = self.bind(binding);
        let asked = self.registry().bindings.get(&id).is_some_and(|one| {
            one.at.as_ref().is_some_and(|provider| provider.source.worker().is_some())
        });
        let outcome = match bound {
            // A provider that does not answer has accepted.
            Ok(()) if asked => {
                match tokio::time::timeout(limits::PROVIDER_ANSWER, receiver).await {
                    Ok(Ok(Some(error))) => Err(error),
                    _ => Ok(()),
                }
            }
            other => other,
        };
        lock(&self.inner.waiters).remove(&id);
        outcome
    }

    /// Removes a trigger. Only its owner may remove it; one without an owner, everybody. Returns whether it existed.
    pub(crate) fn unregister_trigger(&self, by: Option<WorkerId>, id: &TriggerId) -> bool {
        let _changes = lock(&self.inner.changes);
        let bound = {
            let mut registry = self.registry_mut();
            let worker = by.and_then(|by| registry.connections.get_mut(&by));
            let limited = worker.as_ref().is_some_and(|one| one.connection.gated.is_some());
            let became = worker.and_then(|one| one.renamed.triggers.remove(id));
            let id = became.as_ref().unwrap_or(id);
            let Some(bound) = registry.bindings.get(id) else { return false };
            let (owner, weight) = (bound.binding.owner, bound.binding.weight());
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
        if let Some(Bound { binding, at: Some(provider), .. }) = bound {
            provider.displace(&binding);
            self.retry_refused();
        }
        true
    }

    /// Offers rejected triggers to the engine's own providers again after another trigger was removed, which may have
    /// been the conflict. `changes` is held.
    pub(super) fn retry_refused(&self) {
        let refused = std::mem::take(&mut self.registry_mut().refused);
        for id in refused {
            let (binding, provider) = {
                let registry = self.registry();
                let Some(bound) = registry.bindings.get(&id) else { continue };
                let provider = registry.provider_of(&bound.binding);
                let provider = provider.filter(|one| one.source.worker().is_none());
                match provider {
                    Some(provider) if bound.at.is_none() && bound.refusal.is_some() => {
                        (bound.binding.clone(), provider.clone())
                    }
                    _ => continue,
                }
            };
            let refusal = provider.place(&binding).err();
            if refusal.is_none() {
                tracing::info!(trigger = %id, "a rejected `{}` trigger was accepted", binding.trigger_type);
            }
            let at = refusal.is_none().then_some(provider);
            self.registry_mut().put(binding, at, refusal);
        }
    }

    /// Handles the result that a provider sent for a trigger. Acceptance is not forwarded.
    pub(super) fn provider_answered(
        &self,
        provider: &Arc<Connection>,
        m: TriggerRegistrationResult,
    ) {
        let owner = {
            let _changes = lock(&self.inner.changes);
            let mut registry = self.registry_mut();
            let Some(bound) = registry.bindings.get_mut(&m.id) else { return };
            let is_provider = bound.at.as_ref().is_some_and(|at| {
                *at.known_as() == m.trigger_type
                    && at.source.worker().is_some_and(|one| one.id == provider.id)
            });
            if !is_provider {
                return;
            }
            if m.error.is_some() {
                bound.at = None;
            }
            bound.refusal.clone_from(&m.error);
            let binding = bound.binding.clone();
            let owner = binding.owner.and_then(|owner| registry.connections.get(&owner));
            owner.map(|one| (one.connection.clone(), one.renamed.local_trigger_id(&m.id), binding))
        };
        if let Some(waiter) = lock(&self.inner.waiters).remove(&m.id) {
            let _ = waiter.send(m.error.clone());
        }
        if let (Some((owner, own, binding)), Some(error)) = (owner, m.error) {
            tell(&owner, own, binding.trigger_type.clone(), m.function_id, error);
        }
    }

    /// Makes a worker the provider of a type, and forwards the triggers of the type to it. `own` is the id that the
    /// worker chose, if a policy may have renamed it.
    pub(super) fn register_type(
        &self,
        connection: &Arc<Connection>,
        m: RegisterTriggerType,
        own: Option<TriggerTypeId>,
    ) {
        let namespace = m.namespace.or_else(|| connection.namespace().cloned()).unwrap_or_default();
        if namespace.trim().is_empty() {
            return complain(connection, &blank("namespace").message);
        }
        let own = own.unwrap_or_else(|| m.id.clone());
        let own_id = (own != m.id).then(|| own.clone());
        let changes = lock(&self.inner.changes);
        let source = Source::Worker(connection.clone());
        let one = Arc::new(TriggerType {
            id: m.id.clone(),
            namespace: namespace.clone(),
            description: m.description.into(),
            config_schema: m.trigger_request_format,
            request_schema: m.call_request_format,
            own_id: own_id.clone(),
            source: source.clone(),
        });
        let before = {
            let mut registry = self.registry_mut();
            let built_in = registry
                .trigger_type(&namespace, &m.id)
                .is_some_and(|one| one.source.worker().is_none());
            let Some(entry) = registry.connections.get_mut(&connection.id) else { return };
            let key = (namespace.clone(), m.id.clone());
            let (before, after) = (entry.types.get(&key).copied().unwrap_or(0), one.weight());
            let max_count = connection.limits.workers.trigger_types;
            let quota = entry.quota("trigger types", entry.types.len(), max_count);
            let admitted = quota.admit(before, after);
            if built_in || admitted.is_err() {
                // The protocol has no message for this; workers log a rejected function id as a warning.
                let error = admitted.err().filter(|_| !built_in);
                let id = FunctionId::from(own.as_str());
                return reject(connection, namespace, id, String::new(), error);
            }
            entry.types.insert(key, after);
            entry.weigh(before, after);
            let renamed = &mut entry.renamed.types;
            let before = match own_id {
                Some(own) => rename(renamed, entry.types.len(), own, &m.id),
                None => renamed.remove(&m.id),
            };
            registry.remove_type(&namespace, &m.id, &source);
            let spaces = registry.types.entry(m.id.clone()).or_default();
            spaces.entry(namespace).or_default().push(one.clone());
            before.filter(|before| *before != m.id)
        };
        let theirs = self.registry().bindings_where(|bound| bound.binding.trigger_type == m.id);
        for bound in theirs {
            let wanted = self.registry().provider_of(&bound.binding).cloned();
            if wanted.is_some_and(|wanted| Arc::ptr_eq(&wanted, &one)) {
                if let Some(before) = bound.at.as_ref().filter(|at| !at.source.same(&source)) {
                    before.displace(&bound.binding);
                }
                self.settle(&bound.binding);
            }
        }
        drop(changes);
        if let Some(before) = before {
            self.unregister_type(connection, &before);
        }
    }

    /// Unregisters a trigger type of a worker in all namespaces.
    pub(super) fn unregister_type(&self, connection: &Arc<Connection>, id: &TriggerTypeId) {
        let _changes = lock(&self.inner.changes);
        let spaces: Vec<_> = {
            let mut registry = self.registry_mut();
            let Some(entry) = registry.connections.get_mut(&connection.id) else { return };
            let became = entry.renamed.types.remove(id);
            let id = became.as_ref().unwrap_or(id);
            let gone: Vec<_> = entry.types.extract_if(|(_, one), _| one == id).collect();
            entry.weigh(gone.iter().map(|(_, weight)| weight).sum(), 0);
            gone.into_iter().map(|(key, _)| key).collect()
        };
        for (namespace, id) in spaces {
            self.provider_leaves(connection, &namespace, &id);
        }
    }

    /// Removes a provider and moves each of its triggers to another one. `changes` is held.
    pub(super) fn provider_leaves(
        &self,
        connection: &Arc<Connection>,
        namespace: &Namespace,
        id: &TriggerTypeId,
    ) {
        let source = Source::Worker(connection.clone());
        let Some(left) = self.registry_mut().remove_type(namespace, id, &source) else { return };
        let orphans = self
            .registry()
            .bindings_where(|bound| bound.at.as_ref().is_some_and(|at| Arc::ptr_eq(at, &left)));
        for bound in orphans {
            left.displace(&bound.binding);
            self.settle(&bound.binding);
        }
    }

    /// Moves a trigger to its current provider, or parks it. `changes` is held.
    fn settle(&self, binding: &Arc<Binding>) {
        let provider = self.registry().provider_of(binding).cloned();
        let refusal = provider.as_ref().and_then(|provider| provider.place(binding).err());
        let owner = {
            let mut registry = self.registry_mut();
            if !registry.bindings.contains_key(&binding.id) {
                return;
            }
            registry.put(binding.clone(), provider.filter(|_| refusal.is_none()), refusal.clone());
            let owner = binding.owner.and_then(|owner| registry.connections.get(&owner));
            owner.map(|one| (one.connection.clone(), one.renamed.local_trigger_id(&binding.id)))
        };
        if let (Some((owner, own)), Some(error)) = (owner, refusal) {
            let binding = (**binding).clone();
            tell(&owner, own, binding.trigger_type, binding.function_id, error);
        }
    }
}

/// Notifies a worker that its trigger was rejected.
pub(super) fn tell(
    owner: &Connection,
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
