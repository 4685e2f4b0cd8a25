//! The embedded engine against recordings of the official one: every difference is meant, and every meant one occurs.

use std::path::{Path, PathBuf};
use std::process::Command;

use iii_tests::golden::{Known, Recording, replay};

/// The variable that the recorder's engine had, for the auth of HTTP functions.
const TOKEN: (&str, &str) = ("GOLD_TOKEN", "s3cret");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Replays a recording and compares the differences with those that are meant.
// What is not proven must be seen in the output of the tests.
#[expect(clippy::print_stderr)]
async fn check(name: &str) {
    let mut known = Known::default();
    known.read(&folder().join("DEVIATIONS.md"));
    known.read(&folder().join("FAULTS.md"));
    let recording = Recording::read(&folder().join(format!("{name}.jsonl")));
    let outcome = replay(&recording, &known).await;
    for entry in &outcome.skipped {
        let lines = match *entry.lines.end() {
            usize::MAX => "all lines".to_owned(),
            _ => format!("lines {:?}", entry.lines),
        };
        let path = entry.path.map(|path| format!(" of `{path}`")).unwrap_or_default();
        eprintln!("{name}: {lines}{path} not replayed: {}", entry.reason);
    }
    if let Err(report) = outcome.verdict {
        panic!("{name}:\n{report}");
    }
}

macro_rules! recordings {
    ($($test:ident: $name:literal,)*) => {$(
        #[tokio::test]
        async fn $test() {
            check($name).await;
        }
    )*};
}

recordings! {
    connect_and_register: "01_connect_register",
    invoke: "02_invoke",
    http_trigger: "03_http_trigger",
    state: "04_state",
    stream: "05_stream",
    pubsub_and_queue: "06_pubsub_queue",
    cron: "07_cron",
    custom_trigger_type: "08_custom_trigger_type",
    channels: "09_channels",
    log_and_observability: "11_log_observability",
    disconnect_and_reattach: "12_disconnect_reattach",
    namespaces: "13_namespaces",
}

/// The text of all Rust files below a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("a Rust file"));
        }
    }
    text
}

/// The tests, files and sections by which the page shows what the engine does about a known fault.
#[test]
fn what_the_page_of_known_faults_names_is_there() {
    let page = std::fs::read_to_string(folder().join("DEVIATIONS.md")).expect("the page");
    let (_, known) = page.split_once("\n# Known faults").expect("the part on known faults");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tests.parent().expect("the workspace");
    let runtime = root.join("iii-runtime");
    let code = sources(&runtime) + &sources(&tests.join("tests"));
    let exists = |name: &str| {
        let folders =
            [root, tests, &runtime, &runtime.join("engine/src"), &runtime.join("wire/src")];
        folders.iter().any(|one| one.join(name).exists() || one.join(format!("{name}.rs")).exists())
    };
    let rows = known.lines().filter(|line| line.starts_with("| "));
    let shown = rows.filter_map(|row| row.trim_end().strip_suffix('|')?.rsplit_once('|'));
    let names: Vec<&str> =
        shown.flat_map(|(_, shown)| shown.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 50, "the tables are read: {names:?}");
    let is_there = |name: &&str| {
        exists(name)
            || code.contains(&format!("fn {name}("))
            || page.contains(&format!("\n## {name}\n"))
    };
    let missing: Vec<&str> = names.into_iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "the page names what is not there: {missing:?}");
}

/// The engine reads the token from its environment, so this one runs in a process of its own.
#[tokio::test]
#[expect(clippy::print_stderr)]
async fn http_functions() {
    if std::env::var(TOKEN.0).is_ok_and(|token| token == TOKEN.1) {
        return check("10_http_functions").await;
    }
    let program = std::env::current_exe().expect("this program");
    let arguments = ["http_functions", "--exact", "--nocapture"];
    let again = Command::new(program).args(arguments).env(TOKEN.0, TOKEN.1).output();
    let output = again.expect("it starts");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
