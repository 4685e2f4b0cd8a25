//! What a worker prints: what it serves, and where.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;

use super::Running;
use super::health::OWN_CRATE;
use crate::catalogue::Catalogue;

/// Prints what is served. A closed standard output is no reason to stop.
pub(super) fn print(running: &Running) {
    let _ = std::io::stdout().lock().write_all(text(running).as_bytes());
}

/// Says that the engine has not answered yet.
pub(super) fn waiting() {
    let text = "waiting for the engine: it is tried again until it answers\n";
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Says that the worker is stopping.
pub(super) fn draining(in_flight: usize) {
    let text = match in_flight {
        0 => "stopping\n".to_owned(),
        count => {
            format!("stopping when {count} invocations are done; a second signal stops at once\n")
        }
    };
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn text(running: &Running) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} is ready on {}", running.name(), running.engine_name());
    text.push_str(&functions(running.catalogue()));
    for store in running.catalogue().stream_stores() {
        let _ = writeln!(text, "  keeps the stream `{}`", store.name);
    }
    for waiting in running.waiting() {
        let _ = writeln!(text, "  note: {waiting}");
    }
    let addresses = running.addresses();
    if let Some(http) = addresses.http {
        let _ = writeln!(text, "  http     http://{http}");
    }
    if let Some(streams) = addresses.streams {
        let _ = writeln!(text, "  streams  ws://{streams}");
    }
    if let Some(workers) = addresses.workers {
        let _ = writeln!(text, "  workers  ws://{workers}");
        let _ = match running.data_dir() {
            Some(directory) => writeln!(text, "  stores   in {}", directory.display()),
            None => {
                writeln!(text, "  stores   in memory: what they hold is gone when the worker stops")
            }
        };
    }
    text
}

/// The functions with their triggers, and how many each crate has, if there are several.
fn functions(catalogue: &Catalogue) -> String {
    let mut text = String::new();
    // The functions of a store are shown as one thing.
    let of_stores = catalogue.stream_stores().iter().flat_map(|store| store.functions());
    let of_stores: HashSet<&str> = of_stores.map(|function| function.id).collect();
    let entries = || catalogue.entries().iter().filter(|e| !of_stores.contains(e.function.id));
    let widest = entries().map(|entry| entry.function.id.len()).max().unwrap_or(0);
    let mut crates: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries() {
        if entry.function.crate_name() != OWN_CRATE {
            *crates.entry(entry.function.crate_name()).or_default() += 1;
        }
        let triggers: Vec<String> = entry
            .triggers
            .iter()
            .map(|(binding, _)| format!("{} {}", binding.kind, binding.summary).trim().to_owned())
            .chain(entry.endpoint.iter().map(|at| format!("at {} {}", at.method, at.origin)))
            .collect();
        let line = format!("  {:widest$}  {}", entry.function.id, triggers.join(", "));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if crates.len() > 1 {
        let counts: Vec<String> =
            crates.iter().map(|(name, count)| format!("{count} of {name}")).collect();
        let _ = writeln!(text, "  ({})", counts.join(", "));
    }
    text
}
