//! Standby registrations: workers that wait for a function id of another worker, in FIFO order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Broker;
use super::connection::WorkerConnection;
use super::external::ExternalFunction;
use super::registry::{Registry, weigh};
use crate::provider::BrokerEvent;
use iii_wire::protocol::{FunctionId, Namespace, RegisterFunction, WorkerId};
use iii_wire::sync::lock;

/// A function registration on standby until its id is free.
pub(crate) struct StandbyFunction {
    /// The connection that registers it.
    pub(crate) owner: Arc<WorkerConnection>,
    /// The registration.
    pub(crate) registration: RegisterFunction,
    /// The id that its worker chose, if a policy renamed it.
    pub(crate) local_id: Option<FunctionId>,
    /// The code, if a provider serves the function.
    pub(crate) external: Option<ExternalFunction>,
    /// The call counter of the id.
    pub(crate) calls: Arc<AtomicU64>,
}

/// All standby registrations.
#[derive(Default)]
pub(crate) struct Standby {
    /// The registrations of each id in order of arrival. No queue is empty.
    queues: BTreeMap<(Namespace, FunctionId), VecDeque<StandbyFunction>>,
}

impl StandbyFunction {
    /// The size that counts against the registration quota of its connection, in bytes.
    fn weight(&self) -> usize {
        let m = &self.registration;
        let payloads = [m.request_format.as_ref(), m.response_format.as_ref(), m.metadata.as_ref()];
        weigh(&m.id, m.description.as_deref(), &payloads)
    }
}

impl Standby {
    /// Returns whether a registration waits for an id.
    fn contains(&self, namespace: &Namespace, id: &FunctionId) -> bool {
        self.queues.contains_key(&(namespace.clone(), id.clone()))
    }

    /// Enqueues a registration, or replaces the one of the same worker.
    fn push(&mut self, namespace: Namespace, standby: StandbyFunction) {
        let queue = self.queues.entry((namespace, standby.registration.id.clone())).or_default();
        match queue.iter_mut().find(|one| one.owner.id == standby.owner.id) {
            Some(before) => *before = standby,
            None => queue.push_back(standby),
        }
    }

    /// Returns the registration of a worker for an id.
    fn get(
        &self,
        owner: WorkerId,
        namespace: &Namespace,
        id: &FunctionId,
    ) -> Option<&StandbyFunction> {
        let queue = self.queues.get(&(namespace.clone(), id.clone()))?;
        queue.iter().find(|one| one.owner.id == owner)
    }

    fn remove(&mut self, owner: WorkerId, namespace: &Namespace, id: &FunctionId) {
        let key = (namespace.clone(), id.clone());
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.retain(|one| one.owner.id != owner);
            if queue.is_empty() {
                self.queues.remove(&key);
            }
        }
    }

    fn next(&mut self, namespace: &Namespace, id: &FunctionId) -> Option<StandbyFunction> {
        let key = (namespace.clone(), id.clone());
        let queue = self.queues.get_mut(&key)?;
        let first = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&key);
        }
        first
    }
}

impl Registry {
    /// Puts a registration on standby. It is dropped if the quota of the worker is exceeded.
    pub(super) fn put_on_standby(&mut self, standby: StandbyFunction) {
        let Some(entry) = self.connections.get_mut(&standby.owner.id) else { return };
        let (count, id) = (entry.functions.len() + entry.standby.len(), &standby.registration.id);
        let namespace = standby.owner.namespace().cloned().unwrap_or_default();
        let before =
            self.standby.get(standby.owner.id, &namespace, id).map_or(0, StandbyFunction::weight);
        let after = standby.weight();
        let quota = entry.quota("functions", count, standby.owner.limits.workers.functions);
        if quota.admit(before, after).is_err() {
            return;
        }
        entry.weigh(before, after);
        entry.standby.insert(id.clone());
        self.standby.push(namespace, standby);
    }

    /// Removes the standby registration of a worker for an id.
    pub(super) fn remove_standby(
        &mut self,
        owner: WorkerId,
        namespace: &Namespace,
        id: &FunctionId,
    ) {
        let Some(entry) = self.connections.get_mut(&owner) else { return };
        if entry.standby.remove(id) {
            entry.weigh(
                self.standby.get(owner, namespace, id).map_or(0, StandbyFunction::weight),
                0,
            );
            self.standby.remove(owner, namespace, id);
        }
    }

    /// Removes the standby registration of a worker by the id that it chose.
    pub(super) fn remove_standby_by_local_id(
        &mut self,
        owner: WorkerId,
        namespace: &Namespace,
        local_id: &FunctionId,
    ) {
        let Some(entry) = self.connections.get(&owner) else { return };
        let is_registered = |id: &&FunctionId| {
            let standby = self.standby.get(owner, namespace, id);
            standby.is_some_and(|one| one.local_id.as_ref().unwrap_or(*id) == local_id)
        };
        if let Some(id) = entry.standby.iter().find(is_registered).cloned() {
            self.remove_standby(owner, namespace, &id);
        }
    }

    /// Removes the standby registrations of a connection that ended.
    pub(super) fn remove_all_standby<'a>(
        &mut self,
        owner: WorkerId,
        namespace: &Namespace,
        ids: impl Iterator<Item = &'a FunctionId>,
    ) {
        ids.for_each(|id| self.standby.remove(owner, namespace, id));
    }

    /// Gives a free id to the first registration on standby.
    pub(super) fn promote_standby(&mut self, namespace: &Namespace, id: &FunctionId) {
        if self.functions.get(namespace).is_some_and(|functions| functions.contains_key(id)) {
            return;
        }
        while let Some(standby) = self.standby.next(namespace, id) {
            let weight = standby.weight();
            let owner = standby.owner.clone();
            if let Some(entry) = self.connections.get_mut(&owner.id) {
                entry.standby.remove(id);
                entry.weigh(weight, 0);
            }
            if !owner.is_removed() && self.claim(standby).is_ok() {
                tracing::info!(worker = %owner.id, function = %id, %namespace, "a standby worker took over a function");
                return;
            }
        }
    }

    /// Of released ids, returns those with a standby registration.
    pub(super) fn with_standby(
        &self,
        namespace: &Namespace,
        ids: impl Iterator<Item = FunctionId>,
    ) -> Vec<FunctionId> {
        ids.filter(|id| self.standby.contains(namespace, id)).collect()
    }
}

impl Broker {
    /// Reserves the ids of a replaced connection for its successor during the grace period. Ids that it has not
    /// registered by then go to the next standby registration, and rejected triggers are retried.
    pub(super) fn reserve_for_successor(&self, namespace: Namespace, ids: Vec<FunctionId>) {
        if ids.is_empty() && self.registry().rejected.is_empty() {
            return;
        }
        let broker = Arc::downgrade(&self.inner);
        let grace = self.inner.grace;
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            let Some(inner) = broker.upgrade() else { return };
            let broker = Self { inner };
            {
                let _changes = lock(&broker.inner.changes);
                ids.iter().for_each(|id| broker.registry_mut().promote_standby(&namespace, id));
                broker.retry_rejected();
            }
            broker.notify(&BrokerEvent::FunctionsChanged);
        });
    }
}
