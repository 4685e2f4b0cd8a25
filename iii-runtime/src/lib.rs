//! Write iii workers in Rust as declarations.
//!
//! A *worker* is a program that serves *functions*. *Triggers* invoke them: an HTTP request, a point in time, a message, a
//! change of a state. The *engine* connects workers, triggers and callers. Here all of it is declared:
//!
//! ```no_run
//! use iii::prelude::*;
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Greeting { name: String }
//!
//! /// Greets somebody.
//! #[iii::function(id = "hello::greet")]
//! #[iii::trigger(http, path = "/hello/:name")]
//! async fn greet(greeting: Greeting) -> String {
//!     format!("Hello, {}!", greeting.name)
//! }
//!
//! #[iii::main]
//! async fn main(_app: &mut App) -> iii::Result<()> {
//!     Ok(())
//! }
//! ```
//!
//! `cargo run` starts it on an engine in the same process, with nothing else installed. With `III_URL=ws://…` the same
//! program joins an engine that runs elsewhere.
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | declaring functions and triggers | [`macro@function`], [`macro@trigger`], [`macro@main`] |
//! | groups of functions, and the prefix of their ids | [`macro@service`] |
//! | functions that HTTP endpoints serve | [`macro@http_function`] |
//! | what a function may take | [`Input`], [`Extract`], and the types in [`prelude`] |
//! | what a function may give | [`Output`], [`Created`], [`Response`] |
//! | errors with codes | [`macro@Error`], [`struct@Error`], [`code`] |
//! | calling functions | [`Client`], [`Call`]; again if it fails: [`Retry`]; of other workers: [`import!`], [`macro@remote`] |
//! | running code around functions: limits, time-outs, users | [`Interceptor`], [`mod@intercept`], [`Extension`] |
//! | pipes of data between functions | [`Client::channel`], [`ChannelReader`], [`ChannelWriter`] |
//! | bodies that are streamed | [`BodyStream`], [`RawBody`], [`Response::stream`], [`Sse`] |
//! | trigger types of your own | [`macro@trigger_type`], [`TriggerType`], [`Emitter`] |
//! | streams that a worker keeps itself | [`macro@stream`], [`StreamStore`], [`mod@stream`] |
//! | what the engine knows | [`Client::functions`], [`Client::workers`], [`Client::triggers`] |
//! | following it while it changes | [`Client::on_functions_available`], [`Client::on_workers_available`], [`Following`] |
//! | hearing of triggers for a while | [`Client::listen`], [`Listener`], [`StreamGroup::subscribe`] |
//! | configuration: typed, from a file, the environment and the engine's store | [`macro@Config`], [`struct@Config`], [`ConfigWatch`] |
//! | settings and environment of the worker itself | [`App`], [`Settings`] |
//! | the start, the end, readiness, health, exit codes | [`App`], [`HealthReport`], [`exit`] |
//! | another worker with the same function, and pauses between attempts | [`Conflict`], [`Backoff`] |
//! | retries, and messages that were given up | [`macro@Error`], [`Client::queue`], [`DeadLetter`] |
//! | state and streams | [`StateClient`], [`StreamClient`], [`StreamGroup`], [`Update`] |
//! | testing a worker in memory, under virtual time | the module `testing`, with the feature `testing` |
//! | traces, metrics and logs | [`mod@telemetry`] |
//! | events and configs of triggers | [`mod@trigger`] |
//! | the engine itself, and its YAML file | [`engine`] |
//! | the wire | [`protocol`], [`transport`] |
//!
//! # Features
//!
//! | feature | default | what for |
//! |---|---|---|
//! | `macros` | yes | the attributes and the derive |
//! | `import` | yes | [`import!`]: types of the functions in a catalogue file |
//! | `engine` | yes | the embedded engine; without it, `III_URL` names one, and its default is `ws://127.0.0.1:49134` |
//! | `tls` | no | `wss://` addresses, with the certificates that the machine trusts |
//! | `cli` | no | the program `iii`: an engine of its own, and `iii catalogue`, which writes the file of [`import!`] |
//! | `testing` | no | `#[iii::test]`: workers in memory, under virtual time; for `[dev-dependencies]` |
//! | `otel` | no | traces, metrics and logs of the worker, sent to the engine and to an OTLP collector |
//! | `toml` | no | configuration files in TOML, beside JSON |
//! | `logs` | yes | `#[iii::main]` shows `tracing` events on standard error |
//!
#![doc = include_str!("docs/sdk.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// The macros write `::iii`, also in this crate's own examples and tests.
extern crate self as iii;

// The layers, from the ground up: each module imports only from those above it. `tests/tests/layers.rs` reads this list.
#[doc(hidden)]
pub mod __private;
mod app;
mod catalogue;
mod channel;
mod client;
mod config;
mod declare;
mod extract;
mod function;
pub mod intercept;
mod names;
mod output;
mod provide;
mod session;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod trace;
pub mod trigger;
mod update;
mod worker;

#[cfg(feature = "engine")]
#[doc(inline)]
pub use iii_engine as engine;
pub use iii_wire::clock::Clock;
pub use iii_wire::protocol;
pub use iii_wire::protocol::Payload;
#[doc(hidden)]
pub use iii_wire::transport;
pub use iii_wire::{BoxError, Error, Result, TraceContext, code};

pub use app::{Addresses, App, CheckReport, HealthReport, HealthStatus, Running, Settings, exit};
pub use catalogue::{Catalogue, Declarations, Endpoint, Entry, Problem, Problems};
pub use channel::{Channel, ChannelMessage, ChannelReader, ChannelWriter};
pub use client::{
    Call, CatalogueDifference, CatalogueFile, CatalogueFunction, Client, DeadCount, DeadLetter,
    DeadLetters, Followed, Following, FunctionDetail, FunctionSummary, Listed, Listen, Listener,
    Listing, NewChannel, QueueClient, QueueStats, QueueSummary, ReadCatalogue, Receipt, Retry,
    StateClient, StreamClient, StreamGroup, TriggerOfFunction, TriggerSummary, TriggerTypeSummary,
    WorkerSummary,
};
pub use config::{Config, ConfigDescriptor, ConfigProblem, ConfigWatch, Configurable};
pub use declare::{
    Declared, EndpointAuth, EndpointDescriptor, EndpointUrl, FunctionDescriptor, ServiceDescriptor,
    TriggerDescriptor,
};
pub use extract::{
    BodyStream, Caller, Context, Extension, Extract, Headers, HttpParts, HttpRequest, Input,
    Invocation, Metadata, Path, Query, RawBody, Resources, State, TriggerInfo,
};
pub use function::{Function, Location, Requirement, Shape, Signature};
pub use intercept::{Interceptor, Next};
pub use output::{Created, IntoError, Output, Reply, Response, Sse, SseEvent};
pub use provide::{
    Emitter, StreamStore, StreamStoreDescriptor, TriggerType, TriggerTypeDescriptor, stream,
};
pub use schemars::{self, JsonSchema};
pub use session::ConnectionState;
pub use time::Backoff;
pub use tracing;
pub use update::{Change, Update, UpdateError, UpdatePath, Updated};
pub use worker::Conflict;

#[cfg(feature = "macros")]
#[doc = include_str!("docs/config.md")]
pub use iii_macros::Config;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/error.md")]
pub use iii_macros::Error;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/function.md")]
pub use iii_macros::function;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/http_function.md")]
pub use iii_macros::http_function;
#[cfg(feature = "import")]
#[doc = include_str!("docs/import.md")]
pub use iii_macros::import;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/main.md")]
pub use iii_macros::main;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/remote.md")]
pub use iii_macros::remote;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/service.md")]
pub use iii_macros::service;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/stream.md")]
pub use iii_macros::stream;
#[cfg(all(feature = "macros", feature = "testing"))]
#[doc = include_str!("docs/test.md")]
pub use iii_macros::test;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/trigger.md")]
pub use iii_macros::trigger;
#[cfg(feature = "macros")]
#[doc = include_str!("docs/trigger_type.md")]
pub use iii_macros::trigger_type;

/// What most workers need: `use iii::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "testing")]
    pub use crate::testing::Harness;
    pub use crate::trigger::{
        CronTick, LogEvent, Middleware, MiddlewareRequest, StateChange, StateEvent, StreamChange,
        StreamEvent,
    };
    pub use crate::{
        App, Client, Config, Configurable, Context, Created, Extension, Headers, HttpRequest,
        JsonSchema, Metadata, Path, Payload, Query, Response, State,
    };
    // The derive macro of `JsonSchema` looks for this name.
    pub use crate::schemars;
    pub use serde::{Deserialize, Serialize};
}
