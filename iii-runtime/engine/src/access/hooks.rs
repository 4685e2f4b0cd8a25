//! The functions that are asked about registrations, and what they may rewrite (protocol section 9.6).

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

/// A function in `default` that the engine asks, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hook<'a> {
    pub(super) function_id: &'a FunctionId,
    pub(super) timeout: Duration,
}

#[derive(Serialize)]
struct FunctionInput<'a> {
    function_id: &'a str,
    description: Option<&'a str>,
    metadata: Option<&'a Payload>,
    namespace: &'a str,
    context: &'a Payload,
}

#[derive(Deserialize)]
struct FunctionOutput {
    function_id: Option<FunctionId>,
    description: Option<String>,
    metadata: Option<Payload>,
}

#[derive(Serialize)]
struct TriggerInput<'a> {
    trigger_id: &'a str,
    trigger_type: &'a str,
    function_id: &'a str,
    config: &'a Payload,
    metadata: Option<&'a Payload>,
    namespace: &'a str,
    context: &'a Payload,
}

#[derive(Deserialize)]
struct TriggerOutput {
    trigger_id: Option<TriggerId>,
    trigger_type: Option<TriggerTypeId>,
    function_id: Option<FunctionId>,
    config: Option<Payload>,
}

#[derive(Serialize)]
struct TypeInput<'a> {
    trigger_type_id: &'a str,
    description: &'a str,
    context: &'a Payload,
}

#[derive(Deserialize)]
struct TypeOutput {
    trigger_type_id: Option<TriggerTypeId>,
    description: Option<String>,
}

impl Hook<'_> {
    /// Calls the function and waits for its answer, no longer than its time.
    pub(super) async fn ask(self, broker: &Broker, data: Payload) -> Outcome {
        let asked = broker.invoke(Request {
            namespace: Namespace::default(),
            function_id: self.function_id.clone(),
            data,
            metadata: None,
            traceparent: None,
            baggage: None,
        });
        let answer = tokio::time::timeout(self.timeout, asked).await;
        answer.unwrap_or_else(|_| {
            let text = format!("`{}` did not answer within {:?}", self.function_id, self.timeout);
            Err(ErrorBody::new(code::TIMEOUT, text))
        })
    }

    /// Asks about a registration; `what` names it in the refusal.
    async fn decide<I: Serialize, O: DeserializeOwned>(
        self,
        broker: &Broker,
        what: &str,
        input: &I,
    ) -> Result<O, ErrorBody> {
        let refused = |why: String| forbidden(format!("{what} was refused: {why}"));
        let answer = self.ask(broker, to_payload(input)?).await;
        let answer = answer.map_err(|error| refused(error.message))?.unwrap_or_default();
        let said_no = || refused(format!("`{}` did not allow it", self.function_id));
        if !answer.is_object() {
            return Err(said_no());
        }
        answer.parse().map_err(|error| {
            refused(format!("the answer of `{}` cannot be read: {error}", self.function_id))
        })
    }

    /// Asks about a function, and rewrites it.
    pub(super) async fn function(
        self,
        session: &Session,
        m: &mut RegisterFunction,
        home: &Namespace,
    ) -> Result<(), ErrorBody> {
        let what = format!("the function `{}`", m.id);
        let input = FunctionInput {
            function_id: &m.id,
            description: m.description.as_deref(),
            metadata: m.metadata.as_ref(),
            namespace: home,
            context: &session.grants.context,
        };
        let output: FunctionOutput = self.decide(&session.broker, &what, &input).await?;
        replace(&mut m.id, output.function_id, &what)?;
        m.description = output.description.or(m.description.take());
        m.metadata = output.metadata.or(m.metadata.take());
        Ok(())
    }

    /// Asks about a binding, and rewrites it.
    pub(super) async fn trigger(
        self,
        session: &Session,
        m: &mut RegisterTrigger,
    ) -> Result<(), ErrorBody> {
        let what = format!("the `{}` trigger of `{}`", m.trigger_type, m.function_id);
        let namespace = m.namespace.clone().unwrap_or_default();
        let input = TriggerInput {
            trigger_id: &m.id,
            trigger_type: &m.trigger_type,
            function_id: &m.function_id,
            config: &m.config,
            metadata: m.metadata.as_ref(),
            namespace: &namespace,
            context: &session.grants.context,
        };
        let output: TriggerOutput = self.decide(&session.broker, &what, &input).await?;
        replace(&mut m.id, output.trigger_id, &what)?;
        replace(&mut m.trigger_type, output.trigger_type, &what)?;
        replace(&mut m.function_id, output.function_id, &what)?;
        if let Some(config) = output.config {
            m.config = config;
        }
        Ok(())
    }

    /// Asks about a trigger type, and rewrites it.
    pub(super) async fn trigger_type(
        self,
        session: &Session,
        m: &mut RegisterTriggerType,
    ) -> Result<(), ErrorBody> {
        let what = format!("the trigger type `{}`", m.id);
        let input = TypeInput {
            trigger_type_id: &m.id,
            description: &m.description,
            context: &session.grants.context,
        };
        let output: TypeOutput = self.decide(&session.broker, &what, &input).await?;
        replace(&mut m.id, output.trigger_type_id, &what)?;
        if let Some(description) = output.description {
            m.description = description;
        }
        Ok(())
    }
}

/// Rewrites an id, unless the hook left it alone. An empty one names nothing.
fn replace<T: AsRef<str>>(id: &mut T, given: Option<T>, what: &str) -> Result<(), ErrorBody> {
    match given {
        Some(given) if given.as_ref().trim().is_empty() => {
            Err(forbidden(format!("{what} was refused: it was given an empty name")))
        }
        Some(given) => {
            *id = given;
            Ok(())
        }
        None => Ok(()),
    }
}
