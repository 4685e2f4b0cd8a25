//! The kind `configuration`: a configuration in the engine's store changes ([protocol 5.10](crate::protocol#s5-10)).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, FunctionRef, TriggerKind, condition_id};

/// Configuration of a `configuration` trigger.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// Limits the trigger to one configuration. Default: all.
    pub id: Option<&'static str>,
    /// Limits the trigger to these changes. Default: all.
    pub changes: Option<&'static [ConfigurationChange]>,
    /// Evaluated first; `false` skips the change.
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
            condition_function_id: condition_id(&configuration.condition),
        };
        let summary = configuration.id.unwrap_or("*");
        Binding::new(TriggerKind::Configuration, &config, summary)
            .with_condition(configuration.condition)
    }
}

/// The event of a `configuration` trigger. `${NAME}` in values is expanded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigurationEvent<T> {
    /// The kind of change.
    pub event_type: ConfigurationChange,
    /// The id of the configuration.
    pub id: String,
    /// The display name of the configuration.
    #[serde(default)]
    pub name: String,
    /// The previous value; `None` if there was none.
    pub old_value: Option<T>,
    /// The new value; `None` if it was deleted.
    pub new_value: Option<T>,
}

/// The kind of change of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConfigurationChange {
    /// It was registered for the first time.
    #[serde(rename = "configuration:registered")]
    Registered,
    /// It was registered again, or its value was set.
    #[serde(rename = "configuration:updated")]
    Updated,
    /// It was deleted.
    #[serde(rename = "configuration:deleted")]
    Deleted,
}
