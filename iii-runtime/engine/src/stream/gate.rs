//! The functions that are asked before a subscription, and told of its end (protocol section 5.7).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::message::quoted;
use super::place::Place;
use crate::broker::{Broker, Request};
use crate::condition::Condition;
use crate::provider::{Binding, schema};
use iii_wire::code;
use iii_wire::protocol::{ErrorBody, FunctionId, Payload, TriggerId};
use iii_wire::sync::lock;

/// How long each of these functions may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The config of a `stream:join` or `stream:leave` binding.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct GateConfig {
    /// A function that is asked first; `false` skips the function of this trigger.
    condition_function_id: Option<String>,
}

/// What such a function gets.
#[derive(schemars::JsonSchema)]
#[allow(dead_code)]
struct Subscribing {
    /// The subscription, by the name that the client gave it.
    subscription_id: String,
    /// The stream.
    stream_name: String,
    /// The group.
    group_id: String,
    /// The item; null: all items of the group.
    id: Option<String>,
    /// What the auth function said about the client; null without one.
    context: Payload,
}

/// The schemas of config and payload.
pub(super) fn schemas() -> (Option<Payload>, Option<Payload>) {
    (schema::<GateConfig>(), schema::<Subscribing>())
}

/// The payload about a subscription.
pub(super) fn payload(id: &str, place: &Place, item: Option<&str>, context: &Payload) -> Payload {
    Payload::from_built(format!(
        r#"{{"subscription_id":{},"stream_name":{},"group_id":{},"id":{},"context":{}}}"#,
        quoted(id),
        quoted(&place.stream),
        quoted(&place.group),
        item.map_or_else(|| "null".to_owned(), quoted),
        context.as_str(),
    ))
}

#[derive(Clone)]
struct Guard {
    binding: Arc<Binding>,
    condition: Condition,
}

/// The bindings of one of the two types, asked in the order of their ids.
pub(super) struct Gate {
    broker: Broker,
    guards: Mutex<BTreeMap<TriggerId, Guard>>,
}

impl Gate {
    /// Nobody is asked.
    pub(super) fn new(broker: Broker) -> Self {
        Self { broker, guards: Mutex::default() }
    }

    /// Adds a binding, or replaces the one of the same id.
    ///
    /// # Errors
    ///
    /// If the config cannot be read.
    pub(super) fn bind(&self, binding: &Arc<Binding>) -> Result<(), ErrorBody> {
        let config: GateConfig = binding.config()?;
        let condition =
            Condition { condition_function_id: config.condition_function_id.map(FunctionId::from) };
        let guard = Guard { binding: binding.clone(), condition };
        lock(&self.guards).insert(binding.id.clone(), guard);
        Ok(())
    }

    /// Removes a binding.
    pub(super) fn unbind(&self, id: &TriggerId) {
        lock(&self.guards).remove(id);
    }

    fn guards(&self) -> Vec<Guard> {
        lock(&self.guards).values().cloned().collect()
    }

    /// Whether all of them let a subscription begin. What fails, or takes too long, does not.
    pub(super) async fn admits(&self, data: &Payload) -> bool {
        for guard in self.guards() {
            match timeout(PATIENCE, self.ask(&guard, data)).await.unwrap_or_else(|_| Err(slow())) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    tracing::warn!(
                        trigger = %guard.binding.id,
                        function = %guard.binding.function_id,
                        "a subscription was refused, because its `stream:join` trigger failed: {error}"
                    );
                    return false;
                }
            }
        }
        true
    }

    async fn ask(&self, guard: &Guard, data: &Payload) -> Result<bool, ErrorBody> {
        if !guard.condition.allows(&self.broker, &guard.binding, data).await? {
            return Ok(true);
        }
        let answer = self.broker.invoke(Request::fired(&guard.binding, data.clone())).await?;
        Ok(!answer.as_ref().is_some_and(refuses))
    }

    /// Tells all of them, one after the other.
    pub(super) async fn tell(&self, data: &Payload) {
        for guard in self.guards() {
            let told = guard.condition.fire_and_wait(&self.broker, &guard.binding, data.clone());
            if timeout(PATIENCE, told).await.is_err() {
                tracing::warn!(trigger = %guard.binding.id, "a `stream:leave` trigger takes too long");
            }
        }
    }
}

/// The error of a function that took too long.
pub(super) fn slow() -> ErrorBody {
    ErrorBody::new(code::TIMEOUT, format!("no answer within {} s", PATIENCE.as_secs()))
}

/// Whether an answer says no: `unauthorized` is there, and is neither `false` nor null.
fn refuses(answer: &Payload) -> bool {
    #[derive(Deserialize)]
    struct Verdict {
        unauthorized: Option<Value>,
    }
    if !answer.is_object() {
        return false;
    }
    match answer.parse::<Verdict>() {
        Ok(Verdict { unauthorized: None | Some(Value::Bool(false)) }) => false,
        Ok(_) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::testing::json;

    #[test]
    fn what_is_neither_yes_nor_no_is_no() {
        for answer in ["null", "{}", "7", r#"{"unauthorized":false}"#, r#"{"unauthorized":null}"#] {
            assert!(!refuses(&json(answer)), "{answer}");
        }
        for answer in [
            r#"{"unauthorized":true}"#,
            r#"{"unauthorized":"no"}"#,
            r#"{"unauthorized":0}"#,
            r#"{"unauthorized":false,"unauthorized":true}"#,
        ] {
            assert!(refuses(&json(answer)), "{answer}");
        }
    }
}
