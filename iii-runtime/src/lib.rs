//! x
mod clock;
mod protocol;
mod transport;
