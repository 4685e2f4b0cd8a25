//! Authorization and redirection of calls of connections with a policy.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::Broker;
use super::calls::{ReplyTo, ResultFuture};
use super::functions::ENQUEUE;
use super::invoke::{DispatchedCall, Request, deliver};
use super::policy::{ConnectionPolicy, Redirect, forbidden};
use super::registry::{FunctionTarget, RegisteredFunction};
use iii_wire::code;
use iii_wire::protocol::{Action, ErrorBody, FunctionId, Namespace, Payload, WorkerId};

/// The part of a call of [`ENQUEUE`] that identifies the enqueued call.
#[derive(Deserialize)]
struct Enqueued {
    function_id: FunctionId,
    #[serde(default)]
    namespace: Option<Namespace>,
}

impl Broker {
    /// Makes a call of a worker if its policy allows it. Returns where it is pending, if a worker serves it.
    pub(super) fn invoke_with_policy(
        &self,
        policy: &dyn ConnectionPolicy,
        caller: WorkerId,
        request: Request,
        action: Option<Action>,
        reply_to: ReplyTo,
    ) -> Option<DispatchedCall> {
        let function = self.registry().function(&request.namespace, &request.function_id).cloned();
        if let Err(error) = self.check_call(policy, &request, function.as_deref()) {
            if !reply_to.wants_answer() {
                tracing::warn!(worker = %caller, "a void call was denied: {error}");
            }
            reply_to.answer(Err(error));
            return None;
        }
        let of_engine = function.as_deref().is_some_and(is_engine_function);
        let redirect = if of_engine { None } else { policy.redirect(&request, action.as_ref()) };
        if let Some(redirect) = redirect {
            return self.redirect_call(request, redirect, reply_to);
        }
        match (action, function) {
            (Some(Action::Enqueue { queue }), _) => self.enqueue(&queue, request, caller, reply_to),
            (_, Some(function)) => {
                deliver(&self.inner.counters, &function, request, Some(caller), reply_to)
            }
            (_, None) => {
                let Request { namespace, function_id: id, .. } = request;
                // Other namespaces are not revealed.
                reply_to.answer(Err(ErrorBody::new(
                    code::FUNCTION_NOT_FOUND,
                    format!("there is no function `{id}` in the namespace `{namespace}`"),
                )));
                None
            }
        }
    }

    /// Authorizes a call; one that enqueues another call requires authorization of both.
    fn check_call(
        &self,
        policy: &dyn ConnectionPolicy,
        request: &Request,
        function: Option<&RegisteredFunction>,
    ) -> Result<(), ErrorBody> {
        check(policy, &request.namespace, &request.function_id, function)?;
        if request.function_id != ENQUEUE {
            return Ok(());
        }
        let inner: Enqueued = request.data.parse().map_err(|error| {
            forbidden(format!("the function to enqueue is not readable: {error}"))
        })?;
        let namespace = inner.namespace.unwrap_or_default();
        let function = self.registry().function(&namespace, &inner.function_id).cloned();
        check(policy, &namespace, &inner.function_id, function.as_deref())
    }

    /// Redirects a call to another function: in the same namespace if it exists there, otherwise in `default`. Its
    /// result is the result of the call.
    fn redirect_call(
        &self,
        request: Request,
        redirect: Redirect,
        reply_to: ReplyTo,
    ) -> Option<DispatchedCall> {
        let Redirect { function_id, data, limit } = redirect;
        let here = self.registry().function(&request.namespace, &function_id).is_some();
        let namespace = if here { request.namespace } else { Namespace::default() };
        let late = format!("`{function_id}` did not answer within {limit:?}");
        let call = Request { namespace, function_id, data, ..request };
        if !reply_to.wants_answer() {
            return self.forward(call, None, reply_to);
        }
        let (sender, receiver) = oneshot::channel();
        let sent = self.forward(call, None, ReplyTo::Engine(sender));
        let pending_at = sent.as_ref().map(|sent| (Arc::downgrade(&sent.callee), sent.id));
        let answer = ResultFuture::new(receiver, pending_at);
        tokio::spawn(async move {
            let answer = tokio::time::timeout(limit, answer).await;
            reply_to.answer(answer.unwrap_or_else(|_| Err(ErrorBody::new(code::TIMEOUT, late))));
        });
        sent
    }
}

/// Authorizes a call of a function, whether it exists or not.
fn check(
    policy: &dyn ConnectionPolicy,
    namespace: &Namespace,
    id: &FunctionId,
    function: Option<&RegisteredFunction>,
) -> Result<(), ErrorBody> {
    let metadata: Option<&Payload> = function.and_then(|function| function.metadata.as_ref());
    policy.check_call(function.map_or(namespace, |function| &function.namespace), id, metadata)
}

/// Returns whether it is a built-in function of the engine itself, which belongs to no application.
fn is_engine_function(function: &RegisteredFunction) -> bool {
    matches!(function.target, FunctionTarget::BuiltIn { .. }) && function.id.starts_with("engine::")
}
