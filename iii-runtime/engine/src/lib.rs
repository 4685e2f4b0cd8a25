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
//! broker (with provider)       connections, functions, triggers, calls; no HTTP, cron or storage
//! store                        the storage API: in memory, and durable on redb
//! providers                    one module each: http, cron, queue, pubsub, state, stream, channel, …
//! config                       settings from code and from a YAML file, and their defaults
//! engine, start                a running engine, and how it is started
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
mod http;
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
