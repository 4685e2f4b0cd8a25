//! The telemetry instances (`service.instance.id`) of the workers that run in this process.
//!
//! An engine in the same process must not log again what such a worker has logged already.

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

/// Whether an instance runs in this process.
pub fn contains(instance: &str) -> bool {
    read(&INSTANCES).iter().any(|known| known == instance)
}
