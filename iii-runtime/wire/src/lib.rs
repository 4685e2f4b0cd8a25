//! The wire protocol of iii: messages, payloads, error codes, transports and the clock, shared by workers and engines.
//!
//! This crate holds no policy: it contains neither worker nor engine. Use it through `iii-runtime`, which re-exports
//! what applications need; everything else here may change in any version.
//!
//! # Layers
//!
//! Each module imports only from modules above it; a test enforces it.
//!
//! ```text
//! code sync secret             error codes, locks, names of secrets
//! clock keyed_lock             the time of day, real or virtual; locks by key
//! local_instances trace        telemetry instances of this process, trace context
//! trigger_kind                 the kinds of triggers and their ids
//! protocol                     messages, payloads, ids, and their JSON
//! schema update event          schemas of types, updates of values, events that both sides name
//! transport                    connections in memory and over WebSocket
//! error                        the error type and its form on the wire
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod code;
mod error;
pub mod event;
pub mod keyed_lock;
pub mod local_instances;
pub mod protocol;
pub mod schema;
pub mod secret;
pub mod sync;
mod trace;
pub mod transport;
mod trigger_kind;
pub mod update;

pub use error::{BoxError, Error, RESPONSE_STATUSES, Result};
pub use trace::TraceContext;
pub use trigger_kind::TriggerKind;
