//! The telemetry of one worker: traces, metrics and logs, to the engine and to a collector ([protocol 10](crate::protocol#s10)).
//!
//! Each worker has a pipeline of its own, so that two workers of one process do not mix. `span` opens the span of each
//! handler; its context leads whatever happens inside, in this crate or in another library, to the pipeline. `events` and
//! `tracer` are the two halves of the layer for `tracing`. `exporter` writes frames for the engine, which `frames` keeps and
//! sends; `collector` posts the same things to others.

mod clean;
mod collector;
mod context;
mod events;
mod exporter;
mod frames;
mod layer;
mod measure;
mod payload;
mod process;
mod span;
mod tracer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{self, BatchLogProcessor, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tokio::task::JoinHandle;

use super::Telemetry;
use super::settings::TelemetrySettings;
use iii_wire::Result;
use iii_wire::protocol::WorkerId;
use iii_wire::sync::{read, write};
use iii_wire::transport::Transport;

use context::current_trace;
pub(super) use context::{current_context, in_context, in_current_context};
pub use layer::layer;
pub(super) use span::HandlerSpan;

use clean::Clean;
use collector::Collector;
use exporter::Exporter;
use frames::Frames;
use measure::Measures;
use payload::{Payloads, Redact};

/// The library that the spans, metrics and log records name.
const SCOPE: &str = "iii-runtime";
/// How often metrics are sent.
const METRIC_INTERVAL: Duration = Duration::from_secs(60);

/// How long exporters may take for what is left, when a worker leaves.
const HAND_OVER: Duration = Duration::from_secs(2);

/// The pipeline of the worker that was started last: for what belongs to no handler.
static NEWEST: RwLock<Weak<Pipeline>> = RwLock::new(Weak::new());

/// What a worker is called in what it sends.
#[derive(Debug, Clone)]
pub(crate) struct Identity<'a> {
    /// The name of the worker.
    pub name: &'a str,
    /// The version of its package.
    pub version: &'a str,
}

/// Where the spans, metrics and log records of one worker go.
pub(crate) struct Pipeline {
    tracer: SdkTracer,
    logger: SdkLogger,
    /// Taken when the pipeline ends.
    providers: RwLock<Option<Providers>>,
    measures: Option<Measures>,
    frames: Arc<Frames>,
    redact: Redact,
    /// Whether inputs and outputs are events of spans.
    payloads: Option<Payloads>,
    collector: Option<Collector>,
    process: Arc<process::Process>,
    instance: String,
    socket: OnceLock<JoinHandle<()>>,
    ended: AtomicBool,
}

/// What is flushed and shut down.
#[derive(Clone)]
struct Providers {
    tracers: SdkTracerProvider,
    loggers: SdkLoggerProvider,
    meters: Option<SdkMeterProvider>,
}

impl Telemetry {
    /// Starts the telemetry of a worker, unless the settings say no. It is sent once the engine can be reached.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` if the address of the collector is none.
    pub(crate) fn start(settings: &TelemetrySettings, identity: &Identity<'_>) -> Result<Self> {
        crate::trace::set_active_span(current_trace);
        if settings.enabled == Some(false) {
            return Ok(Self::default());
        }
        let pipeline = Arc::new(Pipeline::new(settings, identity)?);
        *write(&NEWEST) = Arc::downgrade(&pipeline);
        Ok(Self { pipeline: Some(pipeline) })
    }

    /// Says how the engine is reached.
    pub(crate) fn set_transport(&self, transport: Arc<dyn Transport>) {
        let Some(pipeline) = &self.pipeline else { return };
        let frames = pipeline.frames.clone();
        pipeline.socket.get_or_init(|| tokio::spawn(frames::carry(frames, transport)));
    }

    /// Sends what there is, and ends, within about `limit`.
    pub(crate) async fn finish(&self, limit: Duration) {
        let Some(pipeline) = &self.pipeline else { return };
        if tokio::time::timeout(limit, pipeline.finish()).await.is_err() {
            tracing::warn!("telemetry could not be sent within {limit:?}, and is lost");
        }
        pipeline.end();
    }
}

impl Pipeline {
    fn new(settings: &TelemetrySettings, identity: &Identity<'_>) -> Result<Self> {
        let frames = Arc::new(Frames::default());
        let redact = Redact::new(&settings.redact);
        let collector = Collector::of(settings)?;
        let instance = settings.service_instance.clone();
        let instance = instance.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let resource = resource(settings, identity, &instance);

        let spans =
            |delay: Duration| trace::BatchConfigBuilder::default().with_scheduled_delay(delay);
        let to_engine =
            BatchSpanProcessor::builder(Clean::new(Exporter::new(frames.clone()), redact.clone()))
                .with_batch_config(spans(settings.span_delay).build())
                .build();
        let mut tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_span_processor(to_engine);

        let mut logs = logs::BatchConfigBuilder::default().with_scheduled_delay(settings.log_delay);
        if let Some(batch) = settings.log_batch {
            logs = logs.with_max_export_batch_size(batch);
        }
        let to_engine = BatchLogProcessor::builder(Exporter::new(frames.clone()))
            .with_batch_config(logs.build())
            .build();
        let mut loggers = SdkLoggerProvider::builder()
            .with_resource(resource.clone())
            .with_log_processor(to_engine);

        let interval = settings.metric_interval.unwrap_or(METRIC_INTERVAL);
        let mut meters = SdkMeterProvider::builder().with_resource(resource);
        let to_engine = PeriodicReader::builder(Exporter::new(frames.clone()));
        meters = meters.with_reader(to_engine.with_interval(interval).build());

        if let Some(collector) = &collector {
            if let Some(exporter) = collector.spans()? {
                tracers = tracers.with_batch_exporter(Clean::new(exporter, redact.clone()));
            }
            if let Some(exporter) = collector.logs()? {
                loggers = loggers.with_batch_exporter(exporter);
            }
            if let Some(exporter) = collector.metrics()? {
                let reader = PeriodicReader::builder(exporter).with_interval(interval);
                meters = meters.with_reader(reader.build());
            }
        }
        let (tracers, loggers) = (tracers.build(), loggers.build());
        let meters = settings.metrics.then(|| meters.build());
        let process = Arc::new(process::Process::new(identity.name));
        let measures =
            meters.as_ref().map(|meters| Measures::new(meters, frames.clone(), process.clone()));
        iii_wire::local_instances::insert(instance.clone());
        Ok(Self {
            tracer: tracers.tracer(SCOPE),
            logger: loggers.logger(SCOPE),
            providers: RwLock::new(Some(Providers { tracers, loggers, meters })),
            measures,
            frames,
            payloads: (settings.payloads == Some(true))
                .then(|| Payloads::new(redact.clone(), settings.payload_bytes)),
            redact,
            collector,
            process,
            instance,
            socket: OnceLock::new(),
            ended: AtomicBool::new(false),
        })
    }

    /// The worker has a connection to the engine: its gauges are shown there, from now on.
    pub(super) fn connected(&self, worker: WorkerId) {
        self.process.connected(worker);
        let meters = read(&self.providers).as_ref().and_then(|all| all.meters.clone());
        if let Some(meters) = meters {
            // Whoever looks at a worker that has just come need not wait for the next round.
            tokio::task::spawn_blocking(move || drop(meters.force_flush()));
        }
    }

    /// Hands everything to the exporters, and waits until the engine has what is for it.
    async fn finish(&self) {
        let providers = read(&self.providers).clone();
        if let Some(Providers { tracers, loggers, meters }) = providers {
            // At the same time: a collector that is slow with one of them must not hold up the others. What fails here is
            // counted where it fails.
            let all = [
                tokio::task::spawn_blocking(move || drop(tracers.force_flush())),
                tokio::task::spawn_blocking(move || drop(loggers.force_flush())),
                tokio::task::spawn_blocking(move || drop(meters.map(|all| all.force_flush()))),
            ];
            let _ = tokio::time::timeout(HAND_OVER, futures_util::future::join_all(all)).await;
        }
        self.frames.close();
        if self.socket.get().is_some() {
            self.frames.sent().await;
        }
    }

    /// Ends everything at once.
    fn end(&self) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(collector) = &self.collector {
            collector.stop();
        }
        iii_wire::local_instances::remove(&self.instance);
        self.frames.close();
        if let Some(socket) = self.socket.get() {
            socket.abort();
        }
        if let Some(providers) = write(&self.providers).take() {
            // Shutting down waits for threads, which must hold up nobody.
            std::thread::spawn(move || {
                let limit = Duration::from_secs(1);
                let _ = providers.tracers.shutdown_with_timeout(limit);
                let _ = providers.loggers.shutdown_with_timeout(limit);
                let _ = providers.meters.map(|meters| meters.shutdown_with_timeout(limit));
            });
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.end();
    }
}

/// The pipeline of the worker that was started last, if it runs.
fn newest() -> Option<Arc<Pipeline>> {
    read(&NEWEST).upgrade()
}

/// What all that a worker sends says of it ([protocol 12.2](crate::protocol#s12-2)).
fn resource(settings: &TelemetrySettings, identity: &Identity<'_>, instance: &str) -> Resource {
    let said =
        |said: &Option<String>, usual: &str| said.clone().unwrap_or_else(|| usual.to_owned());
    let mut attributes = vec![
        KeyValue::new("service.name", said(&settings.service_name, identity.name)),
        KeyValue::new("service.version", said(&settings.service_version, identity.version)),
        KeyValue::new("service.instance.id", instance.to_owned()),
    ];
    if let Some(namespace) = &settings.service_namespace {
        attributes.push(KeyValue::new("service.namespace", namespace.clone()));
    }
    Resource::builder().with_attributes(attributes).build()
}
