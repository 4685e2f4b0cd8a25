//! The static descriptor of a trigger type: its registration, and how a binding starts.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Deserialize;

use super::emitter::EmitterInner;
use super::{Emitter, TriggerType};
use crate::client::Client;
use crate::extract::Resources;
use crate::function::Location;
use iii_wire::protocol::{FunctionId, Payload, RegisterTrigger};
use iii_wire::schema::document;
use iii_wire::{Error, Result, code};

/// The future of [`TriggerType::run`] for one binding. Dropping it ends the binding.
pub(crate) type BindingTask = BoxFuture<'static, Result<()>>;

/// What a binding needs to start.
pub(crate) struct BindingContext {
    pub binding: RegisterTrigger,
    pub client: Client,
    pub resources: Arc<Resources>,
}

/// The declaration of a trigger type.
pub struct TriggerTypeDescriptor {
    /// The id on the wire.
    pub id: &'static str,
    /// The description: the doc comment.
    pub description: &'static str,
    /// The module of the declaration; its first segment is the crate.
    pub module: &'static str,
    /// The location of the declaration.
    pub location: Location,
    pub(crate) config_schema: fn() -> Payload,
    pub(crate) event_schema: fn() -> Payload,
    /// Parses and checks a binding, and returns its task.
    pub(crate) begin: fn(BindingContext) -> BoxFuture<'static, Result<BindingTask>>,
}

impl TriggerTypeDescriptor {
    /// The descriptor of the trigger type `T`, declared at `location`.
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

fn begin<T: TriggerType>(context: BindingContext) -> BoxFuture<'static, Result<BindingTask>> {
    Box::pin(async move {
        let BindingContext { binding, client, resources } = context;
        let (config, condition) = parse_config::<T>(&binding.config)?;
        let emitter = Emitter::new(EmitterInner {
            client,
            resources,
            trigger_id: binding.id,
            function_id: binding.function_id,
            namespace: binding.namespace.unwrap_or_default(),
            metadata: binding.metadata,
            condition,
        });
        config.check(&emitter).await?;
        let task: BindingTask = Box::pin(config.run(emitter));
        Ok(task)
    })
}

/// Parses the configuration, and removes the condition from it, since the type may deny unknown fields.
fn parse_config<T: TriggerType>(config: &Payload) -> Result<(T, Option<FunctionId>)> {
    #[derive(Deserialize)]
    struct Conditional {
        condition_function_id: Option<FunctionId>,
    }
    let condition = match config.is_object() {
        true => config.parse().map_or(None, |config: Conditional| config.condition_function_id),
        false => None,
    };
    let json = if config.is_null() { "{}" } else { config.as_str() };
    let config = match condition {
        None => serde_json::from_str(json),
        Some(_) => serde_json::from_str(json).and_then(|mut config: serde_json::Value| {
            config.as_object_mut().map(|config| config.remove("condition_function_id"));
            serde_json::from_value(config)
        }),
    };
    let config = config.map_err(|error| {
        let text = format!("the config of a `{}` trigger is invalid: {error}", T::ID);
        Error::new(code::INVALID_ARGUMENT, text)
    })?;
    Ok((config, condition))
}

/// A declaration in the inventory, which collects those of all linked crates.
#[derive(Debug, Clone, Copy)]
pub struct TriggerTypeDeclaration(pub &'static TriggerTypeDescriptor);

inventory::collect!(TriggerTypeDeclaration);

/// The trigger types that the macros declared in all linked crates, sorted by id.
pub(crate) fn declared_trigger_types() -> Vec<&'static TriggerTypeDescriptor> {
    let mut types: Vec<_> =
        inventory::iter::<TriggerTypeDeclaration>().map(|declaration| declaration.0).collect();
    types.sort_by_key(|declared| (declared.id, declared.location.file, declared.location.line));
    types
}
