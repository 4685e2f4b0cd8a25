//! The configurations of one app: a place for the current value of each, whatever its type.

use std::any::TypeId;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::describe::ConfigDescriptor;
use super::problem::{ConfigProblem, report, report_with};
use super::read;
use super::source::{Sources, Variables};
use super::{Config, ConfigWatch, Configurable, file};
use crate::extract::Resources;
use crate::function::{ConfigRequirement, Location};
use iii_wire::{Error, Result, code};

/// The current value of a configuration.
pub(crate) struct ConfigCell<T> {
    now: watch::Sender<Option<Arc<T>>>,
    /// Whether it was given by hand, so that no source changes it.
    fixed: AtomicBool,
}

impl<T> ConfigCell<T> {
    fn new() -> Self {
        Self { now: watch::Sender::new(None), fixed: AtomicBool::new(false) }
    }

    /// Hears of changes.
    pub(crate) fn watcher(&self) -> ConfigWatch<T> {
        ConfigWatch::new(self.watch())
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<T>>> {
        self.now.subscribe()
    }

    /// The value, when there is one. The start of the worker brings it, or ends the wait with the worker.
    pub(super) async fn ready(&self) -> Result<Arc<T>> {
        if let Some(value) = &*self.now.borrow() {
            return Ok(value.clone());
        }
        let mut now = self.now.subscribe();
        let value = now.wait_for(Option::is_some).await.ok().and_then(|value| value.clone());
        value.ok_or_else(|| {
            Error::new(code::SHUTTING_DOWN, "the worker stopped before its configuration was there")
        })
    }
}

impl<T> fmt::Debug for ConfigCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may hold secrets.
        f.debug_struct("ConfigCell").field("set", &self.now.borrow().is_some()).finish()
    }
}

/// A [`ConfigCell`] of any type.
pub(crate) trait AnyConfig: fmt::Debug + Send + Sync {
    fn descriptor(&self) -> &'static ConfigDescriptor;
    /// Whether it was given by hand.
    fn is_fixed(&self) -> bool;
    /// Whether a value can be read.
    fn check(&self, sources: &Sources) -> Result<(), Vec<ConfigProblem>>;
    /// Takes a new value from the sources, if it has no problems; else the old one stays.
    fn apply(&self, sources: &Sources) -> Result<(), Vec<ConfigProblem>>;
    /// Gives it to the functions.
    fn provide(self: Arc<Self>, resources: &mut Resources);
    /// Itself, for those who know its type.
    fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

impl<T: Configurable> AnyConfig for ConfigCell<T> {
    fn descriptor(&self) -> &'static ConfigDescriptor {
        T::descriptor()
    }

    fn is_fixed(&self) -> bool {
        self.fixed.load(Ordering::Acquire)
    }

    fn check(&self, sources: &Sources) -> Result<(), Vec<ConfigProblem>> {
        read::whole::<T>(sources).map(drop)
    }

    fn apply(&self, sources: &Sources) -> Result<(), Vec<ConfigProblem>> {
        let value = read::shared::<T>(sources)?;
        self.now.send_replace(Some(value));
        Ok(())
    }

    fn provide(self: Arc<Self>, resources: &mut Resources) {
        resources.insert(self);
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync> {
        self
    }
}

/// The use of the configuration `T` by a function.
pub(super) fn use_of<T: Configurable>() -> ConfigRequirement {
    ConfigRequirement::new(TypeId::of::<T>(), || {
        let cell: Arc<dyn AnyConfig> = Arc::new(ConfigCell::<T>::new());
        Box::new(cell)
    })
}

/// The configurations of an app.
#[derive(Debug, Default)]
pub(crate) struct Configs {
    all: Vec<(TypeId, Arc<dyn AnyConfig>)>,
    /// Whether values that are given from now on do not replace those that are there: a test has given them.
    kept: bool,
}

impl Configs {
    /// Adds a configuration, unless it is there.
    fn add(&mut self, used: ConfigRequirement) -> Arc<dyn AnyConfig> {
        let type_id = used.type_id();
        if let Some((_, known)) = self.all.iter().find(|(known, _)| *known == type_id) {
            return known.clone();
        }
        let made = used.make().downcast::<Arc<dyn AnyConfig>>();
        let made = *made.expect("only `use_of` makes uses of configurations");
        self.all.push((type_id, made.clone()));
        made
    }

    pub(crate) fn cell<T: Configurable>(&mut self) -> Arc<ConfigCell<T>> {
        let cell = self.add(use_of::<T>()).into_any().downcast::<ConfigCell<T>>();
        cell.expect("the cell of a type is kept under its type")
    }

    /// Gives a value by hand.
    pub(crate) fn set<T: Configurable>(&mut self, value: Arc<T>) {
        let cell = self.cell::<T>();
        if self.kept && cell.is_fixed() {
            return;
        }
        cell.fixed.store(true, Ordering::Release);
        cell.now.send_replace(Some(value));
    }

    /// From now on, values that were given by hand stay.
    #[cfg(feature = "testing")]
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    /// Reads a configuration, without the store.
    pub(crate) fn load<T: Configurable>(
        &mut self,
        path: Option<&Path>,
        variables: &Variables,
    ) -> Result<Config<T>> {
        let cell = self.cell::<T>();
        if !cell.is_fixed() {
            let file = file::named(path, variables).map_err(|problem| report(&[*problem]))?;
            cell.apply(&Sources::new(variables.clone(), file)).map_err(|all| report(&all))?;
        }
        let value = cell.now.borrow().clone();
        value.map(Config).ok_or_else(|| Error::new(code::INTERNAL, "the value was set above"))
    }

    pub(crate) fn watch<T: Configurable>(&mut self) -> ConfigWatch<T> {
        self.cell::<T>().watcher()
    }

    /// Adds what functions need, and reads all of it. What may still come from the engine's store is left open.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` with all problems in one report.
    pub(crate) fn prepare(
        &mut self,
        uses: impl IntoIterator<Item = (ConfigRequirement, Location)>,
        path: Option<&Path>,
        variables: &Variables,
    ) -> Result<Prepared> {
        let mut used: Vec<(&str, Location)> = Vec::new();
        for (config, location) in uses {
            used.push((self.add(config).descriptor().name, location));
        }
        let open: Vec<_> =
            self.all.iter().map(|(_, config)| config).filter(|config| !config.is_fixed()).collect();
        if open.is_empty() {
            return Ok(Prepared {
                sources: Sources::new(variables.clone(), None),
                stored: Vec::new(),
            });
        }
        let mut problems = read::check_defaults(open.iter().map(|config| config.descriptor()));
        problems.extend(same_ids(open.iter().map(|config| config.descriptor())));
        let file = file::named(path, variables).unwrap_or_else(|problem| {
            problems.push(*problem);
            None
        });
        let sources = Sources::new(variables.clone(), file);
        for config in &open {
            let in_store = config.descriptor().id.is_some();
            if in_store {
                // Its value is not known before the store has been read: nobody may see it without.
                if let Err(all) = config.check(&sources) {
                    problems.extend(all.into_iter().filter(|problem| !problem.missing));
                }
            } else if let Err(all) = config.apply(&sources) {
                problems.extend(all);
            }
        }
        if !problems.is_empty() {
            return Err(report_with(&problems, &used));
        }
        let stored = open.into_iter().filter(|config| config.descriptor().id.is_some());
        Ok(Prepared { sources, stored: stored.cloned().collect() })
    }

    /// Gives all of them to the functions.
    pub(crate) fn provide(self, resources: &mut Resources) {
        for (_, config) in self.all {
            config.provide(resources);
        }
    }
}

/// Configurations that would overwrite each other in the store.
fn same_ids(all: impl Iterator<Item = &'static ConfigDescriptor>) -> Vec<ConfigProblem> {
    let mut seen: Vec<&ConfigDescriptor> = Vec::new();
    let mut problems = Vec::new();
    for config in all {
        let Some(id) = config.id else { continue };
        match seen.iter().find(|earlier| earlier.id == config.id) {
            Some(earlier) => {
                let text = format!(
                    "`{}` has the id `{id}`, and so has `{}` at {}: give each an id of its own",
                    config.name, earlier.name, earlier.location
                );
                problems.push(ConfigProblem::new(config, "", text));
            }
            None => seen.push(config),
        }
    }
    problems
}

/// Configurations that were read but for the engine's store.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) sources: Sources,
    pub(super) stored: Vec<Arc<dyn AnyConfig>>,
}
