//! The embedded engine: the broker, its providers and its listeners, started and stopped as one.
//!
//! [`broker`] knows connections, functions, triggers and calls. Each provider is a room that adds trigger types and
//! functions through the one trait in [`provider`]. [`server`] and [`http`] own the sockets.

pub mod broker;
mod config;
mod cron;
mod discovery;
mod fire;
mod http;
mod log;
pub mod provider;
mod pubsub;
mod server;
mod state;
mod store;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::{Error, Result, code};
use crate::transport::Limits;
use crate::transport::local::LocalTransport;

use broker::Broker;
pub use config::EngineBuilder;
use tasks::Tasks;

/// The WebSocket close code for "the engine restarts": workers come back (protocol section 1.7).
const RESTARTING: u16 = 1012;

/// A running engine in this process. Dropping it ends it at once; [`Engine::stop`] does so politely.
pub struct Engine {
    broker: Broker,
    /// Accepting connections; ended first.
    listeners: Arc<Tasks>,
    /// Serving the connections of workers.
    links: Arc<Tasks>,
    local: LocalTransport,
    intake: watch::Sender<bool>,
    http: Option<Arc<http::Listener>>,
    worker_addr: Option<SocketAddr>,
}

impl Engine {
    /// An engine with the usual settings, to alter and start.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Binds all listeners, then serves.
    pub(self) async fn start(config: EngineBuilder) -> Result<Self> {
        let sockets = match config.listeners {
            true => Some((
                listen(&config.host, config.worker_port, "workers", "III_WORKER_PORT").await?,
                listen(&config.host, config.http_port, "http", "III_HTTP_PORT").await?,
            )),
            false => None,
        };
        let broker = Broker::new(config.clock.clone(), config.namespace_grace);
        let (listeners, links) = (Arc::new(Tasks::default()), Arc::new(Tasks::default()));
        let (intake, stopped) = watch::channel(false);
        let http = Arc::new(http::Http::new(broker.clone(), config.http.clone()));
        broker.install(http.clone());
        broker.install(Arc::new(cron::Cron::new(broker.clone())));
        broker.install(Arc::new(pubsub::PubSub::new(broker.clone())));
        let store = Arc::new(store::MemoryStore::default());
        broker.install(Arc::new(state::State::new(broker.clone(), store)));
        broker.install(Arc::new(log::Logs::new(broker.clone())));
        broker.install(Arc::new(discovery::Discovery::new(broker.clone())));

        let (local, mut arrivals) = LocalTransport::new(Limits::default());
        listeners.spawn({
            let (broker, links) = (broker.clone(), links.clone());
            async move {
                while let Some(link) = arrivals.recv().await {
                    links.spawn(broker.attach(link, None));
                }
            }
        });
        let mut engine =
            Self { broker, listeners, links, local, intake, http: None, worker_addr: None };
        if let Some((workers, requests)) = sockets {
            engine.worker_addr = workers.local_addr().ok();
            let serve = server::serve(workers, engine.broker.clone(), engine.links.clone());
            engine.listeners.spawn(serve);
            let listener = Arc::new(http::Listener::new(&requests));
            engine.listeners.spawn(listener.clone().serve(requests, http, stopped));
            engine.http = Some(listener);
        }
        Ok(engine)
    }

    /// A transport whose links arrive at this engine exactly like those of sockets.
    pub fn local(&self) -> LocalTransport {
        self.local.clone()
    }

    /// Where workers connect; `None` without listeners.
    pub fn worker_addr(&self) -> Option<SocketAddr> {
        self.worker_addr
    }

    /// Where HTTP triggers are served; `None` without listeners.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|http| http.addr())
    }

    /// Takes no more HTTP connections and closes the idle ones. Requests under way go on.
    pub fn stop_intake(&self) {
        self.intake.send_replace(true);
    }

    /// Waits until no HTTP request is under way. Only after [`Engine::stop_intake`] does this stay so.
    pub async fn drained(&self) {
        if let Some(http) = &self.http {
            http.drained().await;
        }
    }

    /// Ends the engine: no more requests, connections are closed with a code that brings workers back later.
    ///
    /// Requests under way are not waited for: that is [`Engine::drained`].
    pub async fn stop(&self) {
        self.stop_intake();
        self.listeners.abort();
        self.broker.shut_down(RESTARTING);
        self.links.finish(broker::limits::LINGER).await;
        if let Some(http) = &self.http {
            http.abort();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.listeners.abort();
        self.broker.shut_down(RESTARTING);
        self.links.abort();
        if let Some(http) = &self.http {
            http.abort();
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("worker_addr", &self.worker_addr)
            .field("http_addr", &self.http_addr())
            .finish_non_exhaustive()
    }
}

/// Binds an address, or says what is wrong with it and what to do.
async fn listen(host: &str, port: u16, what: &str, variable: &str) -> Result<TcpListener> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "port {port} on {host} is taken, so {what} cannot be served: stop the other program or set {variable} \
                 to another port"
            ),
            std::io::ErrorKind::PermissionDenied => format!(
                "this program may not listen on port {port} of {host} for {what}: set {variable} to a port above 1023"
            ),
            _ => format!(
                "{what} cannot be served on {host}, port {port}: {error}: set III_HOST to an address of this machine \
                 and {variable} to a free port"
            ),
        };
        Error::new(code::LISTEN_FAILED, message).with_source(error)
    })
}
