//! What the trigger types share: the condition that decides whether a binding fires.

use std::sync::Arc;

use serde::Deserialize;

use super::broker::{Broker, Request};
use super::provider::Binding;
use iii_wire::protocol::{ErrorBody, FunctionId, Payload};

/// The part of a config that names the condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Condition {
    /// The function that is asked first; absent: the binding always fires.
    #[serde(default)]
    pub(crate) condition_function_id: Option<FunctionId>,
}

impl Condition {
    /// Whether there is a function to ask.
    pub(crate) fn is_configured(&self) -> bool {
        self.condition_function_id.as_ref().is_some_and(|id| !id.is_empty())
    }

    /// Asks the condition with the payload that the target would get.
    ///
    /// Only the JSON value `false` blocks (protocol section 5).
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
        let Some(function_id) = self.condition_function_id.as_ref().filter(|id| !id.is_empty())
        else {
            return Ok(true);
        };
        let function_id = broker.named_by(binding, function_id);
        let answer = broker.invoke(Request::beside(binding, &function_id, data.clone())).await?;
        Ok(answer.is_none_or(|answer| answer.as_str() != "false"))
    }

    /// Fires a binding if its condition allows, and waits for the end. Errors are logged.
    pub(crate) async fn fire_and_wait(&self, broker: &Broker, binding: &Binding, data: Payload) {
        let outcome = match self.allows(broker, binding, &data).await {
            Ok(false) => return,
            Ok(true) => broker.invoke(Request::fired(binding, data)).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::warn!(
                trigger = %binding.id,
                function = %binding.function_id,
                "a `{}` trigger failed: {error}",
                binding.trigger_type
            );
        }
    }
}

/// Who hears of an event.
#[derive(Debug, Clone)]
pub(crate) struct ConditionalBinding {
    /// The binding that fires.
    pub(crate) binding: Arc<Binding>,
    /// What is asked first.
    pub(crate) condition: Condition,
}
