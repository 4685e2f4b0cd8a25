//! The file of a durable store: made, locked, checked, read as a whole when it is opened, and written in transactions.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, TableError,
};

use super::StoreError;
use super::journal::{Disk, Record};
use super::table::Rows;
use iii_wire::protocol::Payload;

/// The file in the data directory.
const FILE: &str = "iii.redb";
/// The file while it is made: it gets its name when it is complete.
const UNFINISHED: &str = "iii.redb.new";
/// Held by the engine that uses the directory; says its process.
const LOCK: &str = "iii.lock";
/// How the tables below are to be read.
const FORMAT: u64 = 1;
/// Pages that the database keeps, in bytes. Few: everything is read from memory.
const CACHE: usize = 16 << 20;

/// Facts about the file.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("iii_meta");
/// The values: table, scope and key; the place in the scope, and the JSON.
const VALUES: TableDefinition<'_, (&str, &str, &str), (u64, &str)> =
    TableDefinition::new("iii_values");

/// An open file, with the right to use its directory.
#[derive(Debug)]
pub(super) struct Opened {
    database: Database,
    path: PathBuf,
    /// After the database, so that the directory is given up last.
    _lock: File,
}

/// Why a file could not be opened or read, without its path.
type Trouble = String;

/// Opens the file of a directory, or makes both, and reads all tables.
///
/// # Errors
///
/// What is wrong with which path, and what to do. No value is altered then.
pub(super) fn open(directory: &Path) -> Result<(Opened, HashMap<String, Rows>), StoreError> {
    let lock = take(directory)?;
    let path = directory.join(FILE);
    // The database trusts some sizes in its file and panics where they are wrong.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        if !path.try_exists().map_err(|error| error.to_string())? {
            make(directory, &path)?;
        }
        let mut database = builder().open(&path).map_err(|error| explain(&error))?;
        check(&mut database)?;
        let tables = load(&database)?;
        Ok((database, tables))
    }));
    let opened = opened.unwrap_or_else(|_| Err(damaged("it contradicts itself")));
    let (database, tables) = opened.map_err(|why| {
        StoreError(format!("the store `{}` cannot be used: {why}", path.display()))
    })?;
    Ok((Opened { database, path, _lock: lock }, tables))
}

/// Makes the directory if there is none, and locks it for this process.
fn take(directory: &Path) -> Result<File, StoreError> {
    let unusable = |what: &str, error: std::io::Error| {
        StoreError(format!(
            "the data directory `{}` cannot be used: {what}: {error}",
            directory.display()
        ))
    };
    std::fs::create_dir_all(directory).map_err(|error| unusable("it cannot be made", error))?;
    let path = directory.join(LOCK);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| unusable("its lock cannot be opened", error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = (&lock).take(20).read_to_string(&mut holder);
            let holder = match holder.trim().parse::<u32>() {
                Ok(process) => format!(" (process {process})"),
                Err(_) => String::new(),
            };
            return Err(StoreError(format!(
                "the data directory `{}` is used by another engine{holder}: stop that one, or give this one another \
                 directory",
                directory.display()
            )));
        }
        Err(TryLockError::Error(error)) => {
            return Err(unusable("its file system does not lock files", error));
        }
    }
    // Only for the message above: who holds the lock decides.
    let _ = lock.set_len(0);
    let _ = lock.write_all(std::process::id().to_string().as_bytes());
    Ok(lock)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// Makes an empty store under another name, and names it when it is complete. The directory is locked.
fn make(directory: &Path, path: &Path) -> Result<(), Trouble> {
    let text = |error: std::io::Error| format!("it cannot be made: {error}");
    let unfinished = directory.join(UNFINISHED);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(text(error)),
        _ => {}
    }
    let database = builder().create(&unfinished).map_err(|error| explain(&error))?;
    (|| -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.open_table(META)?.insert("format", FORMAT)?;
        transaction.open_table(VALUES)?;
        transaction.commit()?;
        Ok(())
    })()
    .map_err(|error| format!("it cannot be made: {error}"))?;
    drop(database);
    std::fs::rename(&unfinished, path).map_err(text)?;
    // The name survives a loss of power only with its directory.
    #[cfg(unix)]
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(text)?;
    Ok(())
}

/// Checks that all of the file is what was written.
fn check(database: &mut Database) -> Result<(), Trouble> {
    match database.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => {
            // PendingWrite in two phases, values are never rolled back by this: only free pages were counted anew.
            tracing::warn!("the store had lost count of its free pages; they were counted anew");
            Ok(())
        }
        Err(error) => Err(explain(&error)),
    }
}

/// Reads everything.
fn load(database: &Database) -> Result<HashMap<String, Rows>, Trouble> {
    let broken = |error: &dyn std::error::Error| damaged(&error.to_string());
    let transaction = database.begin_read().map_err(|error| broken(&error))?;
    let foreign = |error: TableError| match error {
        TableError::Storage(error) => broken(&error),
        _ => "it is the database of another program: give this engine another directory".to_owned(),
    };
    let meta = transaction.open_table(META).map_err(foreign)?;
    let format = meta.get("format").map_err(|error| broken(&error))?.map(|format| format.value());
    match format {
        Some(FORMAT) => {}
        Some(later) if later > FORMAT => {
            return Err(format!(
                "it has the format {later}, and this version knows only {FORMAT}: use the later version that wrote it"
            ));
        }
        other => return Err(damaged(&format!("its format is {other:?}"))),
    }
    let mut tables: HashMap<String, Rows> = HashMap::new();
    let values = transaction.open_table(VALUES).map_err(foreign)?;
    for entry in values.iter().map_err(|error| broken(&error))? {
        let (place, value) = entry.map_err(|error| broken(&error))?;
        let ((table, scope, key), (number, json)) = (place.value(), value.value());
        let value = Payload::from_json(json.to_owned())
            .map_err(|_| damaged(&format!("`{scope}`, `{key}` of `{table}` is not JSON")))?;
        if !tables.contains_key(table) {
            tables.insert(table.to_owned(), Rows::default());
        }
        if let Some(rows) = tables.get_mut(table) {
            rows.load(scope, key, number, value);
        }
    }
    Ok(tables)
}

fn damaged(how: &str) -> Trouble {
    format!(
        "it is damaged ({how}); no value was altered: put a copy of the file in its place, or move it away to begin with an \
         empty store"
    )
}

/// What is wrong with a file, and what to do.
fn explain(error: &DatabaseError) -> Trouble {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            "it is not the file of a store: give this engine another directory, or move the file away".to_owned()
        }
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            damaged("its end is missing")
        }
        DatabaseError::Storage(StorageError::Io(error)) => error.to_string(),
        DatabaseError::DatabaseAlreadyOpen => {
            "another program has it open: stop that one, or give this engine another directory".to_owned()
        }
        DatabaseError::UpgradeRequired(_) => {
            "it was written by a version that is too old to be read".to_owned()
        }
        error => damaged(&error.to_string()),
    }
}

impl Opened {
    fn try_commit(&self, records: &[Record]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        // In one phase, a damaged page would roll acknowledged changes back in silence when the file is opened.
        transaction.set_two_phase_commit(true);
        {
            let mut values = transaction.open_table(VALUES)?;
            for record in records {
                let place = (&*record.table, record.scope.as_str(), record.key.as_str());
                match &record.value {
                    Some(value) => drop(values.insert(place, (record.number, value.as_str()))?),
                    None => drop(values.remove(place)?),
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Disk for Opened {
    fn commit(&mut self, records: &[Record]) -> Result<(), String> {
        self.try_commit(records).map_err(|error| format!("`{}`: {error}", self.path.display()))
    }
}
