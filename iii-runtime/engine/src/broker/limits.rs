//! How long things of a connection may take, and how long its names may be. What it may use up is in
//! [`Limits`](crate::Limits).

use std::time::Duration;

/// Characters of a worker's name and of its description.
pub(crate) const NAME_CHARS: usize = 280;

/// How long a caller's messages wait for a callee that reads slowly, each time.
pub(crate) const BRAKE: Duration = Duration::from_secs(1);
/// How long a connection that was told to end may take to send what is queued.
pub(crate) const LINGER: Duration = Duration::from_secs(2);
/// How long `engine::register_trigger` waits for a worker that provides the type.
pub(crate) const PROVIDER_ANSWER: Duration = Duration::from_secs(10);
