//! A worker between its declarations and its connection: the part that a start and a test share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::health::Health;
use super::hooks::Hooks;
use super::settings::Settings;
use crate::catalogue::{
    Catalogue, CatalogueProblem, CatalogueProblems, Declarations, EndpointMode,
};
use crate::client::Client;
use crate::config::{self, ConfigStore, Configs, Variables};
use crate::extract::Resources;
use crate::provide::ItemLocks;
use crate::session::{Readiness, Session};
use crate::telemetry::Telemetry;
use crate::time::Backoff;
use crate::trigger::{self, Binding};
use crate::worker::{
    Conflict, DispatchLimits, Dispatcher, Environment, Identity, Provider, Registrations, Started,
    TriggerIds, Watch, Worker, WorkerHandle,
};
use iii_wire::clock::Clock;
use iii_wire::protocol::{FunctionId, Payload};
use iii_wire::transport::Transport;
use iii_wire::{Error, Result, code};

/// A worker that is gathered and checked, and not yet connected.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub name: String,
    pub catalogue: Catalogue,
    pub session: Arc<Session>,
    pub dispatcher: Arc<Dispatcher>,
    provider: Arc<Provider>,
    pub registrations: Arc<Registrations>,
    identity: Identity,
    backoff: Backoff,
    conflict: Conflict,
    hooks: Hooks,
    stopping: Stopping,
    asks: bool,
    config_store: Arc<ConfigStore>,
}

/// What an app is told beside what it serves and its settings.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub hooks: Hooks,
    pub health: Health,
    pub readiness: Arc<Readiness>,
    /// What is wrong with what the app was told.
    pub problems: Vec<CatalogueProblem>,
}

impl Extras {
    /// Gathers and checks everything.
    ///
    /// # Errors
    ///
    /// All problems in one report.
    pub(crate) fn assemble(
        &self,
        declarations: &Declarations,
        provided: &Resources,
        endpoints: EndpointMode,
    ) -> Result<Catalogue, CatalogueProblems> {
        let mut more = self.problems.clone();
        more.extend(self.health.problems(provided));
        CatalogueProblems::with(Catalogue::assemble_for(declarations, provided, endpoints), more)
    }
}

/// What the app does at the end, until the worker takes it. The lock makes it `Sync`, which futures are not.
struct Stopping(Mutex<Option<BoxFuture<'static, ()>>>);

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopping").finish_non_exhaustive()
    }
}

/// What a worker runs in, which differs in tests.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub clock: Clock,
    pub watch: Option<Arc<dyn Watch>>,
    pub trigger_ids: TriggerIds,
    /// Whether the engine is asked for what it has taken.
    pub asks: bool,
    /// Where the telemetry of the worker goes.
    pub telemetry: Telemetry,
    /// Whether the engine is told of HTTP endpoints.
    pub endpoints: EndpointMode,
    /// The environment that configurations are read from.
    pub variables: Variables,
    /// What the engine's configuration store is to have before the worker reads it.
    pub stored: HashMap<String, Payload>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            watch: None,
            trigger_ids: TriggerIds::Random,
            asks: true,
            telemetry: Telemetry::default(),
            endpoints: EndpointMode::Resolve,
            variables: Variables::Environment,
            stored: HashMap::new(),
        }
    }
}

impl Prepared {
    /// Gathers and checks everything.
    ///
    /// # Errors
    ///
    /// `invalid_catalogue` or `invalid_configuration`
    pub(crate) fn new(
        mut declarations: Declarations,
        mut resources: Resources,
        configs: Configs,
        settings: &Settings,
        mut extras: Extras,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let health = std::mem::take(&mut extras.health);
        extras.problems.extend(health.problems(&resources));
        let name = worker_name(settings);
        declarations.functions.extend(health.function(&name, &extras.readiness, &mut resources));
        let catalogue = extras.assemble(&declarations, &resources, surroundings.endpoints)?;
        Self::without_check(catalogue, resources, configs, settings, extras, surroundings)
    }

    /// As [`Prepared::new`], with a catalogue that was checked.
    pub(crate) fn without_check(
        catalogue: Catalogue,
        mut resources: Resources,
        mut configs: Configs,
        settings: &Settings,
        extras: Extras,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let namespace = settings.namespace_or_default();
        let Extras { hooks, readiness, .. } = extras;
        let session = Session::new(namespace.clone(), settings.call_timeout(), readiness);
        if !catalogue.stream_stores().is_empty() {
            resources.insert(Arc::new(ItemLocks::default()));
        }
        let limits = DispatchLimits {
            max_in_flight: settings.max_in_flight(),
            concurrency: settings.concurrency(),
            handler_timeout: settings.handler_timeout,
        };
        let Surroundings { clock, watch, trigger_ids, asks, telemetry, variables, stored, .. } =
            surroundings;
        let client = Client::new(session.clone());
        let path = settings.config_file.as_deref();
        let read = configs.prepare(catalogue.config_requirements(), path, &variables)?;
        configs.provide(&mut resources);
        let config_store = Arc::new(ConfigStore::new(client.clone(), read, stored));
        resources.insert(config_store.clone());
        let resources = Arc::new(resources);
        let environment = Environment {
            resources: resources.clone(),
            session: session.clone(),
            clock,
            watch,
            telemetry,
        };
        let mut dispatcher = Dispatcher::new(&catalogue, limits, environment);
        let stopping = Stopping(Mutex::new(hooks.stop(client.clone())));
        let provider = Provider::new(catalogue.trigger_types().to_vec(), client, resources);
        let mut registrations = Registrations::new(&catalogue, &namespace, trigger_ids);
        if !config_store.is_empty() {
            let id = FunctionId::from(match trigger_ids {
                TriggerIds::Random => format!("{}::{}", config::CHANGED, uuid::Uuid::new_v4()),
                TriggerIds::Steady => config::CHANGED.to_owned(),
            });
            dispatcher.serve(id.clone(), config::on_change);
            let bindings = config_store.ids().map(|(id, location)| {
                let changes = trigger::Configuration { id: Some(id), ..Default::default() };
                (Binding::from(changes), location)
            });
            let text = "Hears of changes of this worker's configuration.";
            registrations.add_spare(id, text, bindings, &namespace);
        }
        let name = worker_name(settings);
        let mut backoff = settings.backoff.unwrap_or_default();
        if trigger_ids == TriggerIds::Steady {
            // No chance in it: a test runs the same way each time.
            session.make_deterministic();
            backoff.jitter = 0.0;
        }
        Ok(Self {
            identity: Identity::new(
                name.clone(),
                settings.version_of_worker(),
                settings.isolation.clone(),
                namespace,
            ),
            name,
            catalogue,
            session,
            dispatcher: Arc::new(dispatcher),
            provider: Arc::new(provider),
            registrations: Arc::new(registrations),
            backoff,
            conflict: settings.conflict.unwrap_or_default(),
            hooks,
            stopping,
            asks,
            config_store,
        })
    }

    /// Does what the app does at the start, when everything is confirmed. The worker is ready afterwards.
    ///
    /// # Errors
    ///
    /// What it fails with.
    pub(crate) async fn begin(&self) -> Result<()> {
        self.hooks.start(&Client::new(self.session.clone())).await?;
        self.session.readiness().set_started();
        Ok(())
    }

    /// Connects, registers everything, and waits until the engine has confirmed it.
    ///
    /// # Errors
    ///
    /// `connect_failed`, `registration_rejected`, or `invalid_configuration`
    pub(crate) async fn connect(
        &self,
        transport: Arc<dyn Transport>,
    ) -> Result<(WorkerHandle, Started)> {
        self.session.set_transport(transport);
        let worker = Worker {
            session: self.session.clone(),
            dispatcher: self.dispatcher.clone(),
            provider: self.provider.clone(),
            registrations: self.registrations.clone(),
            identity: self.identity.clone(),
            backoff: self.backoff,
            conflict: self.conflict,
            stopping: self.stopping.0.lock().unwrap_or_else(PoisonError::into_inner).take(),
            asks: self.asks,
        };
        let (mut worker, started) = worker.spawn();
        let started = started.await.map_err(|_| {
            Error::new(code::SHUTTING_DOWN, "the worker stopped before it was ready")
        })??;
        if !self.config_store.is_empty() {
            // Listened to before the store is read: a link that is lost meanwhile is not missed.
            let mut state = self.session.state();
            state.borrow_and_update();
            self.config_store.load().await?;
            worker.keep(self.config_store.clone().follow(state));
        }
        Ok((worker, started))
    }
}

/// The name of a worker: as it was said, else that of the package, else that of the program.
pub(super) fn worker_name(settings: &Settings) -> String {
    settings.name_of_worker().unwrap_or_else(default_name)
}

/// A name for a worker that nobody has named.
fn default_name() -> String {
    let program = std::env::args().next().unwrap_or_default();
    let stem = std::path::Path::new(&program).file_stem().and_then(|stem| stem.to_str());
    stem.filter(|stem| !stem.is_empty()).unwrap_or("worker").to_owned()
}
