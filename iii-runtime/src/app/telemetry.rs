//! What the app says about its telemetry.

use std::time::Duration;

use super::App;

/// With the feature `otel`; what is not said here comes from the environment (see [`iii::telemetry`](crate::telemetry)).
impl App {
    /// Sets whether traces, metrics and logs are sent. Default: they are, unless `OTEL_ENABLED` is `false` or
    /// `OTEL_SDK_DISABLED` is `true`.
    pub fn telemetry(&mut self, on: bool) -> &mut Self {
        self.settings.telemetry.enabled = Some(on);
        self
    }

    /// Sets whether the inputs and outputs of handlers are events of their spans. Default: `III_TRACE_PAYLOADS`, else not.
    /// `III_DISABLE_TRACE_PAYLOADS` keeps them in whatever is said here.
    ///
    /// Values of fields whose names say that they are secrets are left out; [`App::redact`] adds more names.
    pub fn trace_payloads(&mut self, on: bool) -> &mut Self {
        self.settings.telemetry.payloads = Some(on);
        self
    }

    /// Names of fields whose values are never sent, in payloads, spans, log records and baggage; in capitals or not. Names such as
    /// `password`, `token`, `secret` and `authorization` are known already.
    ///
    /// ```no_run
    /// # let mut app = iii::App::new();
    /// app.redact(["iban", "birthday"]);
    /// ```
    pub fn redact<N: Into<String>>(&mut self, names: impl IntoIterator<Item = N>) -> &mut Self {
        let names = names.into_iter().map(|name| name.into().to_lowercase());
        self.settings.telemetry.redact.extend(names);
        self
    }

    /// Sets the OTLP collector to which everything is sent as well, over HTTP: `http://localhost:4318`. Default:
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, else none. An address that is none is refused at the start.
    pub fn collector(&mut self, url: impl Into<String>) -> &mut Self {
        self.settings.telemetry.collector = Some(url.into());
        self
    }

    /// Sets how often metrics are sent. Default: `OTEL_METRIC_EXPORT_INTERVAL` in milliseconds, else 60 s.
    pub fn metrics_every(&mut self, interval: Duration) -> &mut Self {
        self.settings.telemetry.metric_interval = Some(interval);
        self
    }
}
