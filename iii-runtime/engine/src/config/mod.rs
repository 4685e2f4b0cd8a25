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
use settings::Component;
pub use settings::StreamSettings;
pub(crate) use settings::{EngineSettings, Persistence};

/// Configures and starts an [`Engine`](super::Engine).
///
/// Without a file, all components are on. With a file, the components that it lists are on, and those that every engine
/// has. A setting of a component that is off makes [`start`](Self::start) fail.
///
/// Methods return the builder for chaining, and can be called conditionally:
///
/// ```
/// # mod iii { pub use iii_engine as engine; pub use iii_wire::{Error, Result}; }
/// use iii::engine::Engine;
///
/// # async fn start(port: Option<u16>) -> iii::Result<()> {
/// let mut builder = Engine::builder();
/// builder.data_dir("./data").http_body_limit(1 << 20);
/// if let Some(port) = port {
///     builder.http_port(port);
/// }
/// let engine = builder.start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct EngineBuilder {
    pub(crate) settings: EngineSettings,
    /// The components that methods configured, with the name of the setting.
    configured: Vec<(Component, &'static str)>,
    pub(crate) clock: Clock,
    pub(crate) namespace_grace: Duration,
    pub(crate) listeners: bool,
    pub(crate) data_dir: Option<PathBuf>,
    /// The data directories that the file names, with their lines.
    pub(crate) file_directories: Vec<(u64, String)>,
    pub(crate) limits: Limits,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            settings: EngineSettings::default(),
            configured: Vec::new(),
            clock: Clock::system(),
            namespace_grace: Duration::from_secs(5),
            listeners: true,
            data_dir: None,
            file_directories: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl EngineBuilder {
    /// Reads the settings from YAML in the format of the official engine ([protocol 11](iii_wire::protocol#s11)).
    ///
    /// `${NAME}` and `${NAME:default}` expand to environment variables. Listeners without a host listen on `127.0.0.1`.
    ///
    /// # Errors
    ///
    /// [`INVALID_CONFIGURATION`](iii_wire::code::INVALID_CONFIGURATION): the message lists all invalid and unsupported
    /// settings, by line.
    pub fn from_yaml(text: &str) -> Result<Self> {
        file::read("the configuration", text, &env_variable)
    }

    /// Reads the settings from a YAML file, see [`EngineBuilder::from_yaml`]. The file is read once and never written.
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

    /// Sets the host name or address of all listeners, including those declared before. Default `127.0.0.1`: only
    /// programs on this machine can connect.
    pub fn host(&mut self, host: impl Into<String>) -> &mut Self {
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

    /// Sets the port for workers, of the first listener if there are several; 0 selects a free one. Default 49134.
    pub fn worker_port(&mut self, port: u16) -> &mut Self {
        self.settings.workers.first_mut().address.port = port;
        self
    }

    /// Adds a listener for workers. The first one replaces the default listener.
    ///
    /// ```
    /// # mod iii { pub use iii_engine as engine; pub use iii_wire::{Error, Result}; }
    /// use iii::engine::{Access, Engine, FunctionFilter, WorkerListener};
    ///
    /// let guests = Access::new().expose(FunctionFilter::matching("api::*"));
    /// let mut builder = Engine::builder();
    /// builder
    ///     .listener(WorkerListener::new())
    ///     .listener(WorkerListener::new().port(49135).access(guests));
    /// ```
    pub fn listener(&mut self, listener: WorkerListener) -> &mut Self {
        self.settings.workers.declare(listener);
        self
    }

    /// Sets the port for HTTP triggers; 0 selects a free one. Default 3111.
    pub fn http_port(&mut self, port: u16) -> &mut Self {
        self.configured.push((Component::Http, "`http_port` (III_HTTP_PORT)"));
        if let Some(http) = &mut self.settings.http {
            http.address.port = port;
        }
        self
    }

    /// Sets the port of the stream WebSocket; 0 selects a free one. Default 3112.
    pub fn stream_port(&mut self, port: u16) -> &mut Self {
        self.configured.push((Component::Streams, "`stream_port` (III_STREAM_PORT)"));
        if let Some(stream) = &mut self.settings.stream {
            stream.port = port;
        }
        self
    }

    /// Sets the directory in which the engine stores its data durably, also across crashes. The directory is created if
    /// it does not exist, and locked by one engine at a time. Default: the directory that the file names, otherwise
    /// everything is stored in memory.
    pub fn data_dir(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.data_dir = Some(directory.into());
        self
    }

    /// Stores everything in memory, whatever directory was set before or the file names.
    pub fn in_memory(&mut self) -> &mut Self {
        self.data_dir = None;
        self.file_directories.clear();
        self
    }

    /// Sets the limits of what clients can consume.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = limits;
        self
    }

    /// Sets the browser origins that may connect to the ports for workers and streams beside local ones, such as
    /// `https://app.example.com`; `*` allows all. Default: none.
    ///
    /// Browsers send the origin of a page in the header `Origin`. Pages of this machine (`localhost`, `127.0.0.1`,
    /// `[::1]`) may always connect, and so may clients without the header, which are not browsers.
    pub fn allowed_origins<I>(&mut self, origins: I) -> &mut Self
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

    /// Sets a function of the namespace `default` that authorizes clients of the port for streams. Default: all clients
    /// may connect.
    ///
    /// It receives `{"headers","path","query_params","addr"}` and returns `{"context": …}`. If it fails or returns
    /// anything else, the client is answered with 401.
    pub fn stream_auth_function(&mut self, id: impl Into<String>) -> &mut Self {
        self.configured.push((Component::Streams, "`stream_auth_function`"));
        if let Some(stream) = &mut self.settings.stream {
            stream.auth_function = Some(id.into());
        }
        self
    }

    /// Configures a named queue, replacing one of the same name. The queue `default` always exists.
    pub fn queue(&mut self, name: impl Into<String>, settings: NamedQueue) -> &mut Self {
        self.configured.push((Component::Queues, "`queue`"));
        if let Some((queues, _)) = &mut self.settings.queue {
            queues.queues.insert(name.into(), settings);
        }
        self
    }

    /// Sets the clock of cron schedules and of all timestamps. Default: the system clock.
    pub fn clock(&mut self, clock: Clock) -> &mut Self {
        self.clock = clock;
        self
    }

    /// Sets how long a worker may take to announce its namespace ([protocol 3.3](iii_wire::protocol#s3-3)). Default 5 s.
    pub fn namespace_grace(&mut self, grace: Duration) -> &mut Self {
        self.namespace_grace = grace;
        self
    }

    /// Sets the timeout of an HTTP request until its response begins, after which it is answered with 504. Default 30 s.
    pub fn http_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.configured.push((Component::Http, "`http_timeout`"));
        if let Some(http) = &mut self.settings.http {
            http.requests.timeout = timeout;
        }
        self
    }

    /// Sets the maximum size of the JSON body of an HTTP request in bytes; a larger one is answered with 413. Default
    /// 4 MiB.
    ///
    /// Other bodies are streamed to the function, without a limit.
    pub fn http_body_limit(&mut self, bytes: usize) -> &mut Self {
        self.configured.push((Component::Http, "`http_body_limit`"));
        self.limits.http.body_bytes = bytes;
        self
    }

    /// Sets the maximum number of concurrent HTTP requests; further ones are answered with 503. Default 1024.
    ///
    /// A streamed response counts until it begins.
    pub fn http_concurrency(&mut self, requests: usize) -> &mut Self {
        self.configured.push((Component::Http, "`http_concurrency`"));
        if let Some(http) = &mut self.settings.http {
            http.requests.concurrency = requests;
        }
        self
    }

    /// Sets which browser origins may use HTTP triggers. Default: all.
    pub fn http_cors(&mut self, settings: CorsSettings) -> &mut Self {
        self.configured.push((Component::Http, "`http_cors`"));
        if let Some(http) = &mut self.settings.http {
            http.requests.cors = settings;
        }
        self
    }

    /// Adds a middleware function for all HTTP requests with a route. It runs before the body is read and before the
    /// middleware of the route, and may respond to the request ([protocol 5.1](iii_wire::protocol#s5-1)).
    ///
    /// Middleware runs in ascending order of its priority, then in the order in which it was added. It is looked up in
    /// the namespace of the route's function. If it is missing or fails, the request is answered with its error; if it
    /// exceeds [`EngineBuilder::http_timeout`], with 504 and the code `MIDDLEWARE_TIMEOUT`.
    pub fn http_middleware(&mut self, function_id: impl Into<String>, priority: i64) -> &mut Self {
        self.configured.push((Component::Http, "`http_middleware`"));
        if let Some(http) = &mut self.settings.http {
            http.requests.middleware.push((priority, function_id.into().into()));
        }
        self
    }

    /// Sets which endpoints may serve functions that workers register with a URL ([protocol 4.8](iii_wire::protocol#s4-8)); `None` turns
    /// such functions off. Default: public addresses over https, which requires the feature `tls` of this crate.
    pub fn http_functions(
        &mut self,
        settings: impl Into<Option<HttpFunctionSettings>>,
    ) -> &mut Self {
        self.settings.http_functions = settings.into();
        self
    }

    /// Sets the settings of streams; `None` turns streams off.
    pub fn streams(&mut self, settings: impl Into<Option<StreamSettings>>) -> &mut Self {
        self.settings.stream = settings.into();
        self
    }

    /// Sets how traces, metrics and logs of workers are stored. Default: see [`ObservabilitySettings`].
    pub fn observability(&mut self, settings: ObservabilitySettings) -> &mut Self {
        self.settings.observability = settings;
        self
    }

    /// Opens no sockets: workers can only connect through [`Engine::local`](super::Engine::local). Hosts and ports are
    /// ignored.
    pub fn without_listeners(&mut self) -> &mut Self {
        self.listeners = false;
        self
    }

    /// Checks that no method configured a component that is off.
    ///
    /// # Errors
    ///
    /// [`INVALID_CONFIGURATION`](iii_wire::code::INVALID_CONFIGURATION), with all contradictions in one message.
    pub(crate) fn check_components(&self) -> Result<()> {
        let contradictions: Vec<String> =
            Component::ALL.iter().filter_map(|component| self.contradiction(*component)).collect();
        match contradictions.is_empty() {
            true => Ok(()),
            false => Err(Error::new(code::INVALID_CONFIGURATION, contradictions.join("\n"))),
        }
    }

    /// The message for a component that is off although methods configured it.
    fn contradiction(&self, component: Component) -> Option<String> {
        if self.settings.has(component) {
            return None;
        }
        let mut settings = Vec::new();
        for (configured, setting) in &self.configured {
            if *configured == component && !settings.contains(setting) {
                settings.push(*setting);
            }
        }
        (!settings.is_empty()).then(|| {
            format!(
                "{} are off, but these settings configure them: {}; list `{}` in the configuration file, or remove the \
                 settings",
                component.name(),
                settings.join(", "),
                component.entry()
            )
        })
    }

    /// Returns the data directory. The engine has one store for all components.
    pub(crate) fn directory(&self) -> Result<Option<PathBuf>> {
        if let Some(directory) = &self.data_dir {
            return Ok(Some(directory.clone()));
        }
        let Some((first, directory)) = self.file_directories.first() else { return Ok(None) };
        let other = self.file_directories.iter().find(|(_, path)| path != directory);
        if let Some((other, second)) = other {
            let message = format!(
                "this engine stores all data in one directory, but the configuration names `{directory}` (line {first}) \
                 and `{second}` (line {other}): use the same `file_path` everywhere, or set III_DATA_DIR"
            );
            return Err(Error::new(code::INVALID_CONFIGURATION, message));
        }
        Ok(Some(directory.into()))
    }
}
