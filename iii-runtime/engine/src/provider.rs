//! What a provider is: the one door through which trigger types and built-in functions enter the broker.

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

/// What a call ends in: an output, no output, or an error.
pub(crate) type Outcome = Result<Option<Payload>, ErrorBody>;

/// The code of the runtime of a built-in function.
pub(crate) type Handler = Arc<dyn Fn(Call) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// A part of the engine that serves trigger types, functions, or both.
///
/// The broker calls it while it holds its lock for changes: no method may wait, or register anything at the broker.
/// Invoking functions is allowed everywhere.
pub(crate) trait Provider: Send + Sync + 'static {
    /// The name under which it is listed, such as `iii-http`.
    fn name(&self) -> &'static str;

    /// What it is for, in one sentence.
    fn description(&self) -> &'static str;

    /// The trigger types it serves, all in the namespace `default`.
    fn trigger_types(&self) -> Vec<TriggerTypeInfo> {
        Vec::new()
    }

    /// The functions it serves, all in the namespace `default`.
    fn functions(self: Arc<Self>) -> Vec<BuiltIn> {
        Vec::new()
    }

    /// Takes a binding. One with the same id replaces the earlier one.
    ///
    /// # Errors
    ///
    /// If the config cannot be used. Nothing changed then: an earlier binding of that id goes on.
    fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        Err(refused(format!("`{}` serves no trigger type `{}`", self.name(), binding.trigger_type)))
    }

    /// Gives a binding up. What it has begun is finished.
    fn unbind(&self, _binding: &Arc<Binding>) {}

    /// Hears of a change at the broker.
    fn notice(&self, _event: &Event) {}

    /// Serves a function that a worker registered with an `invocation` object (protocol section 4.8).
    ///
    /// `None`: this provider does not serve such functions.
    fn external(&self, _function: &RegisterFunction) -> Option<Result<Handler, ErrorBody>> {
        None
    }

    /// Takes the telemetry frames of connections (protocol section 1.6). Asked once for each connection.
    ///
    /// `None`: this provider takes none.
    fn telemetry(&self) -> Option<TelemetryHandler> {
        None
    }

    /// How its part of the engine is, for `engine::health::check`.
    ///
    /// `None`: it has nothing to say.
    fn health(&self) -> Option<Health> {
        None
    }

    /// The engine is about to close all connections: calls that fail from now on are nobody's fault.
    fn ending(&self) {}

    /// Ends all tasks. Nothing is called afterwards.
    fn stop(&self) {}
}

/// How a part of the engine is.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    /// The name of the part, such as `queues`.
    pub(crate) component: &'static str,
    /// What is wrong; `None`: all is well.
    pub(crate) trouble: Option<String>,
    /// Facts about it.
    pub(crate) details: serde_json::Value,
}

/// A trigger type of a provider.
#[derive(Debug, Clone)]
pub(crate) struct TriggerTypeInfo {
    /// Its id, such as `http`.
    pub(crate) id: &'static str,
    /// What fires it.
    pub(crate) description: &'static str,
    /// JSON Schema of a binding's config.
    pub(crate) config_schema: Option<Payload>,
    /// JSON Schema of the payload that functions get.
    pub(crate) request_schema: Option<Payload>,
}

/// A trigger that is bound to a function (protocol section 2.6).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Binding {
    /// Chosen by the worker that registered it.
    pub(crate) id: TriggerId,
    /// Its type.
    pub(crate) trigger_type: TriggerTypeId,
    /// The function that it invokes.
    pub(crate) function_id: FunctionId,
    /// The namespace of that function.
    pub(crate) namespace: Namespace,
    /// What the type needs to know; never checked before [`Provider::bind`].
    pub(crate) config: Payload,
    /// Handed to the function, unchanged, with each firing.
    pub(crate) metadata: Option<Payload>,
    /// The namespace of the connection that registered it: the provider is looked for there first.
    pub(crate) home: Namespace,
    /// The only namespace in which the provider is looked for, if one is named.
    pub(crate) provider_namespace: Option<Namespace>,
    /// The connection that registered it; `None`: made by `engine::register_trigger`.
    pub(crate) owner: Option<WorkerId>,
}

impl Binding {
    /// What it counts against the bytes that its connection may register.
    pub(crate) fn weight(&self) -> usize {
        let metadata = self.metadata.as_ref().map_or(0, |metadata| metadata.as_str().len());
        let names = self.id.len() + self.trigger_type.len() + self.function_id.len();
        names + self.config.as_str().len() + metadata + 256
    }

    /// Reads the config into a type. An absent config counts as an empty one.
    ///
    /// # Errors
    ///
    /// Code `trigger_registration_failed` if it does not fit.
    pub(crate) fn config<T: DeserializeOwned>(&self) -> Result<T, ErrorBody> {
        let text = if self.config.is_null() { "{}" } else { self.config.as_str() };
        serde_json::from_str(text).map_err(|error| {
            refused(format!(
                "the config of the `{}` trigger `{}` cannot be read: {error}",
                self.trigger_type, self.id
            ))
        })
    }
}

/// The error with which a binding is refused (protocol section 4.4).
pub(crate) fn refused(message: impl Into<String>) -> ErrorBody {
    ErrorBody::new(code::TRIGGER_REGISTRATION_FAILED, message)
}

/// The error of a call that would go beyond a limit.
pub(crate) fn overloaded(message: impl Into<String>) -> ErrorBody {
    ErrorBody { retryable: Some(true), ..ErrorBody::new(code::OVERLOADED, message) }
}

/// A change at the broker that providers may tell workers about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A connection was opened.
    WorkerConnected(WorkerId),
    /// A worker announced itself, or changed what it says about itself.
    WorkerUpdated(WorkerId),
    /// A connection ended, and everything it had is gone.
    WorkerDisconnected(WorkerId),
    /// A function was registered or removed.
    FunctionsChanged,
}

/// One call of a built-in function.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The input.
    pub(crate) data: Payload,
    /// The connection that calls; `None`: the engine itself.
    pub(crate) caller: Option<WorkerId>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
    /// W3C baggage.
    pub(crate) baggage: Option<String>,
}

#[cfg(test)]
impl Call {
    /// A call of nobody in particular.
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
    /// What it does.
    pub(crate) description: &'static str,
    /// JSON Schema of the input.
    pub(crate) request_schema: Schema,
    /// JSON Schema of the output.
    pub(crate) response_schema: Schema,
    /// Its code.
    pub(crate) handler: Handler,
}

impl BuiltIn {
    /// A function whose schemas are those of `I` and `O`.
    pub(crate) fn new<I: JsonSchema, O: JsonSchema>(
        id: &'static str,
        description: &'static str,
        handler: Handler,
    ) -> Self {
        Self {
            id: id.into(),
            description,
            request_schema: Schema::Of(schema::<I>),
            response_schema: Schema::Of(schema::<O>),
            handler,
        }
    }

    /// A function with typed input and output. `None` as output means that the answer has no `result`.
    ///
    /// Input that does not fit is answered with the code `deserialization_error`; fields that the type does not have
    /// are ignored.
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
                let error = misfit(id, &error);
                Box::pin(std::future::ready(Err(error)))
            }
        });
        Self::new::<I, O>(id, description, handler)
    }

    /// Like [`BuiltIn::sync`], for output that is JSON already. `O` only gives the schema.
    pub(crate) fn raw<I, O, F>(id: &'static str, description: &'static str, code: F) -> Self
    where
        I: DeserializeOwned + JsonSchema,
        O: JsonSchema,
        F: Fn(I) -> Outcome + Send + Sync + 'static,
    {
        let handler: Handler = Arc::new(move |call: Call| {
            let outcome = match call.data.parse::<I>() {
                Ok(input) => code(input),
                Err(error) => Err(misfit(id, &error)),
            };
            Box::pin(std::future::ready(outcome))
        });
        Self::new::<I, O>(id, description, handler)
    }

    /// Like [`BuiltIn::typed`], for code that does not wait.
    pub(crate) fn sync<I, O, F>(id: &'static str, description: &'static str, code: F) -> Self
    where
        I: DeserializeOwned + JsonSchema,
        O: Serialize + JsonSchema + Send + 'static,
        F: Fn(I, Call) -> Result<Option<O>, ErrorBody> + Send + Sync + 'static,
    {
        Self::typed(id, description, move |input, call| std::future::ready(code(input, call)))
    }
}

/// The error for input that does not fit a built-in function.
pub(crate) fn misfit(id: &str, error: &serde_json::Error) -> ErrorBody {
    ErrorBody::new(code::DESERIALIZATION_ERROR, format!("the input does not fit `{id}`: {error}"))
}

/// The JSON of an output or of an event.
///
/// # Errors
///
/// Code `serialization_error` if the type refuses to be serialised.
pub(crate) fn to_payload<T: Serialize + ?Sized>(value: &T) -> Result<Payload, ErrorBody> {
    Payload::new(value)
        .map_err(|error| ErrorBody::new(code::SERIALIZATION_ERROR, format!("no JSON: {error}")))
}

/// A JSON Schema, or how to make it: most of those of the engine's own functions are never asked for.
#[derive(Debug, Clone)]
pub(crate) enum Schema {
    /// What a worker sent.
    Given(Option<Payload>),
    /// That of a type.
    Of(fn() -> Option<Payload>),
}

impl Schema {
    /// The document; `None` if nothing is said.
    pub(crate) fn get(&self) -> Option<Payload> {
        match self {
            Self::Given(document) => document.clone(),
            Self::Of(schema) => schema(),
        }
    }

    /// What was sent; `None` if nothing was.
    pub(crate) fn given(&self) -> Option<&Payload> {
        match self {
            Self::Given(document) => document.as_ref(),
            Self::Of(_) => None,
        }
    }
}

/// The JSON Schema of a type; `None` for the unit type.
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
    async fn input_is_checked_and_unknown_fields_are_ignored() {
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
    fn a_function_without_output_has_no_response_schema() {
        let f = BuiltIn::sync("f", "Does nothing.", |_: Input, _| Ok(None::<()>));
        assert!(f.response_schema.get().is_none());
        assert!(f.request_schema.get().unwrap().as_str().contains("\"n\""));
    }
}
