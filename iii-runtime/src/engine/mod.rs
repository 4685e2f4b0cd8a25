//! The embedded engine: the broker, its providers and its listeners, started and stopped as one.
//!
//! `broker` knows connections, functions, triggers and calls. Each provider is a room that adds trigger types and
//! functions through the one trait in `provider`. `server`, `http` and `stream` own the sockets.

mod access;
mod broker;
mod channel;
mod config;
mod configuration;
mod cron;
mod discovery;
#[cfg(feature = "testing")]
mod doors;
mod expand;
mod fire;
mod handshake;
mod http;
mod http_function;
mod observability;
mod ordered;
mod origins;
mod provider;
mod pubsub;
mod queue;
mod server;
mod state;
mod store;
mod stream;
mod tasks;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::error::{Error, Result, code};
use crate::protocol::FunctionId;
use crate::transport::local::{Arrival, LocalTransport};

#[cfg(test)]
pub(crate) use broker::testing;

pub use access::{Access, FunctionFilter, MetadataRule};
use broker::Broker;
use config::Keep;
pub use config::{
    ChannelLimits, EngineBuilder, EventLimits, HttpLimits, Limits, QueueLimits, StreamLimits,
    StreamSettings, WorkerLimits, WorkerListener,
};
pub use http::CorsSettings;
#[cfg(feature = "testing")]
pub(crate) use http::ResponseBody;
pub use http_function::HttpFunctionSettings;
pub use observability::{
    AlertAction, AlertOperator, AlertRule, LogSettings, MetricSettings, ObservabilitySettings,
    Sampling, SamplingRule, TraceSettings,
};
use origins::Origins;
pub use queue::{NamedQueue, QueueKind};
use store::{Room, Store};
#[cfg(feature = "testing")]
pub(crate) use stream::LocalSubscriber;
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
    http: Arc<http::Http>,
    requests: Option<Arc<http::Listener>>,
    worker_addrs: Vec<SocketAddr>,
    stream_addr: Option<SocketAddr>,
    store: Store,
    data_dir: Option<PathBuf>,
    #[cfg(feature = "testing")]
    doors: doors::Doors,
}

impl Engine {
    /// An engine with the usual settings, to alter and start.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Binds all listeners, then serves.
    async fn start(mut config: EngineBuilder) -> Result<Self> {
        let data_dir = config.directory()?;
        let unusable = |text| Error::new(code::INVALID_CONFIGURATION, text);
        config.limits.check().map_err(unusable)?;
        let settings = config.settings;
        let listeners_of_workers = settings
            .workers
            .iter()
            .map(|one| Ok((one, Origins::new(&one.allowed_origins).map_err(unusable)?)))
            .collect::<Result<Vec<_>>>()?;
        let listed = settings.stream.as_ref().map(|stream| stream.allowed_origins.as_slice());
        let stream_origins = Origins::new(listed.unwrap_or_default()).map_err(unusable)?;
        if let Some((queues, _)) = &settings.queue {
            queues.check().map_err(unusable)?;
        }
        let http_functions = settings
            .http_functions
            .map(|settings| http_function::HttpFunctions::new(&settings, config.clock.clone()))
            .transpose()
            .map_err(unusable)?;
        let cors = settings.http.as_ref().map(|http| http.limits.cors.clone()).unwrap_or_default();
        let cors = http::Cors::new(&cors).map_err(unusable)?;
        let (mut workers, mut requests, mut subscribers) = (Vec::new(), None, None);
        if config.listeners {
            for one in settings.workers.iter() {
                let at = &one.address;
                workers.push(listen(&at.host, at.port, "workers", "III_WORKER_PORT").await?);
            }
            if let Some(http) = &settings.http {
                let at = &http.address;
                requests = Some(listen(&at.host, at.port, "http", "III_HTTP_PORT").await?);
            }
            if let Some(at) = &settings.stream {
                subscribers = Some(listen(&at.host, at.port, "streams", "III_STREAM_PORT").await?);
            }
        }
        let room = Room::of(&config.limits);
        let store = open_store(data_dir.clone(), room).await?;
        let kept = |keep| match keep {
            Keep::Default => store.clone(),
            Keep::Memory => Store::in_memory_with(room.capacity),
        };
        let link = config.limits.workers.link();
        let broker = Broker::with_limits(config.clock, config.namespace_grace, config.limits);
        let (listeners, links) = (Arc::new(Tasks::default()), Arc::new(Tasks::default()));
        let (intake, stopped) = watch::channel(false);
        let channels = channel::Channels::new(broker.limits().channels.clone());
        broker.install(Arc::new(channel::ChannelFunctions::new(channels.clone())));
        let serves_http = settings.http.is_some();
        let limits = settings.http.unwrap_or_default().limits;
        let http = Arc::new(http::Http::new(broker.clone(), limits, cors, channels.clone()));
        if serves_http {
            broker.install(http.clone());
        }
        if let Some(functions) = http_functions {
            broker.install(Arc::new(functions));
        }
        if settings.cron {
            broker.install(Arc::new(cron::Cron::new(broker.clone())));
        }
        if settings.pubsub {
            broker.install(Arc::new(pubsub::PubSub::new(broker.clone())));
        }
        if let Some((settings, keep)) = settings.state {
            let table = kept(keep).table("state");
            broker.install(Arc::new(state::State::new(broker.clone(), table, settings)));
        }
        let queues = settings.queue.map(|(settings, keep)| {
            Arc::new(queue::Queues::new(broker.clone(), &kept(keep), settings))
        });
        if let Some(queues) = &queues {
            broker.install(queues.clone());
        }
        let streams = settings.stream.map(|settings| {
            let keep = if settings.in_memory { Keep::Memory } else { Keep::Default };
            let auth = settings.auth_function.map(FunctionId::from);
            let table = kept(keep).table("stream");
            Arc::new(stream::Streams::new(broker.clone(), table, auth))
        });
        if let Some(streams) = &streams {
            broker.install(streams.clone());
        }
        let table = store.table("configuration");
        broker.install(Arc::new(configuration::Configurations::new(broker.clone(), table)));
        let gauges = observability::Gauges::default();
        broker.install(Arc::new(observability::Observability::new(
            broker.clone(),
            settings.observability,
            streams.clone(),
            gauges.clone(),
        )));
        broker.install(Arc::new(discovery::Discovery::new(broker.clone(), gauges)));

        let (local, mut arrivals) = LocalTransport::new(link);
        listeners.spawn({
            let (broker, links, channels) = (broker.clone(), links.clone(), channels.clone());
            async move {
                while let Some(arrival) = arrivals.recv().await {
                    match arrival {
                        Arrival::Link(link) => links.spawn(broker.attach(link, None)),
                        Arrival::Channel { at, answer } => {
                            let side = channel::serve_local(channels.clone(), at, answer);
                            links.spawn(side);
                        }
                        Arrival::Telemetry { answer } => {
                            links.spawn(server::serve_local_telemetry(broker.clone(), answer));
                        }
                    }
                }
            }
        });
        let mut engine = Self {
            broker,
            listeners,
            links,
            local,
            intake,
            http,
            requests: None,
            worker_addrs: Vec::new(),
            stream_addr: None,
            store,
            data_dir,
            #[cfg(feature = "testing")]
            doors: doors::Doors { queues, streams: streams.clone() },
        };
        for (socket, (one, origins)) in workers.into_iter().zip(listeners_of_workers) {
            engine.worker_addrs.extend(socket.local_addr());
            let broker = engine.broker.clone();
            let door = server::Door {
                broker: broker.clone(),
                channels: channels.clone(),
                handshake: one.handshake_timeout,
                origins: Arc::new(origins),
                guard: access::Guard::new(broker, one.access.clone(), one.to_middleware()),
            };
            engine.listeners.spawn(server::serve(socket, door, engine.links.clone()));
        }
        if let (Some(socket), Some(streams)) = (subscribers, streams) {
            engine.stream_addr = socket.local_addr().ok();
            let links = engine.links.clone();
            let origins = Arc::new(stream_origins);
            engine.listeners.spawn(stream::serve(socket, streams, links, origins));
        }
        if let Some(socket) = requests {
            let listener = Arc::new(http::Listener::new(&socket));
            engine.listeners.spawn(listener.clone().serve(socket, engine.http.clone(), stopped));
            engine.requests = Some(listener);
        }
        Ok(engine)
    }

    /// A transport whose links arrive at this engine exactly like those of sockets. Access rules are those of listeners:
    /// who connects in this process may do everything.
    pub fn local(&self) -> LocalTransport {
        self.local.clone()
    }

    /// Where workers connect, at the first of several listeners; `None` without listeners.
    pub fn worker_addr(&self) -> Option<SocketAddr> {
        self.worker_addrs.first().copied()
    }

    /// Where workers connect: the addresses of all listeners, in the order in which they were declared.
    pub fn worker_addrs(&self) -> &[SocketAddr] {
        &self.worker_addrs
    }

    /// The directory that keeps what the engine stores; `None`: it is in memory, and gone with the engine.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Where HTTP triggers are served; `None` without listeners.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.requests.as_ref().map(|requests| requests.addr())
    }

    /// Where clients subscribe to streams; `None` without listeners.
    pub fn stream_addr(&self) -> Option<SocketAddr> {
        self.stream_addr
    }

    /// Takes no more HTTP connections and closes the idle ones. Requests under way go on.
    pub fn stop_intake(&self) {
        self.intake.send_replace(true);
    }

    /// Answers an HTTP request in memory, on the same way as those that come over the socket. A response that is
    /// streamed is collected.
    pub async fn request(&self, request: Request<Bytes>) -> Response<Bytes> {
        let response = self.http.respond(request.map(Full::new)).await;
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(parts, body.to_bytes()),
            // Nothing of it was sent yet, so that it can still be told.
            Err(_) => http::broken_off().map(http::ResponseBody::into_whole),
        }
    }

    /// Takes no more HTTP connections, like [`Engine::stop_intake`], and waits until no request is under way.
    pub async fn drained(&self) {
        self.stop_intake();
        if let Some(requests) = &self.requests {
            requests.drained().await;
        }
    }

    /// Ends the engine: no more requests, connections are closed with a code that brings workers back later.
    ///
    /// Requests under way are not waited for: that is [`Engine::drained`]. What is stored is written, and the data
    /// directory is free for another engine.
    pub async fn stop(&self) {
        self.stop_intake();
        self.listeners.abort();
        self.broker.shut_down(RESTARTING);
        self.links.finish(broker::limits::LINGER).await;
        if let Some(requests) = &self.requests {
            requests.abort();
        }
        if let Err(error) = self.store.close().await {
            tracing::error!("the store was not closed well: {error}");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.listeners.abort();
        self.broker.shut_down(RESTARTING);
        self.links.abort();
        if let Some(requests) = &self.requests {
            requests.abort();
        }
        self.store.close_now();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("worker_addrs", &self.worker_addrs)
            .field("http_addr", &self.http_addr())
            .field("stream_addr", &self.stream_addr)
            .finish_non_exhaustive()
    }
}

/// Opens the store of a directory, or makes one in memory.
async fn open_store(directory: Option<PathBuf>, room: Room) -> Result<Store> {
    let Some(directory) = directory else { return Ok(Store::in_memory_with(room.capacity)) };
    let opened = tokio::task::spawn_blocking(move || Store::open_with(&directory, room)).await;
    let error = match opened {
        Ok(Ok(store)) => return Ok(store),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the store could not be opened".to_owned(),
    };
    Err(Error::new(code::STORE_FAILED, error))
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

#[cfg(test)]
mod tests {
    use super::broker::testing::Worker;
    use super::*;
    use crate::clock::Clock;
    use crate::transport::Transport;
    use futures_util::StreamExt;
    use std::time::{Duration, SystemTime};
    use tokio_tungstenite::tungstenite::Message as Frame;

    #[tokio::test]
    async fn a_taken_port_is_explained() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Engine::builder()
            .worker_port(0)
            .stream_port(0)
            .http_port(port)
            .start()
            .await
            .unwrap_err();
        assert_eq!(error.code(), code::LISTEN_FAILED);
        for fact in [&port.to_string(), "127.0.0.1", "III_HTTP_PORT"] {
            assert!(error.message().contains(fact), "{error}");
        }
        let error = Engine::builder().host("no.such.host.invalid").start().await.unwrap_err();
        assert!(error.message().contains("III_HOST"), "{error}");
    }

    #[tokio::test]
    async fn workers_are_told_to_come_back() {
        let engine =
            Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
        let url = format!("ws://{}", engine.worker_addr().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        socket.next().await.unwrap().unwrap();
        let stopped = tokio::spawn(async move {
            engine.stop().await;
            engine
        });
        let Some(Ok(Frame::Close(Some(close)))) = socket.next().await else { panic!("a close") };
        assert_eq!(u16::from(close.code), 1012);
        while socket.next().await.is_some() {}
        let engine = stopped.await.unwrap();
        assert!(tokio_tungstenite::connect_async(&url).await.is_err());
        assert!(engine.local().connect().await.is_err());
    }

    #[tokio::test]
    async fn a_dropped_engine_lets_go_of_everything() {
        let engine =
            Engine::builder().worker_port(0).http_port(0).stream_port(0).start().await.unwrap();
        let local = engine.local();
        let mut worker = Worker::greeted(local.connect().await.unwrap()).await;
        worker.announce("w", "default").await.unwrap();
        worker.bind("c", "cron", "f", r#"{"expression":"* * * * * *"}"#);
        worker.nothing_else().await;
        let broker = engine.broker.downgrade();
        drop(engine);
        worker.closed().await;
        broker::testing::until("freed", || broker.upgrade().is_none()).await;
    }

    #[tokio::test]
    async fn what_is_stored_survives_the_engine() {
        let directory = std::env::temp_dir().join(format!("iii-engine-{}", uuid::Uuid::new_v4()));
        let start = || Engine::builder().without_listeners().data_dir(&directory).start();
        let place = r#"{"scope":"s","key":"k","value":1}"#;
        for stop in [true, false] {
            let engine = start().await.unwrap();
            assert_eq!(engine.data_dir(), Some(directory.as_path()));
            let mut worker = Worker::greeted(engine.local().connect().await.unwrap()).await;
            worker.announce("w", "default").await.unwrap();
            let old = worker.call("state::get", place).await.unwrap();
            assert_eq!(old.is_some(), !stop);
            worker.call("state::set", place).await.unwrap();
            let error = start().await.unwrap_err();
            assert_eq!(error.code(), code::STORE_FAILED);
            if stop {
                engine.stop().await;
                // Somebody still has it, and the directory is free all the same.
                std::mem::forget(engine.broker.clone());
            }
        }
        start().await.unwrap();
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[tokio::test]
    async fn what_the_file_does_not_list_is_off() {
        let builder = EngineBuilder::from_yaml("workers: [{ name: iii-cron }]").unwrap();
        let engine = builder.worker_port(0).start().await.unwrap();
        assert!(engine.worker_addr().is_some() && engine.http_addr().is_none());
        let mut worker = Worker::greeted(engine.local().connect().await.unwrap()).await;
        worker.announce("w", "default").await.unwrap();
        let error = worker.call("state::get", "{}").await.unwrap_err();
        assert_eq!(error.code, code::FUNCTION_NOT_FOUND);
        worker.bind("c", "cron", "f", r#"{"expression":"@yearly"}"#);
        worker.nothing_else().await;
    }

    #[tokio::test(start_paused = true)]
    async fn everything_works_in_memory_and_under_a_clock_of_ones_own() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_599);
        let clock = Clock::starting_at(start);
        let engine = Engine::builder().without_listeners().clock(clock).start().await.unwrap();
        assert_eq!((engine.worker_addr(), engine.http_addr()), (None, None));
        let mut worker = Worker::greeted(engine.local().connect().await.unwrap()).await;
        worker.announce("w", "default").await.unwrap();
        worker.function("f");
        worker.bind("c", "cron", "f", r#"{"expression":"0 0 9 * * *"}"#);
        let tick = worker.called().await;
        assert!(tick.data.as_str().contains("2026-01-05T09:00:00+00:00"));
        worker.bind("h", "http", "f", r#"{"api_path":"/hi"}"#);
        worker.nothing_else().await;
        let request = Request::get("/hi?a=1").body(Bytes::new()).unwrap();
        let answered = async {
            let call = worker.called().await;
            worker.answer(&call, Ok(Some(broker::testing::json(r#"{"body":"hi"}"#))));
        };
        let (response, ()) = tokio::join!(engine.request(request), answered);
        assert_eq!((response.status().as_u16(), &response.body()[..]), (200, &b"\"hi\""[..]));
        engine.drained().await;
        engine.stop().await;
    }
}
