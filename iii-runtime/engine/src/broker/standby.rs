//! Workers in line for what another worker has: when it gives a function id back, the first of them takes it over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Broker;
use super::connection::Connection;
use super::external::External;
use super::registry::{Registry, weigh};
use crate::provider::Event;
use iii_wire::protocol::{FunctionId, Namespace, RegisterFunction, WorkerId};
use iii_wire::sync::lock;

/// A registration that waits until its id is free.
pub(crate) struct Waiting {
    /// Who registers.
    pub(crate) owner: Arc<Connection>,
    /// What is registered.
    pub(crate) registration: RegisterFunction,
    /// The id by which its worker knows it, if a gate gave it another one.
    pub(crate) own: Option<FunctionId>,
    /// The code, if an endpoint serves the function.
    pub(crate) external: Option<External>,
    /// How often the id was called.
    pub(crate) calls: Arc<AtomicU64>,
}

/// The registrations that wait until their ids are free.
#[derive(Default)]
pub(crate) struct Standby {
    /// Those of each id, in the order of their coming. No line is empty.
    lines: BTreeMap<(Namespace, FunctionId), VecDeque<Waiting>>,
}

impl Waiting {
    /// What it counts against the bytes that its connection may register.
    fn weight(&self) -> usize {
        let m = &self.registration;
        let payloads = [m.request_format.as_ref(), m.response_format.as_ref(), m.metadata.as_ref()];
        weigh(&m.id, m.description.as_deref(), &payloads)
    }
}

impl Standby {
    /// Whether somebody waits for an id.
    fn waits(&self, namespace: &Namespace, id: &FunctionId) -> bool {
        self.lines.contains_key(&(namespace.clone(), id.clone()))
    }

    /// Puts a registration in line, in the place of the one that its worker has there already.
    fn push(&mut self, namespace: Namespace, waiting: Waiting) {
        let line = self.lines.entry((namespace, waiting.registration.id.clone())).or_default();
        match line.iter_mut().find(|one| one.owner.id == waiting.owner.id) {
            Some(before) => *before = waiting,
            None => line.push_back(waiting),
        }
    }

    /// What a worker has in line for an id.
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
    /// Lets a worker wait for an id that another one has. A worker that has too much already does not wait.
    pub(super) fn stand_by(&mut self, waiting: Waiting) {
        let Some(entry) = self.connections.get_mut(&waiting.owner.id) else { return };
        let (has, id) = (entry.functions.len() + entry.standby.len(), &waiting.registration.id);
        let limits = &waiting.owner.limits.workers;
        let namespace = waiting.owner.namespace().cloned().unwrap_or_default();
        let before = self.standby.of(waiting.owner.id, &namespace, id).map_or(0, Waiting::weight);
        let after = waiting.weight();
        let too_many = has >= limits.functions && before == 0;
        if too_many || entry.bytes - before + after > limits.registration_bytes {
            return;
        }
        entry.weigh(before, after);
        entry.standby.insert(id.clone());
        self.standby.push(namespace, waiting);
    }

    /// Takes a worker out of the line for an id.
    pub(super) fn leave_line(&mut self, owner: WorkerId, namespace: &Namespace, id: &FunctionId) {
        let Some(entry) = self.connections.get_mut(&owner) else { return };
        if entry.standby.remove(id) {
            entry.weigh(self.standby.of(owner, namespace, id).map_or(0, Waiting::weight), 0);
            self.standby.remove(owner, namespace, id);
        }
    }

    /// Takes a worker out of the line for what it knows by the id `own`.
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

    /// Takes a worker that is gone out of the lines for these ids.
    pub(super) fn leave_lines<'a>(
        &mut self,
        owner: WorkerId,
        namespace: &Namespace,
        ids: impl Iterator<Item = &'a FunctionId>,
    ) {
        ids.for_each(|id| self.standby.remove(owner, namespace, id));
    }

    /// Gives an id that nobody has to the first in line.
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
                tracing::info!(worker = %owner.id, function = %id, %namespace, "the next in line takes a function over");
                return;
            }
        }
    }

    /// Of ids that were given back, those for which somebody waits.
    pub(super) fn waited_for(
        &self,
        namespace: &Namespace,
        ids: impl Iterator<Item = FunctionId>,
    ) -> Vec<FunctionId> {
        ids.filter(|id| self.standby.waits(namespace, id)).collect()
    }
}

impl Broker {
    /// Keeps what a connection had for its successor, which is about to register it again. Function ids that it has not
    /// taken by the end of the grace go to the first in line, and triggers that were refused are tried again.
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
            broker.notice(&Event::FunctionsChanged);
        });
    }
}
