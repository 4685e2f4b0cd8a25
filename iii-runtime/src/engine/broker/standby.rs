//! Workers in line for a function id that another worker has: when it is given back, the first of them takes over.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::registry::{Function, Registry};
use super::{Broker, limits, lock};
use crate::engine::provider::Event;
use crate::protocol::{FunctionId, Namespace, WorkerId};

/// The functions that wait until their id is free.
#[derive(Default)]
pub(crate) struct Standby {
    /// Those of each id, in the order of their coming. No line is empty.
    lines: HashMap<(Namespace, FunctionId), VecDeque<Arc<Function>>>,
}

impl Standby {
    /// Whether somebody waits for an id.
    fn waits(&self, namespace: &Namespace, id: &FunctionId) -> bool {
        self.lines.contains_key(&(namespace.clone(), id.clone()))
    }

    /// Puts a function in line, in the place of the one that its worker has there already.
    fn push(&mut self, owner: WorkerId, function: Arc<Function>) {
        let line = self.lines.entry((function.namespace.clone(), function.id.clone())).or_default();
        match line.iter_mut().find(|one| is_of(one, owner)) {
            Some(before) => *before = function,
            None => line.push_back(function),
        }
    }

    fn remove(&mut self, owner: WorkerId, namespace: &Namespace, id: &FunctionId) {
        let key = (namespace.clone(), id.clone());
        if let Some(line) = self.lines.get_mut(&key) {
            line.retain(|one| !is_of(one, owner));
            if line.is_empty() {
                self.lines.remove(&key);
            }
        }
    }

    fn next(&mut self, namespace: &Namespace, id: &FunctionId) -> Option<Arc<Function>> {
        let key = (namespace.clone(), id.clone());
        let line = self.lines.get_mut(&key)?;
        let first = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&key);
        }
        first
    }
}

fn is_of(function: &Function, owner: WorkerId) -> bool {
    function.owner().is_some_and(|one| one.id == owner)
}

impl Registry {
    /// Lets a worker wait for an id that another one has. A worker that has too much already does not wait.
    pub(super) fn stand_by(&mut self, owner: WorkerId, function: Arc<Function>) {
        let Some(entry) = self.connections.get_mut(&owner) else { return };
        let has = entry.functions.len() + entry.standby.len();
        if has < limits::FUNCTIONS || entry.standby.contains(&function.id) {
            entry.standby.insert(function.id.clone());
            self.standby.push(owner, function);
        }
    }

    /// Takes a worker out of the line for an id.
    pub(super) fn leave_line(&mut self, owner: WorkerId, namespace: &Namespace, id: &FunctionId) {
        let waited = self.connections.get_mut(&owner).is_some_and(|entry| entry.standby.remove(id));
        if waited {
            self.standby.remove(owner, namespace, id);
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
        while let Some(function) = self.standby.next(namespace, id) {
            let owner = function.owner().map(|owner| owner.id);
            let entry = owner.and_then(|owner| self.connections.get_mut(&owner));
            let Some(entry) = entry else { continue };
            entry.standby.remove(id);
            entry.functions.insert(id.clone());
            tracing::info!(worker = %entry.connection.id, function = %id, %namespace, "a worker in line takes a function over");
            self.functions.entry(namespace.clone()).or_default().insert(id.clone(), function);
            return;
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
    /// Keeps ids for the successor of a connection, which is about to register them again. Those that it has not taken
    /// by the end of the grace go to the first in line.
    pub(super) fn keep_for_successor(&self, namespace: Namespace, ids: Vec<FunctionId>) {
        if ids.is_empty() {
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
                let mut registry = broker.registry_mut();
                ids.iter().for_each(|id| registry.take_over(&namespace, id));
            }
            broker.notice(&Event::FunctionsChanged);
        });
    }
}
