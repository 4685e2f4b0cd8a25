//! A worker between its declarations and its connection: the part that a start and a test share.

use std::sync::Arc;

use super::settings::Settings;
use crate::client::Client;
use crate::clock::Clock;
use crate::declare::{Catalogue, Declarations};
use crate::error::{Error, Result, code};
use crate::extract::Resources;
use crate::provide::WriteTurns;
use crate::transport::Transport;
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
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            watch: None,
            trigger_ids: TriggerIds::Random,
            backoff: Backoff::default(),
            asks: true,
        }
    }
}

impl Prepared {
    /// Gathers and checks everything.
    ///
    /// # Errors
    ///
    /// `invalid_catalogue`
    pub(crate) fn new(
        declarations: Declarations,
        resources: Resources,
        settings: &Settings,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let catalogue = Catalogue::assemble(&declarations, &resources)?;
        Ok(Self::without_check(catalogue, resources, settings, surroundings))
    }

    /// As [`Prepared::new`], with a catalogue that was checked.
    pub(crate) fn without_check(
        catalogue: Catalogue,
        mut resources: Resources,
        settings: &Settings,
        surroundings: Surroundings,
    ) -> Self {
        let namespace = settings.namespace_or_default();
        let session = Session::new(namespace.clone(), settings.call_timeout);
        resources.insert(session.clone());
        if !catalogue.stream_stores().is_empty() {
            resources.insert(Arc::new(WriteTurns::default()));
        }
        let limits = DispatchLimits {
            accepted: settings.accepted,
            running: settings.concurrency,
            handler_timeout: settings.handler_timeout,
        };
        let Surroundings { clock, watch, trigger_ids, backoff, asks } = surroundings;
        let resources = Arc::new(resources);
        let dispatcher = Dispatcher::new(&catalogue, resources.clone(), limits, clock, watch);
        let client = Client::new(session.clone());
        let provider = Provider::new(catalogue.trigger_types().to_vec(), client, resources);
        let registrations = Registrations::new(&catalogue, &namespace, trigger_ids);
        let name = settings.name.clone().or_else(|| settings.package.clone());
        let name = name.unwrap_or_else(default_name);
        Self {
            identity: Identity::new(name.clone(), settings.version.clone(), namespace),
            name,
            catalogue,
            session,
            dispatcher: Arc::new(dispatcher),
            provider: Arc::new(provider),
            registrations: Arc::new(registrations),
            backoff,
            asks,
        }
    }

    /// Connects, registers everything, and waits until the engine has confirmed it.
    ///
    /// # Errors
    ///
    /// `connect_failed` or `registration_rejected`
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
        let (worker, started) = worker.spawn();
        let started = started.await.map_err(|_| {
            Error::new(code::SHUTTING_DOWN, "the worker stopped before it was ready")
        })??;
        Ok((worker, started))
    }
}

/// A name for a worker that nobody has named.
fn default_name() -> String {
    let program = std::env::args().next().unwrap_or_default();
    let stem = std::path::Path::new(&program).file_stem().and_then(|stem| stem.to_str());
    stem.filter(|stem| !stem.is_empty()).unwrap_or("worker").to_owned()
}
