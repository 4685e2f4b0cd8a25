//! A table in memory: scopes, keys in the order in which they came, and what all of it weighs.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use super::journal::{PendingWrite, Journal, Record};
use super::{Change, Decide, Seen, StoreError};
use crate::provider::Health;
use iii_wire::protocol::Payload;
use iii_wire::sync::{read, write};

/// What a value weighs beside its text and its names, in bytes.
const OVERHEAD: usize = 128;

/// Values by scope and key. Clones are the same table.
///
/// Reads see each change as soon as it is made, also before it is committed.
#[derive(Clone)]
pub(crate) struct Table {
    inner: Arc<Inner>,
}

struct Inner {
    name: Arc<str>,
    rows: RwLock<Rows>,
    usage: Arc<Usage>,
    journal: Option<Arc<Journal>>,
}

impl Table {
    /// A table that holds `rows`, which are part of `usage` already.
    pub(super) fn new(
        name: Arc<str>,
        rows: Rows,
        usage: Arc<Usage>,
        journal: Option<Arc<Journal>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { name, rows: RwLock::new(rows), usage, journal }) }
    }

    /// How the store of this table is: for `engine::health::check`.
    pub(crate) fn health(&self) -> Health {
        let Inner { usage, journal, .. } = &*self.inner;
        let failure = journal.as_ref().and_then(|journal| journal.failure());
        Health {
            component: "store",
            trouble: failure.map(|error| error.to_string()),
            details: serde_json::json!({
                "durable": journal.is_some(),
                "stored_bytes": usage.used.load(Ordering::Relaxed),
                "capacity_bytes": usage.capacity,
            }),
        }
    }

    /// Reads a value.
    pub(crate) fn get(&self, scope: &str, key: &str) -> Option<Payload> {
        read(&self.inner.rows).get(scope, key).cloned()
    }

    /// Changes a value in one step. `seen` is called in the order of the changes, under the lock of the table: it must
    /// not come back to it.
    ///
    /// The change can be read when this returns; it is certain when [`PendingWrite`] is done.
    ///
    /// # Errors
    ///
    /// If `decide` says so, the store is full, its disk is too far behind, or it has failed. Nothing changed then, and
    /// `seen` was not called.
    pub(crate) fn change(
        &self,
        scope: &str,
        key: &str,
        decide: &mut Decide<'_>,
        seen: &mut Seen<'_>,
    ) -> Result<(Change, PendingWrite), StoreError> {
        let mut rows = write(&self.inner.rows);
        let old = rows.get(scope, key).cloned();
        // What is kept must not hold on to the whole frame that it came in.
        let new = decide(old.as_ref())?.map(|new| Payload::from_built(new.as_str().to_owned()));
        let (before, after) = (weight(scope, key, &old), weight(scope, key, &new));
        self.inner.usage.swap(before, after)?;
        let committed = match &self.inner.journal {
            Some(journal) if old.is_some() || new.is_some() => {
                let record = Record {
                    table: self.inner.name.clone(),
                    scope: scope.to_owned(),
                    key: key.to_owned(),
                    number: rows.number(scope, key),
                    value: new.clone(),
                };
                journal.write(record).inspect_err(|_| self.inner.usage.undo(before, after))?
            }
            _ => PendingWrite::done(),
        };
        match &new {
            Some(new) => rows.set(scope, key, new.clone()),
            None => rows.remove(scope, key),
        }
        let change = Change { old, new };
        seen(&change);
        Ok((change, committed))
    }

    /// The keys and values of a scope in the order in which the keys came.
    pub(crate) fn list(&self, scope: &str) -> Vec<(String, Payload)> {
        let rows = read(&self.inner.rows);
        rows.scopes.get(scope).map_or_else(Vec::new, |scope| scope.rows.values().cloned().collect())
    }

    /// How many values a scope holds.
    pub(crate) fn len(&self, scope: &str) -> usize {
        read(&self.inner.rows).scopes.get(scope).map_or(0, |scope| scope.rows.len())
    }

    /// The names of the scopes that hold something, sorted.
    pub(crate) fn scopes(&self) -> Vec<String> {
        read(&self.inner.rows).scopes.keys().cloned().collect()
    }
}

/// The values of a table.
#[derive(Default)]
pub(super) struct Rows {
    scopes: BTreeMap<String, Scope>,
}

/// One scope; never empty. The numbers keep the order in which the keys came.
#[derive(Default)]
struct Scope {
    last: u64,
    numbers: HashMap<String, u64>,
    rows: BTreeMap<u64, (String, Payload)>,
}

impl Rows {
    fn get(&self, scope: &str, key: &str) -> Option<&Payload> {
        let scope = self.scopes.get(scope)?;
        scope.rows.get(scope.numbers.get(key)?).map(|(_, value)| value)
    }

    /// The number of a key, or the one that it would get.
    fn number(&self, scope: &str, key: &str) -> u64 {
        let Some(scope) = self.scopes.get(scope) else { return 1 };
        scope.numbers.get(key).copied().unwrap_or(scope.last + 1)
    }

    fn set(&mut self, scope: &str, key: &str, value: Payload) {
        let number = self.number(scope, key);
        self.load(scope, key, number, value);
    }

    /// Puts a value at the place that it had when it was written.
    pub(super) fn load(&mut self, scope: &str, key: &str, number: u64, value: Payload) {
        if !self.scopes.contains_key(scope) {
            self.scopes.insert(scope.to_owned(), Scope::default());
        }
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.last = scope.last.max(number);
            if !scope.numbers.contains_key(key) {
                scope.numbers.insert(key.to_owned(), number);
            }
            scope.rows.insert(number, (key.to_owned(), value));
        }
    }

    fn remove(&mut self, scope: &str, key: &str) {
        let Some(entry) = self.scopes.get_mut(scope) else { return };
        if let Some(number) = entry.numbers.remove(key) {
            entry.rows.remove(&number);
        }
        if entry.rows.is_empty() {
            self.scopes.remove(scope);
        }
    }

    /// What all of it weighs.
    pub(super) fn bytes(&self) -> usize {
        let scope = |(name, scope): (&String, &Scope)| -> usize {
            scope.rows.values().map(|(key, value)| weigh(name, key, value)).sum()
        };
        self.scopes.iter().map(scope).sum()
    }
}

fn weigh(scope: &str, key: &str, value: &Payload) -> usize {
    scope.len() + key.len() + value.as_str().len() + OVERHEAD
}

fn weight(scope: &str, key: &str, value: &Option<Payload>) -> usize {
    value.as_ref().map_or(0, |value| weigh(scope, key, value))
}

/// What the tables of a store weigh together, and may.
pub(super) struct Usage {
    capacity: usize,
    used: AtomicUsize,
}

impl Usage {
    pub(super) fn new(capacity: usize, used: usize) -> Self {
        Self { capacity, used: AtomicUsize::new(used) }
    }

    /// Puts `after` bytes in the place of `before`. To become smaller is always allowed.
    fn swap(&self, before: usize, after: usize) -> Result<(), StoreError> {
        let swapped = |used: usize| {
            let now = used.saturating_sub(before).saturating_add(after);
            (after <= before || now <= self.capacity).then_some(now)
        };
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, swapped) {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError(format!(
                "the store is full: it may hold {} bytes, and {} more would not fit",
                self.capacity,
                after - before
            ))),
        }
    }

    fn undo(&self, before: usize, after: usize) {
        let undone = |used: usize| Some(used.saturating_sub(after).saturating_add(before));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, undone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::json;
    use crate::store::Store;

    fn set(table: &Table, key: &str, value: Option<&str>) -> Result<Change, StoreError> {
        let (change, _) = table.change("s", key, &mut |_| Ok(value.map(json)), &mut |_| {})?;
        Ok(change)
    }

    #[test]
    fn values_keep_the_order_of_their_keys() {
        let table = Store::in_memory().table("t");
        for (key, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
            set(&table, key, Some(value)).unwrap();
        }
        assert_eq!(table.list("s"), [("b".to_owned(), json("3")), ("a".to_owned(), json("2"))]);
        assert_eq!(table.scopes(), ["s"]);
        assert_eq!(table.get("s", "a"), Some(json("2")));
        assert_eq!(table.get("s", "c"), None);
    }

    #[test]
    fn an_empty_scope_is_none() {
        let table = Store::in_memory().table("t");
        set(&table, "a", Some("1")).unwrap();
        let change = set(&table, "a", None).unwrap();
        assert_eq!((change.old, change.new), (Some(json("1")), None));
        assert!(table.scopes().is_empty());
        assert_eq!(set(&table, "a", None).unwrap(), Change { old: None, new: None });
        assert!(table.scopes().is_empty() && table.list("s").is_empty());
    }

    #[test]
    fn tables_of_one_name_are_one_and_of_two_names_two() {
        let store = Store::in_memory();
        set(&store.table("t"), "a", Some("1")).unwrap();
        let same = store.clone();
        assert!(same.table("t").get("s", "a").is_some());
        assert!(store.table("u").get("s", "a").is_none());
    }

    #[test]
    fn a_refused_change_leaves_everything() {
        let table = Store::in_memory().table("t");
        set(&table, "a", Some("1")).unwrap();
        let refuse = &mut |_: Option<&Payload>| Err(StoreError("no".to_owned()));
        let error = table.change("s", "a", refuse, &mut |_| panic!("not seen")).err().unwrap();
        assert_eq!(error.0, "no");
        assert_eq!(table.get("s", "a"), Some(json("1")));
    }

    #[test]
    fn a_full_store_refuses_and_takes_again_when_there_is_room() {
        let store = Store::in_memory_with(2 * (OVERHEAD + 10));
        let (t, u) = (store.table("t"), store.table("u"));
        set(&t, "a", Some("1234567")).unwrap();
        set(&u, "a", Some("1234567")).unwrap();
        let error = set(&t, "b", Some("1")).unwrap_err();
        assert!(error.0.contains("full"), "{error}");
        assert!(set(&t, "a", Some("1234567890")).is_err());
        assert_eq!(t.get("s", "a"), Some(json("1234567")));
        set(&u, "a", None).unwrap();
        set(&t, "b", Some("1")).unwrap();
    }
}
