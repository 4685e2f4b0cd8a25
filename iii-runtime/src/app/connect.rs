//! `Client::connect`: a client of an engine without a worker.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use iii_wire::{Error, Result, code};
use tokio::sync::Mutex;

use super::prepared::{Extras, Prepared, Surroundings};
use super::running::remote;
use super::settings::Settings;
use crate::catalogue::Catalogue;
use crate::client::{Client, OwnedConnection};
use crate::config::Configs;
use crate::extract::Resources;
use crate::worker::WorkerHandle;

/// How long the engine may take to accept the connection, by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Client {
    /// Connects to an engine without serving anything: for programs that only call functions, read state, or inspect an
    /// engine.
    ///
    /// The engine lists the client as a worker without functions. A lost connection is re-established in the background,
    /// as that of a worker. Await the builder to connect.
    ///
    /// ```no_run
    /// use iii::Client;
    ///
    /// # async fn example() -> iii::Result<()> {
    /// let client = Client::connect("ws://127.0.0.1:49134").name("reports").await?;
    /// let total: u64 = client.call_raw("orders::total", &()).await?;
    /// client.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            settings: Settings::default(),
            connect_timeout: CONNECT_TIMEOUT,
        }
    }
}

/// Configures a client, and connects it when it is awaited. Made by [`Client::connect`].
///
/// # Errors
///
/// - `invalid_configuration`: the URL or a header is invalid, or `wss://` is used without the feature `tls`.
/// - `connect_failed`: the engine did not accept the connection within the connect timeout.
/// - `registration_rejected`: the engine refused the client, for example for its namespace.
#[must_use = "a client connects when it is awaited"]
#[derive(Debug)]
pub struct ClientBuilder {
    url: String,
    settings: Settings,
    connect_timeout: Duration,
}

impl ClientBuilder {
    /// Sets the name under which the engine lists the client. Default: the name of the program.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Sets the namespace whose functions the client calls. Default: `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.settings.namespace = Some(namespace.into().into());
        self
    }

    /// Adds a header to the handshake, such as one that authenticates the client. May be called several times.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long a call waits for its result, where the call sets no timeout of its own. Default: 30 s.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.settings.call_timeout = Some(timeout);
        self
    }

    /// Sets how long the engine may take to accept the connection. Until then, failed attempts are repeated with backoff.
    /// Default: 10 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    async fn connect(self) -> Result<Client> {
        let Self { url, settings, connect_timeout } = self;
        // The environment configures the worker of a program, not each client that it makes.
        let settings = settings.with_variables(|_| None)?;
        // There is nothing that the engine could refuse, so it is not asked for what it has accepted.
        let surroundings = Surroundings { asks: false, ..Surroundings::default() };
        let prepared = Prepared::without_check(
            Catalogue::empty(),
            Resources::default(),
            Configs::default(),
            &settings,
            Extras::default(),
            surroundings,
        )?;
        let transport = Arc::new(remote(&url, &settings.headers)?);
        let connecting = tokio::time::timeout(connect_timeout, prepared.connect(transport));
        let (worker, _) = connecting.await.unwrap_or_else(|_| {
            let text = format!(
                "no connection to the engine at {url} within {connect_timeout:?}: check that it runs and that the URL is \
                 right"
            );
            Err(Error::new(code::CONNECT_FAILED, text))
        })?;
        Ok(Client::owning(prepared.session, Arc::new(Connection(Mutex::new(worker)))))
    }
}

impl IntoFuture for ClientBuilder {
    type Output = Result<Client>;
    type IntoFuture = BoxFuture<'static, Result<Client>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.connect())
    }
}

/// The connection of a client. Dropping the handle closes it.
#[derive(Debug)]
struct Connection(Mutex<WorkerHandle>);

impl OwnedConnection for Connection {
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut worker = self.0.lock().await;
            worker.abort();
            // How the connection ended is of no use to a caller that has its answers.
            let _ = worker.left().await;
        })
    }
}
