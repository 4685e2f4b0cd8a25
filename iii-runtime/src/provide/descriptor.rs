//! A trigger type as data: what is registered, and how a binding is begun.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;

use super::emitter::Inner;
use super::{Emitter, TriggerType};
use crate::client::Client;
use crate::extract::Resources;
use crate::function::Location;
use iii_wire::protocol::{FunctionId, Payload, RegisterTrigger};
use iii_wire::schema::document;
use iii_wire::{Error, Result, code};

/// The code that runs for one binding, until it is dropped.
pub(crate) type BindingTask = BoxFuture<'static, Result<()>>;

/// What a binding needs to begin.
pub(crate) struct BindingContext {
    pub binding: RegisterTrigger,
    pub client: Client,
    pub resources: Arc<Resources>,
}

/// A declared trigger type.
pub struct TriggerTypeDescriptor {
    /// The id on the wire.
    pub id: &'static str,
    /// What fires it: the doc comment.
    pub description: &'static str,
    /// The module it is declared in; its first segment is the crate.
    pub module: &'static str,
    /// Where it is declared.
    pub location: Location,
    pub(crate) config_schema: fn() -> Payload,
    pub(crate) event_schema: fn() -> Payload,
    /// Reads and checks a binding; gives what runs for it.
    pub(crate) begin: fn(BindingContext) -> BoxFuture<'static, Result<BindingTask>>,
}

impl TriggerTypeDescriptor {
    /// The descriptor of a trigger type that is declared at `location`.
    pub const fn new<T: TriggerType>(module: &'static str, location: Location) -> Self {
        Self {
            id: T::ID,
            description: T::DESCRIPTION,
            module,
            location,
            config_schema: schema::<T>,
            event_schema: schema::<T::Event>,
            begin: begin::<T>,
        }
    }
}

impl fmt::Debug for TriggerTypeDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TriggerTypeDescriptor")
            .field("id", &self.id)
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

fn schema<T: JsonSchema>() -> Payload {
    document(|generator| generator.root_schema_for::<T>())
}

fn begin<T: TriggerType>(begin: BindingContext) -> BoxFuture<'static, Result<BindingTask>> {
    Box::pin(async move {
        let BindingContext { binding, client, resources } = begin;
        let (config, condition) = read::<T>(&binding.config)?;
        let emitter = Emitter::new(Inner {
            client,
            resources,
            trigger_id: binding.id,
            function_id: binding.function_id,
            namespace: binding.namespace.unwrap_or_default(),
            metadata: binding.metadata,
            condition,
        });
        config.check(&emitter).await?;
        let running: BindingTask = Box::pin(config.run(emitter));
        Ok(running)
    })
}

/// The config, and the condition that may stand in it. A type that takes no unknown fields does not see the condition.
fn read<T: TriggerType>(config: &Payload) -> Result<(T, Option<FunctionId>)> {
    #[derive(Deserialize)]
    struct Conditional {
        condition_function_id: Option<FunctionId>,
    }
    let condition = match config.is_object() {
        true => config.parse().map_or(None, |found: Conditional| found.condition_function_id),
        false => None,
    };
    let text = if config.is_null() { "{}" } else { config.as_str() };
    let config = match condition {
        None => serde_json::from_str(text),
        Some(_) => serde_json::from_str(text).and_then(|mut config: serde_json::Value| {
            config.as_object_mut().map(|config| config.remove("condition_function_id"));
            serde_json::from_value(config)
        }),
    };
    let config = config.map_err(|error| {
        Error::new(code::INVALID_ARGUMENT, format!("the config of a `{}` trigger: {error}", T::ID))
    })?;
    Ok((config, condition))
}

/// What the macros put into the inventory.
#[derive(Debug, Clone, Copy)]
pub struct TriggerTypeDeclaration(pub &'static TriggerTypeDescriptor);

inventory::collect!(TriggerTypeDeclaration);

/// The trigger types that the macros have declared in all crates that are linked in, sorted by id.
pub(crate) fn declared_trigger_types() -> Vec<&'static TriggerTypeDescriptor> {
    let mut types: Vec<_> =
        inventory::iter::<TriggerTypeDeclaration>().map(|declaration| declaration.0).collect();
    types.sort_by_key(|one| (one.id, one.location.file, one.location.line));
    types
}
