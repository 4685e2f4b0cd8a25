//! The condition function of a trigger, which decides for each event whether the trigger fires.

use std::sync::Arc;

use serde::Deserialize;

use super::broker::{Broker, Request};
use super::provider::Binding;
use iii_wire::protocol::{ErrorBody, FunctionId, Payload};

/// The condition of a trigger, as its config names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Condition {
    /// The condition function. Absent or empty: the trigger always fires.
    #[serde(default)]
    pub(crate) condition_function_id: Option<FunctionId>,
}

impl Condition {
    /// Returns whether the config names a condition function.
    pub(crate) fn is_configured(&self) -> bool {
        self.function_id().is_some()
    }

    fn function_id(&self) -> Option<&FunctionId> {
        self.condition_function_id.as_ref().filter(|id| !id.is_empty())
    }

    /// Calls the condition function with the payload of the event and returns whether the trigger may fire.
    ///
    /// Only the JSON value `false` suppresses the event ([protocol 5](iii_wire::protocol#s5)).
    ///
    /// # Errors
    ///
    /// If the condition function fails.
    pub(crate) async fn allows(
        &self,
        broker: &Broker,
        binding: &Binding,
        data: &Payload,
    ) -> Result<bool, ErrorBody> {
        let Some(function_id) = self.function_id() else { return Ok(true) };
        let function_id = broker.resolve_function_id(binding, function_id);
        let result = broker.invoke(Request::beside(binding, &function_id, data.clone())).await?;
        Ok(result.is_none_or(|result| result.as_str() != "false"))
    }
}

/// A bound trigger with its condition.
#[derive(Debug, Clone)]
pub(crate) struct ConditionalBinding {
    /// The trigger.
    pub(crate) binding: Arc<Binding>,
    /// Evaluated before the trigger fires.
    pub(crate) condition: Condition,
}

impl ConditionalBinding {
    /// A binding whose condition is the function `condition_function_id`, if any.
    pub(crate) fn new(
        binding: &Arc<Binding>,
        condition_function_id: Option<impl Into<FunctionId>>,
    ) -> Self {
        let condition_function_id = condition_function_id.map(Into::into);
        Self { binding: binding.clone(), condition: Condition { condition_function_id } }
    }

    /// Evaluates the condition; see [`Condition::allows`].
    ///
    /// # Errors
    ///
    /// If the condition function fails.
    pub(crate) async fn allows(&self, broker: &Broker, data: &Payload) -> Result<bool, ErrorBody> {
        self.condition.allows(broker, &self.binding, data).await
    }

    /// Fires the trigger if its condition allows it, and waits until the function has finished. Errors are logged.
    pub(crate) async fn fire_and_wait(&self, broker: &Broker, data: Payload) {
        let outcome = match self.allows(broker, &data).await {
            Ok(false) => return,
            Ok(true) => broker.invoke(Request::fired(&self.binding, data)).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::warn!(
                trigger = %self.binding.id,
                function = %self.binding.function_id,
                "a `{}` trigger failed: {error}",
                self.binding.trigger_type
            );
        }
    }
}
