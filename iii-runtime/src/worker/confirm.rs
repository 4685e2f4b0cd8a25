//! How a worker finds out that the engine has taken what it registers: it asks.

use std::time::Duration;

use super::registration::{Answers, Registrations};
use super::run::Worker;
use crate::session::ActiveConnection;
use iii_wire::protocol::{InvocationId, InvokeFunction, Message, Namespace, Payload};
use iii_wire::{Error, Result, code};

/// How long the engine may take to say what it has.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Introduces the worker, and when the engine knows it, asks what it has.
///
/// The introduction is queued at once, before anything else; only the waiting is left to the future.
///
/// With `triggers` it also asks for triggers, which were registered at once.
pub(super) fn confirm(
    worker: &Worker,
    up: &ActiveConnection,
    triggers: bool,
) -> impl Future<Output = Result<Answers>> + Send + use<> {
    let introduced = ask(up.clone(), "engine::workers::register", worker.identity.payload());
    let asks = worker.asks;
    let queries = if asks {
        worker.registrations.function_queries(worker.session.namespace())
    } else {
        Vec::new()
    };
    let asks_triggers = triggers && worker.registrations.has_triggers();
    let registers = !worker.registrations.is_empty() || !worker.session.bindings().is_empty();
    let up = up.clone();
    async move {
        if let Err(error) = introduced.await
            && matches!(error.code(), code::FORBIDDEN | code::INVALID_NAMESPACE)
        {
            let text = format!("the engine refused this worker: {error}");
            return Err(Error::new(code::REGISTRATION_REJECTED, text));
        }
        let mut answers = Answers::default();
        if !asks {
            // The engine handles messages in their order: after any answer, all complaints are there.
            if registers {
                ask(up, "engine::functions::info", nothing()).await?;
            }
            return Ok(answers);
        }
        for query in queries {
            // An engine that does not let us look cannot confirm; that is no reason to stop.
            let (ids, query) = query;
            match ask(up.clone(), "engine::functions::info", query).await {
                Ok(answer) => answers.read_functions(&ids, &answer.unwrap_or_default()),
                Err(error) => tracing::warn!("the functions cannot be confirmed: {error}"),
            }
        }
        if asks_triggers {
            list_triggers(up, &mut answers).await;
        }
        Ok(answers)
    }
}

/// Asks for the triggers that were registered after it was known who has which function.
pub(super) fn confirm_triggers(
    registrations: &Registrations,
    asks: bool,
    up: &ActiveConnection,
    mut answers: Answers,
) -> impl Future<Output = Result<Answers>> + Send + use<> {
    let has_triggers = registrations.has_triggers();
    let up = up.clone();
    async move {
        if !asks {
            ask(up, "engine::functions::info", nothing()).await?;
        } else if has_triggers {
            list_triggers(up, &mut answers).await;
        }
        Ok(answers)
    }
}

async fn list_triggers(up: ActiveConnection, answers: &mut Answers) {
    let all = Payload::from_built(r#"{"include_internal":true}"#.to_owned());
    match ask(up, "engine::registered-triggers::list", all).await {
        Ok(answer) => answers.read_triggers(&answer.unwrap_or_default()),
        Err(error) => tracing::warn!("the triggers cannot be confirmed: {error}"),
    }
}

/// A question that only needs an answer.
pub(super) fn nothing() -> Payload {
    Payload::from_built(r#"{"function_ids":["-"]}"#.to_owned())
}

/// Calls a function of the engine over this link only. The message is queued before the future is first polled.
pub(super) fn ask(
    up: ActiveConnection,
    function_id: &'static str,
    data: Payload,
) -> impl Future<Output = Result<Option<Payload>>> {
    let invocation_id = InvocationId::random();
    let waiting = up.pending.insert(invocation_id);
    let sent = up.outbox.send(Message::InvokeFunction(Box::new(InvokeFunction {
        invocation_id: Some(invocation_id),
        function_id: function_id.into(),
        data,
        caller: None,
        traceparent: None,
        baggage: None,
        action: None,
        metadata: None,
        namespace: Some(Namespace::default()),
    })));
    async move {
        let lost = || Error::new(code::CONNECTION_LOST, "the link to the engine was lost");
        let mut waiting = waiting.ok_or_else(lost)?;
        sent.map_err(|_| lost())?;
        match tokio::time::timeout(CONFIRM_TIMEOUT, waiting.result()).await {
            Ok(answer) => answer.unwrap_or_else(|| Err(lost())),
            Err(_) => {
                let text = format!("`{function_id}` did not answer within {CONFIRM_TIMEOUT:?}");
                Err(Error::new(code::TIMEOUT, text))
            }
        }
    }
}
