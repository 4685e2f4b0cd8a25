//! The configurations of an app: which there are, and who gives their values.

use std::path::PathBuf;
use std::sync::Arc;

use super::App;
use crate::config::{Config, ConfigWatch, Configurable};
use iii_wire::Result;

impl App {
    /// Adds a configuration, so that it is read at the start. Those that functions take are there without.
    pub fn config<T: Configurable>(&mut self) -> &mut Self {
        self.configs.cell::<T>();
        self
    }

    /// Gives the value of a configuration by hand: no source is read for it, and it does not change.
    pub fn config_value<T: Configurable>(&mut self, value: T) -> &mut Self {
        self.configs.set(Arc::new(value));
        self
    }

    /// Sets the file that configurations are read from: `.json`, or `.toml` with the feature `toml`. Default:
    /// `III_CONFIG_FILE`; without it, there is none.
    ///
    /// One that is not there, or cannot be read, is reported at the start.
    pub fn config_file(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.settings.config_file = Some(path.into());
        self
    }

    /// Reads a configuration before the start, for what main itself needs: from the defaults, the file and the
    /// environment, but not from the engine's store, which is not there yet. At the start it is read again, with the
    /// store.
    ///
    /// In a test it gives the value of the test, and reads no environment.
    ///
    /// ```no_run
    /// use iii::prelude::*;
    ///
    /// #[derive(iii::Config)]
    /// struct Settings { #[config(env = "ORDERS_DB_URL")] db_url: String }
    ///
    /// # struct Db; impl Db { async fn open(_: &str) -> iii::Result<Self> { Ok(Db) } }
    /// #[iii::main]
    /// async fn main(app: &mut App) -> iii::Result<()> {
    ///     let settings = app.load::<Settings>()?;
    ///     app.state(Db::open(&settings.db_url).await?);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `invalid_configuration` with all problems in one report.
    pub fn load<T: Configurable>(&mut self) -> Result<Config<T>> {
        self.configs.load(self.settings.config_file.as_deref(), &self.variables.0)
    }

    /// Adds a configuration, and hears of its changes.
    pub fn watch_config<T: Configurable>(&mut self) -> ConfigWatch<T> {
        self.configs.watch()
    }

    /// As [`App::config_value`], for a value that somebody else has as well.
    #[cfg(feature = "testing")]
    pub(crate) fn share_config<T: Configurable>(&mut self, value: Arc<T>) {
        self.configs.set(value);
    }

    /// From now on, configurations that were given by hand stay as they are.
    #[cfg(feature = "testing")]
    pub(crate) fn keep_configs(&mut self) {
        self.configs.keep();
    }
}
