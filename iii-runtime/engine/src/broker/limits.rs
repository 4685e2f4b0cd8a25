//! Timeouts of connections, and the length of worker names. All other limits are in [`Limits`](crate::Limits).

use std::time::Duration;

/// Maximum length of a worker's name and description, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 280;

/// How long the messages of a caller wait for backpressure of a callee, per call.
pub(crate) const BACKPRESSURE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a closing connection may take to send its queued messages.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long `engine::register_trigger` waits for a worker that provides the type.
pub(crate) const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);
