//! How much one connection may have, and how long things may take.

use std::time::Duration;

/// Functions of one connection.
pub(crate) const FUNCTIONS: usize = 10_000;
/// Bindings of one connection.
pub(crate) const TRIGGERS: usize = 10_000;
/// Trigger types of one connection.
pub(crate) const TRIGGER_TYPES: usize = 1_000;
/// Services of one connection.
pub(crate) const SERVICES: usize = 1_000;
/// Calls of one connection that wait for their answer.
pub(crate) const PENDING_CALLS: usize = 65_536;
/// Registrations that wait until the namespace of a connection is known.
pub(crate) const BUFFERED: usize = FUNCTIONS + TRIGGERS + TRIGGER_TYPES + SERVICES;
/// Characters of a worker's name and of its description.
pub(crate) const NAME_CHARS: usize = 280;

/// How long a caller's messages wait for a callee that reads slowly, each time.
pub(crate) const BRAKE: Duration = Duration::from_secs(1);
/// How long a connection that was told to end may take to send what is queued.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// How long `engine::register_trigger` waits for a worker that provides the type.
pub(crate) const PROVIDER_ANSWER: Duration = Duration::from_secs(10);
