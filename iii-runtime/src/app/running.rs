//! A worker that runs, with the engine in its process if there is one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::prepared::{Extras, Prepared, Surroundings};
use super::ready_file::ReadyFile;
use super::settings::Settings;
use crate::catalogue::{Catalogue, Declarations};
use crate::client::Client;
use crate::config::{ConfigCell, ConfigWatch, Configs, Configurable};
use crate::extract::Resources;
use crate::telemetry::Telemetry;
use crate::worker::{Dispatcher, Refusal, WorkerHandle};
#[cfg(feature = "engine")]
use iii_engine::Engine;
use iii_wire::protocol::DEFAULT_NAMESPACE;
use iii_wire::transport::ws::WsTransport;
use iii_wire::transport::{ConnectError, Transport};
use iii_wire::{Error, Result, code};

/// The engine to connect to when none is named and none can be started ([protocol 1.1](crate::protocol#s1-1)).
#[cfg(not(feature = "engine"))]
const DEFAULT_URL: &str = "ws://127.0.0.1:49134";

/// How long a worker that leaves waits until its telemetry is sent.
#[cfg(feature = "otel")]
const FLUSH: Duration = Duration::from_secs(3);

/// A worker that runs. Dropping it stops it at once; [`Running::drain`] lets it finish.
#[derive(Debug)]
pub struct Running {
    name: String,
    engine_name: String,
    catalogue: Catalogue,
    client: Client,
    dispatcher: Arc<Dispatcher>,
    waiting: Vec<Refusal>,
    worker: WorkerHandle,
    grace: Duration,
    #[cfg_attr(not(feature = "otel"), allow(dead_code))]
    telemetry: Telemetry,
    #[cfg(feature = "engine")]
    engine: Option<Engine>,
    // Only held: the file goes when the worker does.
    _ready_file: Option<ReadyFile>,
}

/// Where a worker and its engine can be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Addresses {
    /// HTTP triggers, if the engine is in this process.
    pub http: Option<SocketAddr>,
    /// Other workers, if the engine is in this process.
    pub workers: Option<SocketAddr>,
    /// Those who subscribe to streams, if the engine is in this process.
    pub streams: Option<SocketAddr>,
}

impl Running {
    pub(super) async fn start(
        declarations: Declarations,
        resources: Resources,
        configs: Configs,
        settings: Settings,
        extras: Extras,
    ) -> Result<Self> {
        let telemetry = telemetry(&settings)?;
        let surroundings = Surroundings { telemetry: telemetry.clone(), ..Surroundings::default() };
        let prepared =
            Prepared::new(declarations, resources, configs, &settings, extras, surroundings)?;
        let name = prepared.name.clone();
        let client = Client::new(prepared.session.clone());
        let ready_file = settings.ready_file.clone();
        let ready_file =
            ready_file.map(|path| ReadyFile::keep(path, client.ready())).transpose()?;
        if settings.url.is_some()
            && *settings.namespace_or_default() != *DEFAULT_NAMESPACE
            && let Some(store) = prepared.catalogue.stream_stores().first()
        {
            tracing::warn!(
                "the official engine asks for streams of workers in the namespace `{DEFAULT_NAMESPACE}` only, and keeps \
                 `{}` itself",
                store.name
            );
        }

        #[cfg(feature = "engine")]
        let (transport, engine): (Arc<dyn Transport>, _) = match &settings.url {
            Some(url) => (Arc::new(remote(url, &settings.headers)?), None),
            None => {
                let mut builder = Engine::builder();
                builder.http_functions(settings.http_functions());
                for (name, queue) in &settings.queues {
                    builder.queue(name, queue.clone());
                }
                settings.configure(&mut builder);
                settings.engine.iter().for_each(|configure| configure(&mut builder));
                let engine = builder.start().await?;
                (Arc::new(engine.local()), Some(engine))
            }
        };
        #[cfg(not(feature = "engine"))]
        let transport: Arc<dyn Transport> =
            Arc::new(remote(settings.url.as_deref().unwrap_or(DEFAULT_URL), &settings.headers)?);

        let engine_name = transport.to_string();
        #[cfg(feature = "otel")]
        telemetry.set_transport(transport.clone());
        let (worker, started) = prepared.connect(transport).await?;
        let begun = prepared.begin().await;
        let mut running = Self {
            name,
            engine_name,
            client,
            catalogue: prepared.catalogue,
            dispatcher: prepared.dispatcher,
            waiting: started.waiting,
            worker,
            grace: settings.grace(),
            telemetry,
            #[cfg(feature = "engine")]
            engine,
            _ready_file: ready_file,
        };
        if let Err(error) = begun {
            // What was taken meanwhile is answered, and what main has made is undone by the hooks of the end.
            if let Err(also) = running.drain().await {
                tracing::error!("{also}");
            }
            return Err(error);
        }
        Ok(running)
    }

    /// The name of the worker.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine it is connected to, for people.
    pub fn engine_name(&self) -> &str {
        &self.engine_name
    }

    /// What it serves.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Calls functions.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether the worker is ready, as a value to watch: see [`App::ready`](crate::App::ready).
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.client.ready()
    }

    /// What the engine has refused since the link is there, for people, with the place of each declaration. While there is
    /// something, the worker is not ready.
    pub fn refused(&self) -> Vec<String> {
        self.client.session().readiness().refusals()
    }

    /// Hears of changes of a configuration; `None` if it is not part of the app.
    pub fn watch_config<T: Configurable>(&self) -> Option<ConfigWatch<T>> {
        self.dispatcher.resources().get::<ConfigCell<T>>().map(|cell| cell.watcher())
    }

    /// How many invocations are not yet answered.
    pub fn in_flight(&self) -> usize {
        self.dispatcher.in_flight()
    }

    /// Where it can be reached.
    pub fn addresses(&self) -> Addresses {
        #[cfg(feature = "engine")]
        if let Some(engine) = &self.engine {
            return Addresses {
                http: engine.http_addr(),
                workers: engine.worker_addr(),
                streams: engine.stream_addr(),
            };
        }
        Addresses::default()
    }

    /// The directory that keeps what the engine in this process stores; `None`: it is in memory, or elsewhere.
    pub fn data_dir(&self) -> Option<&Path> {
        #[cfg(feature = "engine")]
        return self.engine.as_ref().and_then(Engine::data_dir);
        #[cfg(not(feature = "engine"))]
        None
    }

    /// Triggers that wait for somebody to provide their type, for people.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().map(|waiting| waiting.text.as_str())
    }

    /// Takes no more work, finishes what runs, answers it, and leaves. What is not done after the grace period of the
    /// app is answered with `shutting_down`.
    ///
    /// What [`App::on_stop`](crate::App::on_stop) was given runs in between, when everything is answered.
    ///
    /// # Errors
    ///
    /// `grace_exceeded` if something was not done in time; `evicted` if the worker had failed before.
    pub async fn drain(&mut self) -> Result<()> {
        let begun = tokio::time::Instant::now();
        self.client.session().readiness().set_draining();
        #[cfg(feature = "engine")]
        if let Some(engine) = &self.engine {
            // A request that the engine has taken needs its function until it is answered.
            let _ = tokio::time::timeout(self.grace, engine.drain()).await;
        }
        self.worker.drain(self.grace.saturating_sub(begun.elapsed()));
        self.left().await
    }

    /// Stops at once: what runs is answered with `shutting_down`.
    pub fn abort(&self) {
        self.worker.abort();
    }

    /// Waits until the worker has left.
    ///
    /// # Errors
    ///
    /// `evicted` if the engine has thrown it out for good; `grace_exceeded` if something was not done in time.
    pub async fn left(&mut self) -> Result<()> {
        let left = self.worker.left().await;
        // The engine in this process takes the last of it.
        #[cfg(feature = "otel")]
        self.telemetry.finish(FLUSH).await;
        #[cfg(feature = "engine")]
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
        left
    }
}

/// The telemetry of a worker with these settings.
#[cfg(feature = "otel")]
fn telemetry(settings: &Settings) -> Result<Telemetry> {
    let name = super::prepared::worker_name(settings);
    let identity =
        crate::telemetry::Identity { name: &name, version: &settings.version_of_worker() };
    Telemetry::start(&settings.telemetry, &identity)
}

/// Without the feature `otel` nothing is sent.
#[cfg(not(feature = "otel"))]
fn telemetry(_: &Settings) -> Result<Telemetry> {
    Ok(Telemetry::default())
}

pub(super) fn remote(url: &str, headers: &[(String, String)]) -> Result<WsTransport> {
    let wrong = |error: ConnectError| Error::new(code::INVALID_CONFIGURATION, error.to_string());
    let mut transport = WsTransport::new(url).map_err(wrong)?;
    for (name, value) in headers {
        transport = transport.header(name, value).map_err(wrong)?;
    }
    Ok(transport)
}
