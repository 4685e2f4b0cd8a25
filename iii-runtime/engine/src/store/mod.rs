//! The storage door: values by table, scope and key, read from memory and, in a durable store, journaled to disk.

mod write_function;
mod file;
mod journal;
mod table;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::limits::Limits;
use iii_wire::protocol::{ErrorBody, Payload};
use iii_wire::sync::lock;

pub(crate) use write_function::write_function;
pub(crate) use journal::PendingWrite;
pub(crate) use table::Table;

use journal::Journal;
use table::{Rows, Usage};

/// How much a store may hold. All of it is in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreLimits {
    /// Bytes of all keys and values.
    pub(crate) capacity: usize,
    /// Bytes of the changes that are not on disk yet; one more change is refused then.
    pub(crate) backlog: usize,
}

impl From<&Limits> for StoreLimits {
    fn from(limits: &Limits) -> Self {
        Self { capacity: limits.store_bytes, backlog: limits.journal_bytes }
    }
}

/// Why a store could not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreError(pub(crate) String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// The error as it travels, under the code of the function that failed.
    pub(crate) fn to_body(&self, code: &str) -> ErrorBody {
        ErrorBody::new(code, self.0.clone())
    }
}

/// What a change made of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The value before; `None`: there was none.
    pub(crate) old: Option<Payload>,
    /// The value after; `None`: there is none.
    pub(crate) new: Option<Payload>,
}

/// Decides the new value from the old one; `None` removes it, an error leaves it.
pub(crate) type Decide<'a> =
    dyn FnMut(Option<&Payload>) -> Result<Option<Payload>, StoreError> + 'a;
/// Sees a change while no other change of the same table can happen.
pub(crate) type Seen<'a> = dyn FnMut(&Change) + 'a;

/// All that an engine keeps. Clones are the same store.
///
/// Reads are answered from memory. A durable store also writes each change to disk, and says by [`PendingWrite`] when it
/// is there; a change can be read before that.
#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    tables: Mutex<HashMap<String, Table>>,
    usage: Arc<Usage>,
    journal: Option<Arc<Journal>>,
}

impl Store {
    /// For tests: a store in memory with the usual capacity.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::in_memory_with(Limits::default().store_bytes)
    }

    /// For tests: [`Store::open_with`] the usual room.
    #[cfg(test)]
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        Self::open_with(directory, StoreLimits::from(&Limits::default()))
    }

    /// Opens the durable store of a directory, or makes one; reads all of it. Blocks the thread. What is there is read even
    /// if it is more than there is room for.
    ///
    /// # Errors
    ///
    /// If the directory or its file cannot be used: it is taken by another engine, not readable, damaged, of another
    /// program or of a later version. No value is altered then.
    pub(crate) fn open_with(directory: &Path, room: StoreLimits) -> Result<Self, StoreError> {
        let (disk, tables) = file::open(directory)?;
        let journal = Journal::start(disk, room.backlog)?;
        Ok(Self::new(room.capacity, tables, Some(Arc::new(journal))))
    }

    /// A store that is gone with the engine, with a capacity in bytes.
    pub(crate) fn in_memory_with(capacity: usize) -> Self {
        Self::new(capacity, HashMap::new(), None)
    }

    fn new(capacity: usize, loaded: HashMap<String, Rows>, journal: Option<Arc<Journal>>) -> Self {
        let usage = Arc::new(Usage::new(capacity, loaded.values().map(Rows::bytes).sum()));
        let tables = loaded
            .into_iter()
            .map(|(name, rows)| {
                let table = Table::new(name.as_str().into(), rows, usage.clone(), journal.clone());
                (name, table)
            })
            .collect();
        Self { inner: Arc::new(Inner { tables: Mutex::new(tables), usage, journal }) }
    }

    /// The table of a name; the same one each time.
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

    /// Whether what it holds survives the engine.
    pub(crate) fn is_durable(&self) -> bool {
        self.inner.journal.is_some()
    }

    /// Writes what is not yet on disk, and lets go of the files. Every later change fails. Nothing happens to a store in
    /// memory.
    ///
    /// # Errors
    ///
    /// If something could not be written.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        match &self.inner.journal {
            Some(journal) => journal.close().await,
            None => Ok(()),
        }
    }

    /// Like [`Store::close`], for those who cannot wait: the thread is blocked for the last write.
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
