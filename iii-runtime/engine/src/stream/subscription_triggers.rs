//! `stream:join` and `stream:leave` triggers: authorize subscriptions and observe their end ([protocol 5.7](iii_wire::protocol#s5-7)).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::group::StreamGroup;
use crate::broker::{Broker, Request};
use crate::condition::ConditionalBinding;
use crate::provider::{Binding, schema};
use crate::store::json_string;
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, Payload, TriggerId};
use iii_wire::sync::lock;

/// The time limit of each function that is called for a client.
pub(super) const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Configuration of a `stream:join` or `stream:leave` trigger.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct SubscriptionTriggerConfig {
    /// A function that is called first; `false` skips the function of this trigger.
    condition_function_id: Option<String>,
}

/// The payload of a `stream:join` or `stream:leave` trigger.
#[derive(schemars::JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct SubscriptionCall {
    /// The id that the client chose for the subscription.
    subscription_id: String,
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item; null: all items of the group.
    id: Option<String>,
    /// The context that the auth function returned for the client; null without an auth function.
    context: Payload,
}

/// Returns the schemas of the config and of the payload.
pub(super) fn schemas() -> (Option<Payload>, Option<Payload>) {
    (schema::<SubscriptionTriggerConfig>(), schema::<SubscriptionCall>())
}

/// Builds the payload for a subscription.
pub(super) fn payload(
    id: &str,
    group: &StreamGroup,
    item: Option<&str>,
    context: &Payload,
) -> Payload {
    Payload::from_built(format!(
        r#"{{"subscription_id":{},"stream_name":{},"group_id":{},"id":{},"context":{}}}"#,
        json_string(id),
        json_string(&group.stream),
        json_string(&group.group),
        item.map_or_else(|| "null".to_owned(), json_string),
        context.as_str(),
    ))
}

/// The bound triggers of one of the two types. They fire in the order of their ids.
pub(super) struct SubscriptionTriggers {
    broker: Broker,
    triggers: Mutex<BTreeMap<TriggerId, ConditionalBinding>>,
}

impl SubscriptionTriggers {
    /// No triggers.
    pub(super) fn new(broker: Broker) -> Self {
        Self { broker, triggers: Mutex::default() }
    }

    /// Adds a trigger, replacing the one with the same id.
    ///
    /// # Errors
    ///
    /// If the config is invalid.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: SubscriptionTriggerConfig = binding.config()?;
        let trigger = ConditionalBinding::new(binding, config.condition_function_id);
        lock(&self.triggers).insert(binding.id.clone(), trigger);
        Ok(())
    }

    /// Removes a trigger.
    pub(super) fn unbind(&self, id: &TriggerId) {
        lock(&self.triggers).remove(id);
    }

    fn triggers(&self) -> Vec<ConditionalBinding> {
        lock(&self.triggers).values().cloned().collect()
    }

    /// Returns whether all functions authorize a subscription. A function that fails or times out does not.
    pub(super) async fn authorize(&self, data: &Payload) -> bool {
        for trigger in self.triggers() {
            let authorized = timeout(FUNCTION_TIMEOUT, self.authorized_by(&trigger, data)).await;
            match authorized.unwrap_or_else(|_| Err(timeout_error())) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    tracing::warn!(
                        trigger = %trigger.binding.id,
                        function = %trigger.binding.function_id,
                        "a subscription was rejected because a `stream:join` trigger failed: {error}"
                    );
                    return false;
                }
            }
        }
        true
    }

    async fn authorized_by(
        &self,
        trigger: &ConditionalBinding,
        data: &Payload,
    ) -> Result<bool, ErrorBody> {
        if !trigger.allows(&self.broker, data).await? {
            return Ok(true);
        }
        let result = self.broker.invoke(Request::fired(&trigger.binding, data.clone())).await?;
        Ok(!result.as_ref().is_some_and(is_unauthorized))
    }

    /// Fires all triggers, one after the other.
    pub(super) async fn notify(&self, data: &Payload) {
        for trigger in self.triggers() {
            let fired = trigger.fire_and_wait(&self.broker, data.clone());
            if timeout(FUNCTION_TIMEOUT, fired).await.is_err() {
                tracing::warn!(trigger = %trigger.binding.id, "a `stream:leave` trigger timed out");
            }
        }
    }
}

/// The error of a function that exceeded [`FUNCTION_TIMEOUT`].
pub(super) fn timeout_error() -> ErrorBody {
    let text = format!("the function did not finish within {} s", FUNCTION_TIMEOUT.as_secs());
    ErrorBody::new(code::TIMEOUT, text)
}

/// Returns whether a result rejects the subscription: it has `unauthorized`, which is neither `false` nor null.
fn is_unauthorized(result: &Payload) -> bool {
    #[derive(Deserialize)]
    struct JoinResult {
        unauthorized: Option<Value>,
    }
    if !result.is_object() {
        return false;
    }
    match result.parse::<JoinResult>() {
        Ok(JoinResult { unauthorized: None | Some(Value::Bool(false)) }) => false,
        Ok(_) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::json;

    #[test]
    fn ambiguous_result_is_unauthorized() {
        for result in ["null", "{}", "7", r#"{"unauthorized":false}"#, r#"{"unauthorized":null}"#] {
            assert!(!is_unauthorized(&json(result)), "{result}");
        }
        for result in [
            r#"{"unauthorized":true}"#,
            r#"{"unauthorized":"no"}"#,
            r#"{"unauthorized":0}"#,
            r#"{"unauthorized":false,"unauthorized":true}"#,
        ] {
            assert!(is_unauthorized(&json(result)), "{result}");
        }
    }
}
