//! Tests of the broker through raw links, rule by rule.

mod calls;
mod external;
mod registration;
mod triggers;
