//! The settings of an engine: from code, from a YAML file, and their defaults.

mod access;
mod components;
mod file;
mod limits;
mod listener;
mod observability;
mod settings;
mod yaml;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::expand::env_variable;
use super::http::CorsSettings;
use super::http_function::HttpFunctionSettings;
use super::observability::ObservabilitySettings;
use super::queue::NamedQueue;
use crate::limits::Limits;
use iii_wire::clock::Clock;
use iii_wire::{Error, Result, code};

pub use listener::WorkerListener;
pub use settings::StreamSettings;
pub(crate) use settings::{EngineSettings, Persistence};

/// The settings of an engine that is about to start.
///
/// Without a file, all parts are on. With a file, those that it lists are, and those that every engine has.
#[derive(Debug, Clone)]
pub struct EngineBuilder {
    pub(crate) settings: EngineSettings,
    pub(crate) clock: Clock,
    pub(crate) namespace_grace: Duration,
    pub(crate) listeners: bool,
    pub(crate) data_dir: Option<PathBuf>,
    /// Those that the file asks for, with their lines.
    pub(crate) directories: Vec<(u64, String)>,
    pub(crate) limits: Limits,
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
            limits: Limits::default(),
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
    /// Code [`INVALID_CONFIGURATION`](iii_wire::code::INVALID_CONFIGURATION): the message lists everything that is
    /// wrong or not supported, by line.
    pub fn from_yaml(text: &str) -> Result<Self> {
        file::read("the configuration", text, &env_variable)
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
        file::read(&name, &text, &env_variable)
    }

    /// The address that all listeners are on, those declared before included. Default `127.0.0.1`: only programs of this
    /// machine get in.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        let host = host.into();
        if let Some(http) = &mut self.settings.http {
            http.address.host.clone_from(&host);
        }
        if let Some(stream) = &mut self.settings.stream {
            stream.host.clone_from(&host);
        }
        for listener in self.settings.workers.iter_mut() {
            listener.address.host.clone_from(&host);
        }
        self
    }

    /// The port for workers, that of the first listener if there are several; 0 picks a free one. Default 49134.
    #[must_use]
    pub fn worker_port(mut self, port: u16) -> Self {
        self.settings.workers.first_mut().address.port = port;
        self
    }

    /// Adds a listener for workers. The first one takes the place of the one that every engine has without.
    ///
    /// ```
    /// use iii::engine::{Access, Engine, FunctionFilter, WorkerListener};
    ///
    /// let guests = Access::new().expose(FunctionFilter::matching("api::*"));
    /// let builder = Engine::builder()
    ///     .listener(WorkerListener::new())
    ///     .listener(WorkerListener::new().port(49135).access(guests));
    /// ```
    #[must_use]
    pub fn listener(mut self, listener: WorkerListener) -> Self {
        self.settings.workers.declare(listener);
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

    /// What clients can use up, at most: all bounds in one place.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Pages of other machines that may connect to the ports for workers and streams, by their origins, such as
    /// `https://app.example.com`; `*` lets all in. Default: none.
    ///
    /// A page in a browser can reach a port of the machine that it is shown on. It says by the header `Origin` whose page
    /// it is, and is let in only if that is this machine (`localhost`, `127.0.0.1`, `[::1]`) or in this list. Programs send
    /// no `Origin`.
    #[must_use]
    pub fn allowed_origins<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let origins: Vec<String> = origins.into_iter().map(Into::into).collect();
        if let Some(stream) = &mut self.settings.stream {
            stream.allowed_origins.clone_from(&origins);
        }
        for listener in self.settings.workers.iter_mut() {
            listener.allowed_origins.clone_from(&origins);
        }
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
            http.requests.timeout = timeout;
        }
        self
    }

    /// How long a JSON body of an HTTP request may be, in bytes; a longer one is answered with 413. Default 4 MiB.
    ///
    /// Other bodies are streamed to the function, and may be of any length.
    #[must_use]
    pub fn http_body_limit(mut self, bytes: usize) -> Self {
        self.limits.http.body_bytes = bytes;
        self
    }

    /// How many HTTP requests are handled at a time; one more is answered with 503. Default 1024.
    ///
    /// A response that is streamed counts until it begins.
    #[must_use]
    pub fn http_concurrency(mut self, requests: usize) -> Self {
        if let Some(http) = &mut self.settings.http {
            http.requests.concurrency = requests;
        }
        self
    }

    /// Which pages of other hosts may use HTTP triggers. Default: all.
    #[must_use]
    pub fn http_cors(mut self, settings: CorsSettings) -> Self {
        if let Some(http) = &mut self.settings.http {
            http.requests.cors = settings;
        }
        self
    }

    /// Adds a function that sees every HTTP request that has a route, before its body is read and before the route's own
    /// middleware, and may answer it (protocol section 5.1).
    ///
    /// Functions of a lower priority are asked first, those of one priority in the order in which they were added. It is
    /// looked for in the namespace of the route's function. Where it is missing or fails, the request is answered with
    /// its error; where it takes longer than [`EngineBuilder::http_timeout`], with 504 and the code `MIDDLEWARE_TIMEOUT`.
    #[must_use]
    pub fn http_middleware(mut self, function_id: impl Into<String>, priority: i64) -> Self {
        if let Some(http) = &mut self.settings.http {
            http.requests.middleware.push((priority, function_id.into().into()));
        }
        self
    }

    /// Which endpoints may serve functions that workers register with a URL (protocol section 4.8); `None` switches such
    /// functions off. Default: public addresses over https, which needs the feature `tls` of this crate.
    #[must_use]
    pub fn http_functions(mut self, settings: impl Into<Option<HttpFunctionSettings>>) -> Self {
        self.settings.http_functions = settings.into();
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

    /// Where everything that is durable is kept: the engine has one store.
    pub(crate) fn directory(&self) -> Result<Option<PathBuf>> {
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
