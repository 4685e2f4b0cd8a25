//! Tests of the broker through raw links, rule by rule.

mod calls;
mod registration;
mod triggers;
