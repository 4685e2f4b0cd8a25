//! Bound triggers indexed by the topic or stream that they subscribe to.

use std::collections::HashMap;

use iii_wire::protocol::TriggerId;

/// Trigger entries by name, with a reverse index by trigger id. Entries of one name stay in the order of insertion.
#[derive(Debug)]
pub(crate) struct TriggerIndex<T> {
    entries: HashMap<String, Vec<(TriggerId, T)>>,
    name_of: HashMap<TriggerId, String>,
}

impl<T> TriggerIndex<T> {
    /// Inserts an entry under `name`. Replaces the entry of the same trigger, whatever its name.
    pub(crate) fn insert(&mut self, name: String, id: TriggerId, entry: T) {
        self.remove(&id);
        self.name_of.insert(id.clone(), name.clone());
        self.entries.entry(name).or_default().push((id, entry));
    }

    /// Removes the entry of a trigger.
    pub(crate) fn remove(&mut self, id: &TriggerId) {
        let Some(name) = self.name_of.remove(id) else { return };
        if let Some(entries) = self.entries.get_mut(&name) {
            entries.retain(|(other, _)| other != id);
            if entries.is_empty() {
                self.entries.remove(&name);
            }
        }
    }

    /// Returns the entries of a name.
    pub(crate) fn get(&self, name: &str) -> impl Iterator<Item = &T> {
        self.entries.get(name).into_iter().flatten().map(|(_, entry)| entry)
    }

    /// Returns whether the name has entries.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Removes all entries.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.name_of.clear();
    }
}

impl<T> Default for TriggerIndex<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), name_of: HashMap::new() }
    }
}
