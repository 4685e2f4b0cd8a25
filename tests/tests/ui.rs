//! What the macros accept, and what they say about mistakes: one message for each, at the mistake.
//!
//! `TRYBUILD=overwrite cargo test -p iii-tests --test ui` writes the messages down anew; read them before you commit.

/// The macros, each with a folder of fixtures.
const KINDS: [&str; 11] = [
    "function",
    "trigger",
    "trigger_type",
    "stream",
    "remote",
    "service",
    "http_function",
    "main",
    "test",
    "error",
    "config",
];

/// The wording of the compiler changes from version to version, so the messages are those of one.
#[rustversion::attr(not(stable(1.95)), ignore = "the messages are those of Rust 1.95")]
#[test]
fn macros() {
    let cases = trybuild::TestCases::new();
    for of in KINDS {
        cases.pass(format!("ui/{of}/pass/*.rs"));
        cases.compile_fail(format!("ui/{of}/fail/*.rs"));
    }
    // What passes needs a file beside `Cargo.toml`: it is in `import.rs`.
    cases.compile_fail("ui/import/fail/*.rs");
}

/// A mistake that is reported twice makes the reader look for a second one.
#[test]
fn no_place_is_reported_twice() {
    let ui = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
    let mut files = 0;
    for group in KINDS {
        for entry in std::fs::read_dir(ui.join(group).join("fail")).expect("the fixtures are there")
        {
            let path = entry.expect("the folder can be read").path();
            if path.extension().is_none_or(|extension| extension != "stderr") {
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).expect("messages are text");
            let mut places = Vec::new();
            let mut lines = text.lines();
            while let Some(line) = lines.next() {
                if line.starts_with("error") {
                    let place = lines.by_ref().find(|line| line.trim_start().starts_with("--> "));
                    places.push(place.expect("every message has a place").trim().to_owned());
                }
            }
            let count = places.len();
            assert!(count > 0, "{}: no mistake was found", path.display());
            places.sort();
            places.dedup();
            assert_eq!(places.len(), count, "{}: {places:#?}", path.display());
        }
    }
    assert!(files > 30, "only {files} fixtures were found");
}
