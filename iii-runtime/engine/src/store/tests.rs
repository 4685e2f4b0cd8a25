//! Tests of durable stores: what is acknowledged is there again, and what cannot be used is refused.

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

/// Says to the test below that it is the child, and where it writes.
const CHILD: &str = "III_TEST_STORE_CHILD";
/// Keys that the child writes at the same time.
const WRITERS: u64 = 8;

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("iii-store-{}", uuid::Uuid::new_v4())))
    }

    fn file(&self) -> PathBuf {
        self.0.join("iii.redb")
    }

    fn open(&self) -> Store {
        Store::open(&self.0).unwrap()
    }

    fn refused(&self) -> String {
        let error = Store::open(&self.0).expect_err("it cannot be used").0;
        assert!(error.contains(&self.0.display().to_string()), "{error}");
        error
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn set(store: &Store, table: &'static str, place: (&str, &str), value: Option<&str>) {
    let (scope, key) = place;
    let mut decide = |_: Option<&Payload>| Ok(value.map(json));
    let (_, committed) = store.table(table).change(scope, key, &mut decide, &mut |_| {}).unwrap();
    committed.await.unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_again_in_its_order() {
    let directory = Directory::new();
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
async fn a_dropped_store_has_written_what_nobody_waited_for() {
    let directory = Directory::new();
    let store = directory.open();
    for n in 0..1000 {
        let mut decide = |_: Option<&Payload>| Ok(Some(json(&n.to_string())));
        let key = n.to_string();
        drop(store.table("t").change("s", &key, &mut decide, &mut |_| {}).unwrap());
    }
    drop(store);
    assert_eq!(directory.open().table("t").list("s").len(), 1000);
}

#[tokio::test]
async fn a_closed_store_is_read_only_and_free_for_the_next() {
    let directory = Directory::new();
    let store = directory.open();
    set(&store, "t", ("s", "a"), Some("1")).await;
    store.close().await.unwrap();
    let mut decide = |_: Option<&Payload>| Ok(None);
    let error = store.table("t").change("s", "a", &mut decide, &mut |_| {}).err().unwrap();
    assert!(error.0.contains("closed"), "{error}");
    assert_eq!(store.table("t").get("s", "a"), Some(json("1")), "nothing changed");
    assert_eq!(directory.open().table("t").get("s", "a"), Some(json("1")));
}

#[tokio::test]
async fn a_store_counts_what_it_finds() {
    let directory = Directory::new();
    let store = directory.open();
    set(&store, "t", ("s", "a"), Some("1")).await;
    drop(store);
    let store = Store::open_with(&directory.0, Room { capacity: 100, backlog: 1 << 20 }).unwrap();
    let mut decide = |_: Option<&Payload>| Ok(Some(json("1")));
    assert!(store.table("t").change("s", "b", &mut decide, &mut |_| {}).is_err());
    set(&store, "t", ("s", "a"), None).await;
}

#[test]
fn a_directory_that_is_in_use_is_refused() {
    let directory = Directory::new();
    let store = directory.open();
    let error = directory.refused();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    directory.open();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = Directory::new();
    fs::write(&directory.0, "a file").unwrap();
    assert!(directory.refused().contains("cannot be made"));
    fs::remove_file(&directory.0).unwrap();
}

#[test]
fn a_half_made_store_is_made_anew() {
    let directory = Directory::new();
    fs::create_dir_all(&directory.0).unwrap();
    fs::write(directory.0.join("iii.redb.new"), "half").unwrap();
    directory.open();
    assert!(!directory.0.join("iii.redb.new").exists());
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let directory = Directory::new();
    fs::create_dir_all(&directory.0).unwrap();
    for foreign in ["", "x", "not a store at all, but long enough for the head of one"] {
        fs::write(directory.file(), foreign).unwrap();
        let error = directory.refused();
        assert!(error.contains("not the file of a store"), "{error}");
        assert_eq!(fs::read_to_string(directory.file()).unwrap(), foreign);
    }
    fs::remove_file(directory.file()).unwrap();
    let other = Database::create(directory.file()).unwrap();
    let transaction = other.begin_write().unwrap();
    let table = TableDefinition::<&str, u64>::new("theirs");
    transaction.open_table(table).unwrap().insert("a", 1).unwrap();
    transaction.commit().unwrap();
    let error = directory.refused();
    assert!(error.contains("another program has it open"), "{error}");
    drop(other);
    assert!(directory.refused().contains("the database of another program"));
}

#[test]
fn a_later_format_is_refused() {
    let directory = Directory::new();
    drop(directory.open());
    let database = Database::create(directory.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta = TableDefinition::<&str, u64>::new("iii_meta");
    transaction.open_table(meta).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(directory.refused().contains("the format 2"));
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_not_reset() {
    let directory = Directory::new();
    let store = directory.open();
    let mark = "find me in the file ".repeat(20);
    set(&store, "t", ("s", "a"), Some(&format!("\"{mark}\""))).await;
    drop(store);
    let whole = fs::read(directory.file()).unwrap();
    let at = whole.windows(mark.len()).position(|part| part == mark.as_bytes()).unwrap();
    let mut flipped = whole.clone();
    flipped[at + 7] ^= 1;
    let mut cut = whole.clone();
    cut.truncate(whole.len() / 2);
    for damaged in [flipped, cut] {
        fs::write(directory.file(), damaged).unwrap();
        let error = directory.refused();
        assert!(error.contains("damaged"), "{error}");
    }
    fs::write(directory.file(), whole).unwrap();
    assert!(directory.open().table("t").get("s", "a").is_some());
}

/// Not a test by itself: the child that is killed. Writes numbers that grow, and tells each when it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let store = Store::open(Path::new(&directory)).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let table = store.table("t");
        tokio::spawn(async move {
            let key = writer.to_string();
            let first = table.get("s", &key).map_or(0, |last| last.parse::<u64>().unwrap()) + 1;
            for n in first.. {
                let mut decide = |_: Option<&Payload>| Ok(Some(json(&n.to_string())));
                let (_, committed) = table.change("s", &key, &mut decide, &mut |_| {}).unwrap();
                committed.await.unwrap();
                let told = format!("ack {key} {n}\n");
                std::io::stdout().lock().write_all(told.as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let directory = Directory::new();
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["store::tests::child", "--exact", "--nocapture"])
            .env(CHILD, &directory.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // From the first acknowledgement on, so that there is a load; then any moment.
        let moment = RandomState::new().hash_one(round) % 60_000;
        let (mut child, mut killer) = (Some(child), None);
        for line in lines.map_while(Result::ok) {
            let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
            let (Some(key), Some(n)) = (words.next(), words.next()) else { continue };
            // The last line may be cut off by the kill; what is there of it is not more than what was acknowledged.
            let Ok(n) = n.parse::<u64>() else { continue };
            let last = acknowledged.entry(key.to_owned()).or_default();
            *last = n.max(*last);
            if let Some(mut child) = child.take() {
                let refused = Store::open(&directory.0).expect_err("two processes, one store");
                assert!(refused.0.contains("used by another engine"), "{refused}");
                killer = Some(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_micros(moment));
                    child.kill().unwrap();
                    child.wait().unwrap()
                }));
            }
        }
        let ended = killer.expect("the child has written").join().unwrap();
        assert!(!ended.success(), "it was killed");
        let table = directory.open().table("t");
        for (key, n) in &acknowledged {
            let kept: u64 = table.get("s", key).expect("an acknowledged key").parse().unwrap();
            assert!(kept >= *n, "round {round}: {key} was acknowledged as {n}, and is {kept}");
        }
    }
    assert_eq!(acknowledged.len() as u64, WRITERS);
}
