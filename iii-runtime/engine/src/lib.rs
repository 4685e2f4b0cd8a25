//! The embedded engine of `iii-runtime`: wire-compatible with the official iii engine, for development, tests and
//! deployments on one machine.
//!
//! `iii-runtime` re-exports this crate as `iii::engine`. [`Engine::builder`] configures and starts an engine in this
//! process; workers connect to it over WebSocket or through [`Engine::local`].
//!
//! # Layers
//!
//! Each module imports only from modules above it; a test enforces it.
//!
//! ```text
//! limits                       limits of everything that clients can consume
//! provider broker              the provider trait; connections, functions, triggers, calls
//! tasks wildcard expand        groups of tasks, wildcard patterns, environment variables in settings
//! request_fields origins       headers and queries of requests, allowed origins
//! function_ids http_fields     function ids and HTTP fields to which several modules refer
//! worker_gauges                gauges that workers report about their process
//! condition trigger_index      condition functions of triggers, triggers by topic
//! ordered_dispatcher           dispatches events of one source in their order
//! store                        the storage API: in memory, and durable on redb
//! channel http http_function   providers: channels, HTTP triggers, functions that HTTP endpoints serve
//! cron pubsub queue            providers: schedules, topics, durable topics and named queues
//! state stream configuration   providers: state, streams and their subscribers, the configuration store
//! observability discovery      providers: telemetry that workers send, lists of functions, workers and triggers
//! access server                access rules, and the listeners for workers that enforce them
//! config                       settings from code and from a YAML file, and their defaults
//! engine start                 a running engine, and how it is started
//! testing                      what the test harness of `iii-runtime` needs beyond the API
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod broker;
mod channel;
mod condition;
mod config;
mod configuration;
mod cron;
mod discovery;
mod engine;
mod expand;
mod function_ids;
mod http;
mod http_fields;
mod http_function;
mod limits;
mod observability;
mod ordered_dispatcher;
mod origins;
mod provider;
mod pubsub;
mod queue;
mod request_fields;
mod server;
mod start;
mod state;
mod store;
mod stream;
mod tasks;
#[cfg(feature = "testing")]
pub mod testing;
mod trigger_index;
mod wildcard;
mod worker_gauges;

pub use access::{Access, FunctionFilter, MetadataRule};
pub use config::{EngineBuilder, StreamSettings, WorkerListener};
pub use engine::Engine;
pub use http::CorsSettings;
pub use http_function::HttpFunctionSettings;
pub use iii_wire::clock::Clock;
pub use limits::{
    ChannelLimits, EventLimits, HttpLimits, Limits, QueueLimits, StreamLimits, WorkerLimits,
};
pub use observability::{
    AlertAction, AlertOperator, AlertRule, LogSettings, MetricSettings, ObservabilitySettings,
    Sampling, SamplingRule, TraceSettings,
};
pub use queue::{NamedQueue, QueueKind};
