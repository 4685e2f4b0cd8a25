//! The settings of a worker: what the app says, then the environment, then the defaults.

use std::path::PathBuf;
use std::time::Duration;

use crate::declare::texts;
use crate::error::{Error, Result, code};
use crate::protocol::{DEFAULT_NAMESPACE, Namespace};
use crate::worker::{Backoff, Conflict};

/// The settings of a worker, and the environment variables they come from.
///
/// | variable | meaning | default |
/// |---|---|---|
/// | `III_URL` | the engine to connect to, such as `ws://127.0.0.1:49134` | an engine in this process |
/// | `III_NAMESPACE` | the namespace of the worker | `default` |
/// | `III_WORKER_NAME` | its name | the name of the package |
/// | `III_ISOLATION` | what the worker runs in, shown in lists | none |
/// | `III_HOST` | the address that the engine in this process listens on | `127.0.0.1` |
/// | `III_WORKER_PORT` | its port for workers; 0 picks a free one | 49134 |
/// | `III_HTTP_PORT` | its port for HTTP triggers; 0 picks a free one | 3111 |
/// | `III_STREAM_PORT` | its port for those who subscribe to streams; 0 picks a free one | 3112 |
/// | `III_DATA_DIR` | the directory that keeps what it stores, also over a crash | stores are in memory |
/// | `III_TRACE_PAYLOADS` | `1`: inputs and outputs of handlers are events of their spans (feature `otel`) | they are not |
/// | `OTEL_ENABLED` | `false`: no telemetry is sent (feature `otel`) | it is |
/// | `III_READY_FILE` | the file that is there while the worker is ready | none |
/// | `RUST_LOG` | what is logged: `info`, `my_crate=debug,iii=warn` | `info` |
///
/// The other variables of telemetry are listed in [`iii::telemetry`](crate::telemetry).
///
/// A variable that is blank counts as not set. What the app sets wins over the environment.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) name: Option<String>,
    /// The name of the package, for a worker that is not named.
    pub(crate) package: Option<String>,
    pub(crate) version: String,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) url: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) call_timeout: Duration,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) concurrency: usize,
    pub(crate) accepted: usize,
    pub(crate) grace: Duration,
    pub(crate) host: String,
    pub(crate) worker_port: u16,
    pub(crate) http_port: u16,
    pub(crate) stream_port: u16,
    pub(crate) data_dir: Option<PathBuf>,
    #[cfg(feature = "otel")]
    pub(crate) telemetry: crate::telemetry::TelemetrySettings,
    #[cfg(feature = "engine")]
    pub(crate) http_functions: Option<crate::engine::HttpFunctionSettings>,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) conflict: Conflict,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: None,
            package: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            namespace: None,
            url: None,
            headers: Vec::new(),
            call_timeout: Duration::from_secs(30),
            handler_timeout: None,
            concurrency: 1024,
            accepted: 65_536,
            grace: Duration::from_secs(30),
            host: "127.0.0.1".to_owned(),
            worker_port: 49134,
            http_port: 3111,
            stream_port: 3112,
            data_dir: None,
            #[cfg(feature = "otel")]
            telemetry: crate::telemetry::TelemetrySettings::default(),
            #[cfg(feature = "engine")]
            http_functions: Some(crate::engine::HttpFunctionSettings::default()),
            ready_file: None,
            backoff: None,
            conflict: Conflict::default(),
        }
    }
}

impl Settings {
    /// Fills in what the app has not said.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` names the variable and what is expected.
    pub(crate) fn with_environment(self) -> Result<Self> {
        self.with_variables(|name| std::env::var(name).ok())
    }

    fn with_variables(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        self.name = self.name.or_else(|| variable("III_WORKER_NAME"));
        self.url = self.url.or_else(|| variable("III_URL"));
        self.namespace = self.namespace.or_else(|| variable("III_NAMESPACE").map(Namespace::from));
        if self.namespace.as_ref().is_some_and(|namespace| namespace.trim().is_empty()) {
            return Err(invalid(
                "the namespace is blank; leave it out to use `default`".to_owned(),
            ));
        }
        let names =
            [("worker name", self.name.as_deref()), ("namespace", self.namespace.as_deref())];
        for (what, text) in names.iter().filter_map(|(what, text)| Some((what, (*text)?))) {
            texts::name(what, text).map_err(invalid)?;
        }
        if let Some(host) = variable("III_HOST") {
            self.host = host.trim().to_owned();
        }
        if let Some(port) = variable("III_WORKER_PORT") {
            self.worker_port = parse("III_WORKER_PORT", &port, "a port from 0 to 65535")?;
        }
        if let Some(port) = variable("III_HTTP_PORT") {
            self.http_port = parse("III_HTTP_PORT", &port, "a port from 0 to 65535")?;
        }
        if let Some(port) = variable("III_STREAM_PORT") {
            self.stream_port = parse("III_STREAM_PORT", &port, "a port from 0 to 65535")?;
        }
        self.data_dir = self.data_dir.or_else(|| variable("III_DATA_DIR").map(PathBuf::from));
        #[cfg(feature = "otel")]
        self.telemetry.read(&variable)?;
        self.ready_file = self.ready_file.or_else(|| variable("III_READY_FILE").map(PathBuf::from));
        Ok(self)
    }

    pub(crate) fn namespace_or_default(&self) -> Namespace {
        self.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.into())
    }
}

fn parse<T: std::str::FromStr>(name: &str, value: &str, expected: &str) -> Result<T> {
    value
        .trim()
        .parse()
        .map_err(|_| invalid(format!("{name} is `{value}`, and must be {expected}")))
}

fn invalid(text: String) -> Error {
    Error::new(code::INVALID_CONFIGURATION, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::default().with_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn blank_variables_count_as_not_set() {
        let settings = with(&[("III_URL", " "), ("III_NAMESPACE", ""), ("III_HOST", " ")]).unwrap();
        assert!(settings.url.is_none() && settings.namespace.is_none());
    }

    #[test]
    fn variables_are_read() {
        let settings = with(&[
            ("III_URL", "ws://x:1"),
            ("III_NAMESPACE", "shop"),
            ("III_WORKER_NAME", "orders"),
            ("III_HTTP_PORT", "0"),
            ("III_WORKER_PORT", "7"),
            ("III_STREAM_PORT", "9"),
            ("III_DATA_DIR", "/data"),
            ("III_HOST", "::1"),
        ])
        .unwrap();
        assert_eq!(settings.url.as_deref(), Some("ws://x:1"));
        assert_eq!(settings.namespace_or_default(), "shop");
        assert_eq!(settings.name.as_deref(), Some("orders"));
        assert_eq!((settings.http_port, settings.worker_port, settings.stream_port), (0, 7, 9));
        assert_eq!(settings.data_dir, Some("/data".into()));
        assert_eq!(settings.host, "::1");
    }

    #[test]
    fn a_bad_variable_is_named() {
        for (name, value) in
            [("III_HTTP_PORT", "70000"), ("III_WORKER_PORT", "x"), ("III_STREAM_PORT", "-1")]
        {
            let error = with(&[(name, value)]).unwrap_err();
            assert_eq!(error.code(), code::INVALID_CONFIGURATION);
            assert!(error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn what_the_app_says_wins() {
        let said = Settings { name: Some("mine".into()), ..Settings::default() };
        let settings = said.with_variables(|_| Some("7".to_owned()).filter(|_| false)).unwrap();
        assert_eq!(settings.name.as_deref(), Some("mine"));
    }
}
