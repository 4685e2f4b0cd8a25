//! Tests of durable stores: recovery of acknowledged writes, and rejection of unusable directories and files.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use redb::{Database, TableDefinition};

use super::*;
use crate::broker::testing::json;

/// Marks the child process of the crash test; its value is the data directory.
const CHILD: &str = "III_TEST_STORE_CHILD";
/// Keys that the child process writes concurrently.
const WRITERS: u64 = 8;

/// A temporary data directory, removed when it is dropped.
struct TempDirectory(PathBuf);

impl TempDirectory {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("iii-store-{}", uuid::Uuid::new_v4())))
    }

    fn file(&self) -> PathBuf {
        self.0.join("iii.redb")
    }

    fn open(&self) -> Store {
        Store::open(&self.0).unwrap()
    }

    fn open_error(&self) -> String {
        let error = Store::open(&self.0).expect_err("the directory is unusable").0;
        assert!(error.contains(&self.0.display().to_string()), "{error}");
        error
    }
}

impl Drop for TempDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn set(store: &Store, table: &'static str, (scope, key): (&str, &str), value: Option<&str>) {
    let mut update = |_: Option<&Payload>| Ok(value.map(json));
    let (_, pending) = store.table(table).change(scope, key, &mut update, &mut |_| {}).unwrap();
    pending.await.unwrap();
}

#[tokio::test]
async fn values_are_restored_in_insertion_order() {
    let directory = TempDirectory::new();
    let store = directory.open();
    assert!(store.is_durable());
    for (key, value) in [("b", "1"), ("a", "{\"x\": 1.50}"), ("gone", "3"), ("b", "4")] {
        set(&store, "t", ("s", key), Some(value)).await;
    }
    set(&store, "t", ("s", "gone"), None).await;
    set(&store, "u", ("s", "ä/\u{0}"), Some("null")).await;
    drop(store);
    let store = directory.open();
    let list = [("b".to_owned(), json("4")), ("a".to_owned(), json("{\"x\": 1.50}"))];
    assert_eq!(store.table("t").list("s"), list);
    assert_eq!(store.table("u").get("s", "ä/\u{0}"), Some(Payload::null()));
    set(&store, "t", ("s", "c"), Some("5")).await;
    drop(store);
    let keys: Vec<_> = directory.open().table("t").list("s").into_iter().map(|(k, _)| k).collect();
    assert_eq!(keys, ["b", "a", "c"]);
}

#[tokio::test]
async fn drop_flushes_writes_that_nobody_awaits() {
    let directory = TempDirectory::new();
    let store = directory.open();
    for n in 0..1000 {
        let mut update = |_: Option<&Payload>| Ok(Some(json(&n.to_string())));
        let key = n.to_string();
        drop(store.table("t").change("s", &key, &mut update, &mut |_| {}).unwrap());
    }
    drop(store);
    assert_eq!(directory.open().table("t").list("s").len(), 1000);
}

#[tokio::test]
async fn closed_store_is_read_only_and_releases_its_directory() {
    let directory = TempDirectory::new();
    let store = directory.open();
    set(&store, "t", ("s", "a"), Some("1")).await;
    store.close().await.unwrap();
    let mut update = |_: Option<&Payload>| Ok(None);
    let error = store.table("t").change("s", "a", &mut update, &mut |_| {}).err().unwrap();
    assert!(error.0.contains("closed"), "{error}");
    assert_eq!(store.table("t").get("s", "a"), Some(json("1")), "the value is unchanged");
    assert_eq!(directory.open().table("t").get("s", "a"), Some(json("1")));
}

#[tokio::test]
async fn restored_values_count_towards_the_capacity() {
    let directory = TempDirectory::new();
    let store = directory.open();
    set(&store, "t", ("s", "a"), Some("1")).await;
    drop(store);
    let limits = StoreLimits { capacity: 100, backlog: 1 << 20 };
    let store = Store::open_with(&directory.0, limits).unwrap();
    let mut update = |_: Option<&Payload>| Ok(Some(json("1")));
    assert!(store.table("t").change("s", "b", &mut update, &mut |_| {}).is_err());
    set(&store, "t", ("s", "a"), None).await;
}

#[test]
fn directory_in_use_is_rejected_with_the_process_id() {
    let directory = TempDirectory::new();
    let store = directory.open();
    let error = directory.open_error();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    directory.open();
}

#[test]
fn directory_that_cannot_be_created_is_reported() {
    let directory = TempDirectory::new();
    fs::write(&directory.0, "a file").unwrap();
    assert!(directory.open_error().contains("cannot be created"));
    fs::remove_file(&directory.0).unwrap();
}

#[test]
fn unfinished_store_is_created_again() {
    let directory = TempDirectory::new();
    fs::create_dir_all(&directory.0).unwrap();
    fs::write(directory.0.join("iii.redb.new"), "half").unwrap();
    directory.open();
    assert!(!directory.0.join("iii.redb.new").exists());
}

#[test]
fn foreign_file_is_rejected_and_left_unchanged() {
    let directory = TempDirectory::new();
    fs::create_dir_all(&directory.0).unwrap();
    for foreign in ["", "x", "not a store, but long enough for the header of one"] {
        fs::write(directory.file(), foreign).unwrap();
        let error = directory.open_error();
        assert!(error.contains("not the file of a store"), "{error}");
        assert_eq!(fs::read_to_string(directory.file()).unwrap(), foreign);
    }
    fs::remove_file(directory.file()).unwrap();
    let other = Database::create(directory.file()).unwrap();
    let transaction = other.begin_write().unwrap();
    let table = TableDefinition::<&str, u64>::new("theirs");
    transaction.open_table(table).unwrap().insert("a", 1).unwrap();
    transaction.commit().unwrap();
    let error = directory.open_error();
    assert!(error.contains("another program has it open"), "{error}");
    drop(other);
    assert!(directory.open_error().contains("the database of another program"));
}

#[test]
fn newer_format_is_rejected() {
    let directory = TempDirectory::new();
    drop(directory.open());
    let database = Database::create(directory.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = TableDefinition::<&str, u64>::new("iii_meta");
    transaction.open_table(meta).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(directory.open_error().contains("the format 2"));
}

#[tokio::test]
async fn damaged_file_is_rejected_and_not_reset() {
    let directory = TempDirectory::new();
    let store = directory.open();
    let marker = "find me in the file ".repeat(20);
    set(&store, "t", ("s", "a"), Some(&format!("\"{marker}\""))).await;
    drop(store);
    let whole = fs::read(directory.file()).unwrap();
    let at = whole.windows(marker.len()).position(|part| part == marker.as_bytes()).unwrap();
    let mut flipped = whole.clone();
    flipped[at + 7] ^= 1;
    let mut truncated = whole.clone();
    truncated.truncate(whole.len() / 2);
    for damaged in [flipped, truncated] {
        fs::write(directory.file(), damaged).unwrap();
        let error = directory.open_error();
        assert!(error.contains("damaged"), "{error}");
    }
    fs::write(directory.file(), whole).unwrap();
    assert!(directory.open().table("t").get("s", "a").is_some());
}

/// The child process of the crash test. Writes increasing numbers and prints each one once it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_test_child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let store = Store::open(Path::new(&directory)).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let table = store.table("t");
        tokio::spawn(async move {
            let key = writer.to_string();
            let first = table.get("s", &key).map_or(0, |last| last.parse::<u64>().unwrap()) + 1;
            for n in first.. {
                let mut update = |_: Option<&Payload>| Ok(Some(json(&n.to_string())));
                let (_, pending) = table.change("s", &key, &mut update, &mut |_| {}).unwrap();
                pending.await.unwrap();
                let line = format!("ack {key} {n}\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[test]
fn acknowledged_writes_survive_a_kill_at_any_time() {
    let directory = TempDirectory::new();
    let (_, module) = module_path!().split_once("::").unwrap();
    let child_test = format!("{module}::crash_test_child");
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([child_test.as_str(), "--exact", "--nocapture"])
            .env(CHILD, &directory.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The kill is scheduled by the first acknowledgement, so that writes are in flight.
        let delay = RandomState::new().hash_one(round) % 60_000;
        let (mut child, mut killer) = (Some(child), None);
        for line in lines.map_while(Result::ok) {
            let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
            let (Some(key), Some(n)) = (words.next(), words.next()) else { continue };
            // The kill may cut off the last line. A prefix of a number is not larger than the acknowledged one.
            let Ok(n) = n.parse::<u64>() else { continue };
            let last = acknowledged.entry(key.to_owned()).or_default();
            *last = n.max(*last);
            if let Some(mut child) = child.take() {
                let error = Store::open(&directory.0).expect_err("another process has the lock");
                assert!(error.0.contains("used by another engine"), "{error}");
                killer = Some(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_micros(delay));
                    child.kill().unwrap();
                    child.wait().unwrap()
                }));
            }
        }
        let status = killer.expect("the child has written").join().unwrap();
        assert!(!status.success(), "the child was killed");
        let table = directory.open().table("t");
        for (key, n) in &acknowledged {
            let kept: u64 = table.get("s", key).expect("an acknowledged key").parse().unwrap();
            assert!(kept >= *n, "round {round}: {key} was acknowledged as {n} and is {kept}");
        }
    }
    assert_eq!(acknowledged.len() as u64, WRITERS);
}
