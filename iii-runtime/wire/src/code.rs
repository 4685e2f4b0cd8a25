//! Error codes, as they appear in the field `code` of an [`ErrorBody`](crate::protocol::ErrorBody).
//!
//! Codes are stable: programs compare them. New codes of this framework are snake_case. Codes that the official engine
//! or its SDKs define keep their spelling, `UPPER_CASE` included, because existing clients compare them. The constant
//! is always the code in upper case.

// Codes of this framework.

/// The payload does not match the input type of the function. HTTP status 400.
pub const INVALID_PAYLOAD: &str = "invalid_payload";
/// A path parameter, the query, a header or the metadata does not match its type. HTTP status 400.
pub const INVALID_ARGUMENT: &str = "invalid_argument";
/// A frame is not a message of the protocol, or lacks a required field.
pub const INVALID_MESSAGE: &str = "invalid_message";
/// The handler panicked. HTTP status 500.
pub const PANIC: &str = "panic";
/// The handler failed with an error that has no code of its own. HTTP status 500.
pub const INTERNAL: &str = "internal";
/// No response arrived in time, or the handler exceeded its time limit. HTTP status 504.
pub const TIMEOUT: &str = "timeout";
/// The connection to the engine was lost while the call was in flight. The call may or may not have run. HTTP status
/// 502.
pub const CONNECTION_LOST: &str = "connection_lost";
/// The worker was not connected to the engine for as long as the call could wait. The call was not sent. HTTP status
/// 503.
pub const NOT_CONNECTED: &str = "not_connected";
/// The worker is stopping, or has stopped. The call was not sent, or its handler did not start. HTTP status 503.
pub const SHUTTING_DOWN: &str = "shutting_down";
/// A queue or quota is full. The call did not start. HTTP status 503.
pub const OVERLOADED: &str = "overloaded";
/// The rate limit is exceeded. The call did not start; [`Error::retry_after`](crate::Error::retry_after) is the time
/// until the next permit. HTTP status 429.
pub const RATE_LIMITED: &str = "rate_limited";
/// A call with the same idempotency key is running or has completed. The call did not start. HTTP status 409.
pub const DUPLICATE: &str = "duplicate";
/// The function takes an `Extension` that no interceptor has inserted into the invocation. HTTP status 500.
pub const EXTENSION_MISSING: &str = "extension_missing";
/// The function streams its response, and the caller is not an HTTP request. HTTP status 400.
pub const STREAM_NEEDS_HTTP: &str = "stream_needs_http";
/// The engine has no such channel: it has ended, or was not opened in time. HTTP status 404.
pub const CHANNEL_NOT_FOUND: &str = "channel_not_found";
/// The other endpoint of a channel disconnected before the end of the data. HTTP status 502.
pub const CHANNEL_BROKEN: &str = "channel_broken";
/// Events may be missing at this position of a `Listener`: the connection was lost, or the buffer overflowed.
pub const EVENTS_MISSED: &str = "events_missed";
/// A payload exceeds the maximum size of a message or of a body. The call did not start, or its response is lost. HTTP
/// status 413.
pub const PAYLOAD_TOO_LARGE: &str = "payload_too_large";
/// The output of a function does not match the type that the caller expects. HTTP status 502.
pub const INVALID_RESULT: &str = "invalid_result";
/// A function returned an HTTP response with an invalid status or header; or an HTTP endpoint answered with an invalid
/// body. HTTP status 500.
pub const INVALID_RESPONSE: &str = "invalid_response";
/// The declarations of the worker contradict each other; the message lists all problems.
pub const INVALID_CATALOGUE: &str = "invalid_catalogue";
/// A setting is invalid, or contradicts another one.
pub const INVALID_CONFIGURATION: &str = "invalid_configuration";
/// The engine rejected a function, a trigger or the name of the worker.
pub const REGISTRATION_REJECTED: &str = "registration_rejected";
/// An address cannot be bound, for example because its port is in use.
pub const LISTEN_FAILED: &str = "listen_failed";
/// The data directory of the engine cannot be used: it is locked, corrupt, or was written by another program.
pub const STORE_FAILED: &str = "store_failed";
/// The engine cannot be reached, and retrying cannot help.
pub const CONNECT_FAILED: &str = "connect_failed";
/// The engine permanently rejected the worker, or gave its functions to another worker, after it was ready. Never sent.
pub const EVICTED: &str = "evicted";
/// The grace period elapsed before all invocations completed; the remaining ones were answered with `shutting_down`.
pub const GRACE_EXCEEDED: &str = "grace_exceeded";
/// A second signal ended the worker immediately.
pub const STOPPED_AT_ONCE: &str = "stopped_at_once";
/// A test called a function that its strict mock does not expect.
pub const UNEXPECTED_CALL: &str = "unexpected_call";
/// The engine has no named queue of this name.
pub const QUEUE_NOT_FOUND: &str = "queue_not_found";
/// A message for a FIFO queue lacks the field that names its group.
pub const MESSAGE_GROUP_MISSING: &str = "message_group_missing";
/// A message could not be written to the store of the queues.
pub const QUEUE_WRITE_FAILED: &str = "queue_write_failed";
/// A worker registered a function with an `invocation` object, and this engine does not serve such functions.
pub const HTTP_FUNCTIONS_UNAVAILABLE: &str = "http_functions_unavailable";
/// The `invocation` object of a function is invalid.
pub const INVALID_INVOCATION: &str = "invalid_invocation";

// Codes of the official engine and its SDKs (protocol.md#s4-4).

/// The namespace has no such function. HTTP status 404.
pub const FUNCTION_NOT_FOUND: &str = "function_not_found";
/// A function that an HTTP endpoint serves was sent to the worker that declares it; in a test, mock it. HTTP status
/// 501.
pub const FUNCTION_NOT_INVOKABLE: &str = "function_not_invokable";
/// A namespace is blank.
pub const INVALID_NAMESPACE: &str = "INVALID_NAMESPACE";
/// The access rules of the listener deny the request. HTTP status 403.
pub const FORBIDDEN: &str = "FORBIDDEN";
/// The auth function rejected the connection, failed, or timed out.
pub const AUTH_ERROR: &str = "AUTH_ERROR";
/// Another worker owns the function id, or the id is reserved. The only code of a rejected registration that does not
/// stop an SDK.
pub const FUNCTION_NAMESPACE_CONFLICT: &str = "FUNCTION_NAMESPACE_CONFLICT";
/// Another worker of the namespace has this name.
pub const WORKER_NAMESPACE_CONFLICT: &str = "WORKER_NAMESPACE_CONFLICT";
/// The worker that was serving the call disconnected. HTTP status 502.
pub const INVOCATION_STOPPED: &str = "invocation_stopped";
/// The queue rejected an enqueued call, or nothing serves queues.
pub const ENQUEUE_ERROR: &str = "enqueue_error";
/// An output or event cannot be serialized.
pub const SERIALIZATION_ERROR: &str = "serialization_error";
/// The payload does not match the input of a built-in function. HTTP status 400.
pub const DESERIALIZATION_ERROR: &str = "deserialization_error";
/// The provider of a trigger type rejected a trigger.
pub const TRIGGER_REGISTRATION_FAILED: &str = "trigger_registration_failed";
/// Nothing provides the trigger type.
pub const TRIGGER_TYPE_NOT_FOUND: &str = "trigger_type_not_found";
/// The requested function, trigger, worker, configuration or route does not exist. HTTP status 404.
pub const NOT_FOUND: &str = "NOT_FOUND";
/// The arguments of a discovery function contradict each other or are incomplete.
pub const INVALID_ARGUMENTS: &str = "INVALID_ARGUMENTS";
/// The route does not serve the method of the request. HTTP status 405.
pub const METHOD_NOT_ALLOWED: &str = "METHOD_NOT_ALLOWED";
/// A middleware function exceeded the timeout of the request. HTTP status 504.
pub const MIDDLEWARE_TIMEOUT: &str = "MIDDLEWARE_TIMEOUT";
/// The condition function of an HTTP trigger returned `false`.
pub const CONDITION_NOT_MET: &str = "CONDITION_NOT_MET";
/// The URL of an HTTP function is invalid, or the access policy denies it.
pub const URL_VALIDATION_FAILED: &str = "url_validation_failed";
/// The request to the endpoint of an HTTP function failed.
pub const HTTP_REQUEST_FAILED: &str = "http_request_failed";
/// The response of the endpoint of an HTTP function could not be read.
pub const HTTP_RESPONSE_FAILED: &str = "http_response_failed";
/// The endpoint of an HTTP function answered with an error status and no code.
pub const HTTP_ERROR: &str = "http_error";
/// The environment variable with the HMAC secret of an HTTP function is not set.
pub const SECRET_NOT_FOUND: &str = "secret_not_found";
/// The environment variable with the bearer token of an HTTP function is not set.
pub const TOKEN_NOT_FOUND: &str = "token_not_found";
/// The environment variable with the API key of an HTTP function is not set.
pub const API_KEY_NOT_FOUND: &str = "api_key_not_found";
/// `state::set` failed.
pub const SET_ERROR: &str = "SET_ERROR";
/// `state::delete` failed.
pub const DELETE_ERROR: &str = "DELETE_ERROR";
/// `state::update` failed.
pub const UPDATE_ERROR: &str = "UPDATE_ERROR";
/// A state value exceeds `max_value_bytes`.
pub const VALUE_TOO_LARGE: &str = "VALUE_TOO_LARGE";
/// `stream::set` failed.
pub const STREAM_SET_ERROR: &str = "STREAM_SET_ERROR";
/// `stream::delete` failed.
pub const STREAM_DELETE_ERROR: &str = "STREAM_DELETE_ERROR";
/// `stream::update` failed.
pub const STREAM_UPDATE_ERROR: &str = "STREAM_UPDATE_ERROR";
/// A function of a custom stream store returned an invalid result.
pub const JSON_ERROR: &str = "JSON_ERROR";
/// A message was published without a topic.
pub const TOPIC_NOT_SET: &str = "topic_not_set";
/// A function of the queue administration needs a queue name.
pub const QUEUE_NOT_SET: &str = "queue_not_set";
/// A function of the queue administration needs a message id.
pub const MESSAGE_ID_NOT_SET: &str = "message_id_not_set";
/// A function of the queue administration needs a topic.
pub const TOPIC_REQUIRED: &str = "topic_required";
/// The dead letters of a queue could not be redriven.
pub const REDRIVE_FAILED: &str = "redrive_failed";
/// A dead letter could not be redriven.
pub const REDRIVE_MESSAGE_FAILED: &str = "redrive_message_failed";
/// A dead letter could not be discarded.
pub const DISCARD_MESSAGE_FAILED: &str = "discard_message_failed";
/// The dead letters of a queue could not be read.
pub const DLQ_MESSAGES_FAILED: &str = "dlq_messages_failed";
/// A value was set for a configuration that is not registered.
pub const NOT_REGISTERED: &str = "NOT_REGISTERED";
/// The id of a configuration is invalid.
pub const INVALID_ID: &str = "INVALID_ID";
/// The value of a configuration does not match its schema.
pub const SCHEMA_INVALID: &str = "SCHEMA_INVALID";
/// The schema of a configuration is missing.
pub const SCHEMA_UNAVAILABLE: &str = "SCHEMA_UNAVAILABLE";
/// The store of configurations failed.
pub const ADAPTER_ERROR: &str = "ADAPTER_ERROR";
/// A variable in the value of a configuration is not set and has no default.
pub const EXPAND_FAILED: &str = "EXPAND_FAILED";
