//! Telemetry for an OTLP collector over HTTP: an address that the app or the environment names.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig,
    WithHttpConfig,
};
use tokio_tungstenite::tungstenite::Bytes;

use crate::telemetry::settings::{Signals, TelemetrySettings};
use iii_wire::{Error, Result, code};

/// Bytes of an answer; collectors have little to say.
const ANSWER: usize = 64 << 10;
/// However long the environment lets a collector think: nobody waits longer.
const LONGEST: Duration = Duration::from_secs(60);

/// A collector.
pub(super) struct Collector {
    address: Option<String>,
    signals: Signals,
    forms: Signals,
    client: Arc<Posting>,
}

impl Collector {
    /// The collector that the settings name, if they do.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` if what the app names is no address.
    pub(super) fn of(settings: &TelemetrySettings) -> Result<Option<Self>> {
        let signals = match &settings.collector {
            Some(_) => Signals { traces: true, metrics: true, logs: true },
            None => settings.collected,
        };
        if signals == Signals::default() {
            return Ok(None);
        }
        let address = settings.collector.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let client = Arc::new(Posting::new());
        Ok(Some(Self { address, signals, forms: settings.forms, client }))
    }

    pub(super) fn spans(&self) -> Result<Option<SpanExporter>> {
        self.built(self.signals.traces, || {
            let builder = SpanExporter::builder().with_http();
            self.sent(builder, "/v1/traces", self.forms.traces).build()
        })
    }

    pub(super) fn metrics(&self) -> Result<Option<MetricExporter>> {
        self.built(self.signals.metrics, || {
            let builder = MetricExporter::builder().with_http();
            self.sent(builder, "/v1/metrics", self.forms.metrics).build()
        })
    }

    pub(super) fn logs(&self) -> Result<Option<LogExporter>> {
        self.built(self.signals.logs, || {
            let builder = LogExporter::builder().with_http();
            self.sent(builder, "/v1/logs", self.forms.logs).build()
        })
    }

    /// Ends all requests at once.
    pub(super) fn stop(&self) {
        self.client.stopped.store(true, Ordering::Relaxed);
    }

    /// Where a builder sends to. What is not said here, the library takes from the environment.
    fn sent<B>(&self, builder: B, path: &str, form_is_said: bool) -> B
    where
        B: WithExportConfig + WithHttpConfig,
    {
        let mut builder = builder.with_shared_http_client(self.client.clone());
        if !form_is_said {
            // The default of OpenTelemetry; the library has another.
            builder = builder.with_protocol(Protocol::HttpBinary);
        }
        match &self.address {
            Some(address) => builder.with_endpoint(format!("{address}{path}")),
            None => builder,
        }
    }

    fn built<T>(
        &self,
        wanted: bool,
        build: impl FnOnce() -> Result<T, ExporterBuildError>,
    ) -> Result<Option<T>> {
        wanted.then(build).transpose().map_err(|error| {
            let text = format!("telemetry cannot be sent to a collector: {error}");
            Error::new(code::INVALID_CONFIGURATION, text)
        })
    }
}

#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;

/// Posts on the worker's runtime: the exporters themselves run on threads without one.
struct Posting {
    client: Client<Connector, Full<Bytes>>,
    runtime: tokio::runtime::Handle,
    stopped: AtomicBool,
}

impl fmt::Debug for Posting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Posting").finish_non_exhaustive()
    }
}

impl Posting {
    fn new() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector()),
            runtime: tokio::runtime::Handle::current(),
            stopped: AtomicBool::new(false),
        }
    }
}

#[cfg(not(feature = "tls"))]
fn connector() -> Connector {
    HttpConnector::new()
}

/// Certificates are those that the machine trusts; if it has none, only `http://` works.
#[cfg(feature = "tls")]
fn connector() -> Connector {
    use hyper_rustls::HttpsConnectorBuilder;

    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let native = HttpsConnectorBuilder::new().with_native_roots();
    let builder = native.unwrap_or_else(|error| {
        tracing::warn!("no certificates, so https:// collectors cannot be reached: {error}");
        let none = rustls::RootCertStore::empty();
        let config = rustls::ClientConfig::builder().with_root_certificates(none);
        HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth())
    });
    builder.https_or_http().enable_http1().wrap_connector(http)
}

impl HttpClient for Posting {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> BoxFuture<'b, Result<Response<Bytes>, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        if self.stopped.load(Ordering::Relaxed) {
            return Box::pin(async { Err("the worker has stopped".into()) });
        }
        let client = self.client.clone();
        // All of it inside: here is no runtime.
        let posted = self.runtime.spawn(async move {
            let answered = async {
                let (head, body) = client.request(request.map(Full::new)).await?.into_parts();
                let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(head, body))
            };
            tokio::time::timeout(LONGEST, answered).await?
        });
        Box::pin(async move { posted.await? })
    }
}
