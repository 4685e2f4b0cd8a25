//! The exit codes of a worker under `#[iii::main]`: what a supervisor learns of how it ended.
//!
//! Most are those of `sysexits.h`, which supervisors and people may know.
//!
//! | code | constant | meaning | start again? |
//! |---|---|---|---|
//! | 0 | [`OK`] | a clean stop: everything was answered | |
//! | 1 | [`FAILED`] | your main, or what the app does at the start, has failed | as your error says |
//! | 69 | [`UNAVAILABLE`] | the engine, an address or the data directory cannot be used: `connect_failed`, `listen_failed`, `store_failed` | after a look |
//! | 75 | [`GRACE_EXCEEDED`] | the grace period was over before everything was answered: `grace_exceeded` | yes |
//! | 76 | [`REJECTED`] | the engine refused what the worker registers: `registration_rejected` | when the other worker is gone |
//! | 77 | [`EVICTED`] | a worker that was ready has lost its place for good: `evicted` | after a look |
//! | 78 | [`MISCONFIGURED`] | the declarations or the settings are wrong: `invalid_catalogue`, `invalid_configuration` | no: it ends the same way |
//! | 130, 143 | [`SIGNAL`] + the number of the signal | a second signal ended it at once: SIGINT, SIGTERM | |
//!
//! A program with a main of its own gets the code of an error by [`exit::of`](of). A panic of your main is the 101 of Rust.

use iii_wire::{Error, code};

/// A clean stop: everything was answered.
pub const OK: u8 = 0;
/// Your main, or what the app does at the start, has failed.
pub const FAILED: u8 = 1;
/// The engine, an address or the data directory cannot be used.
pub const UNAVAILABLE: u8 = 69;
/// The grace period was over before everything was answered.
pub const GRACE_EXCEEDED: u8 = 75;
/// The engine refused what the worker registers.
pub const REJECTED: u8 = 76;
/// A worker that was ready has lost its place for good.
pub const EVICTED: u8 = 77;
/// The declarations or the settings are wrong.
pub const MISCONFIGURED: u8 = 78;
/// What is added to the number of the second signal.
pub const SIGNAL: u8 = 128;

/// The exit code for an error of [`App::run`](crate::App::run) or [`App::start`](crate::App::start).
///
/// ```
/// use iii::{Error, code, lifecycle::exit};
///
/// let error = Error::new(code::INVALID_CATALOGUE, "two functions with one id");
/// assert_eq!(exit::of(&error), exit::MISCONFIGURED);
/// ```
pub fn of(error: &Error) -> u8 {
    match error.code() {
        code::INVALID_CATALOGUE | code::INVALID_CONFIGURATION => MISCONFIGURED,
        code::CONNECT_FAILED | code::LISTEN_FAILED | code::STORE_FAILED => UNAVAILABLE,
        code::REGISTRATION_REJECTED => REJECTED,
        code::EVICTED => EVICTED,
        code::GRACE_EXCEEDED => GRACE_EXCEEDED,
        code::STOPPED_AT_ONCE => SIGNAL + error.details::<u8>().unwrap_or(2).min(127),
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_code() {
        let of = |code| of(&Error::new(code, ""));
        let codes = [
            of("my/own"),
            of(code::LISTEN_FAILED),
            of(code::GRACE_EXCEEDED),
            of(code::REGISTRATION_REJECTED),
            of(code::EVICTED),
            of(code::INVALID_CONFIGURATION),
            of(code::STOPPED_AT_ONCE),
        ];
        assert_eq!(codes, [1, 69, 75, 76, 77, 78, 130]);
        let term = Error::new(code::STOPPED_AT_ONCE, "").with_details(&15);
        assert_eq!(super::of(&term), 143);
        let odd = Error::new(code::STOPPED_AT_ONCE, "").with_details(&"x");
        assert_eq!(super::of(&odd), 130);
    }
}
