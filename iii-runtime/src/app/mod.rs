//! The app: what is declared, what it provides, and how it runs.

mod config;
pub(crate) mod entry;
mod options;
mod prepared;
mod report;
mod running;
mod settings;
pub(crate) mod signals;

use std::convert::Infallible;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Configs, Variables};
use crate::declare::{Catalogue, Declarations, Function, Location, Problems};
use crate::error::Result;
use crate::extract::Resources;
use crate::protocol::Namespace;
use crate::provide::{TriggerType, TriggerTypeDescriptor};
use crate::transport::ConnectError;

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
#[derive(Debug, Default)]
pub struct App {
    declarations: Declarations,
    resources: Resources,
    settings: Settings,
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
    pub(crate) fn into_parts(self) -> (Declarations, Resources, Configs, Settings) {
        (self.declarations, self.resources, self.configs, self.settings)
    }

    /// Adds a function, with its triggers. A function that is there already is not added twice.
    ///
    /// # Panics
    ///
    /// If another worker serves the function: its type has no handler.
    pub fn function<F: Function>(&mut self) -> &mut Self {
        let Some(function) = F::descriptor() else {
            panic!("`{}` is served by another worker: this app cannot serve it", F::ID);
        };
        let functions = &mut self.declarations.functions;
        if !functions.iter().any(|known| std::ptr::eq(*known, function)) {
            functions.push(function);
        }
        self
    }

    /// Provides a trigger type. One that is there already is not added twice.
    #[track_caller]
    pub fn trigger_type<T: TriggerType>(&mut self) -> &mut Self {
        let types = &mut self.declarations.trigger_types;
        if !types.iter().any(|known| known.id == T::ID) {
            let place = std::panic::Location::caller();
            let location =
                Location { file: place.file(), line: place.line(), column: place.column() };
            // An app is made once, or a few times in tests, so this is no leak that grows.
            types.push(Box::leak(Box::new(TriggerTypeDescriptor::new::<T>("", location))));
        }
        self
    }

    /// Provides a value that functions take by [`State<T>`](crate::State), in place of an earlier one of its type.
    pub fn state<T: Send + Sync + 'static>(&mut self, value: T) -> &mut Self {
        self.resources.insert(Arc::new(value));
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

    /// Gathers and checks what is declared and provided, without connecting.
    ///
    /// # Errors
    ///
    /// All problems in one report.
    pub fn catalogue(&self) -> Result<Catalogue, Problems> {
        Catalogue::assemble(&self.declarations, &self.resources)
    }

    /// Connects, registers everything, and returns when the engine has confirmed it. The app is empty afterwards.
    ///
    /// An engine that cannot be reached is tried again, for as long as it takes.
    ///
    /// # Errors
    ///
    /// `invalid_catalogue`, `invalid_configuration`, `listen_failed`, `store_failed`, `connect_failed`, or
    /// `registration_rejected` (see [`code`](crate::code)).
    pub async fn start(&mut self) -> Result<Running> {
        let Self { declarations, resources, settings, configs, .. } = mem::take(self);
        Running::start(declarations, resources, configs, settings.with_environment()?).await
    }

    /// Runs the worker until SIGINT or SIGTERM, then drains it: what runs is finished and answered. A second signal stops
    /// at once.
    ///
    /// Prints what is served to standard output.
    ///
    /// # Errors
    ///
    /// As [`App::start`]; and if the engine throws the worker out for good.
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
            () = signals.next() => return Ok(()),
            never = patience => match never {},
        };
        report::print(&running);
        tokio::select! {
            () = signals.next() => {}
            left = running.left() => return left,
        }
        report::draining(running.in_flight());
        tokio::select! {
            left = running.drain() => left,
            () = signals.next() => {
                running.abort();
                running.left().await
            }
        }
    }
}

impl From<ConnectError> for crate::Error {
    fn from(error: ConnectError) -> Self {
        Self::new(crate::code::CONNECT_FAILED, error.to_string())
    }
}
