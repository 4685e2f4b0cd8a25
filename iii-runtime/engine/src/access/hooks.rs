//! Hooks: functions that authorize registrations and may rewrite them ([protocol 9.6](iii_wire::protocol#s9-6)).

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::session::Session;
use crate::broker::{Broker, Request, forbidden};
use crate::provider::{Outcome, to_payload};
use iii_wire::code;
use iii_wire::protocol::{
    ErrorBody, FunctionId, Namespace, Payload, RegisterFunction, RegisterTrigger,
    RegisterTriggerType, TriggerId, TriggerTypeId,
};

/// A function in `default` that the engine invokes for a decision, with its timeout.
#[derive(Debug, Clone, Copy)]
pub(super) struct HookFunction<'a> {
    pub(super) function_id: &'a FunctionId,
    pub(super) timeout: Duration,
}

#[derive(Serialize)]
struct FunctionHookInput<'a> {
    function_id: &'a str,
    description: Option<&'a str>,
    metadata: Option<&'a Payload>,
    namespace: &'a str,
    context: &'a Payload,
}

#[derive(Deserialize)]
struct FunctionHookOutput {
    function_id: Option<FunctionId>,
    description: Option<String>,
    metadata: Option<Payload>,
}

#[derive(Serialize)]
struct TriggerHookInput<'a> {
    trigger_id: &'a str,
    trigger_type: &'a str,
    function_id: &'a str,
    config: &'a Payload,
    metadata: Option<&'a Payload>,
    namespace: &'a str,
    context: &'a Payload,
}

#[derive(Deserialize)]
struct TriggerHookOutput {
    trigger_id: Option<TriggerId>,
    trigger_type: Option<TriggerTypeId>,
    function_id: Option<FunctionId>,
    config: Option<Payload>,
}

#[derive(Serialize)]
struct TriggerTypeHookInput<'a> {
    trigger_type_id: &'a str,
    description: &'a str,
    context: &'a Payload,
}

#[derive(Deserialize)]
struct TriggerTypeHookOutput {
    trigger_type_id: Option<TriggerTypeId>,
    description: Option<String>,
}

impl HookFunction<'_> {
    /// Invokes the function and waits for its result, up to its timeout.
    pub(super) async fn invoke(self, broker: &Broker, data: Payload) -> Outcome {
        let result = broker.invoke(Request {
            namespace: Namespace::default(),
            function_id: self.function_id.clone(),
            data,
            metadata: None,
            traceparent: None,
            baggage: None,
        });
        let result = tokio::time::timeout(self.timeout, result).await;
        result.unwrap_or_else(|_| {
            let message = format!("`{}` timed out after {:?}", self.function_id, self.timeout);
            Err(ErrorBody::new(code::TIMEOUT, message))
        })
    }

    /// Submits a registration to the hook. `what` describes it in the error message.
    async fn authorize<I: Serialize, O: DeserializeOwned>(
        self,
        broker: &Broker,
        what: &str,
        input: &I,
    ) -> Result<O, ErrorBody> {
        let rejected = |why: String| forbidden(format!("{what} was rejected: {why}"));
        let result = self.invoke(broker, to_payload(input)?).await;
        let result = result.map_err(|error| rejected(error.message))?.unwrap_or_default();
        if !result.is_object() {
            return Err(rejected(format!("`{}` did not allow it", self.function_id)));
        }
        result.parse().map_err(|error| {
            rejected(format!("the result of `{}` is invalid: {error}", self.function_id))
        })
    }

    /// Authorizes the registration of a function and applies the rewritten fields.
    pub(super) async fn authorize_function(
        self,
        session: &Session,
        m: &mut RegisterFunction,
        home: &Namespace,
    ) -> Result<(), ErrorBody> {
        let what = format!("the function `{}`", m.id);
        let input = FunctionHookInput {
            function_id: &m.id,
            description: m.description.as_deref(),
            metadata: m.metadata.as_ref(),
            namespace: home,
            context: &session.grants.context,
        };
        let output: FunctionHookOutput = self.authorize(&session.broker, &what, &input).await?;
        replace_id(&mut m.id, output.function_id, &what)?;
        m.description = output.description.or(m.description.take());
        m.metadata = output.metadata.or(m.metadata.take());
        Ok(())
    }

    /// Authorizes the registration of a trigger and applies the rewritten fields.
    pub(super) async fn authorize_trigger(
        self,
        session: &Session,
        m: &mut RegisterTrigger,
    ) -> Result<(), ErrorBody> {
        let what = format!("the `{}` trigger of `{}`", m.trigger_type, m.function_id);
        let namespace = m.namespace.clone().unwrap_or_default();
        let input = TriggerHookInput {
            trigger_id: &m.id,
            trigger_type: &m.trigger_type,
            function_id: &m.function_id,
            config: &m.config,
            metadata: m.metadata.as_ref(),
            namespace: &namespace,
            context: &session.grants.context,
        };
        let output: TriggerHookOutput = self.authorize(&session.broker, &what, &input).await?;
        replace_id(&mut m.id, output.trigger_id, &what)?;
        replace_id(&mut m.trigger_type, output.trigger_type, &what)?;
        replace_id(&mut m.function_id, output.function_id, &what)?;
        if let Some(config) = output.config {
            m.config = config;
        }
        Ok(())
    }

    /// Authorizes the registration of a trigger type and applies the rewritten fields.
    pub(super) async fn authorize_trigger_type(
        self,
        session: &Session,
        m: &mut RegisterTriggerType,
    ) -> Result<(), ErrorBody> {
        let what = format!("the trigger type `{}`", m.id);
        let input = TriggerTypeHookInput {
            trigger_type_id: &m.id,
            description: &m.description,
            context: &session.grants.context,
        };
        let output: TriggerTypeHookOutput = self.authorize(&session.broker, &what, &input).await?;
        replace_id(&mut m.id, output.trigger_type_id, &what)?;
        if let Some(description) = output.description {
            m.description = description;
        }
        Ok(())
    }
}

/// Applies a rewritten id, if the hook returned one. Blank ids are rejected.
fn replace_id<T: AsRef<str>>(
    id: &mut T,
    rewritten: Option<T>,
    what: &str,
) -> Result<(), ErrorBody> {
    match rewritten {
        Some(rewritten) if rewritten.as_ref().trim().is_empty() => {
            Err(forbidden(format!("{what} was rejected: the hook returned a blank id")))
        }
        Some(rewritten) => {
            *id = rewritten;
            Ok(())
        }
        None => Ok(()),
    }
}
