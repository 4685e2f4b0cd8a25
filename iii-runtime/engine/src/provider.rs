//! Providers: the interface through which trigger types and built-in functions are added to the broker.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use iii_wire::code;
use iii_wire::protocol::{
    ErrorBody, FunctionId, Namespace, Payload, RegisterFunction, TriggerId, TriggerTypeId, WorkerId,
};
use iii_wire::schema::memoized;
use iii_wire::transport::ws::TelemetryHandler;

/// The result of a call: an output, no output, or an error.
pub(crate) type Outcome = Result<Option<Payload>, ErrorBody>;

/// The code of a built-in function.
pub(crate) type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// A component of the engine that serves trigger types, functions, or both.
///
/// The broker calls it under its lock for changes: methods must neither block nor register anything with the broker.
/// Invoking functions is allowed everywhere.
pub(crate) trait Provider: Send + Sync + 'static {
    /// The name under which it is listed, such as `iii-http`.
    fn name(&self) -> &'static str;

    /// A description of one sentence.
    fn description(&self) -> &'static str;

    /// The trigger types it serves, all in the namespace `default`.
    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        Vec::new()
    }

    /// The functions it serves, all in the namespace `default`.
    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        Vec::new()
    }

    /// Adds a trigger, or replaces the one with the same id.
    ///
    /// # Errors
    ///
    /// If the config is invalid. An existing trigger with that id then remains in place.
    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        Err(refused(format!("`{}` has no trigger type `{}`", self.name(), binding.trigger_type)))
    }

    /// Removes a trigger. Invocations in flight complete.
    fn unbind(&self, _binding: &Arc<Binding>) {}

    /// Receives broker events.
    fn on_event(&self, _event: &BrokerEvent) {}

    /// Returns the handler of a function that a worker registered with an `invocation` object ([protocol 4.8](iii_wire::protocol#s4-8)).
    ///
    /// `None` if this provider does not serve such functions.
    fn external_handler(&self, _function: &RegisterFunction) -> Option<Result<Handler, ErrorBody>> {
        None
    }

    /// Returns the handler of telemetry frames ([protocol 1.6](iii_wire::protocol#s1-6)), once per connection.
    ///
    /// `None` if this provider does not accept telemetry.
    fn telemetry(&self) -> Option<TelemetryHandler> {
        None
    }

    /// Reports the health of the component for `engine::health::check`.
    ///
    /// `None` if it does not report health.
    fn health(&self) -> Option<ComponentHealth> {
        None
    }

    /// Called before the engine closes all connections: calls that fail from now on are not errors.
    fn before_stop(&self) {}

    /// Stops all tasks. No method is called afterwards.
    fn stop(&self) {}
}

/// The health of a component.
#[derive(Debug, Clone)]
pub(crate) struct ComponentHealth {
    /// The name of the component, such as `queues`.
    pub(crate) component: &'static str,
    /// The problem; `None` if the component is healthy.
    pub(crate) trouble: Option<String>,
    /// Details, as JSON.
    pub(crate) details: serde_json::Value,
}

/// A trigger type of a provider.
#[derive(Debug, Clone)]
pub(crate) struct TriggerTypeInfo {
    /// Its id, such as `http`.
    pub(crate) id: &'static str,
    /// What fires its triggers.
    pub(crate) description: &'static str,
    /// JSON Schema of a trigger's config.
    pub(crate) config_schema: Option<Payload>,
    /// JSON Schema of the payload of invoked functions.
    pub(crate) request_schema: Option<Payload>,
}

/// A trigger: a function bound to a trigger type ([protocol 2.6](iii_wire::protocol#s2-6)).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    /// The id, chosen by the worker that registered it.
    pub(crate) id: TriggerId,
    /// Its type.
    pub(crate) trigger_type: TriggerTypeId,
    /// The function that it invokes.
    pub(crate) function_id: FunctionId,
    /// The namespace of the function.
    pub(crate) namespace: Namespace,
    /// The config, not validated before [`Provider::bind`].
    pub(crate) config: Payload,
    /// Passed unchanged to the function with each invocation.
    pub(crate) metadata: Option<Payload>,
    /// The namespace of the connection that registered it, which is searched for the provider first.
    pub(crate) home: Namespace,
    /// If set, the only namespace that is searched for the provider.
    pub(crate) provider_namespace: Option<Namespace>,
    /// The connection that registered it; `None` if `engine::register_trigger` did.
    pub(crate) owner: Option<WorkerId>,
}

impl Binding {
    /// The size that counts against the registration quota of its connection, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let metadata = self.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
        let names = self.id.len() + self.trigger_type.len() + self.function_id.len();
        names + self.config.as_str().len() + metadata + 256
    }

    /// Deserializes the config. An absent config is read as `{}`.
    ///
    /// # Errors
    ///
    /// Code `trigger_registration_failed` if it does not match the type.
    pub(crate) fn config<T: DeserializeOwned>(&self) -> Result<T, ErrorBody> {
        let text = if self.config.is_null() { "{}" } else { self.config.as_str() };
        serde_json::from_str(text).map_err(|error| {
            refused(format!(
                "the config of the `{}` trigger `{}` is invalid: {error}",
                self.trigger_type, self.id
            ))
        })
    }
}

/// The error of a rejected trigger ([protocol 4.4](iii_wire::protocol#s4-4)).
pub(crate) fn refused(message: impl Into<String>) -> ErrorBody {
    ErrorBody::new(code::TRIGGER_REGISTRATION_FAILED, message)
}

/// The error of a call that would exceed a limit.
pub(crate) fn overloaded(message: impl Into<String>) -> ErrorBody {
    ErrorBody { retryable: Some(true), ..ErrorBody::new(code::OVERLOADED, message) }
}

/// A change of the broker that providers may forward to workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BrokerEvent {
    /// A connection was opened.
    WorkerConnected(WorkerId),
    /// A worker announced itself or changed its description.
    WorkerUpdated(WorkerId),
    /// A connection was closed, and its registrations were removed.
    WorkerDisconnected(WorkerId),
    /// A function was registered or unregistered.
    FunctionsChanged,
}

/// A call of a built-in function.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The input.
    pub(crate) data: Payload,
    /// The calling connection; `None` for the engine itself.
    pub(crate) caller: Option<WorkerId>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
    /// W3C baggage.
    pub(crate) baggage: Option<String>,
}

#[cfg(test)]
impl Call {
    /// A call without a caller.
    pub(super) fn of(data: &str) -> Self {
        let data = Payload::from_json(data.to_owned()).unwrap();
        Self { data, caller: None, traceparent: None, baggage: None }
    }
}

/// A function that the engine itself serves.
#[derive(Clone)]
pub(crate) struct BuiltIn {
    /// Its id.
    pub(crate) id: FunctionId,
    /// The description.
    pub(crate) description: &'static str,
    /// JSON Schema of the input.
    pub(crate) request_schema: LazySchema,
    /// JSON Schema of the output.
    pub(crate) response_schema: LazySchema,
    /// The code.
    pub(crate) handler: Handler,
}

impl BuiltIn {
    /// Creates a function with the schemas of `I` and `O`.
    pub(crate) fn new<I: JsonSchema, O: JsonSchema>(
        id: &'static str,
        description: &'static str,
        handler: Handler,
    ) -> Self {
        Self {
            id: id.into(),
            description,
            request_schema: LazySchema::OfType(schema::<I>),
            response_schema: LazySchema::OfType(schema::<O>),
            handler,
        }
    }

    /// Creates a function with typed input and output. The output `None` is a response without `result`.
    ///
    /// Input that does not match fails with the code `deserialization_error`; unknown fields are ignored.
    pub(crate) fn typed<I, O, F, R>(id: &'static str, description: &'static str, code: F) -> Self
    where
        I: DeserializeOwned + JsonSchema,
        O: Serialize + JsonSchema,
        F: Fn(I, Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Option<O>, ErrorBody>> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |call: Call| match call.data.parse::<I>() {
            Ok(input) => {
                let output = code(input, call);
                Box::pin(async move { output.await?.map(|output| to_payload(&output)).transpose() })
            }
            Err(error) => {
                let error = invalid_input(id, &error);
                Box::pin(std::future::ready(Err(error)))
            }
        });
        Self::new::<I, O>(id, description, handler)
    }

    /// Like [`BuiltIn::sync`], for output that is already JSON; `O` only defines the schema.
    pub(crate) fn raw<I, O, F>(id: &'static str, description: &'static str, code: F) -> Self
    where
        I: DeserializeOwned + JsonSchema,
        O: JsonSchema,
        F: Fn(I) -> Outcome + Send + Sync + 'static,
    {
        let handler: Handler = Arc::new(move |call: Call| {
            let outcome = match call.data.parse::<I>() {
                Ok(input) => code(input),
                Err(error) => Err(invalid_input(id, &error)),
            };
            Box::pin(std::future::ready(outcome))
        });
        Self::new::<I, O>(id, description, handler)
    }

    /// Like [`BuiltIn::typed`], for synchronous code.
    pub(crate) fn sync<I, O, F>(id: &'static str, description: &'static str, code: F) -> Self
    where
        I: DeserializeOwned + JsonSchema,
        O: Serialize + JsonSchema + Send + 'static,
        F: Fn(I, Call) -> Result<Option<O>, ErrorBody> + Send + Sync + 'static,
    {
        Self::typed(id, description, move |input, call| std::future::ready(code(input, call)))
    }
}

/// The error for input that does not match the type of a built-in function.
pub(crate) fn invalid_input(id: &str, error: &serde_json::Error) -> ErrorBody {
    ErrorBody::new(code::DESERIALIZATION_ERROR, format!("the input of `{id}` is invalid: {error}"))
}

/// Serializes an output or an event.
///
/// # Errors
///
/// Code `serialization_error` if serialization fails.
pub(crate) fn to_payload<T: Serialize + ?Sized>(value: &T) -> Result<Payload, ErrorBody> {
    Payload::new(value)
        .map_err(|error| ErrorBody::new(code::SERIALIZATION_ERROR, error.to_string()))
}

/// A JSON Schema, generated on demand: most schemas of built-in functions are never requested.
#[derive(Debug, Clone)]
pub(crate) enum LazySchema {
    /// A schema that a worker sent.
    Document(Option<Payload>),
    /// The schema of a Rust type.
    OfType(fn() -> Option<Payload>),
}

impl LazySchema {
    /// Returns the document; `None` if there is no schema.
    pub(crate) fn get(&self) -> Option<Payload> {
        match self {
            Self::Document(document) => document.clone(),
            Self::OfType(schema) => schema(),
        }
    }

    /// Returns the document that a worker sent, if any.
    pub(crate) fn document(&self) -> Option<&Payload> {
        match self {
            Self::Document(document) => document.as_ref(),
            Self::OfType(_) => None,
        }
    }
}

/// Generates the JSON Schema of a type; `None` for the unit type.
pub(crate) fn schema<T: JsonSchema>() -> Option<Payload> {
    if T::schema_name() == "null" {
        return None;
    }
    Some(memoized(document::<T> as *const () as usize, document::<T>))
}

fn document<T: JsonSchema>() -> Payload {
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<T>();
    Payload::new(&schema).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, JsonSchema)]
    struct Input {
        n: u8,
    }

    #[tokio::test]
    async fn input_is_validated_and_unknown_fields_are_ignored() {
        let double = BuiltIn::sync("double", "Doubles.", |input: Input, _| Ok(Some(input.n * 2)));
        let outcome = (double.handler)(Call::of(r#"{"n":4,"x":1}"#)).await;
        assert_eq!(outcome.unwrap().unwrap().as_str(), "8");
        for bad in ["{}", "null", r#"{"n":300}"#] {
            let error = (double.handler)(Call::of(bad)).await.unwrap_err();
            assert_eq!(error.code, "deserialization_error");
            assert!(error.message.contains("`double`"), "{}", error.message);
        }
    }

    #[test]
    fn function_without_output_has_no_response_schema() {
        let f = BuiltIn::sync("f", "Does nothing.", |_: Input, _| Ok(None::<()>));
        assert!(f.response_schema.get().is_none());
        assert!(f.request_schema.get().unwrap().as_str().contains("\"n\""));
    }
}
