//! What an engine can be told: a typed value for each of its parts, with its defaults.

use super::listener::WorkerListeners;
use crate::http::HttpSettings;
use crate::http_function::HttpFunctionSettings;
use crate::observability::ObservabilitySettings;
use crate::queue::QueueSettings;
use crate::state::StateSettings;

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
    /// The listeners for workers.
    pub(crate) workers: WorkerListeners,
    /// HTTP triggers.
    pub(crate) http: Option<HttpPart>,
    /// Functions that HTTP endpoints serve.
    pub(crate) http_functions: Option<HttpFunctionSettings>,
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
            workers: WorkerListeners::default(),
            http: Some(HttpPart::default()),
            http_functions: Some(HttpFunctionSettings::default()),
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
            workers: WorkerListeners::default(),
            http: None,
            http_functions: None,
            stream: None,
            state: None,
            queue: None,
            pubsub: false,
            cron: false,
            observability: ObservabilitySettings::default(),
        }
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
    /// Pages of other machines that may connect, by their origins, such as `https://app.example.com`; `*` lets all in.
    /// Default: none.
    pub allowed_origins: Vec<String>,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            host: LOOPBACK.to_owned(),
            port: 3112,
            auth_function: None,
            in_memory: false,
            allowed_origins: Vec::new(),
        }
    }
}
