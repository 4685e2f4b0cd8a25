//! The settings of an engine, and their defaults.

use std::time::Duration;

use super::Engine;
use super::http::HttpSettings;
use super::queue::QueueSettings;
use crate::clock::Clock;
use crate::error::Result;
use crate::protocol::FunctionId;

/// The settings of an engine that is about to start.
#[derive(Debug, Clone)]
pub struct EngineBuilder {
    pub(super) host: String,
    pub(super) worker_port: u16,
    pub(super) http_port: u16,
    pub(super) stream_port: u16,
    pub(super) stream_auth_function: Option<FunctionId>,
    pub(super) clock: Clock,
    pub(super) namespace_grace: Duration,
    pub(super) http: HttpSettings,
    pub(super) queues: QueueSettings,
    pub(super) listeners: bool,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            worker_port: 49134,
            http_port: 3111,
            stream_port: 3112,
            stream_auth_function: None,
            clock: Clock::system(),
            namespace_grace: Duration::from_secs(5),
            http: HttpSettings::default(),
            queues: QueueSettings::default(),
            listeners: true,
        }
    }
}

impl EngineBuilder {
    /// The address to listen on. Default `127.0.0.1`: only programs of this machine get in.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// The port for workers; 0 picks a free one. Default 49134.
    #[must_use]
    pub fn worker_port(mut self, port: u16) -> Self {
        self.worker_port = port;
        self
    }

    /// The port for HTTP triggers; 0 picks a free one. Default 3111.
    #[must_use]
    pub fn http_port(mut self, port: u16) -> Self {
        self.http_port = port;
        self
    }

    /// The port for those who subscribe to streams; 0 picks a free one. Default 3112.
    #[must_use]
    pub fn stream_port(mut self, port: u16) -> Self {
        self.stream_port = port;
        self
    }

    /// A function of the namespace `default` that decides who may connect to the port for streams. Default: everybody.
    ///
    /// It gets `{"headers","path","query_params","addr"}` and must give `{"context": …}`. If it fails, or gives anything
    /// else, the client is answered with 401.
    #[must_use]
    pub fn stream_auth_function(mut self, id: impl Into<FunctionId>) -> Self {
        self.stream_auth_function = Some(id.into());
        self
    }

    /// The clock of cron and of all times that are told. Default: that of the machine.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How long a worker may take to say its namespace (protocol section 3.3). Default 5 s.
    #[must_use]
    pub fn namespace_grace(mut self, grace: Duration) -> Self {
        self.namespace_grace = grace;
        self
    }

    /// How long an HTTP request may take until its response begins; then it is answered with 504. Default 30 s.
    #[must_use]
    pub fn http_timeout(mut self, timeout: Duration) -> Self {
        self.http.timeout = timeout;
        self
    }

    /// How long a JSON body of an HTTP request may be, in bytes; a longer one is answered with 413. Default 4 MiB.
    ///
    /// Other bodies are streamed to the function, and may be of any length.
    #[must_use]
    pub fn http_body_limit(mut self, bytes: usize) -> Self {
        self.http.body_limit = bytes;
        self
    }

    /// How many HTTP requests are handled at a time; one more is answered with 503. Default 1024.
    ///
    /// A response that is streamed counts until it begins.
    #[must_use]
    pub fn http_concurrency(mut self, requests: usize) -> Self {
        self.http.concurrency = requests;
        self
    }

    /// No sockets: only [`Engine::local`] leads in.
    #[must_use]
    pub fn without_listeners(mut self) -> Self {
        self.listeners = false;
        self
    }

    /// Starts the engine. All listeners are bound before anything is served.
    ///
    /// # Errors
    ///
    /// Code [`LISTEN_FAILED`](crate::error::code::LISTEN_FAILED) if an address cannot be listened on.
    pub async fn start(self) -> Result<Engine> {
        Engine::start(self).await
    }
}
