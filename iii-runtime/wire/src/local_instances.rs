//! The telemetry instance ids (`service.instance.id`) of the workers in this process, whose log records an engine in
//! the same process does not print a second time.

use std::sync::RwLock;

use crate::sync::{read, write};

static INSTANCES: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Adds an instance.
pub fn insert(instance: String) {
    write(&INSTANCES).push(instance);
}

/// Removes an instance.
pub fn remove(instance: &str) {
    write(&INSTANCES).retain(|known| known != instance);
}

/// Returns whether an instance runs in this process.
pub fn contains(instance: &str) -> bool {
    read(&INSTANCES).iter().any(|known| known == instance)
}
