//! Configurations: values with JSON Schemas that workers share, and triggers that fire when they change ([protocol 5.10](iii_wire::protocol#s5-10), [6.6](iii_wire::protocol#s6-6)).

mod triggers;
mod value;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::broker::Broker;
use super::expand::{UnsetVariable, env_variable};
use super::provider::{Binding, BuiltIn, ComponentHealth, Provider, TriggerTypeInfo, to_payload};
use super::store::{Change, PendingWrite, StoreError, Table, write_function};
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};

use triggers::{ConfigurationEventType, ConfigurationTriggers};
use value::{ValueSchema, expand_value};

/// Maximum length of an id, in bytes.
const MAX_ID_BYTES: usize = 64;
/// The scope of all configurations in their table.
const SCOPE: &str = "configurations";

/// A configuration, as it is stored and returned by `configuration::register`.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct ConfigurationEntry {
    /// The configuration id.
    id: String,
    /// The display name.
    name: String,
    /// The description.
    description: String,
    /// JSON Schema of the value; null allows any value.
    #[serde(default)]
    schema: Payload,
    /// The value, with its variables not expanded.
    #[serde(default)]
    value: Payload,
    /// Metadata of the registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Payload>,
}

/// A configuration without its value.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ConfigurationSummary {
    /// The configuration id.
    id: String,
    /// The display name.
    name: String,
    /// The description.
    description: String,
    /// JSON Schema of the value.
    schema: Payload,
    /// Metadata of the registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Payload>,
}

impl From<ConfigurationEntry> for ConfigurationSummary {
    fn from(entry: ConfigurationEntry) -> Self {
        let ConfigurationEntry { id, name, description, schema, metadata, value: _ } = entry;
        Self { id, name, description, schema, metadata }
    }
}

/// Input of `configuration::register`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ConfigurationRegisterInput {
    /// The configuration id: 1 to 64 of the characters `a-z`, `0-9`, `_` and `-`.
    id: String,
    /// The display name.
    name: String,
    /// The description.
    description: String,
    /// JSON Schema of the value; null allows any value.
    schema: Payload,
    /// Replaces the value; absent or null keeps the current value.
    initial_value: Option<Payload>,
    /// Metadata of the registration.
    metadata: Option<Payload>,
}

/// Input of `configuration::set`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ConfigurationSetInput {
    /// The configuration id.
    id: String,
    /// The new value. `${NAME}` and `${NAME:default}` in strings are replaced by environment variables of the engine.
    value: Payload,
}

/// Input of `configuration::get`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ConfigurationGetInput {
    /// The configuration id.
    id: String,
    /// Whether to return the value with its variables not expanded and without validation.
    #[serde(default)]
    raw: bool,
}

/// Input of `configuration::schema`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ConfigurationSchemaInput {
    /// The configuration id.
    id: String,
}

/// Input of `configuration::list`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ConfigurationListInput {}

/// Output of `configuration::set`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ConfigurationSetOutput {
    /// The previous value.
    old_value: Option<Payload>,
    /// The new value.
    new_value: Payload,
}

/// Output of `configuration::get`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ConfigurationGetOutput {
    /// The configuration id.
    id: String,
    /// The value.
    value: Payload,
}

/// Output of `configuration::list`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct ConfigurationListOutput {
    /// The configurations, ordered by id.
    configurations: Vec<ConfigurationSummary>,
}

/// Looks up an environment variable.
type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The provider of `configuration::*` and of the trigger type `configuration`.
pub(crate) struct Configurations {
    table: Table,
    triggers: ConfigurationTriggers,
    variables: Box<Variables>,
    max_configurations: usize,
}

impl Configurations {
    /// Creates the provider with configurations stored in `table`. Values are expanded with environment variables.
    pub(crate) fn new(broker: Broker, table: Table) -> Self {
        Self::with_variables(broker, table, Box::new(env_variable))
    }

    fn with_variables(broker: Broker, table: Table, variables: Box<Variables>) -> Self {
        let max_configurations = broker.limits().configurations;
        Self { table, triggers: ConfigurationTriggers::new(broker), variables, max_configurations }
    }

    fn entry(&self, id: &str) -> Result<ConfigurationEntry, ErrorBody> {
        let entry = self.table.get(SCOPE, id).ok_or_else(|| {
            ErrorBody::new(code::NOT_FOUND, format!("the configuration `{id}` is not registered"))
        })?;
        parse_entry(&entry)
    }

    /// Updates an entry atomically and dispatches the event of the change.
    fn change(
        &self,
        id: &str,
        update: &mut dyn FnMut(Option<ConfigurationEntry>) -> Result<ConfigurationEntry, ErrorBody>,
    ) -> Result<(Change, PendingWrite), ErrorBody> {
        self.triggers.check_capacity()?;
        let mut rejection = None;
        let mut update_json = |old: Option<&Payload>| {
            let updated = old.map(parse_entry).transpose().and_then(&mut *update);
            updated.and_then(|new| to_payload(&new)).map(Some).map_err(|error| {
                let message = error.message.clone();
                rejection = Some(error);
                StoreError(message)
            })
        };
        // Dispatching under the lock of the table keeps the events in the order of the changes.
        let mut on_change = |change: &Change| self.dispatch(change);
        let changed = self.table.change(SCOPE, id, &mut update_json, &mut on_change);
        changed.map_err(|error| rejection.unwrap_or_else(|| error.to_body(code::ADAPTER_ERROR)))
    }

    fn dispatch(&self, change: &Change) {
        let entry = |json: &Option<Payload>| json.as_ref().and_then(|json| parse_entry(json).ok());
        let (old, Some(new)) = (entry(&change.old), entry(&change.new)) else { return };
        let event_type = match old {
            None => ConfigurationEventType::Registered,
            Some(_) => ConfigurationEventType::Updated,
        };
        // A value with unset variables is sent unexpanded.
        let expand = |value: &Payload| self.expand(value).unwrap_or_else(|_| value.clone());
        self.triggers.dispatch(event_type, old.as_ref(), &new, &expand);
    }

    fn expand(&self, value: &Payload) -> Result<Payload, UnsetVariable> {
        expand_value(value, &*self.variables)
    }

    /// Validates a value before it is stored. A value with unset variables is accepted without validation.
    fn validate(&self, schema: &Payload, value: &Payload) -> Result<(), ErrorBody> {
        let schema = ValueSchema::new(schema).map_err(schema_invalid)?;
        match self.expand(value) {
            Ok(value) => schema.validate(&value).map_err(schema_invalid),
            Err(_) => Ok(()),
        }
    }

    fn register(
        &self,
        input: ConfigurationRegisterInput,
    ) -> Result<(Option<Payload>, PendingWrite), ErrorBody> {
        let ConfigurationRegisterInput { id, name, description, schema, initial_value, metadata } =
            input;
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if id.is_empty() || id.len() > MAX_ID_BYTES || !id.bytes().all(is_allowed) {
            let message = format!(
                "a configuration id must have 1 to {MAX_ID_BYTES} of the characters a-z, 0-9, `_` and `-`"
            );
            return Err(ErrorBody::new(code::INVALID_ID, message));
        }
        ValueSchema::new(&schema).map_err(schema_invalid)?;
        if let Some(value) = &initial_value {
            self.validate(&schema, value)?;
        }
        let limit = self.max_configurations;
        if self.table.get(SCOPE, &id).is_none() && self.table.len(SCOPE) >= limit {
            let message = format!("the limit of {limit} configurations is reached");
            return Err(ErrorBody::new(code::ADAPTER_ERROR, message));
        }
        let (change, pending) = self.change(&id, &mut |old| {
            let kept = || old.map(|old| old.value).unwrap_or_default();
            Ok(ConfigurationEntry {
                id: id.clone(),
                name: name.clone(),
                description: description.clone(),
                schema: schema.clone(),
                value: initial_value.clone().unwrap_or_else(kept),
                metadata: metadata.clone(),
            })
        })?;
        Ok((change.new, pending))
    }

    fn set(
        &self,
        input: &ConfigurationSetInput,
    ) -> Result<(Option<Payload>, PendingWrite), ErrorBody> {
        let ConfigurationSetInput { id, value } = input;
        let (change, pending) = self.change(id, &mut |old| {
            let Some(old) = old else {
                let message = format!("the configuration `{id}` is not registered");
                return Err(ErrorBody::new(code::NOT_REGISTERED, message));
            };
            self.validate(&old.schema, value)?;
            Ok(ConfigurationEntry { value: value.clone(), ..old })
        })?;
        let old_value = change.old.as_ref().map(parse_entry).transpose()?.map(|old| old.value);
        let output = to_payload(&ConfigurationSetOutput { old_value, new_value: value.clone() })?;
        Ok((Some(output), pending))
    }

    fn get(
        &self,
        input: ConfigurationGetInput,
    ) -> Result<Option<ConfigurationGetOutput>, ErrorBody> {
        let entry = self.entry(&input.id)?;
        if input.raw {
            return Ok(Some(ConfigurationGetOutput { id: entry.id, value: entry.value }));
        }
        let value = self.expand(&entry.value).map_err(|unset| {
            let message =
                format!("`{}` refers to the variable {}, which is not set", entry.id, unset.name);
            ErrorBody::new(code::EXPAND_FAILED, message)
        })?;
        ValueSchema::new(&entry.schema)
            .and_then(|schema| schema.validate(&value))
            .map_err(schema_invalid)?;
        Ok(Some(ConfigurationGetOutput { id: entry.id, value }))
    }

    fn list(&self) -> Result<Option<ConfigurationListOutput>, ErrorBody> {
        let entries = self.table.list(SCOPE);
        let mut configurations = entries
            .iter()
            .map(|(_, entry)| parse_entry(entry).map(ConfigurationSummary::from))
            .collect::<Result<Vec<_>, _>>()?;
        configurations.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Some(ConfigurationListOutput { configurations }))
    }
}

impl Provider for Configurations {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn description(&self) -> &'static str {
        "Share settings between workers, and fire triggers when they change."
    }

    /// Reports the health of the store, because this provider is always installed.
    fn health(&self) -> Option<ComponentHealth> {
        Some(self.table.health())
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        let (config_schema, request_schema) = triggers::schemas();
        vec![TriggerTypeInfo {
            id: "configuration",
            description: "Fires when a configuration is registered or its value changes.",
            config_schema,
            request_schema,
        }]
    }

    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        let this = || self.clone();
        let (register, set, get, list, schema) = (this(), this(), this(), this(), this());
        vec![
            write_function::<_, ConfigurationEntry, _>(
                "configuration::register",
                "Registers a configuration with its schema.",
                code::ADAPTER_ERROR,
                move |input: ConfigurationRegisterInput| register.register(input),
            ),
            write_function::<_, ConfigurationSetOutput, _>(
                "configuration::set",
                "Sets the value of a configuration.",
                code::ADAPTER_ERROR,
                move |input: ConfigurationSetInput| set.set(&input),
            ),
            BuiltIn::sync(
                "configuration::get",
                "Reads the value of a configuration.",
                move |input: ConfigurationGetInput, _| get.get(input),
            ),
            BuiltIn::sync(
                "configuration::list",
                "Lists the configurations, without their values.",
                move |_: ConfigurationListInput, _| list.list(),
            ),
            BuiltIn::sync(
                "configuration::schema",
                "Reads the schema of a configuration.",
                move |input: ConfigurationSchemaInput, _| {
                    schema.entry(&input.id).map(ConfigurationSummary::from).map(Some)
                },
            ),
        ]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.triggers.bind(binding)
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        self.triggers.unbind(&binding.id);
    }

    fn stop(&self) {
        self.triggers.stop();
    }
}

fn schema_invalid(message: String) -> ErrorBody {
    ErrorBody::new(code::SCHEMA_INVALID, message)
}

/// Parses a stored entry.
fn parse_entry(json: &Payload) -> Result<ConfigurationEntry, ErrorBody> {
    json.parse().map_err(|error| {
        ErrorBody::new(code::ADAPTER_ERROR, format!("the stored entry is invalid: {error}"))
    })
}
