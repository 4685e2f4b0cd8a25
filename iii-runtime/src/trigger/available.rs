//! The kinds `functions_available` and `workers_available`: changes of functions and workers ([protocol 5.11](crate::protocol#s5-11)).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind};
use iii_wire::event::FunctionSummary;
use iii_wire::protocol::WorkerId;

/// A `functions_available` trigger, which has no configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct FunctionsAvailable;

/// A `workers_available` trigger, which has no configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkersAvailable;

impl From<FunctionsAvailable> for Binding {
    fn from(_: FunctionsAvailable) -> Self {
        Binding::new(TriggerKind::FunctionsAvailable, &super::EmptyConfig {}, String::new())
    }
}

impl From<WorkersAvailable> for Binding {
    fn from(_: WorkersAvailable) -> Self {
        Binding::new(TriggerKind::WorkersAvailable, &super::EmptyConfig {}, String::new())
    }
}

/// The event of a `functions_available` trigger: all functions, after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionsEvent {
    /// The current functions of all workers and of the engine.
    pub functions: Vec<FunctionSummary>,
}

/// The event of a `workers_available` trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkersEvent {
    /// What happened.
    pub event: WorkerChange,
    /// The id of the worker's connection.
    #[schemars(with = "String")]
    pub worker_id: WorkerId,
}

/// A change of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkerChange {
    /// It connected.
    #[serde(rename = "worker_connected")]
    Connected,
    /// It registered or updated its name and metadata.
    #[serde(rename = "worker_metadata_updated")]
    Updated,
    /// It disconnected, and its functions were removed.
    #[serde(rename = "worker_disconnected")]
    Disconnected,
}
