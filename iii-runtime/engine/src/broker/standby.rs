//! Standby registrations: workers that wait for a function id of another worker, in FIFO order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Broker;
use super::connection::Connection;
use super::external::External;
use super::registry::{Registry, weigh};
use crate::provider::BrokerEvent;
use iii_wire::protocol::{FunctionId, Namespace, RegisterFunction, WorkerId};
use iii_wire::sync::lock;

/// A function registration on standby until its id is free.
pub(crate) struct Waiting {
    /// The connection that registers it.
    pub(crate) owner: Arc<Connection>,
    /// The registration.
    pub(crate) registration: RegisterFunction,
    /// The id that its worker chose, if a policy renamed it.
    pub(crate) own: Option<FunctionId>,
    /// The code, if a provider serves the function.
    pub(crate) external: Option<External>,
    /// The call counter of the id.
    pub(crate) calls: Arc<AtomicU64>,
}

/// All standby registrations.
#[derive(Default)]
pub(crate) struct Standby {
    /// The registrations of each id in order of arrival. No queue is empty.
    lines: BTreeMap<(Namespace, FunctionId), VecDeque<Waiting>>,
}

impl Waiting {
    /// The size that counts against the registration quota of its connection, in bytes.
    fn weight(&self) -> usize {
        let m = &self.registration;
        let payloads = [m.request_format.as_ref(), m.response_format.as_ref(), m.metadata.as_ref()];
        weigh(&m.id, m.description.as_deref(), &payloads)
    }
}

impl Standby {
    /// Returns whether a registration waits for an id.
    fn waits(&self, namespace: &Namespace, id: &FunctionId) -> bool {
        self.lines.contains_key(&(namespace.clone(), id.clone()))
    }

    /// Enqueues a registration, or replaces the one of the same worker.
    fn push(&mut self, namespace: Namespace, waiting: Waiting) {
        let line = self.lines.entry((namespace, waiting.registration.id.clone())).or_default();
        match line.iter_mut().find(|one| one.owner.id == waiting.owner.id) {
            Some(before) => *before = waiting,
            None => line.push_back(waiting),
        }
    }

    /// Returns the registration of a worker for an id.
    fn of(&self, owner: WorkerId, namespace: &Namespace, id: &FunctionId) -> Option<&Waiting> {
        let line = self.lines.get(&(namespace.clone(), id.clone()))?;
        line.iter().find(|one| one.owner.id == owner)
    }

    fn remove(&mut self, owner: WorkerId, namespace: &Namespace, id: &FunctionId) {
        let key = (namespace.clone(), id.clone());
        if let Some(line) = self.lines.get_mut(&key) {
            line.retain(|one| one.owner.id != owner);
            if line.is_empty() {
                self.lines.remove(&key);
            }
        }
    }

    fn next(&mut self, namespace: &Namespace, id: &FunctionId) -> Option<Waiting> {
        let key = (namespace.clone(), id.clone());
        let line = self.lines.get_mut(&key)?;
        let first = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&key);
        }
        first
    }
}

impl Registry {
    /// Puts a registration on standby. It is dropped if the quota of the worker is exceeded.
    pub(super) fn stand_by(&mut self, waiting: Waiting) {
        let Some(entry) = self.connections.get_mut(&waiting.owner.id) else { return };
        let (count, id) = (entry.functions.len() + entry.standby.len(), &waiting.registration.id);
        let namespace = waiting.owner.namespace().cloned().unwrap_or_default();
        let before = self.standby.of(waiting.owner.id, &namespace, id).map_or(0, Waiting::weight);
        let after = waiting.weight();
        let quota = entry.quota("functions", count, waiting.owner.limits.workers.functions);
        if quota.admit(before, after).is_err() {
            return;
        }
        entry.weigh(before, after);
        entry.standby.insert(id.clone());
        self.standby.push(namespace, waiting);
    }

    /// Removes the standby registration of a worker for an id.
    pub(super) fn leave_line(&mut self, owner: WorkerId, namespace: &Namespace, id: &FunctionId) {
        let Some(entry) = self.connections.get_mut(&owner) else { return };
        if entry.standby.remove(id) {
            entry.weigh(self.standby.of(owner, namespace, id).map_or(0, Waiting::weight), 0);
            self.standby.remove(owner, namespace, id);
        }
    }

    /// Removes the standby registration of a worker by the id that it chose.
    pub(super) fn stop_waiting(
        &mut self,
        owner: WorkerId,
        namespace: &Namespace,
        own: &FunctionId,
    ) {
        let Some(entry) = self.connections.get(&owner) else { return };
        let is_it = |id: &&FunctionId| {
            let waiting = self.standby.of(owner, namespace, id);
            waiting.is_some_and(|one| one.own.as_ref().unwrap_or(*id) == own)
        };
        if let Some(id) = entry.standby.iter().find(is_it).cloned() {
            self.leave_line(owner, namespace, &id);
        }
    }

    /// Removes the standby registrations of a connection that ended.
    pub(super) fn leave_lines<'a>(
        &mut self,
        owner: WorkerId,
        namespace: &Namespace,
        ids: impl Iterator<Item = &'a FunctionId>,
    ) {
        ids.for_each(|id| self.standby.remove(owner, namespace, id));
    }

    /// Gives a free id to the first registration on standby.
    pub(super) fn take_over(&mut self, namespace: &Namespace, id: &FunctionId) {
        if self.functions.get(namespace).is_some_and(|functions| functions.contains_key(id)) {
            return;
        }
        while let Some(waiting) = self.standby.next(namespace, id) {
            let weight = waiting.weight();
            let owner = waiting.owner.clone();
            if let Some(entry) = self.connections.get_mut(&owner.id) {
                entry.standby.remove(id);
                entry.weigh(weight, 0);
            }
            if !owner.is_gone() && self.claim(waiting).is_ok() {
                tracing::info!(worker = %owner.id, function = %id, %namespace, "a standby worker took over a function");
                return;
            }
        }
    }

    /// Of released ids, returns those with a standby registration.
    pub(super) fn waited_for(
        &self,
        namespace: &Namespace,
        ids: impl Iterator<Item = FunctionId>,
    ) -> Vec<FunctionId> {
        ids.filter(|id| self.standby.waits(namespace, id)).collect()
    }
}

impl Broker {
    /// Reserves the ids of a replaced connection for its successor during the grace period. Ids that it has not
    /// registered by then go to the next standby registration, and rejected triggers are retried.
    pub(super) fn keep_for_successor(&self, namespace: Namespace, ids: Vec<FunctionId>) {
        if ids.is_empty() && self.registry().refused.is_empty() {
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
                ids.iter().for_each(|id| broker.registry_mut().take_over(&namespace, id));
                broker.retry_refused();
            }
            broker.notify(&BrokerEvent::FunctionsChanged);
        });
    }
}
