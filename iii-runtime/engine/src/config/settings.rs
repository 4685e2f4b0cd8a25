//! Typed settings of each component, with their defaults.

use super::listener::WorkerListeners;
use crate::http::HttpSettings;
use crate::http_function::HttpFunctionSettings;
use crate::observability::ObservabilitySettings;
use crate::queue::QueueSettings;
use crate::state::StateSettings;

/// The default host: only programs on this machine can connect.
pub(crate) const LOOPBACK: &str = "127.0.0.1";

/// The address of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A host name or an IP address of this machine.
    pub(crate) host: String,
    /// The port; 0 selects a free one.
    pub(crate) port: u16,
}

impl Address {
    pub(crate) fn loopback(port: u16) -> Self {
        Self { host: LOOPBACK.to_owned(), port }
    }
}

/// Where a component stores its values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// In the data directory if the engine has one, otherwise in memory.
    #[default]
    Default,
    /// Always in memory.
    Memory,
}

/// A component that can be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    /// HTTP triggers.
    Http,
    /// Streams.
    Streams,
    /// Queues.
    Queues,
}

impl Component {
    /// All components that can be off and that methods of the builder configure.
    pub(super) const ALL: [Self; 3] = [Self::Http, Self::Streams, Self::Queues];

    /// Returns the name, in the plural.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP triggers",
            Self::Streams => "streams",
            Self::Queues => "queues",
        }
    }

    /// Returns the name of its entry in the file.
    pub(super) fn entry(self) -> &'static str {
        match self {
            Self::Http => "iii-http",
            Self::Streams => "iii-stream",
            Self::Queues => "iii-queue",
        }
    }
}

/// The settings of all components; `None` if a component is off.
#[derive(Debug, Clone)]
pub(crate) struct EngineSettings {
    /// Listeners for workers.
    pub(crate) workers: WorkerListeners,
    /// HTTP triggers.
    pub(crate) http: Option<HttpListenerSettings>,
    /// Functions that HTTP endpoints serve.
    pub(crate) http_functions: Option<HttpFunctionSettings>,
    /// Streams and their listener.
    pub(crate) stream: Option<StreamSettings>,
    /// State.
    pub(crate) state: Option<(StateSettings, Persistence)>,
    /// Queues.
    pub(crate) queue: Option<(QueueSettings, Persistence)>,
    /// Publish/subscribe topics.
    pub(crate) pubsub: bool,
    /// Cron schedules.
    pub(crate) cron: bool,
    /// Traces, metrics and logs, which every engine has.
    pub(crate) observability: ObservabilitySettings,
}

impl Default for EngineSettings {
    /// All components are on.
    fn default() -> Self {
        Self {
            workers: WorkerListeners::default(),
            http: Some(HttpListenerSettings::default()),
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
    /// Returns whether a component is on.
    pub(super) fn has(&self, component: Component) -> bool {
        match component {
            Component::Http => self.http.is_some(),
            Component::Streams => self.stream.is_some(),
            Component::Queues => self.queue.is_some(),
        }
    }

    /// Returns the settings with only the components that every engine has ([protocol 11.1](iii_wire::protocol#s11-1)).
    pub(crate) fn minimal() -> Self {
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

/// The HTTP listener and the settings of its requests.
#[derive(Debug, Clone)]
pub(crate) struct HttpListenerSettings {
    /// Default `127.0.0.1`, port 3111.
    pub(crate) address: Address,
    /// Settings of requests.
    pub(crate) requests: HttpSettings,
}

impl Default for HttpListenerSettings {
    fn default() -> Self {
        Self { address: Address::loopback(3111), requests: HttpSettings::default() }
    }
}

/// Settings of streams and their listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// The host name or address to listen on. Default `127.0.0.1`.
    pub host: String,
    /// The port of the stream WebSocket; 0 selects a free one. Default 3112.
    pub port: u16,
    /// The function that authorizes clients. Default: none, all clients may connect.
    pub auth_function: Option<String>,
    /// Whether items are kept in memory even if the engine has a data directory. Default: false.
    pub in_memory: bool,
    /// Other browser origins that may connect, such as `https://app.example.com`; `*` allows all. Default: none.
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
