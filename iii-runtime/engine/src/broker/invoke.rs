//! Invocation: resolving functions, sending calls to them, and returning results ([protocol 4](iii_wire::protocol#s4)).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::calls::{CallPermit, PendingCall, ReplyTo, ResultFuture, stopped};
use super::connection::{WorkerConnection, too_large};
use super::counters::Counters;
use super::external::run_on_behalf;
use super::functions::ENQUEUE;
use super::registry::{FunctionTarget, RegisteredFunction};
use super::workers::ANNOUNCE;
use super::{Broker, trace};
use crate::provider::overloaded;
use crate::provider::{Binding, Call, Handler, Outcome};
use iii_wire::code;
use iii_wire::protocol::{
    Action, DEFAULT_NAMESPACE, ErrorBody, FunctionId, InvocationId, InvocationResult,
    InvokeFunction, Message, Namespace, Payload, WorkerId, without_caller,
};
use iii_wire::transport::{Outbox, SendError};

/// An invocation by the engine.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The namespace of the function.
    pub(crate) namespace: Namespace,
    /// The function.
    pub(crate) function_id: FunctionId,
    /// The input.
    pub(crate) data: Payload,
    /// Metadata of the call.
    pub(crate) metadata: Option<Payload>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
    /// W3C baggage.
    pub(crate) baggage: Option<String>,
}

impl Request {
    /// The invocation of the function of a trigger that fires, with the metadata of the trigger.
    pub(crate) fn fired(binding: &Binding, data: Payload) -> Self {
        Self {
            namespace: binding.namespace.clone(),
            function_id: binding.function_id.clone(),
            data,
            metadata: binding.metadata.clone(),
            traceparent: None,
            baggage: None,
        }
    }

    /// The invocation of another function in the namespace of a trigger's function, such as its condition.
    pub(crate) fn beside(binding: &Binding, function_id: &FunctionId, data: Payload) -> Self {
        Self { function_id: function_id.clone(), metadata: None, ..Self::fired(binding, data) }
    }
}

impl Broker {
    /// Invokes a function. The call is sent when this returns; dropping the future cancels it.
    pub(crate) fn invoke(&self, request: Request) -> ResultFuture {
        let (sender, receiver) = oneshot::channel();
        let sent = self.forward(request, None, ReplyTo::Engine(sender));
        let pending_at = sent.map(|sent| (Arc::downgrade(&sent.callee), sent.id));
        ResultFuture::new(receiver, pending_at)
    }

    /// Invokes a function without awaiting its result. Errors are logged.
    pub(crate) fn fire(&self, request: Request) {
        let reply_to = ReplyTo::Log(request.function_id.clone());
        self.forward(request, None, reply_to);
    }

    /// Handles a call of a worker. Returns the outbox of a callee with backpressure.
    pub(super) fn handle_invocation(
        &self,
        caller: &Arc<WorkerConnection>,
        m: InvokeFunction,
    ) -> Option<Outbox> {
        let id = m.invocation_id.filter(|_| m.action != Some(Action::Void));
        let Some(permit) = CallPermit::new(caller) else {
            too_many(caller, id, m.function_id);
            return None;
        };
        let reply_to = match id {
            None => ReplyTo::Void(permit),
            Some(invocation_id) => ReplyTo::Worker {
                permit,
                invocation_id,
                function_id: m.function_id.clone(),
                traceparent: m.traceparent.clone(),
                baggage: m.baggage.clone(),
            },
        };
        let namespace = match m.namespace {
            Some(namespace) if namespace.trim().is_empty() => {
                reply_to.answer(Err(blank_namespace("namespace")));
                return None;
            }
            namespace => namespace.unwrap_or_default(),
        };
        if m.function_id == ANNOUNCE {
            let outcome = self.announce(caller, &m.data, reply_to.wants_answer());
            reply_to.answer(outcome);
            return None;
        }
        let request = Request {
            namespace,
            function_id: m.function_id,
            data: m.data,
            metadata: m.metadata,
            traceparent: m.traceparent,
            baggage: m.baggage,
        };
        let sent = match (&caller.policy, m.action) {
            (Some(state), action) => {
                self.invoke_with_policy(&*state.policy, caller.id, request, action, reply_to)
            }
            (None, Some(Action::Enqueue { queue })) => {
                self.enqueue(&queue, request, caller.id, reply_to)
            }
            (None, None | Some(Action::Void)) => self.forward(request, Some(caller.id), reply_to),
        };
        let DispatchedCall { callee, is_queued, .. } = sent?;
        if caller.is_removed() {
            // Another task may have removed the connection while the call was added.
            callee.pending.forget(caller.id);
        }
        if is_queued { callee.backpressure() } else { None }
    }

    /// Handles the result of a call. A callee can only complete its own calls.
    pub(super) fn handle_result(&self, callee: &Arc<WorkerConnection>, m: InvocationResult) {
        // An unknown id belongs to a void or a cancelled call.
        if let Some(PendingCall { reply_to, since, .. }) = callee.pending.take(m.invocation_id) {
            self.inner.counters.completed(since, m.result.is_ok());
            let outcome = m.result.map(|result| result.filter(|result| !result.is_null()));
            reply_to.answer(outcome);
        }
    }

    /// Enqueues a call by invoking the function that serves queues ([protocol 4.5](iii_wire::protocol#s4-5)).
    pub(super) fn enqueue(
        &self,
        queue: &str,
        request: Request,
        caller: WorkerId,
        reply_to: ReplyTo,
    ) -> Option<DispatchedCall> {
        let receipt = Uuid::new_v4();
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let optional = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), quoted);
        let baggage = trace::baggage_for(
            &request.function_id,
            request.traceparent.as_deref(),
            request.baggage.as_deref(),
        );
        let mut data = format!(
            r#"{{"queue":{},"function_id":{},"data":{},"messageReceiptId":"{receipt}","traceparent":{},"baggage":{}"#,
            quoted(queue),
            quoted(&request.function_id),
            request.data.as_str(),
            optional(request.traceparent.as_deref()),
            optional(baggage.as_deref()),
        );
        if request.namespace != DEFAULT_NAMESPACE {
            data.push_str(&format!(r#","namespace":{}"#, quoted(&request.namespace)));
        }
        if let Some(metadata) = &request.metadata {
            data.push_str(&format!(r#","metadata":{}"#, metadata.as_str()));
        }
        data.push('}');
        let reply_to = ReplyTo::Receipt { receipt, then: Box::new(reply_to) };
        let call = Request {
            namespace: Namespace::default(),
            function_id: ENQUEUE.into(),
            data: Payload::from_built(data),
            metadata: None,
            traceparent: request.traceparent,
            baggage: request.baggage,
        };
        // Built-in queues keep the calls of one worker in order; a worker that serves queues is not told the caller.
        let caller = match self.lookup(&call.namespace, &call.function_id) {
            Ok(function) if function.owner().is_none() => Some(caller),
            _ => None,
        };
        self.forward(call, caller, reply_to)
    }

    /// Sends a call to the function. Returns where it is pending, if a worker serves it.
    pub(super) fn forward(
        &self,
        request: Request,
        caller: Option<WorkerId>,
        reply_to: ReplyTo,
    ) -> Option<DispatchedCall> {
        match self.lookup(&request.namespace, &request.function_id) {
            Ok(function) => {
                #[cfg(feature = "testing")]
                if let (FunctionTarget::BuiltIn { .. }, Some(seen)) =
                    (&function.target, self.inner.built_in_observer.get())
                {
                    seen(&request.function_id, &request.data);
                }
                deliver(&self.inner.counters, &function, request, caller, reply_to)
            }
            Err(error) => {
                self.inner.counters.unknown_function();
                reply_to.answer(Err(error));
                None
            }
        }
    }

    /// Looks up a function. The error names other namespaces that have it.
    fn lookup(
        &self,
        namespace: &Namespace,
        id: &FunctionId,
    ) -> Result<Arc<RegisteredFunction>, ErrorBody> {
        let registry = self.registry();
        if let Some(function) = registry.function(namespace, id) {
            return Ok(function.clone());
        }
        let elsewhere = registry.namespaces_of(id);
        let hint = if elsewhere.is_empty() {
            String::new()
        } else {
            let names: Vec<&str> = elsewhere.iter().map(|one| one.as_str()).collect();
            format!("; it is registered in: {}", names.join(", "))
        };
        Err(ErrorBody::new(
            code::FUNCTION_NOT_FOUND,
            format!("there is no function `{id}` in the namespace `{namespace}`{hint}"),
        ))
    }
}

/// A call that is pending at a worker.
pub(super) struct DispatchedCall {
    /// The worker.
    pub(super) callee: Arc<WorkerConnection>,
    /// Its id on the worker's connection.
    pub(super) id: InvocationId,
    /// Whether it was sent to the worker, rather than served on its behalf.
    pub(super) is_queued: bool,
}

/// Delivers a call to a function. Returns where it is pending, if a worker owns the function.
pub(super) fn deliver(
    counters: &Arc<Counters>,
    function: &RegisteredFunction,
    request: Request,
    caller: Option<WorkerId>,
    reply_to: ReplyTo,
) -> Option<DispatchedCall> {
    counters.started(function);
    match &function.target {
        FunctionTarget::BuiltIn { handler, .. } => {
            run_built_in(counters, handler, request, caller, reply_to);
            None
        }
        FunctionTarget::External { owner, code } => {
            run_on_behalf(counters, owner, &code.handler, request, caller, reply_to)
        }
        FunctionTarget::Worker(callee) => {
            send(counters, callee, function, request, caller, reply_to)
        }
    }
}

/// Sends a call to a worker. It is added to the pending calls first, so that a fast result finds it.
fn send(
    counters: &Counters,
    callee: &Arc<WorkerConnection>,
    function: &RegisteredFunction,
    request: Request,
    caller: Option<WorkerId>,
    reply_to: ReplyTo,
) -> Option<DispatchedCall> {
    let waits = reply_to.wants_answer();
    let id = if waits {
        let Some(id) = callee.pending.insert(reply_to, callee.limits.workers.serving) else {
            counters.completed(Instant::now(), false);
            return None;
        };
        id
    } else {
        InvocationId::random()
    };
    let baggage = trace::baggage_for(
        &request.function_id,
        request.traceparent.as_deref(),
        request.baggage.as_deref(),
    );
    let size = request.data.as_str().len();
    // Payloads of events may contain the caller's key. For a call of a worker, decoding has removed it.
    let data = if caller.is_some() { request.data } else { without_caller(request.data) };
    let sent = callee.try_send(Message::InvokeFunction(Box::new(InvokeFunction {
        invocation_id: Some(id),
        function_id: function.local_id().clone(),
        data,
        caller,
        traceparent: request.traceparent,
        baggage,
        action: None,
        metadata: request.metadata,
        namespace: None,
    })));
    let error = match sent {
        Ok(()) => return Some(DispatchedCall { callee: callee.clone(), id, is_queued: true }),
        Err(SendError::Closed) => stopped(),
        Err(SendError::Full) => {
            let id = &function.id;
            overloaded(format!("the worker that serves `{id}` reads too slowly"))
        }
        Err(SendError::TooLarge) => too_large("the call", size, &callee.limits),
    };
    // The end of the callee may have completed the call meanwhile.
    if waits && let Some(PendingCall { reply_to, since, .. }) = callee.pending.take(id) {
        counters.completed(since, false);
        reply_to.answer(Err(error));
    }
    None
}

/// Runs a built-in function.
///
/// For the call of a worker, a future that is ready at once is completed before this returns, so that the calls of one
/// worker take effect in order; any other is spawned. Calls of the engine itself are always spawned: a trigger whose
/// built-in target fires it again must not recurse.
fn run_built_in(
    counters: &Arc<Counters>,
    handler: &Handler,
    request: Request,
    caller: Option<WorkerId>,
    reply_to: ReplyTo,
) {
    let (counters, since) = (counters.clone(), Instant::now());
    let finish = move |outcome: Outcome, reply_to: ReplyTo| {
        counters.completed(since, outcome.is_ok());
        reply_to.answer(outcome);
    };
    let mut work = call_handler(handler, request, caller);
    let done = if caller.is_some() { (&mut work).now_or_never() } else { None };
    match done {
        Some(outcome) => finish(outcome, reply_to),
        // During the exit of the process there is no runtime, and nobody waits.
        None => match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { finish(work.await, reply_to) })),
            Err(_) => reply_to.answer(Err(stopped())),
        },
    }
}

/// Calls a built-in function. A panic becomes an error.
pub(super) fn call_handler(
    handler: &Handler,
    request: Request,
    caller: Option<WorkerId>,
) -> BoxFuture<'static, Outcome> {
    let handler = handler.clone();
    let id = request.function_id;
    let call = Call {
        data: request.data,
        caller,
        traceparent: request.traceparent,
        baggage: request.baggage,
    };
    // The handler is called inside of the future, so that a panic of the call itself is caught as well.
    let work = AssertUnwindSafe(async move { handler(call).await }).catch_unwind();
    work.map(move |done| {
        done.unwrap_or_else(|_| {
            tracing::error!(function = %id, "a built-in function panicked");
            Err(ErrorBody::new(code::PANIC, format!("`{id}` panicked")))
        })
    })
    .boxed()
}

/// Rejects a call of a worker that has too many pending calls.
fn too_many(
    caller: &WorkerConnection,
    invocation_id: Option<InvocationId>,
    function_id: FunctionId,
) {
    let message = "this connection has too many pending calls";
    let Some(invocation_id) = invocation_id else {
        return tracing::warn!(worker = %caller.id, function = %function_id, "a void call was dropped: {message}");
    };
    caller.answer(InvocationResult {
        invocation_id,
        function_id,
        result: Err(overloaded(message)),
        traceparent: None,
        baggage: None,
    });
}

/// The error for a blank namespace.
pub(super) fn blank_namespace(field: &str) -> ErrorBody {
    ErrorBody::new(code::INVALID_NAMESPACE, format!("the field `{field}` must not be blank"))
}
