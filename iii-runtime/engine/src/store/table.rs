//! One table of the store in memory: values by scope and key in the order of insertion, and the memory that they use.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use super::journal::{Journal, JournalRecord, PendingWrite};
use super::{Change, ChangeHook, StoreError, UpdateFn};
use crate::provider::ComponentHealth;
use iii_wire::protocol::Payload;
use iii_wire::sync::{read, write};

/// Memory that a value needs in addition to its JSON, scope and key, in bytes.
const OVERHEAD: usize = 128;

/// Values by scope and key. Clones share the same table.
///
/// Reads see a change as soon as it is applied, before it is durable.
#[derive(Clone)]
pub(crate) struct Table {
    inner: Arc<TableInner>,
}

struct TableInner {
    name: Arc<str>,
    rows: RwLock<Rows>,
    usage: Arc<StoreUsage>,
    journal: Option<Arc<Journal>>,
}

impl Table {
    /// A table with these rows, which `usage` already counts.
    pub(super) fn new(
        name: Arc<str>,
        rows: Rows,
        usage: Arc<StoreUsage>,
        journal: Option<Arc<Journal>>,
    ) -> Self {
        Self { inner: Arc::new(TableInner { name, rows: RwLock::new(rows), usage, journal }) }
    }

    /// Returns the health of the whole store, for `engine::health::check`.
    pub(crate) fn health(&self) -> ComponentHealth {
        let TableInner { usage, journal, .. } = &*self.inner;
        let failure = journal.as_ref().and_then(|journal| journal.failure());
        ComponentHealth {
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

    /// Changes a value atomically. `hook` observes the changes of the table in their order, under the table's write lock:
    /// it must not access the table.
    ///
    /// The change is visible when this returns, and durable when the [`PendingWrite`] resolves.
    ///
    /// # Errors
    ///
    /// If `update` fails, the store is full, the journal's backlog is full, or an earlier write has failed. Then nothing
    /// changes, and `hook` is not called.
    pub(crate) fn change(
        &self,
        scope: &str,
        key: &str,
        update: &mut UpdateFn<'_>,
        hook: &mut ChangeHook<'_>,
    ) -> Result<(Change, PendingWrite), StoreError> {
        let mut rows = write(&self.inner.rows);
        let old = rows.get(scope, key).cloned();
        // Copied, so that a stored value does not keep the whole network frame that it arrived in alive.
        let new = update(old.as_ref())?.map(|new| Payload::from_built(new.as_str().to_owned()));
        let (before, after) = (size_of(scope, key, &old), size_of(scope, key, &new));
        self.inner.usage.replace(before, after)?;
        let pending = match &self.inner.journal {
            Some(journal) if old.is_some() || new.is_some() => {
                let record = JournalRecord {
                    table: self.inner.name.clone(),
                    scope: scope.to_owned(),
                    key: key.to_owned(),
                    position: rows.position(scope, key),
                    value: new.clone(),
                };
                journal.write(record).inspect_err(|_| self.inner.usage.revert(before, after))?
            }
            _ => PendingWrite::completed(),
        };
        match &new {
            Some(new) => rows.set(scope, key, new.clone()),
            None => rows.remove(scope, key),
        }
        let change = Change { old, new };
        hook(&change);
        Ok((change, pending))
    }

    /// Returns the keys and values of a scope in the order of insertion.
    pub(crate) fn list(&self, scope: &str) -> Vec<(String, Payload)> {
        let rows = read(&self.inner.rows);
        rows.scopes.get(scope).map_or_else(Vec::new, |scope| scope.rows.values().cloned().collect())
    }

    /// Returns the values of a scope as a JSON array, in the order of insertion.
    pub(crate) fn json_array(&self, scope: &str) -> String {
        let values = self.list(scope);
        let length = values.iter().map(|(_, value)| value.as_str().len() + 1).sum::<usize>();
        let mut json = String::with_capacity(length + 2);
        json.push('[');
        for (index, (_, value)) in values.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(value.as_str());
        }
        json.push(']');
        json
    }

    /// Returns the number of values in a scope.
    pub(crate) fn len(&self, scope: &str) -> usize {
        read(&self.inner.rows).scopes.get(scope).map_or(0, |scope| scope.rows.len())
    }

    /// Returns the names of the scopes that have values, sorted.
    pub(crate) fn scopes(&self) -> Vec<String> {
        read(&self.inner.rows).scopes.keys().cloned().collect()
    }
}

/// The values of a table.
#[derive(Default)]
pub(super) struct Rows {
    scopes: BTreeMap<String, ScopeRows>,
}

/// The values of one scope; never empty. Positions keep the order in which keys were inserted.
#[derive(Default)]
struct ScopeRows {
    last_position: u64,
    positions: HashMap<String, u64>,
    rows: BTreeMap<u64, (String, Payload)>,
}

impl Rows {
    fn get(&self, scope: &str, key: &str) -> Option<&Payload> {
        let scope = self.scopes.get(scope)?;
        scope.rows.get(scope.positions.get(key)?).map(|(_, value)| value)
    }

    /// Returns the position of a key, or the one that it would be inserted at.
    fn position(&self, scope: &str, key: &str) -> u64 {
        let Some(scope) = self.scopes.get(scope) else { return 1 };
        scope.positions.get(key).copied().unwrap_or(scope.last_position + 1)
    }

    fn set(&mut self, scope: &str, key: &str, value: Payload) {
        let position = self.position(scope, key);
        self.restore(scope, key, position, value);
    }

    /// Inserts a value at the position that it was written with.
    pub(super) fn restore(&mut self, scope: &str, key: &str, position: u64, value: Payload) {
        if !self.scopes.contains_key(scope) {
            self.scopes.insert(scope.to_owned(), ScopeRows::default());
        }
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.last_position = scope.last_position.max(position);
            if !scope.positions.contains_key(key) {
                scope.positions.insert(key.to_owned(), position);
            }
            scope.rows.insert(position, (key.to_owned(), value));
        }
    }

    fn remove(&mut self, scope: &str, key: &str) {
        let Some(entry) = self.scopes.get_mut(scope) else { return };
        if let Some(position) = entry.positions.remove(key) {
            entry.rows.remove(&position);
        }
        if entry.rows.is_empty() {
            self.scopes.remove(scope);
        }
    }

    /// Returns the memory that all values use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let scope = |(name, scope): (&String, &ScopeRows)| -> usize {
            scope.rows.values().map(|(key, value)| row_size(name, key, value)).sum()
        };
        self.scopes.iter().map(scope).sum()
    }
}

fn row_size(scope: &str, key: &str, value: &Payload) -> usize {
    scope.len() + key.len() + value.as_str().len() + OVERHEAD
}

fn size_of(scope: &str, key: &str, value: &Option<Payload>) -> usize {
    value.as_ref().map_or(0, |value| row_size(scope, key, value))
}

/// The memory that the tables of a store use together, and their capacity.
pub(super) struct StoreUsage {
    capacity: usize,
    used: AtomicUsize,
}

impl StoreUsage {
    pub(super) fn new(capacity: usize, used: usize) -> Self {
        Self { capacity, used: AtomicUsize::new(used) }
    }

    /// Replaces `before` bytes with `after` bytes. Shrinking is always allowed.
    fn replace(&self, before: usize, after: usize) -> Result<(), StoreError> {
        let replaced = |used: usize| {
            let now = used.saturating_sub(before).saturating_add(after);
            (after <= before || now <= self.capacity).then_some(now)
        };
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replaced) {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError(format!(
                "the store is full: {} more bytes exceed its capacity of {} bytes",
                after - before,
                self.capacity
            ))),
        }
    }

    fn revert(&self, before: usize, after: usize) {
        let reverted = |used: usize| Some(used.saturating_sub(after).saturating_add(before));
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reverted);
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
    fn values_are_listed_in_insertion_order_of_their_keys() {
        let table = Store::in_memory().table("t");
        for (key, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
            set(&table, key, Some(value)).unwrap();
        }
        assert_eq!(table.list("s"), [("b".to_owned(), json("3")), ("a".to_owned(), json("2"))]);
        assert_eq!(table.json_array("s"), "[3,2]");
        assert_eq!(table.scopes(), ["s"]);
        assert_eq!(table.get("s", "a"), Some(json("2")));
        assert_eq!(table.get("s", "c"), None);
    }

    #[test]
    fn scope_without_values_is_not_listed() {
        let table = Store::in_memory().table("t");
        set(&table, "a", Some("1")).unwrap();
        let change = set(&table, "a", None).unwrap();
        assert_eq!((change.old, change.new), (Some(json("1")), None));
        assert!(table.scopes().is_empty());
        assert_eq!(set(&table, "a", None).unwrap(), Change { old: None, new: None });
        assert!(table.scopes().is_empty() && table.list("s").is_empty());
    }

    #[test]
    fn tables_are_identified_by_name() {
        let store = Store::in_memory();
        set(&store.table("t"), "a", Some("1")).unwrap();
        let same = store.clone();
        assert!(same.table("t").get("s", "a").is_some());
        assert!(store.table("u").get("s", "a").is_none());
    }

    #[test]
    fn rejected_change_leaves_the_value_unchanged() {
        let table = Store::in_memory().table("t");
        set(&table, "a", Some("1")).unwrap();
        let refuse = &mut |_: Option<&Payload>| Err(StoreError("no".to_owned()));
        let error = table.change("s", "a", refuse, &mut |_| panic!("hook called")).err().unwrap();
        assert_eq!(error.0, "no");
        assert_eq!(table.get("s", "a"), Some(json("1")));
    }

    #[test]
    fn full_store_rejects_changes_until_bytes_are_freed() {
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
