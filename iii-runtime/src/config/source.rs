//! Where values come from: variables, the file, the engine's store; and which one wins.

use std::sync::Arc;

use serde_json::Value;

use super::file::File;

/// The environment of a worker.
#[derive(Debug, Clone)]
pub(crate) enum Variables {
    /// That of the process.
    Environment,
    /// None: in tests.
    #[cfg_attr(not(feature = "testing"), allow(dead_code))]
    None,
    /// These.
    #[cfg(test)]
    These(&'static [(&'static str, &'static str)]),
}

/// A variable whose value is not UTF-8.
#[derive(Debug)]
pub(crate) struct NotText;

impl Variables {
    /// The value of a variable. One that is blank counts as not set.
    ///
    /// # Errors
    ///
    /// If it is set, and no text.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, NotText> {
        let value = match self {
            Self::Environment => match std::env::var(name) {
                Ok(value) => Some(value),
                Err(std::env::VarError::NotPresent) => None,
                Err(std::env::VarError::NotUnicode(_)) => return Err(NotText),
            },
            Self::None => None,
            #[cfg(test)]
            Self::These(all) => {
                all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            }
        };
        Ok(value.filter(|value| !value.trim().is_empty()))
    }
}

/// What a configuration is read from, beside its defaults.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// They win over the rest.
    pub(super) variables: Variables,
    /// Its value in the engine's store, with `null` for none; `None`: the store was not asked.
    pub(super) store: Option<Value>,
    /// The file, which comes last.
    pub(super) file: Option<Arc<File>>,
}

impl Sources {
    /// Without the store.
    pub(crate) fn new(variables: Variables, file: Option<Arc<File>>) -> Self {
        Self { variables, store: None, file }
    }

    /// With a value of the store.
    pub(crate) fn with_store(&self, value: Value) -> Self {
        Self { store: Some(value), ..self.clone() }
    }
}
