//! A worker that runs, with the engine in its process if there is one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::prepared::{Prepared, Surroundings};
use super::settings::Settings;
use crate::client::Client;
use crate::config::{ConfigCell, ConfigWatch, Configs, Configurable};
use crate::declare::{Catalogue, Declarations};
#[cfg(feature = "engine")]
use crate::engine::Engine;
use crate::error::Result;
use crate::extract::Resources;
use crate::transport::Transport;
use crate::transport::ws::WsTransport;
use crate::worker::{Dispatcher, Refusal, WorkerHandle};

/// The engine to connect to when none is named and none can be started (protocol section 1.1).
#[cfg(not(feature = "engine"))]
const DEFAULT_URL: &str = "ws://127.0.0.1:49134";

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
    #[cfg(feature = "engine")]
    engine: Option<Engine>,
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
    ) -> Result<Self> {
        let surroundings = Surroundings::default();
        let prepared = Prepared::new(declarations, resources, configs, &settings, surroundings)?;
        let name = prepared.name.clone();

        #[cfg(feature = "engine")]
        let (transport, engine): (Arc<dyn Transport>, _) = match &settings.url {
            Some(url) => (Arc::new(remote(url, &settings.headers)?), None),
            None => {
                let mut builder = Engine::builder()
                    .host(settings.host())
                    .worker_port(settings.worker_port())
                    .http_port(settings.http_port())
                    .stream_port(settings.stream_port());
                if let Some(directory) = &settings.data_dir {
                    builder = builder.data_dir(directory);
                }
                let engine = builder.start().await?;
                (Arc::new(engine.local()), Some(engine))
            }
        };
        #[cfg(not(feature = "engine"))]
        let transport: Arc<dyn Transport> =
            Arc::new(remote(settings.url.as_deref().unwrap_or(DEFAULT_URL), &settings.headers)?);

        let engine_name = transport.to_string();
        let (worker, started) = prepared.connect(transport).await?;
        Ok(Self {
            name,
            engine_name,
            client: Client::new(prepared.session),
            catalogue: prepared.catalogue,
            dispatcher: prepared.dispatcher,
            waiting: started.waiting,
            worker,
            grace: settings.grace(),
            #[cfg(feature = "engine")]
            engine,
        })
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
    /// # Errors
    ///
    /// If the worker had failed before.
    pub async fn drain(&mut self) -> Result<()> {
        let begun = tokio::time::Instant::now();
        #[cfg(feature = "engine")]
        if let Some(engine) = &self.engine {
            // A request that the engine has taken needs its function until it is answered.
            let _ = tokio::time::timeout(self.grace, engine.drained()).await;
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
    /// If the engine has thrown it out for good.
    pub async fn left(&mut self) -> Result<()> {
        let left = self.worker.left().await;
        #[cfg(feature = "engine")]
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
        left
    }
}

fn remote(url: &str, headers: &[(String, String)]) -> Result<WsTransport> {
    let mut transport = WsTransport::new(url)?;
    for (name, value) in headers {
        transport = transport.header(name, value)?;
    }
    Ok(transport)
}
