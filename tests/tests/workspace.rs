//! Rules that hold for the whole workspace: the oldest compiler, and what every file says of itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// What cargo knows of the packages that this machine builds: only those are here without a network.
fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let about = String::from_utf8(rustc.stdout).expect("rustc speaks UTF-8");
    let host =
        about.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc has a host");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn version(text: &str) -> Vec<u32> {
    let mut parts: Vec<u32> = text.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    parts.resize(3, 0);
    parts
}

#[test]
fn no_dependency_needs_a_younger_compiler_than_we_state() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().find(|p| p["name"] == "iii-runtime").unwrap();
    let stated = ours["rust_version"].as_str().expect("the oldest compiler is stated");
    let younger: Vec<String> = packages
        .iter()
        .filter_map(|p| Some((p["name"].as_str()?, p["rust_version"].as_str()?)))
        .filter(|(_, needs)| version(needs) > version(stated))
        .map(|(name, needs)| format!("{name} needs {needs}"))
        .collect();
    assert!(younger.is_empty(), "we state {stated}, and {younger:?}");
}

#[test]
fn every_file_begins_with_a_sentence_about_what_it_owns() {
    let mut silent = Vec::new();
    for part in [
        "iii-macros/src",
        "iii-runtime/src",
        "iii-runtime/engine/src",
        "iii-runtime/wire/src",
        "examples",
        "tests/src",
        "tests/tests",
        "tests/bench",
        "tests/edition-2021",
    ] {
        visit(&root().join(part), &mut |file, text| {
            if !text.starts_with("//! ") {
                silent.push(file.to_owned());
            }
        });
    }
    assert!(silent.is_empty(), "these files do not begin with `//!`: {silent:#?}");
}

fn visit(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            visit(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &std::fs::read_to_string(&path).expect("sources are UTF-8"));
        }
    }
}
