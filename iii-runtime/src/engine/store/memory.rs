//! A store in memory: gone with the engine.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use super::{Change, Decide, Seen, Store, StoreError};
use crate::engine::broker::lock;
use crate::protocol::Payload;

/// Values in memory.
#[derive(Default)]
pub(crate) struct MemoryStore {
    scopes: Mutex<BTreeMap<String, Scope>>,
}

/// One scope. The numbers keep the order in which the keys came.
#[derive(Default)]
struct Scope {
    next: u64,
    numbers: HashMap<String, u64>,
    values: BTreeMap<u64, (String, Payload)>,
}

impl Scope {
    fn get(&self, key: &str) -> Option<&Payload> {
        let number = self.numbers.get(key)?;
        self.values.get(number).map(|(_, value)| value)
    }

    fn set(&mut self, key: &str, value: Payload) {
        let number = *self.numbers.entry(key.to_owned()).or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.values.insert(number, (key.to_owned(), value));
    }

    fn remove(&mut self, key: &str) {
        if let Some(number) = self.numbers.remove(key) {
            self.values.remove(&number);
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, scope: &str, key: &str) -> Result<Option<Payload>, StoreError> {
        Ok(lock(&self.scopes).get(scope).and_then(|scope| scope.get(key)).cloned())
    }

    fn change(
        &self,
        scope: &str,
        key: &str,
        decide: &mut Decide<'_>,
        seen: &mut Seen<'_>,
    ) -> Result<Change, StoreError> {
        let mut scopes = lock(&self.scopes);
        let old = scopes.get(scope).and_then(|scope| scope.get(key)).cloned();
        // What is kept must not hold on to the whole frame that it came in.
        let new = decide(old.as_ref())?.map(|new| Payload::from_built(new.as_str().to_owned()));
        match &new {
            Some(new) => scopes.entry(scope.to_owned()).or_default().set(key, new.clone()),
            None => {
                if let Some(entry) = scopes.get_mut(scope) {
                    entry.remove(key);
                    if entry.values.is_empty() {
                        scopes.remove(scope);
                    }
                }
            }
        }
        let change = Change { old, new };
        seen(&change);
        Ok(change)
    }

    fn list(&self, scope: &str) -> Result<Vec<(String, Payload)>, StoreError> {
        let scopes = lock(&self.scopes);
        Ok(scopes
            .get(scope)
            .map_or_else(Vec::new, |scope| scope.values.values().cloned().collect()))
    }

    fn scopes(&self) -> Result<Vec<String>, StoreError> {
        Ok(lock(&self.scopes).keys().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::broker::testing::json;

    fn set(store: &MemoryStore, scope: &str, key: &str, value: Option<&str>) -> Change {
        store.change(scope, key, &mut |_| Ok(value.map(json)), &mut |_| {}).unwrap()
    }

    #[test]
    fn values_keep_the_order_of_their_keys() {
        let store = MemoryStore::default();
        for (key, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
            set(&store, "s", key, Some(value));
        }
        let values: Vec<_> =
            store.list("s").unwrap().iter().map(|(_, v)| v.as_str().to_owned()).collect();
        assert_eq!(values, ["3", "2"]);
        assert_eq!(store.scopes().unwrap(), ["s"]);
    }

    #[test]
    fn an_empty_scope_is_none() {
        let store = MemoryStore::default();
        set(&store, "s", "a", Some("1"));
        let change = set(&store, "s", "a", None);
        assert_eq!((change.old, change.new), (Some(json("1")), None));
        assert!(store.scopes().unwrap().is_empty());
        assert_eq!(set(&store, "s", "a", None), Change { old: None, new: None });
        assert!(store.scopes().unwrap().is_empty());
    }
}
