//! The app: what is declared, what it provides, and how it runs.

mod config;
mod connect;
pub(crate) mod entry;
pub mod exit;
mod health;
mod hooks;
mod options;
mod prepared;
mod ready_file;
mod report;
mod running;
mod settings;
pub(crate) mod signals;
#[cfg(feature = "otel")]
mod telemetry;

use std::convert::Infallible;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::catalogue::{Catalogue, CatalogueProblems, Declarations, EndpointMode};
use crate::client::Client;
use crate::config::{Configs, Variables};
use crate::declare::Declared;
use crate::extract::{Extract, Resources};
use crate::function::Location;
use crate::intercept::{AnyInterceptor, Interceptor};
use crate::provide::{StreamStore, StreamStoreDescriptor, TriggerType, TriggerTypeDescriptor};
use crate::time::Backoff;
use crate::worker::Conflict;
use iii_wire::protocol::Namespace;
use iii_wire::{Error, Result, code};

pub use connect::ClientBuilder;
pub use health::{CheckReport, HealthReport, HealthStatus};
use prepared::Extras;
#[cfg(feature = "testing")]
pub(crate) use prepared::{Prepared, Surroundings};
pub use running::{Addresses, Running};
pub use settings::Settings;

/// How long a start may take before it is reported that it goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// A worker before it runs.
///
/// [`#[iii::main]`](macro@crate::main) hands one to your main, with everything that is declared; [`App::new`] is the
/// explicit form.
///
/// ```no_run
/// use iii::App;
///
/// #[iii::function(id = "math::double")]
/// async fn double(n: u32) -> u32 { n * 2 }
///
/// # async fn example() -> iii::Result<()> {
/// App::new().function::<double>().run().await
/// # }
/// ```
///
/// Settings that are not made here come from the environment; see [`Settings`] for their names.
#[doc = include_str!("../docs/lifecycle.md")]
#[derive(Debug, Default)]
pub struct App {
    declarations: Declarations,
    resources: Resources,
    settings: Settings,
    extras: Extras,
    configs: Configs,
    variables: AppVariables,
}

/// The environment that an app reads before it starts.
#[derive(Debug)]
struct AppVariables(Variables);

impl Default for AppVariables {
    fn default() -> Self {
        Self(Variables::Environment)
    }
}

impl App {
    /// An app without functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// An app with everything that is declared in the crates that are linked in.
    pub fn declared() -> Self {
        Self { declarations: Declarations::linked(), ..Self::default() }
    }

    /// An app with these declarations.
    #[cfg(feature = "testing")]
    pub(crate) fn of(declarations: Declarations) -> Self {
        Self { declarations, variables: AppVariables(Variables::None), ..Self::default() }
    }

    /// What the app was told so far.
    #[cfg(feature = "testing")]
    pub(crate) fn into_parts(self) -> (Declarations, Resources, Configs, Settings, Extras) {
        (self.declarations, self.resources, self.configs, self.settings, self.extras)
    }

    /// Adds a function, with its triggers and its services. A function that is there already is not added twice.
    pub fn function<F: Declared>(&mut self) -> &mut Self {
        self.declarations.add(F::descriptor());
        self
    }

    /// Provides a trigger type. One that is there already is not added twice.
    #[track_caller]
    pub fn trigger_type<T: TriggerType>(&mut self) -> &mut Self {
        let types = &mut self.declarations.trigger_types;
        if !types.iter().any(|known| known.id == T::ID) {
            let location = here();
            // An app is made once, or a few times in tests, so this is no leak that grows.
            types.push(Box::leak(Box::new(TriggerTypeDescriptor::new::<T>("", location))));
        }
        self
    }

    /// Keeps a stream. One that is there already is not added twice. The store itself is given with [`App::state`].
    #[track_caller]
    pub fn stream_store<T: StreamStore>(&mut self) -> &mut Self {
        let place = std::panic::Location::caller();
        let location = Location { file: place.file(), line: place.line(), column: place.column() };
        let stores = &mut self.declarations.stream_stores;
        if !stores.iter().any(|known| known.is::<T>()) {
            // As for trigger types, this is no leak that grows.
            stores.push(Box::leak(Box::new(StreamStoreDescriptor::new::<T>("", location))));
        }
        self
    }

    /// Provides a value that functions take by [`State<T>`](crate::State), in place of an earlier one of its type.
    pub fn state<T: Send + Sync + 'static>(&mut self, value: T) -> &mut Self {
        self.resources.insert(Arc::new(value));
        self
    }

    /// Runs an interceptor around each invocation of the worker, inside of those that were given before. See
    /// [`Interceptor`] for the order, and [`intercept`](crate::intercept) for those that come with the crate.
    #[track_caller]
    pub fn intercept(&mut self, interceptor: impl Interceptor) -> &mut Self {
        self.declarations.interceptors.push(AnyInterceptor::new(interceptor));
        self
    }

    /// As [`App::state`], for a value that somebody else has as well.
    #[cfg(feature = "testing")]
    pub(crate) fn share<T: Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.resources.insert(value);
    }

    /// Sets the name of the worker. Default: `III_WORKER_NAME`, then the name of the package.
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        self.settings.name = Some(name.into());
        self
    }

    /// What the macro knows of the package; less than what the user says.
    pub(crate) fn named(&mut self, package: &str, version: &str) {
        self.settings.package = Some(package.to_owned());
        self.settings.package_version = Some(version.to_owned());
    }

    /// Sets the namespace of the worker. Default: `III_NAMESPACE`, then `default`.
    pub fn namespace(&mut self, namespace: impl Into<Namespace>) -> &mut Self {
        self.settings.namespace = Some(namespace.into());
        self
    }

    /// Sets the engine to connect to. Default: `III_URL`; without it, an engine is started in this process.
    pub fn url(&mut self, url: impl Into<String>) -> &mut Self {
        self.settings.url = Some(url.into());
        self
    }

    /// Adds a header to the handshake with the engine. `III_HEADERS` adds those that are not set here.
    pub fn header(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.settings.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the directory in which the engine in this process keeps what it stores, also over a crash. Default:
    /// `III_DATA_DIR`; without it, in memory.
    pub fn data_dir(&mut self, directory: impl Into<PathBuf>) -> &mut Self {
        self.settings.data_dir = Some(directory.into());
        self
    }

    /// Which endpoints the engine in this process may call for functions that are declared by
    /// [`http_function`](macro@crate::http_function); `None` switches them off. Default: those at public addresses, over
    /// https.
    ///
    /// An endpoint on this machine needs more than that:
    ///
    /// ```
    /// use iii::engine::HttpFunctionSettings;
    ///
    /// # let mut app = iii::App::new();
    /// app.http_functions(HttpFunctionSettings {
    ///     require_https: false,
    ///     block_private_ips: false,
    ///     ..HttpFunctionSettings::default()
    /// });
    /// ```
    #[cfg(feature = "engine")]
    pub fn http_functions(
        &mut self,
        settings: impl Into<Option<iii_engine::HttpFunctionSettings>>,
    ) -> &mut Self {
        self.settings.http_functions = Some(settings.into());
        self
    }

    /// Sets how long a caller waits for an answer, where the call does not say. Default: `III_CALL_TIMEOUT`, then 30 s.
    pub fn call_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.settings.call_timeout = Some(timeout);
        self
    }

    /// Sets how long a handler may take, where its function does not say. Default: `III_HANDLER_TIMEOUT`, then as long as
    /// it wants.
    pub fn handler_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.settings.handler_timeout = Some(timeout);
        self
    }

    /// Sets how many handlers run at the same time; more wait. Default: `III_CONCURRENCY`, then 1,024.
    pub fn concurrency(&mut self, most: usize) -> &mut Self {
        self.settings.concurrency = Some(most.max(1));
        self
    }

    /// Sets how long handlers may go on after the worker is told to stop. Default: `III_GRACE`, then 30 s.
    pub fn grace(&mut self, grace: Duration) -> &mut Self {
        self.settings.grace = Some(grace);
        self
    }

    /// Sets the pauses between attempts to reach the engine, and to get back a function id that another worker has.
    /// Default: `III_BACKOFF`, then [`Backoff::default`].
    pub fn backoff(&mut self, backoff: Backoff) -> &mut Self {
        self.settings.backoff = Some(backoff);
        self
    }

    /// Sets what the worker does when another one has a function id of its own. Default: `III_ON_CONFLICT`, then
    /// [`Conflict::Fail`].
    pub fn on_conflict(&mut self, conflict: Conflict) -> &mut Self {
        self.settings.conflict = Some(conflict);
        self
    }

    /// Does something when everything is registered and confirmed, before the worker is called ready. Any number, in
    /// order.
    ///
    /// Functions can be called by then, those of this worker too; callers may already call them. An error ends the start:
    /// the worker drains, and leaves with that error. A signal meanwhile ends the start at once.
    ///
    /// ```no_run
    /// # use iii::prelude::*;
    /// # #[iii::function(id = "stock::load")] async fn load() -> u32 { 7 }
    /// #[iii::main]
    /// async fn main(app: &mut App) {
    ///     app.on_start(async |client| {
    ///         client.call::<load>(()).await?;
    ///         Ok(())
    ///     });
    ///     app.on_stop(async |client| client.publish("workers.gone", &"stock").await);
    /// }
    /// ```
    pub fn on_start<F, Fut>(&mut self, hook: F) -> &mut Self
    where
        F: FnOnce(Client) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.extras.hooks.on_start(hook);
        self
    }

    /// Does something when the worker stops: it takes no more work, all handlers are done, and the link is still there.
    /// Any number, the last one first; an error is logged, and the others run nevertheless.
    ///
    /// All together have what the handlers left of the grace period, and at least a second. They also run when
    /// [`App::on_start`] has failed, and when the link is lost; calls fail then. They do not run when the worker is thrown
    /// out, or stopped at once.
    pub fn on_stop<F, Fut>(&mut self, hook: F) -> &mut Self
    where
        F: FnOnce(Client) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.extras.hooks.on_stop(hook);
        self
    }

    /// Whether the worker of this app is ready, as a value to watch, from before its start to after its end.
    ///
    /// It is while the engine is connected, has confirmed every registration, what [`App::on_start`] was given is done, and
    /// the worker is not about to stop. Triggers that wait for their type do not count, nor do functions that
    /// [`Conflict::Warn`] lets another worker have.
    ///
    /// ```
    /// # use iii::App;
    /// let mut app = App::new();
    /// let ready = app.ready();
    /// assert!(!*ready.borrow());
    /// ```
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.extras.readiness.watch()
    }

    /// Keeps a file that is there while the worker is ready, for probes such as `test -f /tmp/ready`. Default:
    /// `III_READY_FILE`; without it, none.
    ///
    /// It holds the id of the process. A file that was there before goes at the start. A process that is killed leaves its
    /// file, so look at the process too.
    pub fn ready_file(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.settings.ready_file = Some(path.into());
        self
    }

    /// Serves a function that tells how the worker is: `<name of the worker>::health`, which answers a [`HealthReport`].
    #[track_caller]
    pub fn health(&mut self) -> &mut Self {
        self.extras.health.want(None, here());
        self
    }

    /// As [`App::health`], with an id of your own.
    #[track_caller]
    pub fn health_as(&mut self, id: impl Into<String>) -> &mut Self {
        self.extras.health.want(Some(id.into()), here());
        self
    }

    /// Adds a check to the health function, which is there then. It takes one extractor, such as [`State<T>`](crate::State)
    /// or [`Client`], and may take 5 s. Checks run at the same time; of two with one name the later one counts.
    ///
    /// ```
    /// # use iii::prelude::*;
    /// struct Pool;
    /// impl Pool {
    ///     async fn ping(&self) -> std::io::Result<()> { Ok(()) }
    /// }
    ///
    /// # let app = &mut App::new();
    /// app.state(Pool).health_check("db", async |pool: State<Pool>| Ok(pool.ping().await?));
    /// ```
    #[track_caller]
    pub fn health_check<A, F, Fut>(&mut self, name: impl Into<String>, check: F) -> &mut Self
    where
        A: Extract + 'static,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.extras.health.check(name.into(), here(), check);
        self
    }

    /// Gathers and checks what is declared and provided, without connecting.
    ///
    /// # Errors
    ///
    /// All problems in one report.
    pub fn catalogue(&self) -> Result<Catalogue, CatalogueProblems> {
        self.extras.assemble(&self.declarations, &self.resources, EndpointMode::Resolve)
    }

    /// Connects, registers everything, and returns when the engine has confirmed it. The app is empty afterwards.
    ///
    /// An engine that cannot be reached is tried again, for as long as it takes.
    ///
    /// # Errors
    ///
    /// `invalid_catalogue`, `invalid_configuration`, `listen_failed`, `store_failed`, `connect_failed`, or
    /// `registration_rejected` (see [`code`](crate::code)); and what [`App::on_start`] fails with.
    pub async fn start(&mut self) -> Result<Running> {
        let Self { declarations, resources, settings, configs, extras, .. } = mem::take(self);
        let settings = settings.with_environment()?;
        Running::start(declarations, resources, configs, settings, extras).await
    }

    /// Runs the worker until SIGINT or SIGTERM, then drains it: what runs is finished and answered. A second signal stops
    /// at once.
    ///
    /// Prints what is served to standard output.
    ///
    /// # Errors
    ///
    /// As [`App::start`]; `evicted` if the engine throws the worker out for good; `grace_exceeded` if something was not
    /// done in time; `stopped_at_once` after a second signal. [`exit`] says which exit code belongs to each.
    pub async fn run(&mut self) -> Result<()> {
        let mut signals = signals::Signals::new()?;
        let starting = self.start();
        tokio::pin!(starting);
        // Whoever watches learns why nothing happens, also without a log.
        let patience = async {
            tokio::time::sleep(PATIENCE).await;
            report::waiting();
            std::future::pending::<Infallible>().await
        };
        let mut running = tokio::select! {
            running = &mut starting => running?,
            _ = signals.next() => return Ok(()),
            never = patience => match never {},
        };
        report::print(&running);
        tokio::select! {
            _ = signals.next() => {}
            left = running.left() => return left,
        }
        report::draining(running.in_flight());
        let signal = tokio::select! {
            left = running.drain() => return left,
            signal = signals.next() => signal,
        };
        let cut = running.in_flight();
        running.abort();
        running.left().await?;
        let text =
            format!("a second signal stopped the worker at once, and cut off {cut} invocations");
        Err(Error::new(code::STOPPED_AT_ONCE, text).with_details(&signal))
    }
}

/// The place in the source of whoever calls the method that calls this.
#[track_caller]
fn here() -> Location {
    let place = std::panic::Location::caller();
    Location { file: place.file(), line: place.line(), column: place.column() }
}
