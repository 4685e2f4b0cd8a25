//! Triggers: for each kind, its configuration, which `#[iii::trigger(kind, …)]` builds, and its event.

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

/// A trigger as it is registered.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The kind of the trigger.
    pub kind: TriggerKind,
    /// The configuration, in the wire format of the kind.
    pub config: Payload,
    /// The metadata that each invocation gets.
    pub metadata: Option<Payload>,
    /// A short description for the start-up report, such as `POST /orders`.
    pub summary: String,
    /// The route of an `http` trigger.
    pub route: Option<Route>,
    /// The functions that the configuration references: conditions and middleware.
    pub function_refs: Vec<FunctionRef>,
}

/// The route of an `http` trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method, in upper case.
    pub method: String,
    /// The path as declared.
    pub path: String,
}

impl Route {
    /// The names of the path parameters, in order.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix(':'))
    }

    /// The route with the names of its parameters removed. Routes with the same key conflict.
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

/// A reference from a trigger to a function.
#[derive(Debug, Clone, Copy)]
pub struct FunctionRef {
    /// The role of the function: `condition` or `middleware`.
    pub role: &'static str,
    /// The id of the function.
    pub id: &'static str,
    /// Its declaration; `None` if another worker declares it.
    pub function: Option<FunctionInfo>,
}

impl FunctionRef {
    /// References `F` as a condition.
    pub fn condition<F: Function<Output = bool>>() -> Self {
        Self { role: "condition", id: F::ID, function: F::info() }
    }

    /// References `F` as middleware.
    pub fn middleware<F: Function<Input = MiddlewareRequest, Output = Middleware>>() -> Self {
        Self { role: "middleware", id: F::ID, function: F::info() }
    }
}

impl Binding {
    /// A trigger of `kind`. A configuration that cannot be serialised becomes `null`.
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

    /// Sets the metadata. A value that cannot be serialised is ignored.
    #[must_use]
    pub fn with_metadata(mut self, metadata: &impl Serialize) -> Self {
        self.metadata = Payload::new(metadata).ok();
        self
    }
}

/// The configuration of a kind without options.
#[derive(Debug, Clone, Copy, Serialize)]
struct EmptyConfig {}

/// The id of a condition, for the configuration.
fn condition_id(condition: &Option<FunctionRef>) -> Option<&'static str> {
    condition.as_ref().map(|condition| condition.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_that_differ_only_in_parameter_names_conflict() {
        let route = |path: &str| Route { method: "GET".into(), path: path.into() };
        assert_eq!(route("/o/:id").conflict_key(), route("o/:key").conflict_key());
        assert_ne!(route("/o/:id").conflict_key(), route("/o/:id/").conflict_key());
        assert_eq!(route("/o/:id/i/:n").params().collect::<Vec<_>>(), ["id", "n"]);
    }
}
