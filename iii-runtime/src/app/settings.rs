//! The settings of a worker: what the app says, then the environment, then the defaults.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::duration;
use crate::names;
use crate::time::Backoff;
use crate::worker::Conflict;
use iii_wire::protocol::{DEFAULT_NAMESPACE, Namespace};
use iii_wire::{Error, Result, code};

/// The settings of a worker: methods of [`App`](crate::App), and the environment variables of the same names.
///
/// | variable | method | meaning | default |
/// |---|---|---|---|
/// | `III_URL` | `url` | the engine to connect to, such as `ws://127.0.0.1:49134` | an engine in this process |
/// | `III_HEADERS` | `header` | headers of the handshake: `name=value,name=value`, with `%2C` for a comma in a value | none |
/// | `III_NAMESPACE` | `namespace` | the namespace of the worker | `default` |
/// | `III_WORKER_NAME` | `name` | its name | the name of the package |
/// | `III_WORKER_VERSION` | `version` | its version, shown in lists | that of the package |
/// | `III_ISOLATION` | `isolation` | what the worker runs in, shown in lists | none |
/// | `III_CALL_TIMEOUT` | `call_timeout` | how long a caller waits, where the call does not say | `30s` |
/// | `III_HANDLER_TIMEOUT` | `handler_timeout` | how long a handler may take, where its function does not say | as long as it wants |
/// | `III_CONCURRENCY` | `concurrency` | how many handlers run at the same time; more wait | 1024 |
/// | `III_MAX_IN_FLIGHT` | `max_in_flight` | how many invocations run or wait; more are refused | 65536 |
/// | `III_GRACE` | `grace` | how long handlers may go on after the worker is told to stop | `30s` |
/// | `III_CONFIG_FILE` | `config_file` | the file of [configurations](macro@crate::Config) | none |
/// | `III_HOST` | `host` | the address that the engine in this process listens on | `127.0.0.1` |
/// | `III_WORKER_PORT` | `worker_port` | its port for workers; 0 picks a free one | 49134 |
/// | `III_HTTP_PORT` | `http_port` | its port for HTTP triggers; 0 picks a free one | 3111 |
/// | `III_STREAM_PORT` | `stream_port` | its port for those who subscribe to streams; 0 picks a free one | 3112 |
/// | `III_DATA_DIR` | `data_dir` | the directory that keeps what it stores, also over a crash | stores are in memory |
/// | `III_BACKOFF` | `backoff` | the first and the longest pause between attempts to reach the engine | `1s..30s` |
/// | `III_ON_CONFLICT` | `on_conflict` | `fail` or `warn`: what to do when another worker has a function id | `fail` |
/// | `III_READY_FILE` | `ready_file` | the file that is there while the worker is ready | none |
/// | `III_TRACE_PAYLOADS` | `trace_payloads` | `1`: inputs and outputs of handlers are events of their spans (feature `otel`) | they are not |
/// | `OTEL_ENABLED` | `telemetry` | `false`: no telemetry is sent (feature `otel`) | it is |
/// | `RUST_LOG` | | what is logged: `info`, `my_crate=debug,iii=warn` | `info` |
///
/// The other variables of telemetry are listed in [`iii::telemetry`](crate::telemetry).
///
/// A variable that is blank counts as not set. What the app sets wins over the environment. Spans of time are text, such
/// as `30s`, `1m 30s` or `500ms`. All that cannot be used is reported at the start, in one `invalid_configuration`.
#[derive(Clone, Default)]
pub struct Settings {
    pub(crate) name: Option<String>,
    /// The name of the package, for a worker that is not named.
    pub(crate) package: Option<String>,
    pub(crate) version: Option<String>,
    /// The version of the package, for a worker that says none.
    pub(crate) package_version: Option<String>,
    pub(crate) isolation: Option<String>,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) url: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) call_timeout: Option<Duration>,
    pub(crate) handler_timeout: Option<Duration>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) grace: Option<Duration>,
    pub(crate) host: Option<String>,
    pub(crate) worker_port: Option<u16>,
    pub(crate) http_port: Option<u16>,
    pub(crate) stream_port: Option<u16>,
    pub(crate) data_dir: Option<PathBuf>,
    #[cfg(feature = "otel")]
    pub(crate) telemetry: crate::telemetry::TelemetrySettings,
    /// What the app says; `None`: it says nothing.
    #[cfg(feature = "engine")]
    pub(crate) http_functions: Option<Option<iii_engine::HttpFunctionSettings>>,
    /// What configures the embedded engine, in the order of the calls.
    #[cfg(feature = "engine")]
    pub(crate) engine: Vec<ConfigureEngine>,
    #[cfg(feature = "engine")]
    pub(crate) queues: Vec<(String, iii_engine::NamedQueue)>,
    pub(crate) ready_file: Option<PathBuf>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) conflict: Option<Conflict>,
    pub(crate) config_file: Option<PathBuf>,
}

/// Configures the embedded engine.
#[cfg(feature = "engine")]
pub(crate) type ConfigureEngine =
    std::sync::Arc<dyn Fn(&mut iii_engine::EngineBuilder) + Send + Sync>;

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values of headers may be secrets.
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Settings")
            .field("name", &self.name_of_worker())
            .field("namespace", &self.namespace)
            .field("url", &self.url)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Fills in what the app has not said.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` names each variable, and each setting of the app, that cannot be used, and what is
    /// expected.
    pub(crate) fn with_environment(self) -> Result<Self> {
        self.with_variables(|name| std::env::var(name).ok())
    }

    /// As [`Settings::with_environment`], with variables from elsewhere.
    pub(super) fn with_variables(
        mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut problems = Vec::new();
        for (name, text) in [
            ("name of the worker", self.name.as_deref()),
            ("version of the worker", self.version.as_deref()),
            ("namespace", self.namespace.as_deref()),
            ("host", self.host.as_deref()),
            ("url", self.url.as_deref()),
        ] {
            if text.is_some_and(|text| text.trim().is_empty()) {
                problems.push(format!("the {name} is blank; leave it out to use the default"));
            }
        }
        let variable = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        self.name = self.name.or_else(|| variable("III_WORKER_NAME"));
        self.version = self.version.or_else(|| variable("III_WORKER_VERSION"));
        self.isolation = self.isolation.or_else(|| variable("III_ISOLATION"));
        self.url = self.url.or_else(|| variable("III_URL"));
        self.namespace = self.namespace.or_else(|| variable("III_NAMESPACE").map(Namespace::from));
        let names =
            [("worker name", self.name.as_deref()), ("namespace", self.namespace.as_deref())];
        for (what, text) in names.iter().filter_map(|(what, text)| Some((what, (*text)?))) {
            if !text.trim().is_empty()
                && let Err(problem) = names::validate(what, text)
            {
                problems.push(problem);
            }
        }
        self.host = self.host.or_else(|| variable("III_HOST"));
        self.data_dir = self.data_dir.or_else(|| variable("III_DATA_DIR").map(PathBuf::from));
        self.config_file =
            self.config_file.or_else(|| variable("III_CONFIG_FILE").map(PathBuf::from));

        let mut reader = Reader { variable: &variable, problems: &mut problems };
        let port = |text: &str| text.parse::<u16>().ok();
        let a_port = "a port from 0 to 65535";
        reader.fill(&mut self.worker_port, "III_WORKER_PORT", a_port, port);
        reader.fill(&mut self.http_port, "III_HTTP_PORT", a_port, port);
        reader.fill(&mut self.stream_port, "III_STREAM_PORT", a_port, port);
        let count = |text: &str| text.parse::<usize>().ok().filter(|count| *count > 0);
        let a_count = "a whole number of at least 1";
        reader.fill(&mut self.concurrency, "III_CONCURRENCY", a_count, count);
        reader.fill(&mut self.max_in_flight, "III_MAX_IN_FLIGHT", a_count, count);
        let some_time = |text: &str| duration(text).filter(|time| !time.is_zero());
        let a_time = "a span of time longer than zero, such as `30s` or `1m 30s`";
        reader.fill(&mut self.call_timeout, "III_CALL_TIMEOUT", a_time, some_time);
        reader.fill(&mut self.handler_timeout, "III_HANDLER_TIMEOUT", a_time, some_time);
        let any_time = "a span of time, such as `30s`, `1m 30s` or `0s`";
        reader.fill(&mut self.grace, "III_GRACE", any_time, duration);
        reader.fill(
            &mut self.backoff,
            "III_BACKOFF",
            "two spans of time, such as `1s..30s`",
            pauses,
        );
        let conflict = |text: &str| match text {
            "fail" => Some(Conflict::Fail),
            "warn" => Some(Conflict::Warn),
            _ => None,
        };
        reader.fill(&mut self.conflict, "III_ON_CONFLICT", "`fail` or `warn`", conflict);
        let mut headers = None;
        let pairs = "pairs of `name=value` with commas between";
        reader.fill_secret(&mut headers, "III_HEADERS", pairs, parse_headers);
        for (name, value) in headers.into_iter().flatten() {
            if !self.headers.iter().any(|(said, _)| said.eq_ignore_ascii_case(&name)) {
                self.headers.push((name, value));
            }
        }
        self.ready_file = self.ready_file.or_else(|| variable("III_READY_FILE").map(PathBuf::from));
        #[cfg(feature = "otel")]
        if let Err(error) = self.telemetry.read(&variable) {
            problems.push(error.message().to_owned());
        }
        match problems.len() {
            0 => Ok(self),
            _ => Err(Error::new(code::INVALID_CONFIGURATION, problems.join("\n"))),
        }
    }

    /// Which endpoints the engine in this process may call; `None`: none.
    #[cfg(feature = "engine")]
    pub(crate) fn http_functions(&self) -> Option<iii_engine::HttpFunctionSettings> {
        self.http_functions.clone().unwrap_or_else(|| Some(Default::default()))
    }

    pub(crate) fn namespace_or_default(&self) -> Namespace {
        self.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.into())
    }

    /// The name that the worker was given, or that of its package.
    pub(crate) fn name_of_worker(&self) -> Option<String> {
        self.name.clone().or_else(|| self.package.clone())
    }

    /// The version that the worker was given, or that of its package.
    pub(crate) fn version_of_worker(&self) -> String {
        let version = self.version.as_ref().or(self.package_version.as_ref());
        version.map_or_else(|| env!("CARGO_PKG_VERSION").to_owned(), Clone::clone)
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        self.call_timeout.unwrap_or(Duration::from_secs(30))
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency.unwrap_or(1024)
    }

    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_in_flight.unwrap_or(65_536)
    }

    pub(crate) fn grace(&self) -> Duration {
        self.grace.unwrap_or(Duration::from_secs(30))
    }
}

/// What the engine in this process is told.
#[cfg(feature = "engine")]
impl Settings {
    /// Applies the address, the ports and the data directory to the builder. Those that are not set keep the defaults of
    /// the engine: setting them would contradict a component that is off.
    pub(crate) fn configure(&self, builder: &mut iii_engine::EngineBuilder) {
        if let Some(host) = &self.host {
            builder.host(host);
        }
        if let Some(port) = self.worker_port {
            builder.worker_port(port);
        }
        if let Some(port) = self.http_port {
            builder.http_port(port);
        }
        if let Some(port) = self.stream_port {
            builder.stream_port(port);
        }
        if let Some(directory) = &self.data_dir {
            builder.data_dir(directory);
        }
    }
}

/// Reads variables, and notes those that cannot be used.
struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Vec<String>,
}

impl Reader<'_> {
    /// Fills in what the app has not said.
    fn fill<T>(
        &mut self,
        setting: &mut Option<T>,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) {
        if setting.is_some() {
            return;
        }
        let Some(text) = (self.variable)(name) else { return };
        *setting = parse(&text);
        if setting.is_none() {
            self.problems.push(format!("{name} is `{text}`, and must be {expected}"));
        }
    }

    /// As [`Reader::fill`], for what is not shown.
    fn fill_secret<T>(
        &mut self,
        setting: &mut Option<T>,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) {
        let Some(text) = (self.variable)(name) else { return };
        *setting = parse(&text);
        if setting.is_none() {
            self.problems.push(format!("{name} cannot be read, and must be {expected}"));
        }
    }
}

/// Reads the first and the longest pause: `1s..30s`.
fn pauses(text: &str) -> Option<Backoff> {
    let (initial, max) = text.split_once("..")?;
    let (initial, max) = (duration(initial.trim())?, duration(max.trim())?);
    (!initial.is_zero() && initial <= max).then(|| Backoff { initial, max, ..Backoff::default() })
}

/// Reads headers in the form of `OTEL_EXPORTER_OTLP_HEADERS`.
fn parse_headers(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?;
            let name = name.trim();
            (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::App;

    /// Each variable, with a value that differs from the default.
    const ALL: &[(&str, &str)] = &[
        ("III_URL", "ws://x:1"),
        ("III_HEADERS", "authorization=Bearer%20a%2Cb, x-a=1"),
        ("III_NAMESPACE", "shop"),
        ("III_WORKER_NAME", "orders"),
        ("III_WORKER_VERSION", "7.0.0"),
        ("III_ISOLATION", "container"),
        ("III_CALL_TIMEOUT", "1m 30s"),
        ("III_HANDLER_TIMEOUT", "500ms"),
        ("III_CONCURRENCY", "3"),
        ("III_MAX_IN_FLIGHT", "4"),
        ("III_GRACE", "0s"),
        ("III_CONFIG_FILE", "/etc/orders.json"),
        ("III_READY_FILE", "/run/ready"),
        ("III_BACKOFF", "2s..1m"),
        ("III_ON_CONFLICT", "warn"),
        ("III_HOST", "::1"),
        ("III_WORKER_PORT", "7"),
        ("III_HTTP_PORT", "0"),
        ("III_STREAM_PORT", "9"),
        ("III_DATA_DIR", "/data"),
    ];

    fn filled(settings: Settings, variables: &[(&str, &str)]) -> Result<Settings> {
        settings.with_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned())
        })
    }

    fn with(variables: &[(&str, &str)]) -> Result<Settings> {
        filled(Settings::default(), variables)
    }

    /// All that can be set, to compare.
    fn facts(settings: &Settings) -> Vec<String> {
        let Settings {
            name,
            package: _,
            version,
            package_version: _,
            isolation,
            namespace,
            url,
            headers,
            call_timeout,
            handler_timeout,
            concurrency,
            max_in_flight,
            grace,
            host,
            worker_port,
            http_port,
            stream_port,
            data_dir,
            config_file,
            ready_file,
            // They have no variables, or their own tests.
            #[cfg(feature = "otel")]
                telemetry: _,
            #[cfg(feature = "engine")]
                http_functions: _,
            #[cfg(feature = "engine")]
                engine: _,
            #[cfg(feature = "engine")]
                queues: _,
            backoff,
            conflict,
        } = settings;
        vec![
            format!("{name:?}"),
            format!("{version:?}"),
            format!("{isolation:?}"),
            format!("{namespace:?}"),
            format!("{url:?}"),
            format!("{headers:?}"),
            format!("{call_timeout:?}"),
            format!("{handler_timeout:?}"),
            format!("{concurrency:?}"),
            format!("{max_in_flight:?}"),
            format!("{grace:?}"),
            format!("{host:?}"),
            format!("{worker_port:?}"),
            format!("{http_port:?}"),
            format!("{stream_port:?}"),
            format!("{data_dir:?}"),
            format!("{config_file:?}"),
            format!("{ready_file:?}"),
            format!("{backoff:?}"),
            format!("{conflict:?}"),
        ]
    }

    fn said() -> Settings {
        let mut app = App::new();
        app.name("orders")
            .version("7.0.0")
            .isolation("container")
            .namespace("shop")
            .url("ws://x:1")
            .header("authorization", "Bearer a,b")
            .header("x-a", "1")
            .call_timeout(Duration::from_secs(90))
            .handler_timeout(Duration::from_millis(500))
            .concurrency(3)
            .max_in_flight(4)
            .grace(Duration::ZERO)
            .ready_file("/run/ready")
            .backoff(Backoff {
                initial: Duration::from_secs(2),
                max: Duration::from_secs(60),
                ..Backoff::default()
            })
            .on_conflict(Conflict::Warn)
            .host("::1")
            .worker_port(7)
            .http_port(0)
            .stream_port(9)
            .data_dir("/data")
            .config_file("/etc/orders.json");
        app.settings
    }

    #[test]
    fn each_setting_has_a_variable_and_a_method() {
        let by_variables = facts(&with(ALL).unwrap());
        assert_eq!(by_variables, facts(&said()));
        assert!(!by_variables.contains(&"None".to_owned()), "{by_variables:?}");
    }

    #[test]
    fn what_the_app_says_wins() {
        let others: Vec<(&str, &str)> = ALL
            .iter()
            .map(|(name, _)| match *name {
                "III_HEADERS" => (*name, "authorization=other"),
                name if name.ends_with("PORT") => (name, "1"),
                name if name.ends_with("TIMEOUT") || name == "III_GRACE" => (name, "1s"),
                name => (name, "1"),
            })
            .collect();
        assert_eq!(facts(&filled(said(), &others).unwrap()), facts(&said()));
    }

    #[test]
    fn blank_variables_count_as_not_set() {
        let blank: Vec<(&str, &str)> = ALL.iter().map(|(name, _)| (*name, " ")).collect();
        assert_eq!(facts(&with(&blank).unwrap()), facts(&Settings::default()));
    }

    #[test]
    fn all_bad_variables_are_named_in_one_report() {
        let bad = [
            ("III_HTTP_PORT", "70000"),
            ("III_WORKER_PORT", "x"),
            ("III_STREAM_PORT", "-1"),
            ("III_CALL_TIMEOUT", "30"),
            ("III_HANDLER_TIMEOUT", "0s"),
            ("III_GRACE", "soon"),
            ("III_CONCURRENCY", "0"),
            ("III_MAX_IN_FLIGHT", "many"),
            ("III_HEADERS", "secret-without-name"),
            ("III_BACKOFF", "30s..1s"),
            ("III_ON_CONFLICT", "win"),
        ];
        let error = with(&bad).unwrap_err();
        assert_eq!(error.code(), code::INVALID_CONFIGURATION);
        for (name, _) in bad {
            assert!(error.message().contains(name), "`{name}` is missing in: {error}");
        }
        assert!(!error.message().contains("secret-without-name"), "{error}");
    }

    #[test]
    fn blank_texts_of_the_app_are_refused() {
        let mut app = App::new();
        app.name(" ").namespace("").host("\t").url("").version("");
        let error = filled(app.settings, &[]).unwrap_err();
        for part in ["the name of the worker", "the namespace", "the host", "the url", "version"] {
            assert!(error.message().contains(part), "`{part}` is missing in: {error}");
        }
    }

    #[test]
    fn headers_are_not_shown() {
        let shown = format!("{:?}", with(ALL).unwrap());
        assert!(shown.contains("authorization") && !shown.contains("Bearer"), "{shown}");
    }
}
