//! Tests of the broker with raw messages.

mod calls;
mod external;
mod registration;
mod triggers;
