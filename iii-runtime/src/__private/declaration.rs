//! Values inside of declarations, and the test of all declarations that `#[iii::main]` generates.

use serde::Serialize;

use crate::intercept::{AnyInterceptor, Interceptor};
use iii_wire::protocol::Payload;

/// Panics with one report if the declarations that are linked in contradict each other. `main` does not run.
#[track_caller]
pub fn check_declarations() {
    if let Err(problems) = crate::catalogue::check_linked_declarations() {
        panic!("{problems}");
    }
}

/// An interceptor in the list of a declaration. The bound is the check.
#[track_caller]
pub fn interceptor<I: Interceptor>(interceptor: I) -> AnyInterceptor {
    AnyInterceptor::new(interceptor)
}

/// Serialises metadata of a declaration; `null` if that fails.
pub fn payload<T: Serialize>(value: &T) -> Payload {
    Payload::new(value).unwrap_or_default()
}
