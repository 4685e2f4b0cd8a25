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
//! | what a function may return | [`Output`], [`Created`], [`Response`] |
//! | errors with codes | [`macro@Error`], [`struct@Error`], [`code`] |
//! | calling functions | [`Client`], [`Call`]; retries: [`Retry`]; functions of other workers: [`import!`], [`macro@remote`] |
//! | middleware for functions: limits, timeouts, authentication | [`Interceptor`], [`mod@intercept`], [`Extension`] |
//! | channels between functions | [`Client::channel`], [`mod@channel`] |
//! | streamed bodies | [`BodyStream`], [`RawBody`], [`Response::stream`], [`Sse`] |
//! | custom trigger types | [`macro@trigger_type`], [`TriggerType`], [`Emitter`] |
//! | custom stream stores | [`macro@stream`], [`StreamStore`], [`mod@stream`] |
//! | discovery: functions, workers and triggers of the engine | [`Client::functions`], [`Client::workers`], [`mod@discovery`] |
//! | triggers that are bound while the worker runs | [`Client::listen`], [`Listener`] |
//! | typed configuration from a file, the environment and the engine's store | [`macro@Config`], [`struct@Config`], [`ConfigWatch`] |
//! | settings and environment variables of the worker | [`App`], [`Settings`] |
//! | startup, shutdown, readiness, health, exit codes | [`App`], [`mod@lifecycle`] |
//! | queues and dead letters | [`Client::queue`], [`mod@queue`] |
//! | state and streams | [`mod@state`], [`mod@stream`] |
//! | the catalogue of all declarations | [`App::catalogue`], [`mod@catalogue`] |
//! | tests in memory, under virtual time | the module `testing`, with the feature `testing` |
//! | traces, metrics and logs | [`mod@telemetry`] |
//! | events and configuration of triggers | [`mod@trigger`] |
//! | the embedded engine and its YAML file | [`engine`] |
//! | the wire protocol | [`mod@protocol`] |
//!
//! # Features
//!
//! | feature | default | enables |
//! |---|---|---|
//! | `macros` | yes | the attributes and the derives |
//! | `import` | yes | [`import!`]: types of the functions in a catalogue file |
//! | `engine` | yes | the embedded engine; without it, `III_URL` names an engine, and defaults to `ws://127.0.0.1:49134` |
//! | `logs` | yes | `#[iii::main]` prints `tracing` events to standard error |
//! | `tls` | no | `wss://` URLs, verified with the certificate store of the operating system |
//! | `cli` | no | the program `iii`: an engine on its own, and `iii catalogue`, which writes the file of [`import!`] |
//! | `testing` | no | `#[iii::test]`: workers in memory, under virtual time; for `[dev-dependencies]` |
//! | `otel` | no | traces, metrics and logs of the worker, exported to the engine and to an OTLP collector |
//! | `toml` | no | configuration files in TOML, beside JSON |
//!
//! # Architecture
//!
//! Three crates: `iii-wire` (messages, payloads, error codes, transports, the clock) knows nobody; `iii-engine` (the embedded
//! engine, [`engine`]) and this crate know `iii-wire`; this crate knows the engine only in `app` and `testing`.
//!
//! Within this crate the modules form layers. Each imports only from modules above it; `tests/tests/layers.rs` reads this
//! list and checks it.
//!
//! ```text
//! names time trace             ground: valid names, deadlines and backoff, the current trace context
//! session                      one connection, and what is pending on it: calls, listeners, readiness
//! channel                      the ends of channels
//! function                     what a function is to its callers: id, types, signature, source location
//! extract output update        what handlers take and return; updates of parts of a value
//! trigger                      one file for each kind of trigger: its configuration and its event
//! client                       calls, discovery, state, streams, queues, listeners
//! intercept                    interceptors around invocations
//! declare                      the static descriptors that the macros emit
//! provide config               trigger types and stream stores of a worker; typed configuration
//! telemetry                    spans, metrics and logs of invocations
//! catalogue                    joins all declarations and checks them
//! worker                       the connection loop, registration and replay, dispatch
//! app                          App, settings, start, shutdown
//! testing                      the harness
//! __private                    what the macros refer to
//! ```
//!
//! ## A declaration
//!
//! 1. `iii-macros/src/function/`: parses the attribute and the function, checks them, emits a static descriptor.
//! 2. `__private/`: the traits that tell extractors, payloads and results apart, and explain mistakes.
//! 3. `declare/descriptor.rs`: [`FunctionDescriptor`](catalogue::FunctionDescriptor), and its `inventory` submission.
//! 4. `function/signature.rs`: what its arguments and its result require and describe.
//! 5. `catalogue/catalogue.rs`: gathers all descriptors that are linked into the program.
//! 6. `catalogue/checks.rs`: reports duplicate ids and routes, missing state, unknown path parameters.
//! 7. `app/prepared.rs`: joins the catalogue with state, configuration and settings.
//! 8. `worker/registration.rs`: turns it into the messages that register it.
//! 9. `worker/confirm.rs`: asks the engine what it has accepted; the worker is ready, or fails with one report.
//!
//! ## An HTTP request
//!
//! 1. `engine/src/http/listener.rs`: accepts the connection and limits it.
//! 2. `engine/src/http/request.rs`, `routes.rs`: finds the route, runs middleware and conditions, reads the body.
//! 3. `engine/src/http/exchange.rs`: creates the channels of the request and the invocation.
//! 4. `engine/src/broker/invoke.rs`: finds the worker of the function and queues the message.
//! 5. `wire/src/transport/`: carries it, in memory or over a WebSocket.
//! 6. `worker/serving.rs`, `worker/dispatch.rs`: limits the invocation and spawns its task.
//! 7. `worker/invoke.rs`: deadline, span, interceptors, handler.
//! 8. `extract/`: takes each argument out of the invocation.
//! 9. `output/`: turns the result into status, headers and body.
//! 10. `worker/reply_to.rs`, then `engine/src/http/response.rs`: the answer on its way back.
//!
//! ## A call
//!
//! 1. `client/call.rs`: serialises the input; `.await` starts the call.
//! 2. `client/retry.rs`: repeats it, if asked to.
//! 3. `session/session.rs`: waits for a connection until the deadline.
//! 4. `session/pending.rs`: registers the call before it is sent, so that no answer is missed.
//! 5. `wire/src/transport/outbox.rs`: the bounded queue of the connection.
//! 6. `engine/src/broker/invoke.rs`: routes it to the worker that serves the function.
//! 7. `worker/` of the callee, as above.
//! 8. `engine/src/broker/calls.rs`: matches the answer to the caller.
//! 9. `worker/serving.rs`: hands the answer to `session/pending.rs`.
//! 10. `client/call.rs`: deserialises the result.
//!
#![doc = include_str!("docs/sdk.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// The macros write `::iii`, also in this crate's own examples and tests.
extern crate self as iii;

#[doc(hidden)]
pub mod __private;
mod app;
pub mod catalogue;
pub mod channel;
mod client;
mod config;
mod declare;
pub mod extract;
mod function;
pub mod intercept;
mod names;
pub mod output;
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
#[doc(inline)]
pub use iii_wire::{code, protocol};
// For tests of this project, and for the `Transport` of a harness: no part of the public API.
#[doc(hidden)]
pub use iii_wire::transport;

pub use app::{App, ClientBuilder, Running, Settings};
pub use client::{Call, ChannelBuilder, Client, Listen, Listener, Retry};
pub use config::{Config, ConfigProblem, ConfigWatch, Configurable};
pub use extract::{
    BodyStream, Context, Extension, Extract, Headers, HttpRequest, Input, Invocation, Metadata,
    Path, Query, RawBody, State,
};
pub use function::Function;
pub use iii_wire::protocol::Payload;
pub use iii_wire::{BoxError, Error, Result};
pub use intercept::{Interceptor, Next};
pub use output::{Created, IntoError, Output, Response, Sse};
pub use provide::{Emitter, StreamStore, TriggerType};
pub use schemars::{self, JsonSchema};
pub use tracing;
pub use update::Update;

/// What the engine knows: functions, triggers, trigger types and workers, as typed lists.
pub mod discovery {
    pub use crate::client::{
        FunctionDetail, FunctionSummary, FunctionTrigger, ListRequest, ListWatch, Listable,
        TriggerSummary, TriggerTypeSummary, Watchable, WorkerSummary,
    };
}

/// The life of a worker: addresses, connection, health, exit codes.
pub mod lifecycle {
    pub use crate::app::{Addresses, CheckReport, HealthReport, HealthStatus, exit};
    pub use crate::session::ConnectionState;
    pub use crate::time::Backoff;
    pub use crate::worker::Conflict;
}

/// Queues: receipts, statistics, dead letters.
pub mod queue {
    pub use crate::client::{
        DeadLetter, DeadLetterCount, DeadLettersRequest, QueueClient, QueueStats, QueueSummary,
        Receipt,
    };
}

/// State: a typed client, and updates of parts of a value.
pub mod state {
    pub use crate::client::StateClient;
    pub use crate::update::{Update, UpdateError, UpdatePath, UpdateResult, WriteResult};
}

/// Streams: a typed client, and what the store of a stream exchanges with the engine.
pub mod stream {
    pub use crate::client::{StreamClient, StreamGroup};
    pub use crate::provide::stream::*;
}

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
