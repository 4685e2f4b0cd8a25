//! The engine's configuration store: read at the start, and again whenever it changes ([protocol 5.10](crate::protocol#s5-10), [6.6](crate::protocol#s6-6)).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::cell::{AnyConfig, Prepared};
use super::describe::ConfigDescriptor;
use super::problem::{ConfigProblem, report};
use super::read::unknown_in_store;
use super::schema::{Audience, document};
use super::source::Sources;
use crate::client::Client;
use crate::extract::Invocation;
use crate::function::Location;
use crate::output::HandlerFuture;
use crate::output::Output as _;
use crate::session::ConnectionState;
use iii_wire::protocol::Payload;
use iii_wire::{Error, Result, code};

/// How the id of the function begins that hears of changes. Each worker has one of its own: with one id for all copies
/// of a worker, only one of them would hear.
pub(crate) const CHANGED: &str = "iii::configuration-changed";
/// How long the engine may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The configurations of a worker that are in the engine's store.
pub(crate) struct ConfigStore {
    client: Client,
    sources: Sources,
    stored: Vec<Stored>,
    /// What a test puts into the store before the start.
    seeds: HashMap<String, Payload>,
}

/// One configuration in the store.
struct Stored {
    id: &'static str,
    config: Arc<dyn AnyConfig>,
    /// What was read last. One reads at a time, so that an old answer never replaces a newer one.
    seen: Mutex<Option<Value>>,
}

impl std::fmt::Debug for ConfigStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.ids().map(|(id, _)| id).collect();
        f.debug_struct("ConfigStore").field("ids", &ids).finish_non_exhaustive()
    }
}

/// Why a value cannot be taken.
enum Trouble {
    /// The engine has no store, or does not let this worker use it.
    NoStore(Error),
    /// The value does not fit.
    Invalid(Error),
    /// There was no answer, which says nothing about the value.
    Failed(Error),
}

impl Trouble {
    fn of(config: &ConfigDescriptor, error: Error) -> Self {
        match error.code() {
            code::FUNCTION_NOT_FOUND | code::FORBIDDEN => Self::NoStore(error),
            code::SCHEMA_INVALID | code::SCHEMA_UNAVAILABLE | code::EXPAND_FAILED => {
                Self::Invalid(report(&[ConfigProblem::of_store(config, &error)]))
            }
            _ => Self::Failed(error),
        }
    }
}

impl ConfigStore {
    pub(crate) fn new(client: Client, prepared: Prepared, seeds: HashMap<String, Payload>) -> Self {
        let Prepared { sources, stored } = prepared;
        let stored = stored.into_iter().filter_map(|config| {
            let id = config.descriptor().id?;
            Some(Stored { id, config, seen: Mutex::new(None) })
        });
        Self { client, sources, stored: stored.collect(), seeds }
    }

    /// The ids, with the places of the declarations.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (&'static str, Location)> {
        self.stored.iter().map(|stored| (stored.id, stored.config.descriptor().location))
    }

    /// Whether no configuration is in the store.
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Registers and reads all configurations, the first time.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` with all problems; or whatever the engine fails with.
    pub(crate) async fn load(&self) -> Result<()> {
        let mut invalid = Vec::new();
        for stored in &self.stored {
            match self.load_one(stored).await {
                Ok(()) => {}
                Err(Trouble::Invalid(error)) => invalid.push(error),
                Err(Trouble::NoStore(error) | Trouble::Failed(error)) => return Err(error),
            }
        }
        match invalid.len() {
            0 => Ok(()),
            1 => Err(invalid.remove(0)),
            _ => {
                let details = invalid.iter().filter_map(Error::details::<Vec<ConfigProblem>>);
                Err(report(&details.flatten().collect::<Vec<_>>()))
            }
        }
    }

    async fn load_one(&self, stored: &Stored) -> Result<(), Trouble> {
        let config = stored.config.descriptor();
        let mut seen = stored.seen.lock().await;
        let value = match self.introduce(stored).await {
            Ok(()) => self.get(stored).await,
            Err(trouble) => Err(trouble),
        };
        let value = match value {
            Err(Trouble::NoStore(error)) => {
                tracing::warn!(
                    "the engine has no configuration store for this worker, so `{}` comes from the other sources: {error}",
                    stored.id
                );
                return stored
                    .config
                    .apply(&self.sources)
                    .map_err(|all| Trouble::Invalid(report(&all)));
            }
            value => value?,
        };
        self.take(stored, &value).map_err(Trouble::Invalid)?;
        for problem in unknown_in_store(config, &value) {
            tell(&problem);
        }
        *seen = Some(value);
        Ok(())
    }

    /// Reads a configuration again. A value that does not fit leaves the old one in its place.
    async fn refresh(&self, stored: &Stored) {
        let config = stored.config.descriptor();
        let mut seen = stored.seen.lock().await;
        if seen.is_none() {
            // The start has not read it, or found no store; there is nothing to be newer than.
            return;
        }
        let value = match self.get(stored).await {
            Ok(value) => value,
            Err(Trouble::NoStore(error) | Trouble::Invalid(error) | Trouble::Failed(error)) => {
                tracing::error!(
                    code = error.code(),
                    "the configuration `{}` keeps its old value: {error}",
                    stored.id
                );
                return;
            }
        };
        if seen.as_ref() == Some(&value) {
            return;
        }
        match self.take(stored, &value) {
            Ok(()) => {
                tracing::info!("the configuration `{}` has a new value", stored.id);
                for problem in unknown_in_store(config, &value) {
                    tell(&problem);
                }
                *seen = Some(value);
            }
            Err(error) => tracing::error!(
                code = error.code(),
                "the configuration `{}` keeps its old value: {error}",
                stored.id
            ),
        }
    }

    fn take(&self, stored: &Stored, value: &Value) -> Result<()> {
        let sources = self.sources.with_store(value.clone());
        stored.config.apply(&sources).map_err(|all| report(&all))
    }

    /// Reads a value; null for one that nobody has set. An engine that has forgotten the configuration is told of it.
    async fn get(&self, stored: &Stored) -> Result<Value, Trouble> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            value: Value,
        }
        let config = stored.config.descriptor();
        let read = || self.client.builtin::<Answer>("configuration::get", &One { id: stored.id });
        let mut answer = read().timeout(PATIENCE).await;
        if answer.as_ref().is_err_and(|error| error.code() == code::NOT_FOUND) {
            self.introduce(stored).await?;
            answer = read().timeout(PATIENCE).await;
        }
        match answer {
            Ok(answer) => Ok(answer.value),
            Err(error) if error.code() == code::NOT_FOUND => Ok(Value::Null),
            Err(error) => Err(Trouble::of(config, error)),
        }
    }

    /// Registers the schema, if the store does not have it yet: those who listen for changes would hear of each time.
    /// The value is never touched.
    async fn introduce(&self, stored: &Stored) -> Result<(), Trouble> {
        #[derive(Serialize)]
        struct Register<'a> {
            id: &'a str,
            name: &'a str,
            description: &'a str,
            schema: &'a Payload,
            #[serde(skip_serializing_if = "Option::is_none")]
            initial_value: Option<&'a Payload>,
        }
        #[derive(Deserialize)]
        struct View {
            #[serde(default)]
            name: String,
            #[serde(default)]
            description: String,
            #[serde(default)]
            schema: Value,
        }
        let config = stored.config.descriptor();
        let schema = document(config, Audience::Store);
        let seed = self.seeds.get(stored.id);
        let description = config.description.unwrap_or_default();
        let known = self.client.builtin::<View>("configuration::schema", &One { id: stored.id });
        match known.timeout(PATIENCE).await {
            Ok(known) => {
                let same = known.name == config.title
                    && known.description == description
                    && schema.parse::<Value>().is_ok_and(|schema| schema == known.schema);
                if same && seed.is_none() {
                    return Ok(());
                }
            }
            Err(error) if matches!(error.code(), code::NOT_FOUND | code::INVALID_RESULT) => {}
            Err(error) => return Err(Trouble::of(config, error)),
        }
        let register = Register {
            id: stored.id,
            name: config.title,
            description,
            schema: &schema,
            initial_value: seed,
        };
        let registered = self.client.builtin::<Payload>("configuration::register", &register);
        registered.timeout(PATIENCE).await.map_err(|error| Trouble::of(config, error))?;
        Ok(())
    }

    /// Reads everything again whenever the link comes back: changes that happened meanwhile were told to nobody.
    pub(crate) fn follow(
        self: Arc<Self>,
        mut state: watch::Receiver<ConnectionState>,
    ) -> JoinHandle<()> {
        tokio::spawn(async move {
            while state.changed().await.is_ok() {
                let now = *state.borrow_and_update();
                match now {
                    ConnectionState::Connected => {
                        for stored in &self.stored {
                            self.refresh(stored).await;
                        }
                    }
                    ConnectionState::Disconnected | ConnectionState::Failed => return,
                    ConnectionState::Connecting | ConnectionState::Reconnecting => {}
                }
            }
        })
    }
}

/// The input of functions that are about one configuration.
#[derive(Serialize)]
struct One {
    id: &'static str,
}

/// Says that a value has a key that nobody reads.
fn tell(problem: &ConfigProblem) {
    let source = problem.source.as_deref().unwrap_or_default();
    let help = problem.help.as_deref().unwrap_or_default();
    tracing::warn!(
        code = code::INVALID_CONFIGURATION,
        "{}, from {source}: {help}",
        problem.message
    );
}

/// Runs when a configuration has changed. What the event says is not used: an event may come late, the store is always
/// right.
pub(crate) fn on_change(call: Invocation) -> HandlerFuture {
    #[derive(Deserialize)]
    struct Event {
        id: String,
    }
    Box::pin(async move {
        let event: Event = call.data().parse().map_err(|error| {
            Error::new(
                code::INVALID_PAYLOAD,
                format!("this is no change of a configuration: {error}"),
            )
        })?;
        if let Some(store) = call.resources().get::<ConfigStore>() {
            for stored in store.stored.iter().filter(|stored| stored.id == event.id) {
                store.refresh(stored).await;
            }
        }
        ().into_reply()
    })
}
