//! The layers of the crates: which modules import which, the size of the public surface, and citations of the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Names that the root of `iii-runtime` may export beside macros and modules.
const MAX_ROOT_NAMES: usize = 45;

/// Each crate, from the top: a crate may not depend on one before it.
const CRATES: [&str; 4] =
    ["iii-runtime/src", "iii-runtime/engine/src", "iii-runtime/wire/src", "iii-macros/src"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder whose names end in `.rs` or `.md`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "md") {
            found.push(path);
        }
    }
}

/// The layers that the documentation of a crate lists: the words before the first double space of each line.
fn listed_layers(library: &str) -> Vec<String> {
    let mut lines = library.lines().map(|line| line.trim_start_matches("//!").trim());
    let start = lines.position(|line| line == "```text").expect("a list of layers");
    let _ = start;
    let mut layers = Vec::new();
    for line in lines.take_while(|line| *line != "```") {
        let names = line.split("  ").next().unwrap_or_default();
        layers.extend(names.split_whitespace().map(str::to_owned));
    }
    layers
}

/// Removes items under `#[cfg(test)]` and the like: tests may use any layer.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_attribute = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        let is_test = is_attribute
            && matches!(tokens.peek(), Some(TokenTree::Group(group)) if is_cfg_test(&group.stream()));
        if !is_test {
            kept.push(token);
            continue;
        }
        // The rest of the item: up to a semicolon, or its braces.
        for skipped in tokens.by_ref() {
            match skipped {
                TokenTree::Punct(punct) if punct.as_char() == ';' => break,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                _ => {}
            }
        }
    }
    kept
}

fn is_cfg_test(attribute: &TokenStream) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

/// The first names of the paths in a use tree: `a::b, c` gives `a` and `c`.
fn first_names(tree: &TokenStream, found: &mut BTreeSet<String>) {
    let mut is_first = true;
    for token in tree.clone() {
        match token {
            TokenTree::Ident(name) if is_first => {
                found.insert(name.to_string());
                is_first = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ',' => is_first = true,
            _ => {}
        }
    }
}

/// The top-level names of the crate that a file refers to. `module` is the path of the module that the file is.
fn imports(tokens: TokenStream, module: &[String], found: &mut BTreeSet<String>) {
    let tokens = without_tests(tokens);
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => imports(group.stream(), module, found),
            TokenTree::Ident(name) if name == "crate" || name == "super" => {
                let follows_path = at > 0
                    && matches!(&tokens[at - 1], TokenTree::Punct(punct) if punct.as_char() == ':');
                let mut depth = if name == "crate" { module.len() } else { 1 };
                let mut next = at + 1;
                // Each further `super::` leads one module up.
                while is_path_separator(&tokens, next) {
                    match tokens.get(next + 2) {
                        Some(TokenTree::Ident(name)) if name == "super" => {
                            depth += 1;
                            next += 3;
                        }
                        Some(TokenTree::Ident(name)) if !follows_path => {
                            if depth >= module.len() {
                                found.insert(name.to_string());
                            }
                            break;
                        }
                        Some(TokenTree::Group(group)) if !follows_path => {
                            if depth >= module.len() {
                                first_names(&group.stream(), found);
                            }
                            break;
                        }
                        _ => break,
                    }
                }
                at = next;
            }
            _ => {}
        }
        at += 1;
    }
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    colon(at) && colon(at + 1)
}

/// The path of the module that a file is: `a/mod.rs` is `a`, `a/b.rs` is `a::b`.
fn module_of(source: &Path, file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(source).unwrap().with_extension("");
    let mut module: Vec<String> =
        relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn is_test_file(source: &Path, file: &Path) -> bool {
    let relative = file.strip_prefix(source).unwrap().with_extension("");
    relative.iter().any(|part| part == "tests" || part == "snapshots")
}

/// What each top-level module of a crate imports, with the files that do.
fn graph(source: &Path) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut all = Vec::new();
    files(source, &mut all);
    let mut graph: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for file in all {
        let module = module_of(source, &file);
        let is_rust = file.extension().is_some_and(|kind| kind == "rs");
        let skipped = ["lib", "main", "bin"].contains(&module[0].as_str());
        if !is_rust || skipped || is_test_file(source, &file) {
            continue;
        }
        let tokens: TokenStream = read(&file).parse().expect("a file of this crate is Rust");
        let mut found = BTreeSet::new();
        imports(tokens, &module, &mut found);
        let imports = graph.entry(module[0].clone()).or_default();
        for name in found.into_iter().filter(|name| *name != module[0]) {
            let files = imports.entry(name).or_default();
            files.push(file.strip_prefix(root()).unwrap().display().to_string());
        }
    }
    graph
}

#[test]
fn modules_import_only_from_the_layers_above_them() {
    let mut wrong = Vec::new();
    for source in CRATES {
        let source = root().join(source);
        let layers = listed_layers(&read(&source.join("lib.rs")));
        let place = |name: &str| layers.iter().position(|layer| layer == name);
        let graph = graph(&source);
        for module in graph.keys().filter(|module| place(module).is_none()) {
            wrong.push(format!("`{module}` is in no layer of {}", source.display()));
        }
        for layer in layers.iter().filter(|layer| !graph.contains_key(*layer)) {
            wrong.push(format!("{} lists `{layer}`, which is no module", source.display()));
        }
        for (module, imports) in &graph {
            for (import, files) in imports {
                match (place(module), place(import)) {
                    (Some(own), Some(other)) if other < own => {}
                    (_, Some(_)) => wrong.push(format!(
                        "`{module}` imports `{import}`, which is below it, in {}",
                        files.join(", ")
                    )),
                    (_, None) => wrong.push(format!(
                        "`{module}` imports `{import}` through the root, in {}",
                        files.join(", ")
                    )),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_crate_depends_only_on_those_below_it() {
    let manifest = |path: &str| read(&root().join(path));
    let wire = manifest("iii-runtime/wire/Cargo.toml");
    assert!(!wire.contains("iii-engine") && !wire.contains("iii-runtime ="), "wire knows nobody");
    let engine = manifest("iii-runtime/engine/Cargo.toml");
    assert!(!engine.contains("iii-runtime =") && !engine.contains("iii-macros"));
    // The runtime knows the engine only where it starts one.
    let mut all = Vec::new();
    let source = root().join("iii-runtime/src");
    files(&source, &mut all);
    for file in all.iter().filter(|file| !is_test_file(&source, file)) {
        let module = module_of(&source, file);
        let may = ["app", "testing", "lib", "bin"].contains(&module[0].as_str());
        let names_it = read(file).lines().any(|line| {
            line.contains("iii_engine")
                && !line.trim_start().starts_with("//")
                && !line.contains('"')
        });
        assert!(may || !names_it, "{} names iii_engine", file.display());
    }
}

#[test]
fn the_root_exports_few_names() {
    let library = read(&root().join("iii-runtime/src/lib.rs"));
    let mut names = BTreeSet::new();
    let mut hidden = false;
    // Items of the root begin at the margin; those of its modules do not.
    let items = library.replace("\n    ", " ").replace("\n};", "};");
    for line in items.lines() {
        match line {
            line if line.starts_with("#[doc(hidden)]") => hidden = true,
            line if line.starts_with("pub use iii_macros::") => hidden = false,
            line if line.starts_with("pub use ") => {
                let tree = line.trim_start_matches("pub use ").trim_end_matches(';');
                let leaves = tree.replace(['{', '}'], ",");
                for leaf in leaves.split(',').map(str::trim).filter(|_| !hidden) {
                    let name = leaf.rsplit("::").next().unwrap_or(leaf);
                    let name = name.rsplit(" as ").next().unwrap_or(name);
                    if name.starts_with(|first: char| first.is_ascii_uppercase()) {
                        names.insert(name.to_owned());
                    }
                }
                hidden = false;
            }
            line if line.starts_with("pub ") || line.starts_with("mod ") => hidden = false,
            _ => {}
        }
    }
    assert!(names.contains("App") && names.contains("Update"), "the test reads lib.rs: {names:?}");
    assert!(names.len() <= MAX_ROOT_NAMES, "{} names: {names:?}", names.len());
}

/// Every folder whose files may cite the protocol.
const CITING: [&str; 5] = ["iii-runtime", "iii-macros", "examples", "tests", "README.md"];

#[test]
fn citations_lead_to_sections_of_the_page() {
    let page = read(&root().join("iii-runtime/wire/src/docs/protocol.md"));
    let anchors: BTreeSet<&str> = page
        .split("<a id=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"').map(|(anchor, _)| anchor))
        .collect();
    assert!(anchors.len() > 50, "the page has anchors: {anchors:?}");
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    for part in CITING {
        let path = root().join(part);
        if path.is_dir() { files(&path, &mut all) } else { all.push(path) }
    }
    for file in all {
        // This file names the forms that it looks for.
        if file.ends_with("tests/tests/layers.rs") {
            continue;
        }
        let text = read(&file);
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", file.strip_prefix(root()).unwrap().display(), number + 1);
            for (cited, after) in ["protocol#", "protocol.md#"]
                .iter()
                .flat_map(|form| line.split(form).skip(1).map(move |after| (*form, after)))
            {
                let anchor: String =
                    after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                if !anchors.contains(anchor.as_str()) {
                    wrong.push(format!("{place}: `{cited}{anchor}` leads nowhere"));
                }
            }
            for absent in [
                "protocol section",
                "section of the protocol",
                "protocol-observe",
                "design.md",
                "../shared",
            ] {
                if line.contains(absent) {
                    wrong.push(format!("{place}: `{absent}` cites a page that is not here"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} citations:\n{}", wrong.len(), wrong.join("\n"));
}
