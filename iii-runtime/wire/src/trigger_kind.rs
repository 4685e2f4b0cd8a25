//! The kinds of triggers and their ids on the wire.

use std::fmt;

/// The kind of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TriggerKind {
    /// An HTTP request.
    Http,
    /// A cron schedule.
    Cron,
    /// A message of a durable topic.
    Queue,
    /// A message of a pub/sub topic.
    Subscribe,
    /// A change of a state.
    State,
    /// A change of a stream.
    Stream,
    /// A client subscribes to a stream.
    StreamJoin,
    /// A client leaves a stream.
    StreamLeave,
    /// A log record.
    Log,
    /// A trace.
    Trace,
    /// A change of a configuration.
    Configuration,
    /// Functions were registered or unregistered.
    FunctionsAvailable,
    /// Workers connected, disconnected or changed.
    WorkersAvailable,
    /// Any other type, by its id.
    Other(String),
}

impl TriggerKind {
    /// Returns the id of the trigger type on the wire ([protocol 5](crate::protocol#s5)).
    pub fn as_str(&self) -> &str {
        match self {
            Self::Http => "http",
            Self::Cron => "cron",
            Self::Queue => "durable:subscriber",
            Self::Subscribe => "subscribe",
            Self::State => "state",
            Self::Stream => "stream",
            Self::StreamJoin => "stream:join",
            Self::StreamLeave => "stream:leave",
            Self::Log => "log",
            Self::Trace => "trace",
            Self::Configuration => "configuration",
            Self::FunctionsAvailable => "engine::functions-available",
            Self::WorkersAvailable => "engine::workers-available",
            Self::Other(id) => id,
        }
    }
}

impl From<&str> for TriggerKind {
    fn from(id: &str) -> Self {
        match id {
            "http" => Self::Http,
            "cron" => Self::Cron,
            "durable:subscriber" | "queue" => Self::Queue,
            "subscribe" => Self::Subscribe,
            "state" => Self::State,
            "stream" => Self::Stream,
            "stream:join" => Self::StreamJoin,
            "stream:leave" => Self::StreamLeave,
            "log" => Self::Log,
            "trace" => Self::Trace,
            "configuration" => Self::Configuration,
            "engine::functions-available" => Self::FunctionsAvailable,
            "engine::workers-available" => Self::WorkersAvailable,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for TriggerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_round_trip_through_their_ids() {
        for id in [
            "http",
            "cron",
            "durable:subscriber",
            "subscribe",
            "state",
            "stream",
            "stream:join",
            "stream:leave",
            "log",
            "trace",
            "configuration",
            "engine::functions-available",
            "engine::workers-available",
            "x",
        ] {
            assert_eq!(TriggerKind::from(id).as_str(), id);
        }
    }
}
