//! What is sent of a worker, and where: what the app says, then the environment, then the defaults ([protocol 12.2](crate::protocol#s12-2)).

use std::time::Duration;

use iii_wire::{Error, Result, code};

/// The settings of the telemetry of one worker.
#[derive(Debug, Clone)]
pub(crate) struct TelemetrySettings {
    /// Whether anything is sent. `None`: it is, unless the environment says no.
    pub(crate) enabled: Option<bool>,
    /// Whether the inputs and outputs of handlers are events of their spans.
    pub(crate) payloads: Option<bool>,
    /// Bytes of one of these.
    pub(crate) payload_bytes: usize,
    /// Names whose values are never sent, beside those that are known; in small letters.
    pub(crate) redact: Vec<String>,
    /// The OTLP collector that the app names.
    pub(crate) collector: Option<String>,
    /// The kinds of telemetry that the environment names a collector for.
    pub(crate) collected: Signals,
    /// The kinds for which it says in which form.
    pub(crate) forms: Signals,
    /// Whether metrics are sent.
    pub(crate) metrics: bool,
    /// How often they are.
    pub(crate) metric_interval: Option<Duration>,
    /// How long spans wait for more of them.
    pub(crate) span_delay: Duration,
    /// How long log records do.
    pub(crate) log_delay: Duration,
    /// Log records that are sent together.
    pub(crate) log_batch: Option<usize>,
    pub(crate) service_name: Option<String>,
    pub(crate) service_version: Option<String>,
    pub(crate) service_namespace: Option<String>,
    pub(crate) service_instance: Option<String>,
}

/// Kinds of telemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signals {
    pub(crate) traces: bool,
    pub(crate) metrics: bool,
    pub(crate) logs: bool,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            enabled: None,
            payloads: None,
            payload_bytes: 16 << 10,
            redact: Vec::new(),
            collector: None,
            collected: Signals::default(),
            forms: Signals::default(),
            metrics: true,
            metric_interval: None,
            span_delay: Duration::from_millis(100),
            log_delay: Duration::from_millis(100),
            log_batch: None,
            service_name: None,
            service_version: None,
            service_namespace: None,
            service_instance: None,
        }
    }
}

impl TelemetrySettings {
    /// Fills in what the app has not said. `variable` gives no blank values.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` names the variable and what is expected.
    pub(crate) fn read(&mut self, variable: &dyn Fn(&str) -> Option<String>) -> Result<()> {
        let flag = |name: &str| variable(name).map(|value| read_flag(name, &value)).transpose();
        // The only value of this one that means something is `true` (OpenTelemetry's own rule).
        let disabled =
            variable("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        if disabled {
            self.enabled = self.enabled.or(Some(false));
        }
        self.enabled = self.enabled.or(flag("OTEL_ENABLED")?);
        let asked = flag("III_TRACE_PAYLOADS")?;
        self.payloads = match flag("III_DISABLE_TRACE_PAYLOADS")? {
            // Whoever runs the program must be able to keep its payloads in, whatever is written there.
            Some(true) => Some(false),
            _ => self.payloads.or(asked),
        };
        let bytes = variable("III_TRACE_PAYLOAD_MAX_BYTES");
        // What the SDKs write for `as many as there are`; an engine cuts them anyway.
        if let Some(bytes) = bytes.filter(|bytes| !bytes.trim().eq_ignore_ascii_case("unlimited")) {
            self.payload_bytes = number("III_TRACE_PAYLOAD_MAX_BYTES", &bytes, "bytes")?;
        }
        self.metrics = flag("OTEL_METRICS_ENABLED")?.unwrap_or(self.metrics);
        let millis = |name: &str| {
            let value = variable(name).map(|value| number(name, &value, "milliseconds"));
            value.transpose().map(|millis| millis.map(|n| Duration::from_millis(n as u64)))
        };
        if let Some(interval) = millis("OTEL_METRIC_EXPORT_INTERVAL")? {
            self.metric_interval = self.metric_interval.or(Some(interval));
        }
        self.span_delay = millis("OTEL_SPANS_FLUSH_INTERVAL_MS")?.unwrap_or(self.span_delay);
        self.log_delay = millis("OTEL_LOGS_FLUSH_INTERVAL_MS")?.unwrap_or(self.log_delay);
        if let Some(batch) = variable("OTEL_LOGS_BATCH_SIZE") {
            self.log_batch = Some(number("OTEL_LOGS_BATCH_SIZE", &batch, "records")?);
        }
        let said = |what: &str| {
            let of_all = variable(&format!("OTEL_EXPORTER_OTLP_{what}")).is_some();
            let of = |signal: &str| {
                of_all || variable(&format!("OTEL_EXPORTER_OTLP_{signal}_{what}")).is_some()
            };
            Signals { traces: of("TRACES"), metrics: of("METRICS"), logs: of("LOGS") }
        };
        self.collected = said("ENDPOINT");
        self.forms = said("PROTOCOL");
        self.service_name = variable("OTEL_SERVICE_NAME");
        self.service_version = variable("SERVICE_VERSION");
        self.service_namespace = variable("SERVICE_NAMESPACE");
        self.service_instance = variable("SERVICE_INSTANCE_ID");
        Ok(())
    }
}

/// A yes or a no, in the words that the SDKs take.
fn read_flag(name: &str, value: &str) -> Result<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(invalid(format!("{name} is `{value}`, and must be `true` or `false`"))),
    }
}

fn number(name: &str, value: &str, unit: &str) -> Result<usize> {
    let number = value.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        invalid(format!("{name} is `{value}`, and must be a number of {unit} from 1 on"))
    })
}

fn invalid(text: String) -> Error {
    Error::new(code::INVALID_CONFIGURATION, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: TelemetrySettings, variables: &[(&str, &str)]) -> Result<TelemetrySettings> {
        let mut settings = settings;
        settings.read(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned())
        })?;
        Ok(settings)
    }

    fn read(variables: &[(&str, &str)]) -> TelemetrySettings {
        with(TelemetrySettings::default(), variables).unwrap()
    }

    #[test]
    fn it_is_on_and_shows_no_payloads_unless_told() {
        let usual = read(&[]);
        assert_eq!((usual.enabled, usual.payloads), (None, None));
        assert_eq!(read(&[("OTEL_ENABLED", "false")]).enabled, Some(false));
        assert_eq!(read(&[("OTEL_SDK_DISABLED", "TRUE")]).enabled, Some(false));
        assert_eq!(read(&[("OTEL_SDK_DISABLED", "1")]).enabled, None);
        assert_eq!(read(&[("III_TRACE_PAYLOADS", "1")]).payloads, Some(true));
        let both = [("III_TRACE_PAYLOADS", "1"), ("III_DISABLE_TRACE_PAYLOADS", "true")];
        assert_eq!(read(&both).payloads, Some(false));
    }

    #[test]
    fn what_the_app_says_wins() {
        let said = TelemetrySettings {
            enabled: Some(true),
            payloads: Some(false),
            metric_interval: Some(Duration::from_secs(1)),
            ..TelemetrySettings::default()
        };
        let variables = [
            ("OTEL_ENABLED", "false"),
            ("OTEL_SDK_DISABLED", "true"),
            ("III_TRACE_PAYLOADS", "true"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "5"),
        ];
        let settings = with(said, &variables).unwrap();
        assert_eq!((settings.enabled, settings.payloads), (Some(true), Some(false)));
        assert_eq!(settings.metric_interval, Some(Duration::from_secs(1)));
        let said = TelemetrySettings { payloads: Some(true), ..TelemetrySettings::default() };
        let kept_in = with(said, &[("III_DISABLE_TRACE_PAYLOADS", "1")]).unwrap();
        assert_eq!(kept_in.payloads, Some(false), "but this one must be obeyed");
    }

    #[test]
    fn sizes_times_and_collectors_are_read() {
        let settings = read(&[
            ("III_TRACE_PAYLOAD_MAX_BYTES", "10"),
            ("OTEL_SPANS_FLUSH_INTERVAL_MS", "5"),
            ("OTEL_LOGS_BATCH_SIZE", "7"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://x/v1/logs"),
        ]);
        assert_eq!((settings.payload_bytes, settings.log_batch), (10, Some(7)));
        assert_eq!(settings.span_delay, Duration::from_millis(5));
        let only_logs = Signals { logs: true, ..Signals::default() };
        assert_eq!(settings.collected, only_logs);
        let all = Signals { traces: true, metrics: true, logs: true };
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x")]).collected, all);
        assert_eq!(read(&[("III_TRACE_PAYLOAD_MAX_BYTES", "unlimited")]).payload_bytes, 16 << 10);
    }

    #[test]
    fn a_bad_variable_is_named() {
        for (name, value) in [
            ("OTEL_ENABLED", "maybe"),
            ("III_TRACE_PAYLOADS", "2"),
            ("III_TRACE_PAYLOAD_MAX_BYTES", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
            ("OTEL_LOGS_BATCH_SIZE", "x"),
        ] {
            let error = with(TelemetrySettings::default(), &[(name, value)]).unwrap_err();
            assert_eq!(error.code(), code::INVALID_CONFIGURATION);
            assert!(error.message().contains(name), "{error}");
        }
    }
}
