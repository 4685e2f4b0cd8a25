//! The configuration of a worker: typed values from defaults, a file, the engine's store and the environment.

mod cell;
mod describe;
mod file;
mod kind;
mod problem;
mod read;
mod schema;
mod source;
mod store;
mod value;
mod watch;

#[cfg(test)]
mod tests;

use std::any::type_name;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::extract::{Extract, Invocation};
use crate::function::Signature;
use iii_wire::protocol::Payload;
use iii_wire::{Error, Result, code};

use cell::use_of;
pub(crate) use cell::{ConfigCell, Configs};
pub use describe::{ConfigDeclaration, ConfigDescriptor, Content, Field, Variable};
pub use kind::{KindProbe, OtherKind, kind_of};
pub use problem::ConfigProblem;
pub use read::{Reader, ValueDefault};
pub(crate) use source::{Sources, Variables};
pub(crate) use store::{CHANGED, ConfigStore, on_change};
pub(crate) use value::duration;
pub use watch::ConfigWatch;

pub(crate) use read::fits_nothing;

/// The configuration of the worker: an extractor, and cheap to clone.
///
/// `T` derives [`iii::Config`](macro@crate::Config); its page says where values come from. One invocation sees one
/// value, also if it changes meanwhile and whoever takes it: the next invocation sees the new one.
///
/// ```
/// use iii::Config;
///
/// #[derive(Debug, iii::Config)]
/// struct Settings {
///     #[config(default = 100)]
///     most_items: u32,
/// }
///
/// async fn most(settings: Config<Settings>) -> u32 { settings.most_items }
///
/// // In a unit test:
/// let settings = Config::new(Settings { most_items: 3 });
/// # let _ = most(settings);
/// ```
pub struct Config<T>(pub Arc<T>);

impl<T> Config<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for Config<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Config<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Deref for Config<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Configurable> Extract for Config<T> {
    async fn extract(call: &mut Invocation) -> Result<Self> {
        if let Some(seen) = call.snapshot::<T>() {
            return Ok(Self(seen));
        }
        let cell = call.resources().get::<ConfigCell<T>>().ok_or_else(not_part::<T>)?;
        // A function may be called before the worker has read the engine's store.
        let value = cell.ready().await?;
        call.keep_snapshot(value.clone());
        Ok(Self(value))
    }

    fn describe(signature: &mut Signature) {
        signature.require_config(use_of::<T>());
    }
}

fn not_part<T>() -> Error {
    let name = type_name::<T>();
    let text =
        format!("the configuration `{name}` is not part of this app: call `app.config::<…>()`");
    Error::new(code::INTERNAL, text)
}

/// A type with [`#[derive(iii::Config)]`](macro@crate::Config).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a configuration",
    label = "not a configuration",
    note = "derive it: `#[derive(iii::Config)]`"
)]
pub trait Configurable: Sized + Send + Sync + 'static {
    /// Its fields.
    #[doc(hidden)]
    const FIELDS: &'static [Field];

    /// Its declaration.
    fn descriptor() -> &'static ConfigDescriptor;

    /// Reads it, and notes each problem.
    #[doc(hidden)]
    fn read(reader: &mut Reader<'_>) -> Option<Self>;

    /// Reads it from the defaults, the file that `III_CONFIG_FILE` names, and the environment; not from the engine's
    /// store. For programs that need a value before, or without, an app; with one, [`App::load`](crate::App::load)
    /// gives what the app will use.
    ///
    /// # Errors
    ///
    /// `invalid_configuration` with all problems in one report.
    fn load() -> Result<Self> {
        let variables = Variables::Environment;
        let file = file::named(None, &variables).map_err(|problem| problem::report(&[*problem]))?;
        read::whole::<Self>(&Sources::new(variables, file)).map_err(|all| problem::report(&all))
    }

    /// JSON Schema of it, with defaults and descriptions. Fields that are secret are `writeOnly`.
    fn schema() -> Payload {
        schema::document(Self::descriptor(), schema::Audience::People)
    }
}
