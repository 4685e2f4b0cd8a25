//! The wire protocol of iii and what both of its ends share: messages, payloads, error codes, transports, the clock.
//!
//! This crate has no policy: it knows neither workers nor engines. Use it through `iii-runtime`, which re-exports what
//! applications need; everything else here may change with any version.
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

pub use error::{BoxError, Error, Result, STATUSES};
pub use trace::TraceContext;
pub use trigger_kind::TriggerKind;
