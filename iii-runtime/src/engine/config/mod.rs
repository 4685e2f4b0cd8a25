//! The settings of an engine: from code, from a YAML file, and their defaults.

mod file;
mod observing;
mod parts;
mod settings;
mod tree;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Engine;
use super::expand::environment;
use super::observability::ObservabilitySettings;
use super::queue::NamedQueue;
use super::store::CAPACITY;
use crate::clock::Clock;
use crate::error::{Error, Result, code};

pub use settings::StreamSettings;
pub(crate) use settings::{EngineSettings, Keep};

/// The settings of an engine that is about to start.
///
/// Without a file, all parts are on. With a file, those that it lists are, and those that every engine has.
#[derive(Debug, Clone)]
pub struct EngineBuilder {
    pub(super) settings: EngineSettings,
    pub(super) clock: Clock,
    pub(super) namespace_grace: Duration,
    pub(super) listeners: bool,
    pub(super) data_dir: Option<PathBuf>,
    /// Those that the file asks for, with their lines.
    pub(super) directories: Vec<(u64, String)>,
    pub(super) store_bytes: usize,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            settings: EngineSettings::default(),
            clock: Clock::system(),
            namespace_grace: Duration::from_secs(5),
            listeners: true,
            data_dir: None,
            directories: Vec::new(),
            store_bytes: CAPACITY,
        }
    }
}

impl EngineBuilder {
    /// The settings of a YAML text, as the official engine reads them (protocol section 11).
    ///
    /// `${NAME}` and `${NAME:default}` stand for environment variables. Listeners are on `127.0.0.1` where the text does
    /// not say otherwise.
    ///
    /// # Errors
    ///
    /// Code [`INVALID_CONFIGURATION`](crate::error::code::INVALID_CONFIGURATION): the message lists everything that is
    /// wrong or not supported, by line.
    pub fn from_yaml(text: &str) -> Result<Self> {
        file::read("the configuration", text, &environment)
    }

    /// The settings of a YAML file; see [`EngineBuilder::from_yaml`]. The file is only read, and only once.
    ///
    /// # Errors
    ///
    /// As [`EngineBuilder::from_yaml`], and if the file cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = format!("the file `{}`", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(code::INVALID_CONFIGURATION, format!("{name} cannot be read: {error}"))
        })?;
        file::read(&name, &text, &environment)
    }

    /// The address that all listeners are on. Default `127.0.0.1`: only programs of this machine get in.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        let host = host.into();
        if let Some(http) = &mut self.settings.http {
            http.address.host.clone_from(&host);
        }
        if let Some(stream) = &mut self.settings.stream {
            stream.host.clone_from(&host);
        }
        self.settings.worker.address.host = host;
        self
    }

    /// The port for workers; 0 picks a free one. Default 49134.
    #[must_use]
    pub fn worker_port(mut self, port: u16) -> Self {
        self.settings.worker.address.port = port;
        self
    }

    /// The port for HTTP triggers; 0 picks a free one. Default 3111.
    #[must_use]
    pub fn http_port(mut self, port: u16) -> Self {
        if let Some(http) = &mut self.settings.http {
            http.address.port = port;
        }
        self
    }

    /// The port of the stream WebSocket; 0 picks a free one. Default 3112.
    #[must_use]
    pub fn stream_port(mut self, port: u16) -> Self {
        if let Some(stream) = &mut self.settings.stream {
            stream.port = port;
        }
        self
    }

    /// Keeps what the engine stores in a directory, so that it is there again after a restart, also after a crash. The
    /// directory is made if there is none; one engine at a time uses it. Default: in memory, or where the file says.
    #[must_use]
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(directory.into());
        self
    }

    /// How many bytes of keys and values the engine stores; more are refused. All of it is in memory. Default 1 GiB.
    #[must_use]
    pub fn store_limit(mut self, bytes: usize) -> Self {
        self.store_bytes = bytes;
        self
    }

    /// A function of the namespace `default` that decides who may connect to the port for streams. Default: everybody.
    ///
    /// It gets `{"headers","path","query_params","addr"}` and must give `{"context": …}`. If it fails, or gives anything
    /// else, the client is answered with 401.
    #[must_use]
    pub fn stream_auth_function(mut self, id: impl Into<String>) -> Self {
        if let Some(stream) = &mut self.settings.stream {
            stream.auth_function = Some(id.into());
        }
        self
    }

    /// Sets up a named queue, in place of an earlier one of this name. There is always one named `default`.
    #[must_use]
    pub fn queue(mut self, name: impl Into<String>, settings: NamedQueue) -> Self {
        if let Some((queues, _)) = &mut self.settings.queue {
            queues.queues.insert(name.into(), settings);
        }
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
        if let Some(http) = &mut self.settings.http {
            http.limits.timeout = timeout;
        }
        self
    }

    /// How long a JSON body of an HTTP request may be, in bytes; a longer one is answered with 413. Default 4 MiB.
    ///
    /// Other bodies are streamed to the function, and may be of any length.
    #[must_use]
    pub fn http_body_limit(mut self, bytes: usize) -> Self {
        if let Some(http) = &mut self.settings.http {
            http.limits.body_limit = bytes;
        }
        self
    }

    /// How many HTTP requests are handled at a time; one more is answered with 503. Default 1024.
    ///
    /// A response that is streamed counts until it begins.
    #[must_use]
    pub fn http_concurrency(mut self, requests: usize) -> Self {
        if let Some(http) = &mut self.settings.http {
            http.limits.concurrency = requests;
        }
        self
    }

    /// The settings of streams; `None` switches them off.
    #[must_use]
    pub fn streams(mut self, settings: impl Into<Option<StreamSettings>>) -> Self {
        self.settings.stream = settings.into();
        self
    }

    /// What is kept of the traces, metrics and logs that workers send. Default: see [`ObservabilitySettings`].
    #[must_use]
    pub fn observability(mut self, settings: ObservabilitySettings) -> Self {
        self.settings.observability = settings;
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
    /// Code [`LISTEN_FAILED`](crate::error::code::LISTEN_FAILED) if an address cannot be listened on,
    /// [`STORE_FAILED`](crate::error::code::STORE_FAILED) if the data directory cannot be used,
    /// [`INVALID_CONFIGURATION`](crate::error::code::INVALID_CONFIGURATION) if the file names several of them.
    pub async fn start(self) -> Result<Engine> {
        Engine::start(self).await
    }

    /// Where everything that is durable is kept: the engine has one store.
    pub(super) fn directory(&self) -> Result<Option<PathBuf>> {
        if let Some(directory) = &self.data_dir {
            return Ok(Some(directory.clone()));
        }
        let Some((first, directory)) = self.directories.first() else { return Ok(None) };
        if let Some((other, second)) = self.directories.iter().find(|(_, path)| path != directory) {
            let message = format!(
                "this engine keeps everything in one directory, and the configuration names `{directory}` (line {first}) \
                 and `{second}` (line {other}): make each `file_path` the same, or say which with III_DATA_DIR"
            );
            return Err(Error::new(code::INVALID_CONFIGURATION, message));
        }
        Ok(Some(directory.into()))
    }
}
