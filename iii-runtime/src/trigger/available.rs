//! The kinds `functions_available` and `workers_available`: functions change, workers come and go (protocol section
//! 5.11).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind};
use iii_wire::event::FunctionSummary;
use iii_wire::protocol::WorkerId;

/// What a `functions_available` trigger is told: nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct FunctionsAvailable;

/// What a `workers_available` trigger is told: nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkersAvailable;

impl From<FunctionsAvailable> for Binding {
    fn from(_: FunctionsAvailable) -> Self {
        Binding::new(TriggerKind::FunctionsAvailable, &super::NoConfig {}, String::new())
    }
}

impl From<WorkersAvailable> for Binding {
    fn from(_: WorkersAvailable) -> Self {
        Binding::new(TriggerKind::WorkersAvailable, &super::NoConfig {}, String::new())
    }
}

/// The event of a `functions_available` trigger: all functions, after some of them changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionsEvent {
    /// The functions that there are now, of all workers and of the engine.
    pub functions: Vec<FunctionSummary>,
}

/// The event of a `workers_available` trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkersEvent {
    /// What happened.
    pub event: WorkerChange,
    /// The worker: the id of its connection.
    #[schemars(with = "String")]
    pub worker_id: WorkerId,
}

/// What happened to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkerChange {
    /// It has connected.
    #[serde(rename = "worker_connected")]
    Connected,
    /// It has said who it is, or something else of itself.
    #[serde(rename = "worker_metadata_updated")]
    Updated,
    /// It is gone, and its functions with it.
    #[serde(rename = "worker_disconnected")]
    Disconnected,
}
