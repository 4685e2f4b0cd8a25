//! The storage API: values by table, scope and key, served from memory and, in a durable store, journaled to disk.

mod file;
mod journal;
mod json;
mod table;
mod write_function;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::limits::Limits;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::sync::lock;

pub(crate) use journal::PendingWrite;
pub(crate) use json::{json_or_null, json_string};
pub(crate) use table::Table;
pub(crate) use write_function::write_function;

use journal::Journal;
use table::{Rows, StoreUsage};

/// How much a store may hold. All values are kept in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreLimits {
    /// Bytes of all keys and values.
    pub(crate) capacity: usize,
    /// Bytes of changes that are not on disk yet. Further changes are rejected while the backlog is full.
    pub(crate) backlog: usize,
}

impl From<&Limits> for StoreLimits {
    fn from(limits: &Limits) -> Self {
        Self { capacity: limits.store_bytes, backlog: limits.journal_bytes }
    }
}

/// Why an operation of a store failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreError(pub(crate) String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// Converts the error to its wire form, with the error code of the function that failed.
    pub(crate) fn to_body(&self, code: &str) -> ErrorBody {
        ErrorBody::new(code, self.0.clone())
    }
}

/// A change of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The previous value, if there was one.
    pub(crate) old: Option<Payload>,
    /// The new value, or `None` if the value was removed.
    pub(crate) new: Option<Payload>,
}

/// Computes the new value from the current one. `None` removes the value; an error leaves it unchanged.
pub(crate) type UpdateFn<'a> =
    dyn FnMut(Option<&Payload>) -> Result<Option<Payload>, StoreError> + 'a;
/// Observes a change under the write lock of its table.
pub(crate) type ChangeHook<'a> = dyn FnMut(&Change) + 'a;

/// The tables of an engine. Clones share the same store.
///
/// Reads are served from memory. A durable store also writes each change to disk and reports by [`PendingWrite`] when
/// the change is durable; reads see the change before that.
#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<StoreInner>,
}

struct StoreInner {
    tables: Mutex<HashMap<String, Table>>,
    usage: Arc<StoreUsage>,
    journal: Option<Arc<Journal>>,
}

impl Store {
    /// Creates an in-memory store with the default capacity.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::in_memory_with(Limits::default().store_bytes)
    }

    /// Calls [`Store::open_with`] with the default limits.
    #[cfg(test)]
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_with(directory, StoreLimits::from(&Limits::default()))
    }

    /// Opens or creates the durable store in a directory and reads all of its values. Blocks the thread. Existing values
    /// are loaded even if they exceed the capacity.
    ///
    /// # Errors
    ///
    /// If the directory or its file cannot be used: locked by another engine, unreadable, damaged, written by another
    /// program or by a newer version. Stored values stay unchanged.
    pub(crate) fn open_with(directory: &Path, limits: StoreLimits) -> Result<Self, StoreError> {
        let (file, tables) = file::open(directory)?;
        let journal = Journal::start(file, limits.backlog)?;
        Ok(Self::new(limits.capacity, tables, Some(Arc::new(journal))))
    }

    /// Creates an in-memory store with a capacity in bytes. Its values are lost with the engine.
    pub(crate) fn in_memory_with(capacity: usize) -> Self {
        Self::new(capacity, HashMap::new(), None)
    }

    fn new(capacity: usize, loaded: HashMap<String, Rows>, journal: Option<Arc<Journal>>) -> Self {
        let usage = Arc::new(StoreUsage::new(capacity, loaded.values().map(Rows::bytes).sum()));
        let tables = loaded
            .into_iter()
            .map(|(name, rows)| {
                let table = Table::new(name.as_str().into(), rows, usage.clone(), journal.clone());
                (name, table)
            })
            .collect();
        Self { inner: Arc::new(StoreInner { tables: Mutex::new(tables), usage, journal }) }
    }

    /// Returns the table with this name. Each call returns the same table.
    pub(crate) fn table(&self, name: &'static str) -> Table {
        let mut tables = lock(&self.inner.tables);
        if let Some(table) = tables.get(name) {
            return table.clone();
        }
        let (usage, journal) = (self.inner.usage.clone(), self.inner.journal.clone());
        let table = Table::new(name.into(), Rows::default(), usage, journal);
        tables.insert(name.to_owned(), table.clone());
        table
    }

    /// Returns whether values survive the engine.
    pub(crate) fn is_durable(&self) -> bool {
        self.inner.journal.is_some()
    }

    /// Flushes pending writes and releases the files. Later changes fail. Does nothing for an in-memory store.
    ///
    /// # Errors
    ///
    /// If a change could not be written.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        match &self.inner.journal {
            Some(journal) => journal.close().await,
            None => Ok(()),
        }
    }

    /// Like [`Store::close`], but blocks the thread until the last write has finished.
    pub(crate) fn close_blocking(&self) {
        if let Some(journal) = &self.inner.journal {
            journal.close_blocking();
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("durable", &self.is_durable()).finish_non_exhaustive()
    }
}
