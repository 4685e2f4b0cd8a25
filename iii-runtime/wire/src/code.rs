//! The error codes of this framework and of the engine, as they stand on the wire.

/// The payload does not fit the input type of the function. HTTP status 400.
pub const INVALID_PAYLOAD: &str = "invalid_payload";
/// A path parameter, the query, a header or the metadata does not fit its type. HTTP status 400.
pub const INVALID_ARGUMENT: &str = "invalid_argument";
/// A frame is no message of the protocol, or lacks a field that the message needs.
pub const INVALID_MESSAGE: &str = "invalid_message";
/// The handler panicked. HTTP status 500.
pub const PANIC: &str = "panic";
/// The handler failed with an error that has no code of its own. HTTP status 500.
pub const INTERNAL: &str = "internal";
/// No answer came in time, or the handler took longer than its limit. HTTP status 504.
pub const TIMEOUT: &str = "timeout";
/// The link to the engine was lost while the call was in flight. The call may or may not have run. HTTP status 502.
pub const CONNECTION_LOST: &str = "connection_lost";
/// There was no link to the engine for as long as the call could wait. It was not sent. HTTP status 503.
pub const NOT_CONNECTED: &str = "not_connected";
/// The worker is stopping, or has stopped. The call was not sent, or not begun. HTTP status 503.
pub const SHUTTING_DOWN: &str = "shutting_down";
/// More is waiting than fits. The call was not begun. HTTP status 503.
pub const OVERLOADED: &str = "overloaded";
/// Too many calls came in a span of time. The call was not begun; [`Error::retry_after`](super::Error::retry_after) says
/// when to try again. HTTP status 429.
pub const RATE_LIMITED: &str = "rate_limited";
/// A call of the same key runs, or was done already. The call was not begun. HTTP status 409.
pub const DUPLICATE: &str = "duplicate";
/// The function takes an `Extension` that no interceptor has put into the invocation. HTTP status 500.
pub const EXTENSION_MISSING: &str = "extension_missing";
/// The function writes its response piece by piece, and the caller is no HTTP request. HTTP status 400.
pub const STREAM_NEEDS_HTTP: &str = "stream_needs_http";
/// The engine knows no such channel: it has ended, or was not opened in time. HTTP status 404.
pub const CHANNEL_NOT_FOUND: &str = "channel_not_found";
/// The other side of a channel left before the end. HTTP status 502.
pub const CHANNEL_BROKEN: &str = "channel_broken";
/// Events may be missing at this place of a [`Listener`](crate::Listener): the link was lost, or too many were waiting.
pub const EVENTS_MISSED: &str = "events_missed";
/// A payload is larger than a message, or a body, may be. The call was not begun, or its answer is lost. HTTP status
/// 413.
pub const PAYLOAD_TOO_LARGE: &str = "payload_too_large";
/// The engine knows no such function. HTTP status 404.
pub const FUNCTION_NOT_FOUND: &str = "function_not_found";
/// A function that an HTTP endpoint serves was sent to the worker that declares it: in a test, it is mocked. HTTP
/// status 501.
pub const FUNCTION_NOT_INVOKABLE: &str = "function_not_invokable";
/// The output of a function does not fit the type that the caller expects. HTTP status 502.
pub const INVALID_RESULT: &str = "invalid_result";
/// A function gives an HTTP response that cannot be sent: no response has its status, or a header is none. HTTP status
/// 500.
pub const INVALID_RESPONSE: &str = "invalid_response";
/// The declarations of the worker contradict each other; the message lists all problems.
pub const INVALID_CATALOGUE: &str = "invalid_catalogue";
/// A setting has a value that cannot be used.
pub const INVALID_CONFIGURATION: &str = "invalid_configuration";
/// The engine refused a function, a trigger or the name of the worker.
pub const REGISTRATION_REJECTED: &str = "registration_rejected";
/// An address cannot be listened on, for example because its port is taken.
pub const LISTEN_FAILED: &str = "listen_failed";
/// The data directory of the engine cannot be used: it is taken, damaged, or of another program.
pub const STORE_FAILED: &str = "store_failed";
/// The engine cannot be reached, and trying again cannot help.
pub const CONNECT_FAILED: &str = "connect_failed";
/// The engine has thrown the worker out for good, or given what it serves to another worker, after it was ready.
pub const THROWN_OUT: &str = "thrown_out";
/// The grace period was over before all invocations were done; those left were answered with `shutting_down`.
pub const GRACE_EXCEEDED: &str = "grace_exceeded";
/// A second signal ended the worker at once.
pub const STOPPED_AT_ONCE: &str = "stopped_at_once";
