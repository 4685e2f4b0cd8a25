//! Triggers: one file for each kind, with what it is told, and the event that it hands to functions.
//!
//! The structs here are what `#[iii::trigger(kind, …)]` fills in; each turns into a [`Binding`].

mod available;
mod configuration;
mod cron;
mod custom;
mod http;
mod log;
mod queue;
mod state;
mod stream;
mod subscribe;
mod subscription;
mod trace;

use serde::Serialize;

use crate::function::{Function, FunctionInfo};
pub use iii_wire::TriggerKind;
use iii_wire::protocol::Payload;

pub use available::{
    FunctionsAvailable, FunctionsEvent, WorkerChange, WorkersAvailable, WorkersEvent,
};
pub use configuration::{Configuration, ConfigurationChange, ConfigurationEvent};
pub use cron::{Cron, CronTick};
pub use custom::Custom;
pub use http::{Http, Middleware, MiddlewareRequest};
pub use log::{Log, LogEvent, LogLevel};
pub use queue::{Queue, QueueMode};
pub use state::{State, StateChange, StateEvent};
pub use stream::{Stream, StreamChange, StreamEvent};
pub use subscribe::Subscribe;
pub use subscription::{Admission, StreamJoin, StreamLeave, Subscription};
pub use trace::{Trace, TraceEvent};

/// A trigger as it is registered: its kind, its config, and what the catalogue checks.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The kind.
    pub kind: TriggerKind,
    /// What the kind is told.
    pub config: Payload,
    /// Handed to the function with each firing.
    pub metadata: Option<Payload>,
    /// How start-up output shows it, such as `POST /orders`.
    pub summary: String,
    /// The method and the path, of an `http` trigger.
    pub route: Option<Route>,
    /// The functions that the config names.
    pub function_refs: Vec<FunctionRef>,
}

/// The method and the path of an `http` trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method, in capitals.
    pub method: String,
    /// The path as declared.
    pub path: String,
}

impl Route {
    /// The names of the path parameters, in order.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix(':'))
    }

    /// The route without the names of its parameters: two routes with the same shape collide.
    pub fn conflict_key(&self) -> String {
        let segments: Vec<&str> = self
            .path
            .trim_start_matches('/')
            .split('/')
            .map(|segment| if segment.starts_with(':') { ":" } else { segment })
            .collect();
        format!("{} /{}", self.method, segments.join("/"))
    }
}

/// A function that a trigger names, by its declaration.
#[derive(Debug, Clone, Copy)]
pub struct FunctionRef {
    /// What for: `condition` or `middleware`.
    pub role: &'static str,
    /// The id of the function.
    pub id: &'static str,
    /// Its declaration, if it is served by a worker of this framework.
    pub function: Option<FunctionInfo>,
}

impl FunctionRef {
    /// Names `F` as a condition.
    pub fn condition<F: Function<Output = bool>>() -> Self {
        Self { role: "condition", id: F::ID, function: F::info() }
    }

    /// Names `F` as middleware.
    pub fn middleware<F: Function<Input = MiddlewareRequest, Output = Middleware>>() -> Self {
        Self { role: "middleware", id: F::ID, function: F::info() }
    }
}

impl Binding {
    /// A binding of `kind`. A config that cannot be serialised becomes `null`.
    pub(crate) fn new(
        kind: TriggerKind,
        config: &impl Serialize,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            config: Payload::new(config).unwrap_or_default(),
            metadata: None,
            summary: summary.into(),
            route: None,
            function_refs: Vec::new(),
        }
    }

    pub(crate) fn with_condition(mut self, condition: Option<FunctionRef>) -> Self {
        self.function_refs.extend(condition);
        self
    }

    /// Adds metadata. A value that cannot be serialised is left out.
    #[must_use]
    pub fn with_metadata(mut self, metadata: &impl Serialize) -> Self {
        self.metadata = Payload::new(metadata).ok();
        self
    }
}

/// The config of a kind that is told nothing.
#[derive(Debug, Clone, Copy, Serialize)]
struct NoConfig {}

/// The id of a condition, as configs have it.
fn id_of(condition: &Option<FunctionRef>) -> Option<&'static str> {
    condition.as_ref().map(|condition| condition.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_the_same_shape_collide() {
        let route = |path: &str| Route { method: "GET".into(), path: path.into() };
        assert_eq!(route("/o/:id").conflict_key(), route("o/:key").conflict_key());
        assert_ne!(route("/o/:id").conflict_key(), route("/o/:id/").conflict_key());
        assert_eq!(route("/o/:id/i/:n").params().collect::<Vec<_>>(), ["id", "n"]);
    }
}
