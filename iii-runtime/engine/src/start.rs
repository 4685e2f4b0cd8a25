//! Starts an engine: validates its settings, binds its listeners, opens its store, installs its providers, and serves.

use std::path::PathBuf;
use std::sync::Arc;

use iii_wire::protocol::FunctionId;
use iii_wire::transport::local::{Incoming, LocalTransport};
use iii_wire::{Error, Result, code};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::config::{EngineBuilder, EngineSettings, Persistence};
use crate::engine::Engine;
#[cfg(feature = "testing")]
use crate::engine::Probes;
use crate::http_function::HttpFunctions;
use crate::observability::{Observability, SubscriptionCheck};
use crate::origins::OriginPolicy;
use crate::queue::Queues;
use crate::store::{Store, StoreLimits};
use crate::stream::Streams;
use crate::tasks::Tasks;
use crate::worker_gauges::WorkerGauges;
use crate::{access, channel, configuration, cron, discovery, http, pubsub, server, state, stream};

impl EngineBuilder {
    /// Starts the engine. All listeners are bound before any of them accepts connections.
    ///
    /// # Errors
    ///
    /// [`LISTEN_FAILED`](iii_wire::code::LISTEN_FAILED) if an address cannot be bound,
    /// [`STORE_FAILED`](iii_wire::code::STORE_FAILED) if the data directory cannot be used,
    /// [`INVALID_CONFIGURATION`](iii_wire::code::INVALID_CONFIGURATION) if a setting is invalid, out of range, or
    /// belongs to a component that is off, or if the file names several data directories.
    pub fn start(&self) -> impl Future<Output = Result<Engine>> + Send + use<> {
        start(self.clone())
    }
}

async fn start(mut builder: EngineBuilder) -> Result<Engine> {
    let checked = CheckedSettings::new(&mut builder)?;
    let listeners = match builder.listeners {
        true => BoundListeners::bind(&builder.settings).await?,
        false => BoundListeners::default(),
    };
    let store_limits = StoreLimits::from(&builder.limits);
    let store = StoreFactory {
        capacity: store_limits.capacity,
        durable: open_store(checked.data_dir.clone(), store_limits).await?,
    };
    let outbox_limits = builder.limits.workers.outbox_limits();
    let broker = Broker::with_limits(builder.clock, builder.namespace_grace, builder.limits);
    let workers = builder.settings.workers.clone();
    let installed = InstalledProviders::new(
        &broker,
        builder.settings,
        checked.http_functions,
        checked.cors,
        &store,
    );

    let (local, incoming) = LocalTransport::new(outbox_limits);
    let (http_closed, on_http_closed) = watch::channel(false);
    let mut engine = Engine {
        accept_tasks: Arc::new(Tasks::default()),
        connection_tasks: Arc::new(Tasks::default()),
        local,
        http_closed,
        http: installed.http,
        http_listener: None,
        worker_addrs: Vec::new(),
        stream_addr: None,
        store: store.durable,
        data_dir: checked.data_dir,
        #[cfg(feature = "testing")]
        probes: Probes { queues: installed.queues, streams: installed.streams.clone() },
        broker,
    };
    engine.accept_tasks.spawn(serve_local(
        incoming,
        engine.broker.clone(),
        installed.channels.clone(),
        engine.connection_tasks.clone(),
    ));
    for ((socket, listener), origins) in
        listeners.workers.into_iter().zip(workers.iter()).zip(checked.worker_origins)
    {
        engine.worker_addrs.extend(socket.local_addr());
        let broker = engine.broker.clone();
        let context = server::ListenerContext {
            broker: broker.clone(),
            channels: installed.channels.clone(),
            handshake_timeout: listener.handshake_timeout,
            origins: Arc::new(origins),
            guard: access::AccessGuard::new(
                broker,
                listener.access.clone(),
                listener.to_middleware(),
            ),
        };
        engine.accept_tasks.spawn(server::serve(socket, context, engine.connection_tasks.clone()));
    }
    if let (Some(socket), Some(streams)) = (listeners.stream, installed.streams) {
        engine.stream_addr = socket.local_addr().ok();
        let origins = Arc::new(checked.stream_origins);
        engine.accept_tasks.spawn(stream::serve(
            socket,
            streams,
            engine.connection_tasks.clone(),
            origins,
        ));
    }
    if let Some(socket) = listeners.http {
        let listener = Arc::new(http::HttpListener::new(&socket));
        engine.accept_tasks.spawn(listener.clone().serve(
            socket,
            engine.http.clone(),
            on_http_closed,
        ));
        engine.http_listener = Some(listener);
    }
    Ok(engine)
}

/// Values derived from the settings, validated before anything is bound or opened.
struct CheckedSettings {
    data_dir: Option<PathBuf>,
    /// One per listener for workers.
    worker_origins: Vec<OriginPolicy>,
    stream_origins: OriginPolicy,
    http_functions: Option<HttpFunctions>,
    cors: http::CorsPolicy,
}

impl CheckedSettings {
    fn new(builder: &mut EngineBuilder) -> Result<Self> {
        let invalid = |message| Error::new(code::INVALID_CONFIGURATION, message);
        builder.check_components()?;
        let data_dir = builder.directory()?;
        builder.limits.validate().map_err(invalid)?;
        let settings = &builder.settings;
        let worker_origins = settings
            .workers
            .iter()
            .map(|listener| OriginPolicy::new(&listener.allowed_origins).map_err(invalid))
            .collect::<Result<Vec<_>>>()?;
        let listed = settings.stream.as_ref().map(|stream| stream.allowed_origins.as_slice());
        let stream_origins = OriginPolicy::new(listed.unwrap_or_default()).map_err(invalid)?;
        if let Some((queues, _)) = &settings.queue {
            queues.check().map_err(invalid)?;
        }
        let http_functions = settings
            .http_functions
            .as_ref()
            .map(|settings| HttpFunctions::new(settings, builder.clock.clone()))
            .transpose()
            .map_err(invalid)?;
        let cors =
            settings.http.as_ref().map(|http| http.requests.cors.clone()).unwrap_or_default();
        let cors = http::CorsPolicy::new(&cors).map_err(invalid)?;
        Ok(Self { data_dir, worker_origins, stream_origins, http_functions, cors })
    }
}

/// The bound listeners.
#[derive(Default)]
struct BoundListeners {
    workers: Vec<TcpListener>,
    http: Option<TcpListener>,
    stream: Option<TcpListener>,
}

impl BoundListeners {
    async fn bind(settings: &EngineSettings) -> Result<Self> {
        let mut listeners = Self::default();
        for listener in settings.workers.iter() {
            let at = &listener.address;
            listeners.workers.push(bind(&at.host, at.port, "workers", "III_WORKER_PORT").await?);
        }
        if let Some(http) = &settings.http {
            let at = &http.address;
            listeners.http = Some(bind(&at.host, at.port, "http", "III_HTTP_PORT").await?);
        }
        if let Some(at) = &settings.stream {
            listeners.stream = Some(bind(&at.host, at.port, "streams", "III_STREAM_PORT").await?);
        }
        Ok(listeners)
    }
}

/// The durable store, and the capacity of in-memory stores beside it.
struct StoreFactory {
    durable: Store,
    capacity: usize,
}

impl StoreFactory {
    fn of(&self, persistence: Persistence) -> Store {
        match persistence {
            Persistence::Default => self.durable.clone(),
            Persistence::Memory => Store::in_memory_with(self.capacity),
        }
    }
}

/// The installed providers that other parts of the engine refer to.
struct InstalledProviders {
    channels: channel::Channels,
    http: Arc<http::HttpTriggers>,
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "for the test harness"))]
    queues: Option<Arc<Queues>>,
    streams: Option<Arc<Streams>>,
}

impl InstalledProviders {
    fn new(
        broker: &Broker,
        settings: EngineSettings,
        http_functions: Option<HttpFunctions>,
        cors: http::CorsPolicy,
        stores: &StoreFactory,
    ) -> Self {
        let channels = channel::Channels::new(broker.limits().channels.clone());
        broker.install(Arc::new(channel::ChannelFunctions::new(channels.clone())));
        let serves_http = settings.http.is_some();
        let requests = settings.http.unwrap_or_default().requests;
        let http =
            Arc::new(http::HttpTriggers::new(broker.clone(), requests, cors, channels.clone()));
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
        if let Some((settings, persistence)) = settings.state {
            let table = stores.of(persistence).table("state");
            broker.install(Arc::new(state::StateProvider::new(broker.clone(), table, settings)));
        }
        let queues = settings.queue.map(|(settings, persistence)| {
            Arc::new(Queues::new(broker.clone(), &stores.of(persistence), settings))
        });
        if let Some(queues) = &queues {
            broker.install(queues.clone());
        }
        let streams = settings.stream.map(|settings| {
            let persistence =
                if settings.in_memory { Persistence::Memory } else { Persistence::Default };
            let auth = settings.auth_function.map(FunctionId::from);
            let table = stores.of(persistence).table("stream");
            Arc::new(Streams::new(broker.clone(), table, auth))
        });
        if let Some(streams) = &streams {
            broker.install(streams.clone());
        }
        let table = stores.durable.table("configuration");
        broker.install(Arc::new(configuration::Configurations::new(broker.clone(), table)));
        let has_subscribers = streams.clone().map(|streams| -> SubscriptionCheck {
            Arc::new(move |stream: &str| streams.is_subscribed(stream))
        });
        let gauges = WorkerGauges::default();
        let observability = Observability::new(
            broker.clone(),
            settings.observability,
            has_subscribers,
            gauges.clone(),
        );
        broker.install(Arc::new(observability));
        broker.install(Arc::new(discovery::Discovery::new(broker.clone(), gauges)));
        Self { channels, http, queues, streams }
    }
}

/// Serves incoming connections from within this process.
async fn serve_local(
    mut incoming: tokio::sync::mpsc::UnboundedReceiver<Incoming>,
    broker: Broker,
    channels: channel::Channels,
    tasks: Arc<Tasks>,
) {
    while let Some(connection) = incoming.recv().await {
        match connection {
            Incoming::Connection(connection) => tasks.spawn(broker.attach(connection, None)),
            Incoming::Channel { channel, reply } => {
                tasks.spawn(channel::serve_local(channels.clone(), channel, reply));
            }
            Incoming::Telemetry { reply } => {
                tasks.spawn(server::serve_local_telemetry(broker.clone(), reply));
            }
        }
    }
}

/// Opens the store in a directory, or creates one in memory.
async fn open_store(directory: Option<PathBuf>, store_limits: StoreLimits) -> Result<Store> {
    let Some(directory) = directory else {
        return Ok(Store::in_memory_with(store_limits.capacity));
    };
    let opened =
        tokio::task::spawn_blocking(move || Store::open_with(&directory, store_limits)).await;
    let error = match opened {
        Ok(Ok(store)) => return Ok(store),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "opening the store panicked".to_owned(),
    };
    Err(Error::new(code::STORE_FAILED, error))
}

/// Binds an address, or explains why it cannot be bound and how to fix it.
async fn bind(host: &str, port: u16, what: &str, variable: &str) -> Result<TcpListener> {
    TcpListener::bind((host, port)).await.map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "port {port} on {host} is already in use, so {what} cannot be served: stop the other program or set \
                 {variable} to another port"
            ),
            std::io::ErrorKind::PermissionDenied => format!(
                "binding port {port} on {host} for {what} is not permitted: set {variable} to a port above 1023"
            ),
            _ => format!(
                "cannot listen on {host}, port {port}, for {what}: {error}: set III_HOST to an address of this machine \
                 and {variable} to a free port"
            ),
        };
        Error::new(code::LISTEN_FAILED, message).with_source(error)
    })
}
