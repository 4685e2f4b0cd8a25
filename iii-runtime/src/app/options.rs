//! Settings of a worker that also have a variable of their name: see [`Settings`](super::Settings).

use super::App;

impl App {
    /// Sets the version of the worker, as lists show it. Default: `III_WORKER_VERSION`, then that of the package.
    pub fn version(&mut self, version: impl Into<String>) -> &mut Self {
        self.settings.version = Some(version.into());
        self
    }

    /// Sets what the worker runs in, as lists show it, such as `container`. Default: `III_ISOLATION`, then none.
    pub fn isolation(&mut self, isolation: impl Into<String>) -> &mut Self {
        self.settings.isolation = Some(isolation.into());
        self
    }

    /// Sets how many invocations may run or wait, of the whole worker; more are refused with `overloaded`. Default:
    /// `III_MAX_IN_FLIGHT`, then 65,536.
    pub fn max_in_flight(&mut self, most: usize) -> &mut Self {
        self.settings.max_in_flight = Some(most.max(1));
        self
    }

    /// Sets the address that the engine in this process listens on: an IP address, or a name of this machine. Default:
    /// `III_HOST`, then `127.0.0.1`.
    pub fn host(&mut self, host: impl Into<String>) -> &mut Self {
        self.settings.host = Some(host.into());
        self
    }

    /// Sets the port for workers of the engine in this process; 0 picks a free one. Default: `III_WORKER_PORT`, then
    /// 49134.
    pub fn worker_port(&mut self, port: u16) -> &mut Self {
        self.settings.worker_port = Some(port);
        self
    }

    /// Sets the port for HTTP triggers of the engine in this process; 0 picks a free one. Default: `III_HTTP_PORT`, then
    /// 3111.
    pub fn http_port(&mut self, port: u16) -> &mut Self {
        self.settings.http_port = Some(port);
        self
    }

    /// Sets the port for those who subscribe to streams of the engine in this process; 0 picks a free one. Default:
    /// `III_STREAM_PORT`, then 3112.
    pub fn stream_port(&mut self, port: u16) -> &mut Self {
        self.settings.stream_port = Some(port);
        self
    }

    /// Configures the embedded engine: limits, CORS, HTTP timeout and middleware, access rules, further listeners. May be
    /// called several times; later calls come last.
    ///
    /// `configure` runs when the app starts, after the settings of the app and of the environment have been applied, and so
    /// wins over them. Settings that contradict each other fail the start with `invalid_configuration`. An external engine
    /// has its own settings: with `III_URL`, `configure` does not run. In tests, the engine keeps no listeners, no data
    /// directory and no clock of its own, whatever `configure` sets.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let mut app = iii::App::new();
    /// app.engine(|engine| {
    ///     engine.http_timeout(Duration::from_secs(5)).http_body_limit(64 << 10);
    /// });
    /// ```
    #[cfg(feature = "engine")]
    pub fn engine(
        &mut self,
        configure: impl Fn(&mut iii_engine::EngineBuilder) + Send + Sync + 'static,
    ) -> &mut Self {
        self.settings.engine.push(std::sync::Arc::new(configure));
        self
    }

    /// Sets up a named queue of the engine in this process, in place of an earlier one of this name. There is always one
    /// named `default`. An engine elsewhere has its own settings ([protocol 5.4](crate::protocol#s5-4)).
    ///
    /// ```
    /// use iii::engine::NamedQueue;
    ///
    /// # let mut app = iii::App::new();
    /// app.queue("mails", NamedQueue { max_retries: 5, ..NamedQueue::default() });
    /// ```
    #[cfg(feature = "engine")]
    pub fn queue(
        &mut self,
        name: impl Into<String>,
        settings: iii_engine::NamedQueue,
    ) -> &mut Self {
        self.settings.queues.push((name.into(), settings));
        self
    }
}
