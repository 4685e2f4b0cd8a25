//! A worker between its declarations and its connection: the part that a start and a test share.

use std::collections::HashMap;
use std::sync::Arc;

use super::settings::Settings;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::{self, ConfigStore, Configs, Variables};
use crate::declare::{Catalogue, Declarations};
use crate::error::{Error, Result, code};
use crate::extract::Resources;
use crate::protocol::{FunctionId, Payload};
use crate::transport::Transport;
use crate::trigger::{self, Binding};
use crate::worker::{
    Backoff, DispatchLimits, Dispatcher, Identity, Provider, Registrations, Session, Started,
    TriggerIds, Watch, Worker, WorkerHandle,
};

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
    asks: bool,
    config_store: Arc<ConfigStore>,
}

/// What a worker runs in, which differs in tests.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub clock: Clock,
    pub watch: Option<Arc<dyn Watch>>,
    pub trigger_ids: TriggerIds,
    pub backoff: Backoff,
    /// Whether the engine is asked for what it has taken.
    pub asks: bool,
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
            backoff: Backoff::default(),
            asks: true,
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
        declarations: Declarations,
        resources: Resources,
        configs: Configs,
        settings: &Settings,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let catalogue = Catalogue::assemble(&declarations, &resources)?;
        Self::without_check(catalogue, resources, configs, settings, surroundings)
    }

    /// As [`Prepared::new`], with a catalogue that was checked.
    pub(crate) fn without_check(
        catalogue: Catalogue,
        mut resources: Resources,
        mut configs: Configs,
        settings: &Settings,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let namespace = settings.namespace_or_default();
        let session = Session::new(namespace.clone(), settings.call_timeout());
        resources.insert(session.clone());
        let limits = DispatchLimits {
            accepted: settings.accepted(),
            running: settings.concurrency(),
            handler_timeout: settings.handler_timeout,
        };
        let Surroundings { clock, watch, trigger_ids, backoff, asks, variables, stored } =
            surroundings;
        let client = Client::new(session.clone());
        let path = settings.config_file.as_deref();
        let read = configs.prepare(&catalogue, path, &variables)?;
        configs.provide(&mut resources);
        let config_store = Arc::new(ConfigStore::new(client.clone(), read, stored));
        resources.insert(config_store.clone());
        let resources = Arc::new(resources);
        let mut dispatcher = Dispatcher::new(&catalogue, resources.clone(), limits, clock, watch);
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
        let name = settings.name_of_worker().unwrap_or_else(default_name);
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
            asks,
            config_store,
        })
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
        self.session.reach_by(transport);
        let worker = Worker {
            session: self.session.clone(),
            dispatcher: self.dispatcher.clone(),
            provider: self.provider.clone(),
            registrations: self.registrations.clone(),
            identity: self.identity.clone(),
            backoff: self.backoff,
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

/// A name for a worker that nobody has named.
fn default_name() -> String {
    let program = std::env::args().next().unwrap_or_default();
    let stem = std::path::Path::new(&program).file_stem().and_then(|stem| stem.to_str());
    stem.filter(|stem| !stem.is_empty()).unwrap_or("worker").to_owned()
}
