//! Ids of the built-in functions to which several modules refer.

/// Creates a channel.
pub(crate) const CHANNELS_CREATE: &str = "engine::channels::create";
/// Writes a log record of level trace.
pub(crate) const LOG_TRACE: &str = "engine::log::trace";
/// Writes a log record of level debug.
pub(crate) const LOG_DEBUG: &str = "engine::log::debug";
/// Writes a log record of level info.
pub(crate) const LOG_INFO: &str = "engine::log::info";
/// Writes a log record of level warn.
pub(crate) const LOG_WARN: &str = "engine::log::warn";
/// Writes a log record of level error.
pub(crate) const LOG_ERROR: &str = "engine::log::error";
/// Returns one entry of the baggage of a call.
pub(crate) const BAGGAGE_GET: &str = "engine::baggage::get";
/// Has no effect; see its note.
pub(crate) const BAGGAGE_SET: &str = "engine::baggage::set";
/// Returns the baggage of a call.
pub(crate) const BAGGAGE_GET_ALL: &str = "engine::baggage::get_all";
/// Sends a custom event to the subscribers of a stream.
pub(crate) const STREAM_SEND: &str = "stream::send";
