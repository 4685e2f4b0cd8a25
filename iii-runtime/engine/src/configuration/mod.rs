//! Configurations: values with schemas that workers share, and triggers that fire when they change (protocol sections
//! 5.10 and 6.6).

mod events;
mod value;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::broker::Broker;
use super::expand::{Unset, environment};
use super::provider::{Binding, BuiltIn, Health, Provider, TriggerTypeInfo, to_payload};
use super::store::{Change, PendingWrite, StoreError, Table, write_function};
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload};

use events::{EventType, Events};
use value::{Schema, expanded};

/// Characters of an id.
const ID: usize = 64;
/// The scope of all of them in their table.
const SCOPE: &str = "configurations";

/// A configuration, as it is stored and answered.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
struct Entry {
    /// Its id.
    id: String,
    /// Its name, for people.
    name: String,
    /// What it is for.
    description: String,
    /// JSON Schema of the value; null: anything goes.
    #[serde(default)]
    schema: Payload,
    /// The value, with its variables as they were written.
    #[serde(default)]
    value: Payload,
    /// Whatever was registered with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Payload>,
}

/// A configuration without its value.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct View {
    /// Its id.
    id: String,
    /// Its name, for people.
    name: String,
    /// What it is for.
    description: String,
    /// JSON Schema of the value.
    schema: Payload,
    /// Whatever was registered with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Payload>,
}

impl From<Entry> for View {
    fn from(entry: Entry) -> Self {
        let Entry { id, name, description, schema, metadata, value: _ } = entry;
        Self { id, name, description, schema, metadata }
    }
}

/// The input of `configuration::register`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Register {
    /// 1 to 64 of `a-z`, `0-9`, `_` and `-`.
    id: String,
    /// Its name, for people.
    name: String,
    /// What it is for.
    description: String,
    /// JSON Schema of the value; null: anything goes.
    schema: Payload,
    /// Replaces the value; absent or null: what there is stays.
    initial_value: Option<Payload>,
    /// Whatever else is to be known of it.
    metadata: Option<Payload>,
}

/// The input of `configuration::set`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Set {
    /// The configuration.
    id: String,
    /// The new value; `${NAME}` and `${NAME:default}` in texts stand for variables of the engine.
    value: Payload,
}

/// The input of `configuration::get`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Get {
    /// The configuration.
    id: String,
    /// Whether variables stay as they were written, and nothing is checked.
    #[serde(default)]
    raw: bool,
}

/// The input of `configuration::schema`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct One {
    /// The configuration.
    id: String,
}

/// The input of `configuration::list`.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Nothing {}

/// What `configuration::set` did.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Changed {
    /// The value before.
    old_value: Option<Payload>,
    /// The value after.
    new_value: Payload,
}

/// A value.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Value {
    /// The configuration.
    id: String,
    /// Its value.
    value: Payload,
}

/// All configurations.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Views {
    /// By id.
    configurations: Vec<View>,
}

/// How the engine looks its variables up.
type Variables = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The provider of `configuration::*` and of the trigger type `configuration`.
pub(crate) struct Configurations {
    table: Table,
    events: Events,
    variables: Box<Variables>,
    most: usize,
}

impl Configurations {
    /// Configurations that are kept in `table`; variables are those of the environment.
    pub(crate) fn new(broker: Broker, table: Table) -> Self {
        Self::with_variables(broker, table, Box::new(environment))
    }

    fn with_variables(broker: Broker, table: Table, variables: Box<Variables>) -> Self {
        let most = broker.limits().configurations;
        Self { table, events: Events::new(broker), variables, most }
    }

    fn entry(&self, id: &str) -> Result<Option<Entry>, ErrorBody> {
        self.table.get(SCOPE, id).map(|entry| read(&entry)).transpose()
    }

    fn found(&self, id: &str) -> Result<Entry, ErrorBody> {
        let missing =
            || ErrorBody::new(code::NOT_FOUND, format!("there is no configuration `{id}`"));
        self.entry(id)?.ok_or_else(missing)
    }

    /// Changes an entry in one step, and tells those who hear of it.
    fn change(
        &self,
        id: &str,
        decide: &mut dyn FnMut(Option<Entry>) -> Result<Entry, ErrorBody>,
    ) -> Result<(Change, PendingWrite), ErrorBody> {
        self.events.check_capacity()?;
        let mut refused = None;
        let mut step = |old: Option<&Payload>| {
            let decided = old.map(read).transpose().and_then(&mut *decide);
            decided.and_then(|new| to_payload(&new)).map(Some).map_err(|error| {
                let text = error.message.clone();
                refused = Some(error);
                StoreError(text)
            })
        };
        // The event is queued inside the step, so that events come in the order of the changes.
        let mut seen = |change: &Change| self.tell(change);
        let changed = self.table.change(SCOPE, id, &mut step, &mut seen);
        changed.map_err(|error| refused.unwrap_or_else(|| error.to_body(code::ADAPTER_ERROR)))
    }

    fn tell(&self, change: &Change) {
        let entry = |text: &Option<Payload>| text.as_ref().and_then(|text| read(text).ok());
        let (old, Some(new)) = (entry(&change.old), entry(&change.new)) else { return };
        let event_type = match old {
            None => EventType::Registered,
            Some(_) => EventType::Updated,
        };
        // Whoever hears of a value whose variables are not set gets it as it was written.
        let shown = |value: &Payload| self.expanded(value).unwrap_or_else(|_| value.clone());
        self.events.changed(event_type, old.as_ref(), &new, &shown);
    }

    fn expanded(&self, value: &Payload) -> Result<Payload, Unset> {
        expanded(value, &*self.variables)
    }

    /// Checks a value before it is stored. One whose variables are not set yet cannot be checked.
    fn check(&self, schema: &Payload, value: &Payload) -> Result<(), ErrorBody> {
        let schema = Schema::new(schema).map_err(invalid)?;
        match self.expanded(value) {
            Ok(value) => schema.check(&value).map_err(invalid),
            Err(_) => Ok(()),
        }
    }

    fn register(&self, input: Register) -> Result<(Option<Payload>, PendingWrite), ErrorBody> {
        let Register { id, name, description, schema, initial_value, metadata } = input;
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if id.is_empty() || id.len() > ID || !id.bytes().all(fits) {
            let text = format!("the id of a configuration is 1 to {ID} of a-z, 0-9, `_` and `-`");
            return Err(ErrorBody::new(code::INVALID_ID, text));
        }
        Schema::new(&schema).map_err(invalid)?;
        if let Some(value) = &initial_value {
            self.check(&schema, value)?;
        }
        if self.table.get(SCOPE, &id).is_none() && self.table.len(SCOPE) >= self.most {
            let text = format!("there are {} configurations already", self.most);
            return Err(ErrorBody::new(code::ADAPTER_ERROR, text));
        }
        let (change, committed) = self.change(&id, &mut |old| {
            let kept = || old.map(|old| old.value).unwrap_or_default();
            Ok(Entry {
                id: id.clone(),
                name: name.clone(),
                description: description.clone(),
                schema: schema.clone(),
                value: initial_value.clone().unwrap_or_else(kept),
                metadata: metadata.clone(),
            })
        })?;
        Ok((change.new, committed))
    }

    fn set(&self, input: &Set) -> Result<(Option<Payload>, PendingWrite), ErrorBody> {
        let Set { id, value } = input;
        let (change, committed) = self.change(id, &mut |old| {
            let Some(old) = old else {
                let text = format!("there is no configuration `{id}`: register it first");
                return Err(ErrorBody::new(code::NOT_REGISTERED, text));
            };
            self.check(&old.schema, value)?;
            Ok(Entry { value: value.clone(), ..old })
        })?;
        let old_value = change.old.as_ref().map(read).transpose()?.map(|old| old.value);
        let output = to_payload(&Changed { old_value, new_value: value.clone() })?;
        Ok((Some(output), committed))
    }

    fn get(&self, input: Get) -> Result<Option<Value>, ErrorBody> {
        let entry = self.found(&input.id)?;
        if input.raw {
            return Ok(Some(Value { id: entry.id, value: entry.value }));
        }
        let value = self.expanded(&entry.value).map_err(|unset| {
            let text =
                format!("`{}` needs the variable {}, which is not set", entry.id, unset.name);
            ErrorBody::new(code::EXPAND_FAILED, text)
        })?;
        Schema::new(&entry.schema).and_then(|schema| schema.check(&value)).map_err(invalid)?;
        Ok(Some(Value { id: entry.id, value }))
    }

    fn list(&self) -> Result<Option<Views>, ErrorBody> {
        let entries = self.table.list(SCOPE);
        let mut configurations = entries
            .iter()
            .map(|(_, one)| read(one).map(View::from))
            .collect::<Result<Vec<_>, _>>()?;
        configurations.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Some(Views { configurations }))
    }
}

impl Provider for Configurations {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn description(&self) -> &'static str {
        "Share settings between workers, and react to their changes."
    }

    /// Configurations are always there, and so is the store that they are kept in with everything else.
    fn health(&self) -> Option<Health> {
        Some(self.table.health())
    }

    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        let (config_schema, request_schema) = events::schemas();
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
            write_function::<_, Entry, _>(
                "configuration::register",
                "Declares a configuration with its schema.",
                code::ADAPTER_ERROR,
                move |input: Register| register.register(input),
            ),
            write_function::<_, Changed, _>(
                "configuration::set",
                "Sets the value of a configuration.",
                code::ADAPTER_ERROR,
                move |input: Set| set.set(&input),
            ),
            BuiltIn::sync(
                "configuration::get",
                "Reads the value of a configuration.",
                move |input: Get, _| get.get(input),
            ),
            BuiltIn::sync(
                "configuration::list",
                "Lists the configurations, without their values.",
                move |_: Nothing, _| list.list(),
            ),
            BuiltIn::sync(
                "configuration::schema",
                "Reads the schema of a configuration.",
                move |input: One, _| schema.found(&input.id).map(View::from).map(Some),
            ),
        ]
    }

    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        self.events.bind(binding)
    }

    fn unbind(&self, binding: &Arc<Binding>) {
        self.events.unbind(&binding.id);
    }

    fn stop(&self) {
        self.events.stop();
    }
}

fn invalid(why: String) -> ErrorBody {
    ErrorBody::new(code::SCHEMA_INVALID, why)
}

/// Reads a stored entry.
fn read(entry: &Payload) -> Result<Entry, ErrorBody> {
    entry.parse().map_err(|error| {
        ErrorBody::new(code::ADAPTER_ERROR, format!("the entry cannot be read: {error}"))
    })
}
