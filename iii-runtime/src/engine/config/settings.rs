//! What an engine can be told: a typed value for each of its parts, with its defaults.

use std::time::Duration;

use crate::engine::http::HttpSettings;
use crate::engine::observability::ObservabilitySettings;
use crate::engine::queue::QueueSettings;
use crate::engine::state::StateSettings;

/// Everything that an engine serves by default: programs of this machine get in, others do not.
pub(crate) const LOOPBACK: &str = "127.0.0.1";

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an address of this machine.
    pub(crate) host: String,
    /// 0 picks a free one.
    pub(crate) port: u16,
}

impl Address {
    pub(crate) fn loopback(port: u16) -> Self {
        Self { host: LOOPBACK.to_owned(), port }
    }
}

/// Where the values of a part are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    /// In the data directory if the engine has one, else in memory.
    #[default]
    Default,
    /// In memory in any case.
    Memory,
}

/// The settings of all parts; `None`: the part is switched off.
#[derive(Debug, Clone)]
pub(crate) struct EngineSettings {
    /// The listener for workers.
    pub(crate) worker: WorkerSettings,
    /// HTTP triggers.
    pub(crate) http: Option<HttpPart>,
    /// Streams and their listener.
    pub(crate) stream: Option<StreamSettings>,
    /// State.
    pub(crate) state: Option<(StateSettings, Keep)>,
    /// Queues.
    pub(crate) queue: Option<(QueueSettings, Keep)>,
    /// Topics.
    pub(crate) pubsub: bool,
    /// Schedules.
    pub(crate) cron: bool,
    /// Traces, metrics and logs: every engine has them.
    pub(crate) observability: ObservabilitySettings,
}

impl Default for EngineSettings {
    /// Everything is on.
    fn default() -> Self {
        Self {
            worker: WorkerSettings::default(),
            http: Some(HttpPart::default()),
            stream: Some(StreamSettings::default()),
            state: Some(Default::default()),
            queue: Some(Default::default()),
            pubsub: true,
            cron: true,
            observability: ObservabilitySettings::default(),
        }
    }
}

impl EngineSettings {
    /// Only what every engine has (protocol section 11.1).
    pub(crate) fn mandatory() -> Self {
        Self {
            worker: WorkerSettings::default(),
            http: None,
            stream: None,
            state: None,
            queue: None,
            pubsub: false,
            cron: false,
            observability: ObservabilitySettings::default(),
        }
    }
}

/// The listener for workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkerSettings {
    /// Default `127.0.0.1`, port 49134.
    pub(crate) address: Address,
    /// From the connection to the end of the handshake. Default 10 s.
    pub(crate) handshake_timeout: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self { address: Address::loopback(49134), handshake_timeout: Duration::from_secs(10) }
    }
}

/// The listener for HTTP triggers, and its limits.
#[derive(Debug, Clone)]
pub(crate) struct HttpPart {
    /// Default `127.0.0.1`, port 3111.
    pub(crate) address: Address,
    /// What requests may take.
    pub(crate) limits: HttpSettings,
}

impl Default for HttpPart {
    fn default() -> Self {
        Self { address: Address::loopback(3111), limits: HttpSettings::default() }
    }
}

/// Streams and their listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// The name or address to listen on. Default `127.0.0.1`.
    pub host: String,
    /// The port of the stream WebSocket; 0 picks a free one. Default 3112.
    pub port: u16,
    /// The function that is asked who a client is. Default: none, everybody gets in.
    pub auth_function: Option<String>,
    /// Whether items stay in memory even if the engine has a data directory. Default: no.
    pub in_memory: bool,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self { host: LOOPBACK.to_owned(), port: 3112, auth_function: None, in_memory: false }
    }
}
