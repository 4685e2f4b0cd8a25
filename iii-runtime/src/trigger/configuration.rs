//! The kind `configuration`: a value in the engine's configuration store changes (protocol section 5.10).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, TriggerKind, FunctionRef, id_of};

/// What a `configuration` trigger is told.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// Only this configuration. Default: any.
    pub id: Option<&'static str>,
    /// Only these changes. Default: any.
    pub changes: Option<&'static [ConfigurationChange]>,
    /// Asked first; `false` skips the change.
    pub condition: Option<FunctionRef>,
}

impl From<Configuration> for Binding {
    fn from(configuration: Configuration) -> Self {
        #[derive(Serialize)]
        struct Config {
            #[serde(skip_serializing_if = "Option::is_none")]
            configuration_id: Option<&'static str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            event_types: Option<&'static [ConfigurationChange]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            condition_function_id: Option<&'static str>,
        }
        let config = Config {
            configuration_id: configuration.id,
            event_types: configuration.changes,
            condition_function_id: id_of(&configuration.condition),
        };
        let summary = configuration.id.unwrap_or("*");
        Binding::new(TriggerKind::Configuration, &config, summary)
            .with_condition(configuration.condition)
    }
}

/// The event of a `configuration` trigger. `${NAME}` in values is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigurationEvent<T> {
    /// What happened.
    pub event_type: ConfigurationChange,
    /// The configuration.
    pub id: String,
    /// Its name, for people.
    #[serde(default)]
    pub name: String,
    /// The value before; `None` if there was none.
    pub old_value: Option<T>,
    /// The value after; `None` if there is none.
    pub new_value: Option<T>,
}

/// What happened to a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConfigurationChange {
    /// It was registered for the first time.
    #[serde(rename = "configuration:registered")]
    Registered,
    /// It was registered again, or its value was set.
    #[serde(rename = "configuration:updated")]
    Updated,
    /// It was removed.
    #[serde(rename = "configuration:deleted")]
    Deleted,
}
