//! The database file of a durable store: creation, locking, integrity checks, loading and transactions.

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
use super::journal::{JournalRecord, JournalStorage};
use super::table::Rows;
use iii_wire::protocol::Payload;

/// The database file in the data directory.
const DATABASE_FILE: &str = "iii.redb";
/// The database file while it is being created. It is renamed when it is complete.
const UNFINISHED_FILE: &str = "iii.redb.new";
/// Locked by the engine that uses the directory; contains its process id.
const LOCK_FILE: &str = "iii.lock";
/// The version of the table layout below.
const FORMAT_VERSION: u64 = 1;
/// Page cache of the database, in bytes. Small, because reads are served from memory.
const CACHE_BYTES: usize = 16 << 20;

/// Metadata of the file.
const META_TABLE: TableDefinition<'_, &str, u64> = TableDefinition::new("iii_meta");
/// Maps (table, scope, key) to (position in the scope, JSON).
const VALUES_TABLE: TableDefinition<'_, (&str, &str, &str), (u64, &str)> =
    TableDefinition::new("iii_values");

/// An open database file, with the lock of its directory.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    database: Database,
    path: PathBuf,
    // Declared after the database, so that the directory is unlocked last.
    _lock: File,
}

/// Why a file could not be opened or read, without its path.
type FileError = String;

/// Opens the database file of a directory and reads all tables. Creates the directory and the file if they are missing.
///
/// # Errors
///
/// Names the path, the cause and a remedy. Stored values stay unchanged.
pub(super) fn open(directory: &Path) -> Result<(DatabaseFile, HashMap<String, Rows>), StoreError> {
    let lock = lock_directory(directory)?;
    let path = directory.join(DATABASE_FILE);
    // redb trusts some sizes in the file, and panics if they are wrong.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        if !path.try_exists().map_err(|error| error.to_string())? {
            create(directory, &path)?;
        }
        let mut database = builder().open(&path).map_err(|error| describe(&error))?;
        check_integrity(&mut database)?;
        let tables = load(&database)?;
        Ok((database, tables))
    }));
    let opened = opened.unwrap_or_else(|_| Err(damaged("its structure is inconsistent")));
    let (database, tables) = opened.map_err(|reason| {
        StoreError(format!("the store `{}` cannot be used: {reason}", path.display()))
    })?;
    Ok((DatabaseFile { database, path, _lock: lock }, tables))
}

/// Creates the directory if it is missing, and locks it for this process.
fn lock_directory(directory: &Path) -> Result<File, StoreError> {
    let unusable = |what: &str, error: std::io::Error| {
        StoreError(format!(
            "the data directory `{}` cannot be used: {what}: {error}",
            directory.display()
        ))
    };
    std::fs::create_dir_all(directory).map_err(|error| unusable("it cannot be created", error))?;
    let path = directory.join(LOCK_FILE);
    let mut lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| unusable("its lock file cannot be opened", error))?;
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
                "the data directory `{}` is used by another engine{holder}: stop that engine, or configure another \
                 directory",
                directory.display()
            )));
        }
        Err(TryLockError::Error(error)) => {
            return Err(unusable("its file system does not support file locks", error));
        }
    }
    // Only for the message above: the lock itself decides.
    let _ = lock.set_len(0);
    let _ = lock.write_all(std::process::id().to_string().as_bytes());
    Ok(lock)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Creates an empty store under a temporary name, and renames it when it is complete. The directory is locked.
fn create(directory: &Path, path: &Path) -> Result<(), FileError> {
    let failed = |error: std::io::Error| format!("it cannot be created: {error}");
    let unfinished = directory.join(UNFINISHED_FILE);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let database = builder().create(&unfinished).map_err(|error| describe(&error))?;
    (|| -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        transaction.set_two_phase_commit(true);
        transaction.open_table(META_TABLE)?.insert("format", FORMAT_VERSION)?;
        transaction.open_table(VALUES_TABLE)?;
        transaction.commit()?;
        Ok(())
    })()
    .map_err(|error| format!("it cannot be created: {error}"))?;
    drop(database);
    std::fs::rename(&unfinished, path).map_err(failed)?;
    // The rename is durable only when the directory is synced.
    #[cfg(unix)]
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(())
}

/// Checks that the whole file is as it was written.
fn check_integrity(database: &mut Database) -> Result<(), FileError> {
    match database.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => {
            // With two-phase commits this never rolls values back: it only rebuilds the list of free pages.
            tracing::warn!("the list of free pages of the store was damaged and has been rebuilt");
            Ok(())
        }
        Err(error) => Err(describe(&error)),
    }
}

/// Reads all tables.
fn load(database: &Database) -> Result<HashMap<String, Rows>, FileError> {
    let broken = |error: &dyn std::error::Error| damaged(&error.to_string());
    let transaction = database.begin_read().map_err(|error| broken(&error))?;
    let foreign = |error: TableError| match error {
        TableError::Storage(error) => broken(&error),
        _ => "it is the database of another program: configure another directory".to_owned(),
    };
    let meta = transaction.open_table(META_TABLE).map_err(foreign)?;
    let format = meta.get("format").map_err(|error| broken(&error))?.map(|format| format.value());
    match format {
        Some(FORMAT_VERSION) => {}
        Some(newer) if newer > FORMAT_VERSION => {
            return Err(format!(
                "it has the format {newer}, and this version supports only {FORMAT_VERSION}: use the newer version \
                 that wrote it"
            ));
        }
        other => return Err(damaged(&format!("its format is {other:?}"))),
    }
    let mut tables: HashMap<String, Rows> = HashMap::new();
    let values = transaction.open_table(VALUES_TABLE).map_err(foreign)?;
    for entry in values.iter().map_err(|error| broken(&error))? {
        let (key, value) = entry.map_err(|error| broken(&error))?;
        let ((table, scope, key), (position, json)) = (key.value(), value.value());
        let value = Payload::from_json(json.to_owned())
            .map_err(|_| damaged(&format!("`{scope}`, `{key}` of `{table}` is not JSON")))?;
        if !tables.contains_key(table) {
            tables.insert(table.to_owned(), Rows::default());
        }
        if let Some(rows) = tables.get_mut(table) {
            rows.restore(scope, key, position, value);
        }
    }
    Ok(tables)
}

fn damaged(how: &str) -> FileError {
    format!(
        "it is damaged ({how}); no value was changed: restore a copy of the file, or move the file away to start with an \
         empty store"
    )
}

/// Describes why a file cannot be opened, with a remedy.
fn describe(error: &DatabaseError) -> FileError {
    match error {
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == ErrorKind::InvalidData =>
        {
            "it is not the file of a store: configure another directory, or move the file away"
                .to_owned()
        }
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == ErrorKind::UnexpectedEof =>
        {
            damaged("it is truncated")
        }
        DatabaseError::Storage(StorageError::Io(error)) => error.to_string(),
        DatabaseError::DatabaseAlreadyOpen => {
            "another program has it open: stop that program, or configure another directory"
                .to_owned()
        }
        DatabaseError::UpgradeRequired(_) => {
            "it was written by a version that is too old to be read".to_owned()
        }
        error => damaged(&error.to_string()),
    }
}

impl DatabaseFile {
    fn try_commit(&self, records: &[JournalRecord]) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        // After a one-phase commit, a damaged page would silently roll back acknowledged changes on the next open.
        transaction.set_two_phase_commit(true);
        {
            let mut values = transaction.open_table(VALUES_TABLE)?;
            for record in records {
                let key = (&*record.table, record.scope.as_str(), record.key.as_str());
                match &record.value {
                    Some(value) => drop(values.insert(key, (record.position, value.as_str()))?),
                    None => drop(values.remove(key)?),
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

impl JournalStorage for DatabaseFile {
    fn commit(&mut self, records: &[JournalRecord]) -> Result<(), String> {
        self.try_commit(records).map_err(|error| format!("`{}`: {error}", self.path.display()))
    }
}
